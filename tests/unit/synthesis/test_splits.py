"""Which side a sample is on, and how many are taken: by name and seed, the same on every machine."""

from __future__ import annotations

from collections import Counter

import pytest

from core.errors import UserError
from core.mmad import Sample
from core.synthesis.splits import assign_splits, at_most, split_groups, split_of


def some(count: int, defect: str | None, product: str = "bolt", split: str = "train") -> list[Sample]:
    return [Sample(f"D/{product}/{split}/{defect}/{i}.png", "D", product, defect, split=split) for i in range(count)]


def test_shares_are_about_seventy_ten_twenty() -> None:
    found = Counter(split_of(f"picture {i}") for i in range(5000))
    assert abs(found["train"] - 3500) < 150 and abs(found["val"] - 500) < 100
    assert [split_of(str(i), 1) for i in range(30)] != [split_of(str(i), 2) for i in range(30)]


def test_groups_stay_whole_and_each_split_gets_one() -> None:
    assert split_groups([]) == {}
    assert list(split_groups(["a"]).values()) == ["test"]
    assert sorted(split_groups("ab").values()) == ["test", "train"]
    for count in range(3, 20):
        assert {"train", "val", "test"} == set(split_groups([f"g{i}" for i in range(count)]).values())
    assert split_groups("abcd") == split_groups("dcba")


def test_auto_splits_within_each_defect() -> None:
    samples = [*some(50, None, split="test"), *some(5, "hole", split="test"), *some(2, "dent", split="test")]
    found = assign_splits(samples, "auto")
    count = Counter((s.defect, s.split) for s in found)
    assert (
        count[None, "train"] == 35
        and count["hole", "test"] == 1
        and count["dent", "test"] == 1 == count["dent", "train"]
    )
    assert assign_splits(samples, "auto", seed=1) != found
    assert sorted(s.image for s in found) == sorted(s.image for s in samples)


def test_everything_may_go_to_one_side_and_nonsense_is_refused() -> None:
    assert {s.split for s in assign_splits(some(5, None), "test")} == {"test"}
    assert {s.split for s in assign_splits(some(5, None), "own")} == {"train"}
    with pytest.raises(UserError, match="'half'"):
        assign_splits([], "half")


def test_at_most_n_of_each_defect_and_normal_ones_to_match() -> None:
    samples = [
        *some(30, "hole"),
        *some(30, "dent"),
        *some(3, "crack"),
        *some(100, None),
        *some(30, "hole", split="test"),
    ]
    chosen = at_most(samples, 10)
    assert Counter((s.defect, s.split) for s in chosen) == {
        ("hole", "train"): 10, ("dent", "train"): 10, ("crack", "train"): 3, (None, "train"): 30, ("hole", "test"): 10,
    }  # fmt: skip
    assert chosen == at_most(samples, 10) and at_most(samples, None) == samples
    assert at_most(samples, 10, seed=1) != chosen
