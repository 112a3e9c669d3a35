import collections
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.data.texts import hash_text
from sentiment_batch.training.split import assign, name_groups

TEXTS = [f"film {n}" for n in range(14)]
ROWS = st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(0, 2), st.sampled_from([None, *"abcd"])), max_size=40)
SHARES = st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9])


def split(texts, codes, groups=None, share=0.1, seed=0):
    keys = [hash_text(text, seed) for text in texts]
    return assign(keys, np.array(codes, dtype=np.int64), groups, share)


@given(ROWS, SHARES, st.booleans())
def test_every_row_is_on_one_side_or_has_a_conflicting_text(rows, share, grouped):
    texts, codes, groups = zip(*rows, strict=True) if rows else ((), (), ())
    found = split(texts, codes, groups if grouped else None, share)
    assert not set(found.training) & set(found.validation)
    left = set(range(len(rows))) - set(found.training) - set(found.validation)
    assert left <= {*found.conflicting, *found.between}
    assert len(found.training) == len(set(found.training))
    assert len(found.validation) == len(set(found.validation))


@given(ROWS, SHARES, st.sampled_from([str.upper, "  {} ".format, str.title]))
def test_equal_texts_in_any_case_and_blanks_stay_on_one_side(rows, share, spelled):
    texts = [spelled(row[0]) if n % 2 else row[0] for n, row in enumerate(rows)]
    found = split(texts, [row[1] for row in rows], None, share)
    sides = [{rows[row][0] for row in side} for side in (found.training, found.validation)]
    assert not sides[0] & sides[1]


@given(ROWS, SHARES, st.booleans(), st.data())
def test_nearly_equal_texts_stay_on_one_side_without_conflict(rows, share, grouped, data):
    texts, codes, groups = zip(*rows, strict=True) if rows else ((), (), ())
    near_of = {text: data.draw(st.integers(0, 4)) for text in sorted(set(texts))}
    near = [near_of[text] for text in texts]
    keys = [hash_text(text) for text in texts]
    found = assign(keys, np.array(codes, dtype=np.int64), groups if grouped else None, share, near)
    for what in (near, texts, groups if grouped else ()):
        sides = [{what[row] for row in side} - {None} for side in (found.training, found.validation) if what]
        assert not sides or not sides[0] & sides[1]
    assert set(found.conflicting) == set(split(texts, codes, None, share).conflicting)
    assert {*found.training, *found.validation, *found.conflicting, *found.between} == set(range(len(rows)))


@given(ROWS, SHARES)
def test_every_class_that_has_rows_without_conflict_trains(rows, share):
    texts, codes, _ = zip(*rows, strict=True) if rows else ((), (), ())
    found = split(texts, codes, None, share)
    clear = {code for row, code in enumerate(codes) if row not in set(found.conflicting)}
    assert clear <= {codes[row] for row in found.training}


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60), SHARES, st.integers(0, 5))
def test_single_texts_of_a_class_are_held_back_to_the_row(first, second, share, seed):
    codes = [0] * first + [1] * second
    found = split([f"text {n}" for n in range(len(codes))], codes, None, share, seed)
    held = [codes[row] for row in found.validation]
    for code, size in ((0, first), (1, second)):
        wanted = min(max(share * size, 1), size - 1) if size > 1 else 0
        assert abs(held.count(code) - wanted) <= 0.5 + 1e-9


@given(ROWS, SHARES)
def test_no_group_and_no_text_that_joins_groups_is_on_both_sides(rows, share):
    texts, codes, groups = zip(*rows, strict=True) if rows else ((), (), ())
    found = split(texts, codes, groups, share)
    for what in (texts, groups):
        sides = [{what[row] for row in side} - {None} for side in (found.training, found.validation)]
        assert not sides[0] & sides[1]


def test_groups_that_share_a_text_become_one():
    texts = ["same", "a1", "a2", "same", "b1", "b2", "c1", "c2", "c3"]
    groups = ["a", "a", "a", "b", "b", "b", None, None, None]
    for seed in range(30):
        found = split(texts, [0] * 9, groups, 0.5, seed)
        assert len({row in found.validation for row in range(6)}) == 1
    sides = {
        len({row in split(texts, [0] * 9, groups, 0.5, seed).validation for row in (6, 7, 8)}) for seed in range(30)
    }
    assert sides == {1, 2}, "rows without a group are not kept together"


def test_a_number_and_its_text_are_one_group():
    for seed in range(20):
        found = split(list("abcdef"), [0] * 6, [1, "1", 2, "2", 3, "3"], 0.3, seed)
        assert {n // 2 for n in found.training}.isdisjoint(n // 2 for n in found.validation)


@given(ROWS, SHARES, st.booleans())
def test_conflicting_texts_never_validate_and_are_all_counted(rows, share, grouped):
    texts, codes, groups = zip(*rows, strict=True) if rows else ((), (), ())
    found = split(texts, codes, groups if grouped else None, share)
    expected = {
        row
        for row, text in enumerate(texts)
        if len({code for other, code in zip(texts, codes, strict=True) if other == text}) > 1
    }
    assert set(found.conflicting) == expected
    assert not expected & set(found.validation)


def test_a_conflicting_text_still_trains():
    found = split(["x", "x", *TEXTS], [0, 1, *[0] * 7, *[1] * 7], None, 0.3)
    assert {0, 1} <= set(found.training)
    assert {0, 1} == set(found.conflicting)


@settings(max_examples=60)
@given(ROWS, SHARES, st.booleans(), st.data())
def test_the_order_of_rows_does_not_matter(rows, share, grouped, data):
    shuffled = data.draw(st.permutations(rows))

    def outcome(rows):
        texts, codes, groups = zip(*rows, strict=True) if rows else ((), (), ())
        found = split(texts, codes, groups if grouped else None, share)
        return [
            [(texts[row], codes[row]) for row in side] for side in (found.training, found.validation, found.conflicting)
        ]

    assert outcome(rows) == outcome(shuffled)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_each_class_is_held_back_in_its_share(share):
    codes = np.array([0] * 400 + [1] * 200 + [2] * 40)
    found = split([f"text {n}" for n in range(640)], codes, None, share)
    assert np.bincount(codes[found.validation]).tolist() == [400 * share, 200 * share, 40 * share]


def test_two_texts_of_a_class_are_split_and_a_single_one_trains():
    codes = [0] * 50 + [1, 1] + [2]
    found = split([f"text {n}" for n in range(53)], codes, None, 0.1)
    assert sorted(codes[row] for row in found.validation) == [0] * 5 + [1]
    assert 52 in found.training


def test_a_group_that_is_too_large_is_skipped_for_smaller_ones():
    sizes = [60, *[4] * 10]
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    for seed in range(40):  # in some of them the large one comes first
        found = split([f"text {n}" for n in range(100)], [0] * 100, groups, 0.1, seed)
        assert 8 <= len(found.validation) <= 12


def test_of_two_large_groups_one_validates():
    found = split([f"text {n}" for n in range(100)], [0] * 100, [0] * 50 + [1] * 50, 0.1)
    assert len(found.validation) == 50


def test_another_seed_holds_back_other_texts():
    texts = [f"text {n}" for n in range(200)]
    held = [split(texts, [0] * 200, None, 0.1, seed).validation.tolist() for seed in (1, 1, 2)]
    assert held[0] == held[1] != held[2]


@pytest.mark.parametrize("groups", [None, ["a"] * 5 + ["b"] * 5])
def test_a_share_of_nothing_holds_nothing_back(groups):
    found = split(TEXTS[:10], [0, 1] * 5, groups, 0.0)
    assert (len(found.training), len(found.validation)) == (10, 0)


def test_rows_with_an_empty_group_are_not_kept_together():
    for nothing in ("", "  ", None, float("nan")):
        found = split(list("abcdefghij"), [0, 1] * 5, [nothing] * 10, 0.3)
        assert 0 < len(found.validation) < 10, repr(nothing)


def test_a_group_has_one_name_whatever_type_its_numbers_have():
    assert name_groups([5, 5.0, Decimal("5.00"), "5", " 5 "]) == ["5"] * 5
    assert name_groups([5.5, float("inf"), None, float("nan"), "", True]) == ["5.5", "inf", None, None, None, "True"]


@pytest.mark.parametrize("groups", [2, 3, 5, 6, 10, 15, 20])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_few_groups_hold_back_about_the_share_and_every_class(groups, classes):
    random = np.random.default_rng(groups * classes)
    codes = random.integers(0, classes, 1_000).tolist()
    names = [f"film {number}" for number in random.integers(0, groups, 1_000)]
    found = split([f"text {n}" for n in range(1_000)], codes, names, 0.1)
    smallest = min(collections.Counter(names).values())
    assert 50 <= len(found.validation) <= max(150, smallest)
    for side in (found.training, found.validation):
        assert {codes[row] for row in side} == set(range(classes))
        assert not {names[row] for row in found.validation} & {names[row] for row in found.training}


def test_texts_that_everybody_writes_do_not_join_all_groups():
    random = np.random.default_rng(1)
    common = random.random(1_000) < 0.3
    texts = [f"short {random.integers(10)}" if short else f"text {n}" for n, short in enumerate(common)]
    codes = [int(text[-1]) % 2 for text in texts]
    names = [f"film {number}" for number in random.integers(0, 50, 1_000)]
    found = split(texts, codes, names, 0.1)
    assert 50 <= len(found.validation) <= 150
    assert {texts[row] for row in found.between} == {text for text in texts if text.startswith("short")}
    assert not {texts[row] for row in found.validation} & {texts[row] for row in found.training}
    assert not {names[row] for row in found.validation} & {names[row] for row in found.training}


def test_row_order_does_not_matter_if_texts_do_not_join_groups():
    rows = [("film 0", 0, None)] * 6 + [("film 0", 0, "a"), ("film 0", 0, "c"), ("film 1", 1, "c"), ("film 2", 1, "a")]
    rows += [("film 3", 0, "a"), ("film 3", 0, "c")]
    random = np.random.default_rng(1)

    def outcome(order):
        texts, codes, groups = zip(*(rows[place] for place in order), strict=True)
        found = split(texts, codes, groups, 0.05)
        assert len(found.between) == 10
        return [[(texts[row], codes[row]) for row in side] for side in (found.training, found.validation)]

    expected = outcome(range(12))
    for _ in range(100):
        assert outcome(random.permutation(12)) == expected


def test_one_group_of_most_rows_is_no_reason_to_part_texts():
    names = ["large"] * 90 + [f"small {n}" for n in range(10)]
    found = split([f"text {n % 95}" for n in range(100)], [n % 2 for n in range(100)], names, 0.1)
    assert len(found.between) == 0
