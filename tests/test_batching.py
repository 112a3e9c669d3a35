import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.batching import pad, plan, ragged
from sentiment_batch.tokenise import Tokens

LENGTHS = st.lists(st.integers(0, 600), max_size=200).map(lambda lengths: np.array(lengths, dtype=np.int64))
BUDGETS = st.integers(1, 20_000)


def tokens(*texts: list[int]) -> Tokens:
    lengths = [len(text) for text in texts]
    return Tokens(
        ids=np.array([one for text in texts for one in text], dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        owners=np.arange(len(texts)),
        cut=np.zeros(len(texts), dtype=np.bool_),
    )


@given(LENGTHS, BUDGETS)
def test_every_segment_is_in_one_batch(lengths, budget):
    rows = [row for batch in plan(lengths, budget) for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGETS)
def test_no_batch_is_over_the_budget_but_a_segment_that_is_alone_so(lengths, budget):
    for batch in plan(lengths, budget):
        assert len(batch) * lengths[batch].max() <= budget or len(batch) == 1


@given(LENGTHS, BUDGETS)
def test_batches_come_longest_first_and_no_batch_could_take_one_more(lengths, budget):
    batches = plan(lengths, budget)
    ordered = [int(length) for batch in batches for length in lengths[batch]]
    assert ordered == sorted(ordered, reverse=True)
    for batch in batches[:-1]:
        assert (len(batch) + 1) * max(1, lengths[batch].max()) > budget


@given(LENGTHS, BUDGETS)
def test_the_plan_is_a_pure_function(lengths, budget):
    before = lengths.copy()
    first, second = plan(lengths, budget), plan(lengths.copy(), budget)
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]
    assert (lengths == before).all()


def test_equal_lengths_keep_the_order_of_the_input():
    assert [batch.tolist() for batch in plan(np.array([3, 5, 3, 5, 3]), 10)] == [[1, 3], [0, 2, 4]]


def test_nothing_makes_no_batches():
    assert plan(np.array([], dtype=np.int64), 100) == []


def test_shorter_segments_are_filled_up_at_the_right():
    ids, mask = pad(tokens([1, 2, 3], [4], [], [5, 6]), np.array([3, 0, 1]), pad_id=9)
    assert ids.tolist() == [[5, 6, 9], [1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[True, True, False], [True, True, True], [True, False, False]]


@given(st.lists(st.lists(st.integers(1, 50), max_size=9), min_size=1, max_size=12), st.data())
def test_under_the_mask_are_exactly_the_tokens_of_the_segments_asked_for(texts, data):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=12))
    ids, mask = pad(tokens(*texts), np.array(rows, dtype=np.int64), pad_id=0)
    assert [ids[at][mask[at]].tolist() for at in range(len(rows))] == [texts[row] for row in rows]
    assert (ids[~mask] == 0).all()


def test_runs_are_cut_out_one_after_the_other():
    ids = np.arange(10, 20, dtype=np.int32)
    assert ragged(ids, np.array([7, 0, 3]), np.array([2, 1, 0])).tolist() == [17, 18, 10]
    assert ragged(ids, np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []
