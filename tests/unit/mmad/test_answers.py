"""What replies mean: a table of the kinds that real models give, traps included."""

from __future__ import annotations

import time

import pytest

from core.mmad import parse_answer

YES_NO = {"A": "Yes.", "B": "No."}
DEFECTS = {"A": "Scratch.", "B": "Deep scratch.", "C": "Hole.", "D": "Missing component."}
PLACES = {"A": "Upper left.", "B": "Center.", "C": "Bottom right.", "D": "Left."}
CHINESE = {"A": "有", "B": "没有"}
CHINESE_DEFECTS = {"A": "划痕", "B": "孔洞", "C": "污渍", "D": "变形"}
TWINS = {"A": "Crack.", "B": "Crack.", "C": "Hole.", "D": "Dent."}

# reply, options, meant letter
REPLIES = [
    # a letter and its clothes
    ("B", DEFECTS, "B"),
    (" b ", DEFECTS, "B"),
    ("(C)", DEFECTS, "C"),
    ("D.", DEFECTS, "D"),
    ("A)", DEFECTS, "A"),
    ("[B]", DEFECTS, "B"),
    ('"C"', DEFECTS, "C"),
    ("**B**", DEFECTS, "B"),
    ("`D`", DEFECTS, "D"),
    ("### C", DEFECTS, "C"),
    ("$\\boxed{B}$", DEFECTS, "B"),
    ("\\boxed{\\text{D}}", DEFECTS, "D"),
    ("B. Deep scratch.", DEFECTS, "B"),
    ("B: Deep scratch", DEFECTS, "B"),
    ("**C. Hole.**", DEFECTS, "C"),
    ("A - Scratch", DEFECTS, "A"),
    ("Ｂ", DEFECTS, "B"),
    ("（Ｃ）孔洞", DEFECTS, "C"),
    ("C\n\nThe picture shows a round opening.", DEFECTS, "C"),
    ("D because a component is not there.", DEFECTS, "D"),
    ("A because the line is thin.", DEFECTS, "A"),
    # tags
    ("<think>Maybe A, or B.</think><answer>C</answer>", DEFECTS, "C"),
    ("<think>The answer is A.</think>\n<answer>\n (D) \n</answer>", DEFECTS, "D"),
    ("<answer>B. Deep scratch.</answer>", DEFECTS, "B"),
    ("<answer>Hole</answer>", DEFECTS, "C"),
    ("<answer>A</answer> no, wait <answer>B</answer>", DEFECTS, "B"),
    ("<ANSWER>b</ANSWER>", DEFECTS, "B"),
    ("<think>fine</think><answer>A", DEFECTS, "A"),
    ("<think>It is A, surely A", DEFECTS, None),
    ("<think>Both A and B look right.</think> C", DEFECTS, "C"),
    ("<answer></answer>", DEFECTS, None),
    ("<answer>A or B</answer>", DEFECTS, None),
    ("<answer>X</answer>", DEFECTS, None),
    # stated, the last statement wins
    ("The answer is B.", DEFECTS, "B"),
    ("The correct answer is (C) Hole.", DEFECTS, "C"),
    ("Answer: D", DEFECTS, "D"),
    ("**Answer:** A", DEFECTS, "A"),
    ("Answer:\n\nB. Deep scratch.", DEFECTS, "B"),
    ('{"answer": "C"}', DEFECTS, "C"),
    ("The right option for the query picture is option B.", DEFECTS, "B"),
    ("I would choose C.", DEFECTS, "C"),
    ("I'd go with option D, since the part is absent.", DEFECTS, "D"),
    ("A is wrong and B is wrong, so the answer must be C.", DEFECTS, "C"),
    ("Option A describes a thin line. Option C describes an opening. Option C is correct.", DEFECTS, "C"),
    ("The answer is A. Wait, looking again, the answer is B.", DEFECTS, "B"),
    ("The answer is not A but C.", DEFECTS, "C"),
    ("First I thought the answer is A. It must be D.", DEFECTS, "D"),
    ("Unlike option A, which is thin, this one is deep. The best choice is B", DEFECTS, "B"),
    ("B is the most appropriate option; A and C can be ruled out.", DEFECTS, "B"),
    ("Let's see.\nA. thin line: no\nB. deep line: no\nC. opening: yes\nTherefore C", DEFECTS, "C"),
    ("The final answer is: $\\boxed{A}$", DEFECTS, "A"),
    ("Option A does not fit. Option D does not fit. Option C does.", DEFECTS, "C"),
    ("My answer would be B, not A.", DEFECTS, "B"),
    ("The answer is A, because B is too deep.", DEFECTS, "A"),
    ("A or possibly C, but I lean to C", DEFECTS, "C"),
    ("It could be A or B. I choose B.", DEFECTS, "B"),
    ("Looking at the picture, A) Scratch is the most plausible.", DEFECTS, "A"),
    ("Neither A nor B. C.", DEFECTS, "C"),
    ("Answer: A\n\nExplanation: B is not correct since it isn't deep.", DEFECTS, "A"),
    ("A is a good description, but B is better.", DEFECTS, "B"),
    ("Although A is plausible, the best match is C.", DEFECTS, "C"),
    ("While A seems plausible, D matches better.", DEFECTS, "D"),
    ("Eliminating A, B and D, we are left with C.", DEFECTS, "C"),
    ("D instead of A", DEFECTS, "D"),
    ("If it were thin it would be A. It is round: C.", DEFECTS, "C"),
    ("I cannot determine it for sure, but if I had to guess, the answer would be C.", DEFECTS, "C"),
    ("1. Answer: B.\n2. Answer: A.", DEFECTS, "A"),
    ("A (80%)", DEFECTS, "A"),
    ("Answer: B\n<|im_end|>", DEFECTS, "B"),
    (
        "Options: A. Scratch B. Deep scratch C. Hole D. Missing component. I see a hole, so the correct option is C.",
        DEFECTS,
        "C",
    ),
    # the article
    ("A scratch is visible on the surface.", None, None),
    ("A small dark spot can be seen near the edge.", PLACES, None),
    ("The answer is a scratch.", None, None),
    ("The answer is a hole.", DEFECTS, "C"),
    ("A scratch is visible on the surface.", DEFECTS, "A"),
    ("A hole.", DEFECTS, "C"),
    ("There is a dent on a part of the surface", DEFECTS, None),
    # several, none, babble
    ("A or B", DEFECTS, None),
    ("A, C", DEFECTS, None),
    ("A and D are both possible.", DEFECTS, None),
    ("The answer is A or C.", DEFECTS, None),
    ("ABD", DEFECTS, None),
    ("A. Scratch.\nB. Deep scratch.\nC. Hole.\nD. Missing component.", DEFECTS, None),
    ("A: Scratch. B: Deep scratch. C: Hole. D: Missing component.", DEFECTS, None),
    ("Let me check each option: A - no, B - no, C - yes, D - no.", DEFECTS, None),
    ("None of the above.", DEFECTS, None),
    ("", DEFECTS, None),
    ("....", DEFECTS, None),
    ("the the the the", DEFECTS, None),
    ("E", DEFECTS, None),
    ("The answer is F.", DEFECTS, None),
    ("D", YES_NO, None),
    (None, DEFECTS, None),
    (float("nan"), DEFECTS, None),
    # letters that are no answers
    ("It is a USB-C plug with a C-shaped clip at 20 °C.", DEFECTS, None),
    ("The picture of type A shows region B.", DEFECTS, None),
    # refusals
    ("I'm sorry, but I cannot determine this from the picture.", DEFECTS, None),
    ("Sorry, I can't see whether it is a hole.", DEFECTS, None),
    ("As a language model I am unable to view images.", YES_NO, None),
    ("抱歉，我无法判断图片中是否有缺陷。", CHINESE, None),
    ("No, I cannot answer that.", YES_NO, None),
    ("I'm sorry, I can't see pictures. If there is a scratch the answer would be A.", DEFECTS, None),
    # the option's text
    ("Yes.", YES_NO, "A"),
    ("no", YES_NO, "B"),
    ("Yes, there is a defect.", YES_NO, "A"),
    ("No, there is no defect in the picture.", YES_NO, "B"),
    ("No, I cannot see any defect.", YES_NO, "B"),
    ("No visible defects.", YES_NO, "B"),
    ("Yes there is a dent", YES_NO, "A"),
    ("No doubt there is a dent.", YES_NO, None),
    ("There is no doubt about it.", YES_NO, None),
    ("deep scratch", DEFECTS, "B"),
    ("The defect is a deep scratch on the housing.", DEFECTS, "B"),
    ("It shows a hole and a missing component.", DEFECTS, None),
    ("There is no hole.", DEFECTS, None),
    ("Missing_component", DEFECTS, "D"),
    ("The defect lies at the bottom right.", PLACES, "C"),
    ("It is in the upper left.", PLACES, "A"),
    ("Crack.", TWINS, None),
    ("It is a dent.", TWINS, "D"),
    # Chinese
    ("答案是B。", CHINESE_DEFECTS, "B"),
    ("答案：C", CHINESE_DEFECTS, "C"),
    ("正确答案为 D。", CHINESE_DEFECTS, "D"),
    ("选B", CHINESE_DEFECTS, "B"),
    ("我认为应该选择选项A，因为表面有划痕。", CHINESE_DEFECTS, "A"),
    ("A不对，C也不对，因此选D。", CHINESE_DEFECTS, "D"),
    ("B选项正确", CHINESE_DEFECTS, "B"),
    ("C、污渍", CHINESE_DEFECTS, "C"),
    ("图中可以看到孔洞。", CHINESE_DEFECTS, "B"),
    ("没有", CHINESE, "B"),
    ("图中没有缺陷", CHINESE, "B"),
    ("划痕和孔洞都有", CHINESE_DEFECTS, None),
    ("我觉得A有可能，但B更合适。", CHINESE_DEFECTS, "B"),
    ("虽然A看起来合理，但正确答案是D", CHINESE_DEFECTS, "D"),
    ("A：划痕\nB：孔洞\nC：污渍\nD：变形", CHINESE_DEFECTS, None),
    ("首先排除A和B，C看起来像污渍，但更像是变形，选D。", CHINESE_DEFECTS, "D"),
    ("**答案：B**\n\n**解析：** A不正确，C也不符合。", CHINESE_DEFECTS, "B"),
    ("不是划痕，而是孔洞", CHINESE_DEFECTS, "B"),
    ("答案是A或B", CHINESE_DEFECTS, None),
    ("答案不是A，而是C", CHINESE_DEFECTS, "C"),
]


