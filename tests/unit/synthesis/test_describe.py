"""Descriptions by a model: what is asked, what comes back, what is kept, and that nothing is asked twice."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image

from core.errors import UserError
from core.files import read_json
from core.mmad import read_knowledge, read_mmad, write_mmad
from core.synthesis import describe
from core.synthesis.descriptions import Endpoint, Suggestion, load_prompts, merge_knowledge
from core.synthesis.descriptions.wording import data_url
from tests.describing import make_bench
from tests.openai_server import OpenAIServer, pictures, prompt_text, random_faults


def endpoint(server: OpenAIServer, **settings) -> Endpoint:
    return Endpoint("gpt-4o", server.url, "sk-test", pause=0.001, **settings)


def test_a_defect_is_shown_with_a_normal_piece_and_its_mask(tmp_path):
    bench = make_bench(tmp_path / "b", defects=["scratch"])
    with OpenAIServer() as server:
        outcome = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c")
    defect, normal = server.requests
    assert [url.split(";")[0] for url in pictures(defect)] == ["data:image/jpeg", "data:image/jpeg", "data:image/png"]
    assert len(pictures(normal)) == 1
    scratch, good = outcome
    assert (scratch.label, good.label) == ("scratch", "good")
    # The normal state is described knowing the defect texts.
    assert scratch.text.split("Description: ")[1] in prompt_text(normal)
    assert scratch.text.startswith("<Seen>\n Description: ")
    assert scratch.model == "gpt-4o" and (scratch.tokens_in, scratch.tokens_out) == (1000, 100)
    assert scratch.cost == pytest.approx((1000 * 2.5 + 100 * 10) / 1e6)


def test_pictures_are_sent_with_a_long_side_of_512_at_most(tmp_path):
    Image.new("RGB", (3000, 900), "red").save(tmp_path / "wide.png")
    hairline = Image.new("L", (3000, 900))
    hairline.putpixel((1500, 450), 255)
    hairline.save(tmp_path / "mask.png")
    sent = [
        Image.open(io.BytesIO(base64.b64decode(data_url(tmp_path / name, mask=mask).split(",")[1])))
        for name, mask in (("wide.png", False), ("mask.png", True))
    ]
    assert [image.size for image in sent] == [(512, 154), (512, 154)]
    assert sent[1].getextrema()[1] == 255, "a single mask pixel must survive the shrinking"


def test_train_pictures_are_preferred_and_test_pictures_leave_a_label(tmp_path):
    both = make_bench(tmp_path / "both", splits=["train", "test"])
    only = make_bench(tmp_path / "only", splits=["test"])
    with OpenAIServer() as server:
        clean = describe(both, endpoint=endpoint(server), cache=tmp_path / "c")
        leaking = describe(only, endpoint=endpoint(server), cache=tmp_path / "c")
    assert {s.written_from_splits for s in clean} == {("train",)} and not any(s.from_test for s in clean)
    assert {s.written_from_splits for s in leaking} == {("test",)} and all(s.from_test for s in leaking)
    assert all("test" not in image for s in clean for image in s.images)


def test_a_normal_text_told_a_foreign_defect_text_is_of_unknown_origin(tmp_path):
    bench = make_bench(
        tmp_path / "b", splits=["train"], knowledge={"shop": {"plate": {"scratch": "A line.", "hole": "A dot."}}}
    )
    with OpenAIServer() as server:
        (good,) = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c", only_missing=True)
    assert good.label == "good" and good.written_from_splits == ("train", "unknown") and good.from_test
    assert "A line." in prompt_text(server.requests[0])


def test_nothing_is_paid_twice_and_a_changed_prompt_is_asked_anew(tmp_path):
    bench, cache = make_bench(tmp_path / "b"), tmp_path / "c"
    own = tmp_path / "prompts.yaml"
    own.write_text('defect: "Describe $defect on $product in ten words."\n')
    with OpenAIServer() as server:
        first = describe(bench, endpoint=endpoint(server), cache=cache)
        again = describe(bench, endpoint=endpoint(server), cache=cache)
        assert len(server.requests) == 3
        assert again.usage.calls == 0 and again.usage.cached == 3 and all(s.cached for s in again)
        assert [s.text for s in again] == [s.text for s in first]
        describe(bench, endpoint=endpoint(server), cache=cache, prompts=own)
        assert any("Describe scratch on plate in ten words." in prompt_text(body) for body in server.requests[3:])
        describe(bench, endpoint=endpoint(server), cache=cache, labels=["hole"], variant=1)
        assert len(server.requests) == 7


def test_another_picture_content_is_asked_anew(tmp_path):
    bench, cache = make_bench(tmp_path / "b", splits=["train"], defects=["hole"], normals=1), tmp_path / "c"
    with OpenAIServer() as server:
        describe(bench, endpoint=endpoint(server), cache=cache, labels=["hole"])
        Image.new("RGB", (96, 96), "blue").save(bench.path("shop/plate/hole/train.png"))
        describe(bench, endpoint=endpoint(server), cache=cache, labels=["hole"])
    assert len(server.requests) == 2


def test_the_estimate_comes_before_and_the_count_after(tmp_path):
    bench, cache = make_bench(tmp_path / "b"), tmp_path / "c"
    expected = describe(bench, "gpt-4o", cache=cache, dry_run=True)  # needs neither key nor server
    assert expected.estimate.calls == 3 and len(expected) == 0 and expected.usage.calls == 0
    assert expected.estimate.cost and expected.estimate.tokens_in > 3 * 255
    with OpenAIServer() as server:
        outcome = describe(bench, endpoint=endpoint(server), cache=cache)
    assert outcome.usage.calls == 3 and outcome.usage.tokens_in == 3000
    assert outcome.usage.cost == pytest.approx(sum(s.cost for s in outcome))
    later = describe(bench, "gpt-4o", cache=cache, dry_run=True)
    assert later.estimate.calls == 0 and len(later) == 3


def test_a_model_without_a_price_costs_an_unknown_amount_until_the_table_names_it(tmp_path):
    bench = make_bench(tmp_path / "b")
    assert describe(bench, "llava", cache=tmp_path / "c", dry_run=True).estimate.cost is None
    table = tmp_path / "prices.yaml"
    table.write_text("models: {llava: {input: 0, output: 0}}\n")
    assert describe(bench, "llava", cache=tmp_path / "c", prices=table, dry_run=True).estimate.cost == 0
    table.write_text("models: {llava: 3}\n")
    with pytest.raises(UserError, match="'input' and 'output'"):
        describe(bench, "llava", cache=tmp_path / "c", prices=table, dry_run=True)


def test_calls_run_at_the_same_time(tmp_path):
    bench = make_bench(tmp_path / "b", products=["a", "b", "c", "d"])
    with OpenAIServer(delay=0.05) as server:
        describe(bench, endpoint=endpoint(server, workers=4), cache=tmp_path / "c")
    assert 2 <= server.most_at_once <= 4


def test_a_server_that_fails_a_third_of_the_calls_still_gives_every_text_once(tmp_path):
    bench = make_bench(tmp_path / "b", products=["a", "b", "c", "d", "e"])
    with OpenAIServer(random_faults(0.33)) as server:
        outcome = describe(bench, endpoint=endpoint(server, attempts=12), cache=tmp_path / "c")
    assert not outcome.failures and len({s.key for s in outcome}) == len(outcome) == 15
    assert outcome.usage.retries == len(server.requests) - 15 > 0


@pytest.mark.parametrize("mode", ["json_schema", "json_object", "words"])
def test_servers_without_structured_output_are_asked_more_plainly(tmp_path, mode):
    bench = make_bench(tmp_path / "b")
    answer = 'Sure!\n```json\n{"title": "T", "description": "Text {with} braces."}\n```' if mode == "words" else None
    with OpenAIServer(modes=[mode], answer=answer and (lambda _: answer)) as server:
        outcome = describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c")
        steps = ["json_schema", "json_object", "words"].index(mode)
    assert len(outcome) == 3 and len(server.requests) == 3 + steps, "what the server takes is found out once"


def test_stopping_keeps_what_was_answered_and_goes_on_later(tmp_path):
    bench = make_bench(tmp_path / "b", products=[f"p{i}" for i in range(8)])
    stop = threading.Event()
    with OpenAIServer(delay=0.02) as server:
        partial = describe(
            bench, endpoint=endpoint(server, workers=2), cache=tmp_path / "c",
            progress=lambda done, total: stop.set() if done >= 5 else None, stop=stop.is_set,
        )  # fmt: skip
        assert partial.stopped and 5 <= len(partial) < 24
        whole = describe(bench, endpoint=endpoint(server), cache=tmp_path / "c")
    assert len(whole) == 24 and len(server.answered) == len(set(server.answered)) == 24


def test_a_killed_process_loses_and_doubles_nothing(tmp_path):
    write_mmad(make_bench(tmp_path / "b", products=[f"p{i}" for i in range(8)], splits=["train"]))
    script = (
        "import sys; from core.mmad import read_mmad; from core.synthesis import describe;"
        "from core.synthesis.descriptions import Endpoint;"
        "settings = Endpoint('gpt-4o', sys.argv[2], 'k', pause=0.001, workers=2);"
        "describe(read_mmad(sys.argv[1]), endpoint=settings, cache=sys.argv[3])"
    )
    cache = tmp_path / "c"
    with OpenAIServer(random_faults(0.2), delay=0.05) as server:
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "b"), server.url, str(cache)])
        while process.poll() is None and len(list(cache.rglob("[!.]*.json"))) < 8:
            time.sleep(0.01)
        process.kill()
        assert process.wait() < 0, "it was to be killed in the middle"
        kept = len(list(cache.rglob("[!.]*.json")))
        whole = describe(read_mmad(tmp_path / "b"), endpoint=endpoint(server), cache=cache)
    assert 8 <= kept < 24 and whole.usage.cached == kept
    assert len({s.key for s in whole}) == len(whole) == len(list(cache.rglob("[!.]*.json"))) == 24
    assert len(server.answered) - 24 <= 2, "at most what two workers had asked when they were killed is asked again"


def test_progress_ends_at_the_total(tmp_path):
    seen = []
    bench = make_bench(tmp_path / "b", products=["a", "b"])
    with OpenAIServer(["refusal"]) as server:
        describe(bench, endpoint=endpoint(server, workers=1), cache=tmp_path / "c", progress=lambda *p: seen.append(p))
    assert seen[-1] == (6, 6) and [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_merging_fills_gaps_and_keeps_edited_texts():
    knowledge = {"MVTec": {"plate": {"good": "Edited by hand.", "hole": "Old."}}}
    new = [Suggestion("MVTec-AD", "plate", label, f"New {label}.", "m") for label in ("good", "hole", "scratch")]
    filled = merge_knowledge(knowledge, new)
    # MMAD files this data set as "MVTec": the texts must not be split over two names.
    assert filled == {"MVTec": {"plate": {"good": "Edited by hand.", "hole": "Old.", "scratch": "New scratch."}}}
    replaced = merge_knowledge(knowledge, new, replace=True, edited={("MVTec-AD", "plate", "good")})
    assert replaced["MVTec"]["plate"] == {"good": "Edited by hand.", "hole": "New hole.", "scratch": "New scratch."}
    assert knowledge == {"MVTec": {"plate": {"good": "Edited by hand.", "hole": "Old."}}}


@pytest.mark.parametrize("name", ["mmad_domain_knowledge.json", "emit_domain_knowledge_MPDD_Real-IAD.json"])
def test_knowledge_files_pass_through_a_merge_unchanged(shared_data, name):
    path = shared_data / "knowledge" / name
    assert merge_knowledge(read_knowledge(path), []) == read_json(path)


def test_a_prompts_file_with_a_mistake_is_refused(tmp_path):
    own = tmp_path / "prompts.yaml"
    for text, said in (
        ("defect: 'What is $colour?'", r"\$colour, which is never filled"),
        ("defect: 'It costs 5 $'", "dollar sign"),
        ("defekt: 'x'", "unknown prompt 'defekt'"),
        ("roles: 3", "'roles' must name"),
        ("- a\n- b", "'name: text' lines"),
        ("a: [", "is not YAML"),
    ):
        own.write_text(text)
        with pytest.raises(UserError, match=said):
            load_prompts(own)
    with pytest.raises(UserError, match="does not exist"):
        load_prompts(tmp_path / "none.yaml")
