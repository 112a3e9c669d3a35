import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.tokenization.packing import Tokens
from sentiment_batch.training.batches import (
    BATCHES_PER_SORT,
    MIN_CROP_TOKENS,
    LengthGroupedBatches,
    RandomCrops,
    TokenizedTexts,
    make_loader,
)

LENGTHS = st.lists(st.integers(2, 64), min_size=1, max_size=300).map(lambda lengths: np.array(lengths, dtype=np.int64))


def texts_of(lengths, codes=None) -> TokenizedTexts:
    """Text n consists of the token n + 1 so many times."""
    lengths = np.array(lengths, dtype=np.int64)
    tokens = Tokens(
        ids=np.repeat(np.arange(1, len(lengths) + 1), lengths).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        owners=np.arange(len(lengths)),
        cut=np.zeros(len(lengths), dtype=np.bool_),
        uncut_lengths=lengths,
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
    lengths = np.random.default_rng(0).integers(2, 500, 16 * BATCHES_PER_SORT)
    batches = epoch(LengthGroupedBatches(lengths, 16, 3), 0)
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 500 / BATCHES_PER_SORT * 1.5
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


# Random crops

START, END = -1, -2
SPECIAL_TOKENS = st.sampled_from([(1, 1), (0, 0), (2, 3)])


def special_texts_of(lengths, special_tokens=(1, 1)) -> TokenizedTexts:
    """Text n consists of 1000 n, 1000 n + 1 and so on between its special tokens."""
    texts = texts_of(lengths)
    before, after = special_tokens
    for n, (start, stop) in enumerate(zip(texts.tokens.offsets, texts.tokens.offsets[1:], strict=False)):
        own = np.arange(stop - start - before - after) + 1_000 * n
        texts.tokens.ids[start:stop] = np.concatenate([[START] * before, own, [END] * after])
    return texts


def crops_of(share=1.0, seed=3, epoch=0, special_tokens=(1, 1)) -> RandomCrops:
    return RandomCrops(share=share, special_tokens=special_tokens, seed=seed, epoch=epoch)


def texts_in(pack) -> list[list[int]]:
    return [pack.ids[start:stop].tolist() for start, stop in zip(pack.offsets, pack.offsets[1:], strict=False)]


@settings(max_examples=200)
@given(
    st.lists(st.integers(6, 512), min_size=1, max_size=20),
    SPECIAL_TOKENS,
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
    st.randoms(use_true_random=False),
)
def test_a_crop_is_a_part_between_the_special_tokens(lengths, special_tokens, share, seed, mixer):
    data = special_texts_of(lengths, special_tokens)
    rows = mixer.sample(range(len(lengths)), len(lengths))
    crops = crops_of(share, seed, special_tokens=special_tokens)
    batch = data.collate(rows, crops)
    whole = texts_in(data.collate(rows).pack)
    before, after = special_tokens
    assert batch.pack.ids.dtype == data.tokens.ids.dtype
    assert batch.pack.offsets[-1] == len(batch.pack.ids)
    for crop, text in zip(texts_in(batch.pack), whole, strict=True):
        assert min(len(text), MIN_CROP_TOKENS) <= len(crop) <= len(text)
        assert (crop[:before], crop[len(crop) - after :]) == ([START] * before, [END] * after)
        own = crop[before : len(crop) - after]
        place = text.index(own[0])
        assert text[place : place + len(own)] == own


def test_crops_have_every_length_and_place():
    data = special_texts_of([MIN_CROP_TOKENS + 2])
    found = {tuple(texts_in(data.collate([0], crops_of(epoch=epoch)).pack)[0][1:-1]) for epoch in range(200)}
    own = list(range(MIN_CROP_TOKENS))
    assert found == {
        tuple(own[start:stop]) for start in range(3) for stop in range(start + MIN_CROP_TOKENS - 2, len(own) + 1)
    }


def test_a_share_of_the_draws_is_cropped():
    data = special_texts_of([10, MIN_CROP_TOKENS, 400])
    lengths = np.array([data.collate([0, 1, 2], crops_of(0.7, epoch=epoch)).pack.lengths for epoch in range(1_000)])
    assert {*lengths[:, 0]} == {10}
    assert {*lengths[:, 1]} == {MIN_CROP_TOKENS}
    assert 0.66 < (lengths[:, 2] < 400).mean() < 0.74
    assert abs(lengths[:, 2][lengths[:, 2] < 400].mean() - (MIN_CROP_TOKENS + 400) / 2) < 15


def test_crops_are_a_pure_function_of_seed_epoch_and_rows():
    data = special_texts_of([300] * 8)

    def crop(rows=(4, 1, 7), **chosen):
        return texts_in(data.collate(list(rows), crops_of(**chosen)).pack)

    first = crop()
    np.random.seed(0)
    torch.manual_seed(0)
    assert crop() == first
    assert crop(epoch=1) != first
    assert crop(seed=4) != first
    assert crop(rows=(4, 1, 6))[:2] != first[:2]


def test_the_loader_crops_and_keeps_the_labels():
    texts = special_texts_of([300, 200, 20, 100])
    texts.codes[:] = [0, 1, 2, 3]
    crops = crops_of()
    batches = list(make_loader(texts, [[1, 2], [0, 3]], crops))
    assert [batch.labels_B.tolist() for batch in batches] == [[1, 2], [0, 3]]
    assert texts_in(batches[1].pack) == texts_in(crops.build_pack(texts.tokens, np.array([0, 3])))
    assert batches[1].pack.lengths.max() < 300
