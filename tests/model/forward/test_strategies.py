"""Both ways through a model score as the stock network does, and in a fixed shape nothing beside a text touches it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.errors import DeviceError
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits
from sentiment_batch.model.forward.packed import PackedStrategy, build_packed
from sentiment_batch.model.forward.strategies import RECTANGLE_LENGTH_STEP, PaddedStrategy
from sentiment_batch.tokenization.packing import BatchShape
from tests.ragged_tokens import PACKED, all_segments, draw_tokens, load_classifiers, stock_probabilities
from tests.stock_models import FAMILIES, LIMIT

LONG = st.lists(st.integers(1, LIMIT), min_size=1, max_size=20)
SHAPE = BatchShape(tokens=3 * LIMIT, texts=4)


@pytest.fixture(scope="module")
def stocks(tmp_path_factory):
    return load_classifiers(tmp_path_factory.mktemp("roads"), FAMILIES)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    found = load_classifiers(tmp_path_factory.mktemp("halves"), FAMILIES)
    return {family: loaded.to("cpu", "bfloat16") for family, loaded in found.items()}


def padded(loaded, shape=None):
    return PaddedStrategy(model=loaded, device="cpu", classes=3, shape=shape)


def strategies(loaded, dtype, shape=None):
    """Those that there are."""
    model, _ = build_packed(loaded.network, "cpu", dtype)
    found = [padded(loaded, shape)]
    return found if model is None else [*found, PackedStrategy(model=model, device="cpu", classes=3, shape=shape)]


def scores(strategy, segments, rows):
    return strategy.logits(segments, np.array(rows)).softmax(-1).numpy()


@settings(max_examples=60)
@given(
    family=st.sampled_from(FAMILIES),
    shape=st.none() | st.just(SHAPE),
    lengths=LONG,
    budget=st.integers(1, 300),
    seed=st.integers(0, 2**31),
)
def test_every_strategy_scores_as_the_stock_model(stocks, family, shape, lengths, budget, seed):
    segments = draw_tokens(lengths, stocks[family].vocabulary, seed)
    expected = stock_probabilities(stocks[family], segments)
    for strategy in strategies(stocks[family], "float32", shape):
        logits = compute_segment_logits(strategy, segments, Budget(budget))
        found = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=5e-6)


@settings(max_examples=60)
@given(
    family=st.sampled_from(FAMILIES),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    length=st.integers(1, 3 * LIMIT),
    others=st.lists(st.integers(1, LIMIT), max_size=3),
    data=st.data(),
)
def test_a_fixed_shape_gives_the_same_bits_beside_any_neighbour(stocks, halves, family, dtype, length, others, data):
    loaded = (stocks if dtype == "float32" else halves)[family]
    segments = draw_tokens([min(length, LIMIT), *others], loaded.vocabulary, data.draw(st.integers(0, 2**31)))
    rows = data.draw(st.permutations(all_segments(segments).tolist()))[: SHAPE.tokens // LIMIT]
    for strategy in strategies(loaded, dtype, SHAPE):
        found = scores(strategy, segments, rows)
        assert np.isfinite(found).all()
        single = np.concatenate([scores(strategy, segments, [row]) for row in rows])
        assert np.array_equal(found, single)


@settings(max_examples=30)
@given(family=st.sampled_from(PACKED), lengths=LONG, data=st.data())
def test_texts_are_computed_alone_if_a_row_s_place_changes_bits(stocks, family, lengths, data):
    segments = draw_tokens(lengths, stocks[family].vocabulary)
    rows = np.array(data.draw(st.permutations(all_segments(segments).tolist())))
    model, _ = build_packed(stocks[family].network, "cpu", "float32")
    shape = BatchShape(tokens=LIMIT * len(rows), texts=len(rows))
    model.equal_bits[shape.tokens, shape.texts, torch.get_num_threads()] = False
    strategy = PackedStrategy(model=model, device="cpu", classes=3, shape=shape)
    found = scores(strategy, segments, rows)
    assert np.array_equal(found, np.concatenate([scores(strategy, segments, [row]) for row in rows]))
    np.testing.assert_allclose(found, stock_probabilities(stocks[family], segments)[rows], atol=5e-6)


@given(lengths=st.lists(st.integers(1, 100), max_size=40), budget=st.integers(1, 500))
def test_batches_of_a_fixed_shape_ignore_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    shape = BatchShape(tokens=256, texts=5)
    for strategy in (padded(None, shape), PackedStrategy(model=None, device="cpu", classes=3, shape=shape)):
        batches = strategy.plan(lengths, budget)
        assert sorted(row for rows in batches for row in rows.tolist()) == list(range(len(lengths)))
        again = strategy.plan(lengths, 10**9)
        assert [rows.tolist() for rows in batches] == [rows.tolist() for rows in again]
        for rows in batches:
            if isinstance(strategy, PaddedStrategy):
                (rounded,) = set((-(-lengths[rows] // RECTANGLE_LENGTH_STEP) * RECTANGLE_LENGTH_STEP).tolist())
                assert len(rows) * rounded <= shape.tokens
            else:
                assert lengths[rows].sum() <= shape.tokens
                assert len(rows) <= shape.texts


def test_a_fixed_rectangle_depends_on_its_length_only():
    shapes = []

    class Spy:
        labels, pad_id = ("a", "b"), 0

        def logits(self, ids, mask):
            shapes.append((tuple(ids.shape), mask is None))
            return ids[:, :2].float()

    segments = draw_tokens([1, 20, 32, 33, 64, 65, 100], 30)
    one_each = [(1, 32)] * 3 + [(1, 64)] * 2 + [(1, 96), (1, 128)]
    whole = [(8, 32)] * 3 + [(4, 64)] * 2 + [(2, 96), (2, 128)]
    for device, expected in (("cpu", one_each), ("meta", whole)):
        strategy = PaddedStrategy(model=Spy(), device=device, classes=2, shape=BatchShape(tokens=256, texts=9))
        for row in all_segments(segments):
            assert strategy.logits(segments, np.array([row])).shape == (1, 2)
        assert shapes == [(shape, False) for shape in expected]  # with a mask even where it is full
        shapes.clear()
    assert padded(Spy(), BatchShape(tokens=256, texts=9)).logits(segments, all_segments(segments)).shape == (7, 2)
    assert [shape for shape, _ in shapes] == one_each
    shapes.clear()
    bare = PaddedStrategy(
        model=Spy(), device="cpu", classes=2, shape=BatchShape(tokens=256, texts=9), equal_lengths=True
    )
    assert bare.logits(draw_tokens([5, 33], 30), np.arange(2)).shape == (2, 2)
    assert shapes == [((1, 5), False), ((1, 33), False)]


@given(lengths=st.lists(st.integers(1, 60), max_size=40), budget=st.integers(1, 500), threads=st.integers(1, 4))
def test_only_equal_lengths_share_a_batch_if_padding_matters(lengths, budget, threads):
    lengths = np.array(lengths, dtype=np.int64)
    for shape in (None, BatchShape(tokens=256, texts=5)):
        batches = PaddedStrategy(model=None, device="cpu", classes=2, shape=shape, equal_lengths=True).plan(
            lengths, budget, threads
        )
        assert sorted(row for rows in batches for row in rows.tolist()) == list(range(len(lengths)))
        for rows in batches:
            assert len(set(lengths[rows].tolist())) == 1
            assert len(rows) == 1 or lengths[rows].sum() <= (shape.tokens if shape else budget)


def test_a_nearly_full_pack_is_filled_up_for_a_compiled_model(stocks):
    sizes = []

    class Spy:
        def __init__(self, model):
            self.model = model

        def logits(self, pack):
            sizes.append((len(pack.ids), len(pack.lengths)))
            return self.model.logits(pack)

    loaded = stocks["bert"]
    segments = draw_tokens([LIMIT, LIMIT, LIMIT, 10], loaded.vocabulary)
    model = build_packed(loaded.network, "cpu", "float32")[0]
    strategy = PackedStrategy(model=Spy(model), device="cuda:0", classes=3, compiled_tokens=100)
    for rows, size in (([0, 1, 2], 100), ([0, 1], 64), ([0, 1, 2, 3], 106), ([3], 10)):
        found = scores(strategy, segments, rows)
        np.testing.assert_allclose(found, stock_probabilities(loaded, segments)[rows], atol=5e-6)
        assert sizes.pop() == (size, len(rows))
    strategy = PackedStrategy(model=Spy(model), device="cpu", classes=3)
    for rows, size in (([0, 1, 2], (128, 8)), ([0, 1], (64, 8)), ([3], (64, 8))):
        found = scores(strategy, segments, rows)
        np.testing.assert_allclose(found, stock_probabilities(loaded, segments)[rows], atol=5e-6)
        assert sizes.pop() == size


def compile_with(monkeypatch, function):
    """Let `torch.compile` make a function that calls another before its own work."""

    def compile_it(wrapped, **options):
        def compiled(*arguments):
            function(*arguments)
            return wrapped(*arguments)

        return compiled

    monkeypatch.setattr(torch, "compile", compile_it)
    return compile_it


def test_a_compiled_model_has_computed_a_pack_of_its_size(stocks, monkeypatch):
    sizes = []
    compile_with(monkeypatch, lambda layer, activation, context, before: sizes.append(len(context)))
    for family in PACKED:
        model = build_packed(stocks[family].network, "cpu", "float32")[0]
        strategy = PackedStrategy(model=model, device="cpu", classes=3).compile(128)
        assert set(sizes) == {128}
        sizes.clear()
        segments = draw_tokens([LIMIT, LIMIT, 10], stocks[family].vocabulary)
        expected = stock_probabilities(stocks[family], segments)
        np.testing.assert_allclose(scores(strategy, segments, [0, 1, 2]), expected, atol=5e-6)


@pytest.mark.parametrize("at_the_first_call", [True, False])
def test_a_compiler_that_fails_is_one_clear_error(stocks, monkeypatch, at_the_first_call):
    def fail(*arguments, **options):
        raise RuntimeError("Failed to find C compiler.\nSet CC")

    if at_the_first_call:
        compile_with(monkeypatch, fail)
    else:
        monkeypatch.setattr(torch, "compile", fail)
    model = build_packed(stocks["bert"].network, "cpu", "float32")[0]
    with pytest.raises(DeviceError) as caught:
        PackedStrategy(model=model, device="cpu", classes=3).compile(128)
    assert str(caught.value) == "torch cannot compile the model: Failed to find C compiler. Set CC"


def test_lack_of_memory_is_no_failure_of_the_compiler(stocks, monkeypatch):
    def fail(*arguments):
        raise torch.OutOfMemoryError("too much")

    compile_with(monkeypatch, fail)
    model = build_packed(stocks["bert"].network, "cpu", "float32")[0]
    assert PackedStrategy(model=model, device="cpu", classes=3).compile(128).compiled_tokens == 128
