import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.tokenization.packing import Tokens
from sentiment_batch.training.batches import POOL_BATCHES, LengthGroupedBatches, TokenizedTexts, make_loader

LENGTHS = st.lists(st.integers(2, 64), min_size=1, max_size=300).map(lambda lengths: np.array(lengths, dtype=np.int64))


def texts_of(lengths, codes=None) -> TokenizedTexts:
    """Text n consists of the token n + 1 so many times."""
    lengths = np.array(lengths, dtype=np.int64)
    tokens = Tokens(
        ids=np.repeat(np.arange(1, len(lengths) + 1), lengths).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        owners=np.arange(len(lengths)),
        cut=np.zeros(len(lengths), dtype=np.bool_),
    )
    return TokenizedTexts(
        tokens, np.array(codes if codes is not None else [0] * len(lengths), dtype=np.int64), pad_id=0
    )


def epoch(sampler: LengthGroupedBatches, number: int) -> list[list[int]]:
    sampler.epoch = number
    return list(sampler)


@settings(max_examples=50)
@given(LENGTHS, st.integers(1, 20), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_every_epoch_has_every_row_once_in_its_batches(lengths, batch_size, seed, number):
    sampler = LengthGroupedBatches(lengths, batch_size, seed)
    batches = epoch(sampler, number)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(sampler)
    assert max(map(len, batches)) <= batch_size


@settings(max_examples=30)
@given(LENGTHS, st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_batches_are_a_pure_function_of_seed_and_epoch(lengths, batch_size, seed):
    one, other = (LengthGroupedBatches(lengths, batch_size, seed) for _ in range(2))
    list(one)  # having been read before changes nothing, nor do the generators of the process
    np.random.seed(0)
    torch.manual_seed(0)
    assert epoch(one, 2) == epoch(other, 2)


def test_another_epoch_or_seed_mixes_the_rows_anew():
    lengths = np.random.default_rng(0).integers(2, 64, 200)
    batches = [epoch(LengthGroupedBatches(lengths, 8, seed), number) for seed, number in ((1, 0), (1, 1), (2, 0))]
    as_sets = [{frozenset(batch) for batch in one} for one in batches]
    assert as_sets[0] != as_sets[1]
    assert as_sets[0] != as_sets[2]


def test_batches_hold_texts_of_similar_length_in_random_order():
    lengths = np.random.default_rng(0).integers(2, 500, 16 * POOL_BATCHES)
    batches = epoch(LengthGroupedBatches(lengths, 16, 3), 0)
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 500 / POOL_BATCHES * 1.5
    longest = [int(lengths[batch].max()) for batch in batches]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_a_batch_holds_its_texts_end_to_end_with_their_labels():
    batch = texts_of([2, 3, 1], codes=[5, 6, 7]).collate([2, 1])
    assert batch.pack.ids.tolist() == [3, 2, 2, 2]
    assert batch.pack.offsets.tolist() == [0, 1, 4]
    assert batch.labels_B.tolist() == [7, 6]


@settings(max_examples=100)
@given(LENGTHS, st.integers(1, 200))
def test_parts_of_a_batch_are_whole_and_as_large_as_allowed(lengths, budget):
    batch = texts_of(lengths, codes=range(len(lengths))).collate(list(range(len(lengths))))
    parts = list(batch.parts(budget))
    assert np.concatenate([part.pack.ids for part in parts]).tolist() == batch.pack.ids.tolist()
    assert np.concatenate([part.pack.lengths for part in parts]).tolist() == lengths.tolist()
    assert torch.cat([part.labels_B for part in parts]).equal(batch.labels_B)
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        tokens = len(part.pack.ids)
        assert tokens <= budget or len(part.labels_B) == 1
        assert after is None or tokens + after.pack.lengths[0] > budget


def test_the_loader_gives_the_sampler_s_batches_collated():
    texts = texts_of([2, 4, 3, 1], codes=[0, 1, 2, 3])
    batches = list(make_loader(texts, [[1, 2], [0, 3]]))
    assert [batch.labels_B.tolist() for batch in batches] == [[1, 2], [0, 3]]
    assert batches[1].pack.ids.tolist() == [1, 1, 4]
