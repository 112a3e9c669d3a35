"""Every segment goes into one batch, padded or packed, within the budget, by the lengths alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.tokenization.packing import (
    MIN_BATCH_TOKENS,
    BatchShape,
    Pack,
    build_pack,
    gather_runs,
    pad_segments,
    plan_packs,
    plan_rectangles,
    round_up_pack,
)
from tests.ragged_tokens import tokens

LENGTHS = st.lists(st.integers(0, 600), max_size=200).map(lambda lengths: np.array(lengths, dtype=np.int64))
BUDGETS = st.integers(1, 20_000)


@given(LENGTHS, BUDGETS)
def test_every_segment_is_in_one_batch(lengths, budget):
    rows = [row for batch in plan_rectangles(lengths, budget) for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGETS)
def test_only_a_single_segment_may_exceed_the_budget(lengths, budget):
    for batch in plan_rectangles(lengths, budget):
        assert len(batch) * lengths[batch].max() <= budget or len(batch) == 1


@given(LENGTHS, BUDGETS)
def test_batches_come_longest_first_and_are_full(lengths, budget):
    batches = plan_rectangles(lengths, budget)
    ordered = [int(length) for batch in batches for length in lengths[batch]]
    assert ordered == sorted(ordered, reverse=True)
    for batch in batches[:-1]:
        assert (len(batch) + 1) * max(1, lengths[batch].max()) > budget


@given(LENGTHS, BUDGETS)
def test_the_plan_is_a_pure_function(lengths, budget):
    before = lengths.copy()
    first, second = plan_rectangles(lengths, budget), plan_rectangles(lengths.copy(), budget)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]
    assert (lengths == before).all()


def test_equal_lengths_keep_the_order_of_the_input():
    assert [batch.tolist() for batch in plan_rectangles(np.array([3, 5, 3, 5, 3]), 10)] == [[1, 3], [0, 2, 4]]


def test_nothing_makes_no_batches():
    assert plan_rectangles(np.array([], dtype=np.int64), 100) == []


def test_shorter_segments_are_filled_up_at_the_right():
    ids, mask = pad_segments(tokens([1, 2, 3], [4], [], [5, 6]), np.array([3, 0, 1]), pad_id=9)
    assert ids.tolist() == [[5, 6, 9], [1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[True, True, False], [True, True, True], [True, False, False]]


@given(st.lists(st.lists(st.integers(1, 50), max_size=9), min_size=1, max_size=12), st.data())
def test_the_mask_covers_exactly_the_tokens_of_the_segments(texts, data):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=12))
    ids, mask = pad_segments(tokens(*texts), np.array(rows, dtype=np.int64), pad_id=0)
    assert [ids[at][mask[at]].tolist() for at in range(len(rows))] == [texts[row] for row in rows]
    assert (ids[~mask] == 0).all()


def test_runs_are_cut_out_one_after_the_other():
    ids = np.arange(10, 20, dtype=np.int32)
    assert gather_runs(ids, np.array([7, 0, 3]), np.array([2, 1, 0])).tolist() == [17, 18, 10]
    assert gather_runs(ids, np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []


TEXTS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=12)
MOST = st.none() | st.integers(1, 20)


def test_further_rows_of_a_rectangle_have_one_token():
    ids, mask = pad_segments(tokens([1, 2], [3]), np.array([0, 1]), 9, (4, 3))
    assert ids.tolist() == [[1, 2, 9], [3, 9, 9], [9, 9, 9], [9, 9, 9]]
    assert mask.tolist() == [[True, True, False], *[[True, False, False]] * 3]


@given(TEXTS, st.integers(0, 5), st.integers(0, 5))
def test_a_rectangle_of_a_given_size_has_no_empty_row(texts, more_rows, more_tokens):
    rows = np.arange(len(texts))
    plain, under = pad_segments(tokens(*texts), rows, 0)
    size = (len(texts) + more_rows, plain.shape[1] + more_tokens)
    ids, mask = pad_segments(tokens(*texts), rows, 0, size)
    assert ids.shape == mask.shape == size
    assert (ids[: len(texts), : plain.shape[1]] == plain).all()
    assert (mask[: len(texts), : plain.shape[1]] == under).all()
    assert mask.any(axis=1).all()
    assert mask.sum() == under.sum() + more_rows


@given(LENGTHS, BUDGETS, MOST)
def test_every_segment_is_in_one_pack_within_the_budget(lengths, budget, most):
    packs = plan_packs(lengths, budget, most)
    assert sorted(row for rows in packs for row in rows.tolist()) == list(range(len(lengths)))
    for rows in packs:
        assert 1 <= len(rows) <= (most or len(lengths))
        assert lengths[rows].sum() <= budget or len(rows) == 1


@given(LENGTHS, BUDGETS, MOST)
def test_packs_come_longest_first_and_are_as_full_as_possible(lengths, budget, most):
    packs = plan_packs(lengths, budget, most)
    ordered = [int(length) for rows in packs for length in lengths[rows]]
    assert ordered == sorted(ordered, reverse=True)
    for rows, following in itertools.pairwise(packs):
        assert lengths[rows].sum() + lengths[following[0]] > budget or len(rows) == most


@given(LENGTHS, BUDGETS, MOST)
def test_the_plan_of_packs_is_a_pure_function(lengths, budget, most):
    before = lengths.copy()
    first, second = plan_packs(lengths, budget, most), plan_packs(lengths.copy(), budget, most)
    assert [rows.tolist() for rows in first] == [rows.tolist() for rows in second]
    assert (lengths == before).all()


def test_packs_of_equal_lengths_keep_the_order_of_the_input():
    assert [rows.tolist() for rows in plan_packs(np.array([3, 5, 3, 5, 3]), 11)] == [[1, 3], [0, 2, 4]]
    assert [rows.tolist() for rows in plan_packs(np.array([3, 5, 3, 5, 3]), 99, 2)] == [[1, 3], [0, 2], [4]]
    assert plan_packs(np.array([], dtype=np.int64), 100) == []


@given(LENGTHS, BUDGETS, st.integers(2, 16))
def test_packs_for_several_threads_shrink_towards_the_end(lengths, budget, threads):
    for plan_for in (plan_packs, plan_rectangles):
        batches = plan_for(lengths, budget, threads=threads)
        assert sorted(np.concatenate([*batches, np.empty(0, np.int64)]).tolist()) == list(range(len(lengths)))
        left = int(lengths.sum())
        for rows in batches:
            most = min(budget, max(MIN_BATCH_TOKENS, left // (2 * threads)))
            assert len(rows) == 1 or lengths[rows].sum() <= most
            left -= int(lengths[rows].sum())


def test_few_segments_are_shared_by_all_workers():
    lengths = np.full(100, 100)
    assert [len(rows) for rows in plan_packs(lengths, 10_000, threads=2)][:5] == [25, 18, 14, 10, 8]
    assert len(plan_packs(lengths, 10_000)) == 1


@given(TEXTS, st.data())
def test_a_pack_is_its_segments_end_to_end(texts, data):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=12))
    one = build_pack(tokens(*texts), np.array(rows))
    assert one.ids.tolist() == [token for row in rows for token in texts[row]]
    assert one.lengths.tolist() == [len(texts[row]) for row in rows]
    assert [one.ids[place] for place in one.first] == [texts[row][0] for row in rows]
    assert one.positions(None).tolist() == [place for row in rows for place in range(len(texts[row]))]
    assert not one.one_by_one


@given(TEXTS, st.integers(0, 9), st.integers(0, 9), st.integers(0, 4))
def test_a_filled_pack_is_the_same_pack_with_tokens_after_it(texts, padding, more, empty):
    segments, rows = tokens(*texts), np.arange(len(texts))
    plain = build_pack(segments, rows)
    shape = BatchShape(tokens=len(plain.ids) + more, texts=len(rows) + empty)
    full = build_pack(segments, rows, shape)
    assert (len(full.ids), len(full.lengths), full.one_by_one) == (shape.tokens, shape.texts, True)
    assert (full.ids[: len(plain.ids)] == plain.ids).all()
    assert full.lengths.tolist() == [*plain.lengths.tolist(), *[0] * empty]
    assert full.first.max() < shape.tokens
    assert (full.first[: len(rows)] == plain.first).all()
    for counted in (None, padding):
        assert full.positions(counted).tolist() == [*plain.positions(counted).tolist(), *[0] * more]
    assert [run[1] for run in full.runs(lambda length: 99)] == [1] * len(rows)


@given(TEXTS, st.integers(0, 9))
def test_positions_count_from_after_the_padding_id(texts, padding):
    expected = []
    for text in texts:
        place = padding
        for token in text:
            place += token != padding
            expected.append(place if token != padding else padding)
    assert build_pack(tokens(*texts), np.arange(len(texts))).positions(padding).tolist() == expected


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 5))
def test_runs_are_neighbours_of_one_length(lengths, most):
    one = build_pack(tokens(*[[0] * length for length in lengths]), np.arange(len(lengths)))
    runs = list(one.runs(lambda length: most))
    assert [length for _, count, length in runs for _ in range(count)] == lengths
    assert [start for start, _, _ in runs] == np.cumsum([0, *(n * length for _, n, length in runs)])[:-1].tolist()
    assert all(count <= max(1, most) and count.bit_count() == 1 for _, count, _ in runs)
    for (_, count, length), (_, following, other) in itertools.pairwise(runs):
        assert length != other or following <= count  # the largest power of two comes first


def test_a_pack_larger_than_its_shape_is_no_pack():
    with pytest.raises(ValueError, match="negative"):
        build_pack(tokens([1, 2, 3]), np.array([0]), BatchShape(tokens=2, texts=1))


@given(st.integers(1, 20_000), st.sampled_from([1, 4, 16]))
def test_packs_are_filled_up_to_few_sizes(tokens, steps):
    one = Pack(ids=np.ones(tokens, dtype=np.int32), offsets=np.array([0, tokens]))
    full = round_up_pack(one, steps)
    assert tokens <= len(full.ids) <= tokens * (1 + 1 / steps)
    assert full.ids[:tokens].all()
    assert not full.ids[tokens:].any()
    assert full.offsets is one.offsets


def test_there_are_as_many_sizes_as_asked_for_between_two_powers():
    sizes = {
        len(round_up_pack(Pack(ids=np.ones(n, dtype=np.int32), offsets=np.array([0, n])), 16).ids)
        for n in range(257, 513)
    }
    assert sizes == set(range(272, 513, 16))