@pytest.mark.parametrize(("reply", "options", "meant"), REPLIES)
def test_a_reply_means_this_letter(reply: object, options: dict[str, str] | None, meant: str | None) -> None:
    assert parse_answer(reply, options) == meant


def test_the_table_is_long_enough_and_holds_all_kinds() -> None:
    assert len(REPLIES) >= 60
    assert sum(meant is None for *_, meant in REPLIES) >= 15


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        ("B", "B"),
        ("<think>A?</think><answer>D</answer>", "D"),
        ("E", None),
        ("Scratch.", None),
        ("<answer>Yes</answer>", None),
    ],
)
def test_without_options_only_the_letters_a_to_d_are_answers(reply: str, meant: str | None) -> None:
    """The rewards read letters alone: the text of an option must earn nothing there."""
    assert parse_answer(reply) == meant


def test_the_letter_comes_back_as_the_options_spell_it() -> None:
    assert parse_answer("the answer is b", {"a": "Yes.", "b": "No."}) == "b"


@pytest.mark.parametrize(
    "babble",
    [
        "the answer is the ",
        "answer ",
        "A ",
        "A: ",
        "A: B: ",
        "if ",
        "option choice the best ",
        "scratch ",
        "选",
        "\n",
        "not ",
    ],
)
def test_pages_of_babble_are_read_in_no_time(babble: str) -> None:
    start = time.perf_counter()
    parse_answer(babble * 20_000, DEFECTS)
    assert time.perf_counter() - start < 5
