"""The packed strategy gives the stock network's scores, one text at a time, whatever stands beside a text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sentiment_batch.model.forward.packed import build_packed
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.tokenization.packing import BatchShape, build_pack
from tests.ragged_tokens import (
    LENGTHS,
    PACKED,
    all_segments,
    draw_tokens,
    load_classifiers,
    stock_probabilities,
    tokens,
)
from tests.stock_models import LIMIT, write_stock_model

SHAPE = BatchShape(tokens=200, texts=16)
NEIGHBOURS = st.lists(st.integers(1, LIMIT), max_size=5)


def strategy(loaded, dtype="float32"):
    model, reason = build_packed(loaded.network, "cpu", dtype)
    assert reason == "packed without padding"
    return model


@pytest.fixture(scope="module")
def stocks(tmp_path_factory):
    """The stock classifiers, and before anything was packed."""
    return load_classifiers(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def strategies(stocks):
    return {family: strategy(loaded) for family, loaded in stocks.items()}


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The same classifiers in bfloat16, and their strategies."""
    found = {}
    for family, loaded in load_classifiers(tmp_path_factory.mktemp("halves")).items():
        half = loaded.to("cpu", "bfloat16")
        found[family] = half, strategy(half, "bfloat16")
    return found


def scores(model, segments, rows=None, shape=None):
    rows = all_segments(segments) if rows is None else np.array(rows)
    return model.logits(build_pack(segments, rows, shape))[: len(rows)].softmax(-1).numpy()


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("family", PACKED)
def test_a_pack_scores_as_the_stock_network_one_text_at_a_time(stocks, strategies, family, lengths):
    segments = draw_tokens(lengths, stocks[family].vocabulary)
    np.testing.assert_allclose(
        scores(strategies[family], segments), stock_probabilities(stocks[family], segments), atol=5e-6
    )


@settings(max_examples=40)
@given(
    family=st.sampled_from(PACKED),
    lengths=st.lists(st.integers(1, LIMIT), min_size=1, max_size=30),
    seed=st.integers(0, 2**31),
)
def test_any_lengths_and_ids_score_as_alone(stocks, strategies, family, lengths, seed):
    segments = draw_tokens(lengths, stocks[family].vocabulary, seed)
    np.testing.assert_allclose(
        scores(strategies[family], segments), stock_probabilities(stocks[family], segments), atol=5e-6
    )


@pytest.mark.parametrize("family", PACKED)
def test_the_padding_id_in_a_text_counts_as_in_the_stock_model(stocks, strategies, family):
    padding = stocks[family].pad_id
    segments = tokens([0, 5, padding, 6, 7], [padding, 5], [padding] * 4, [5, 6, 7, padding], [5])
    np.testing.assert_allclose(
        scores(strategies[family], segments), stock_probabilities(stocks[family], segments), atol=5e-6
    )


def test_the_scores_differ_so_that_these_tests_show_something(stocks):
    for loaded in stocks.values():
        found = stock_probabilities(loaded, draw_tokens([9] * 30, loaded.vocabulary))
        assert found.std(axis=0).min() > 0.02


@pytest.mark.parametrize("family", PACKED)
def test_memory_that_was_used_before_changes_nothing(stocks, family):
    model = strategy(stocks[family])
    large, small = (draw_tokens(lengths, stocks[family].vocabulary) for lengths in ([LIMIT] * 20, [3, 2, 2]))
    for segments in (large, small, large, draw_tokens([31], 30), small):
        fresh = dataclasses.replace(model, workspaces=[])
        assert np.array_equal(scores(model, segments), scores(fresh, segments))
    assert len(model.workspaces) == 1  # lent and given back


def test_memory_of_a_pack_that_failed_is_not_used_again(stocks):
    model = strategy(stocks["bert"])
    segments = draw_tokens([4, 4], 30)
    expected = scores(model, segments)

    def broken(*arguments):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        scores(dataclasses.replace(model, encoder=dataclasses.replace(model.encoder, finish=broken)), segments)
    assert model.workspaces == []
    assert np.array_equal(scores(model, segments), expected)


def test_memory_that_another_thread_has_just_taken_is_made_anew(stocks):
    class SeemsFree(list):
        def __bool__(self):
            return True

    model = strategy(stocks["bert"])
    segments = draw_tokens([4, 4], 30)
    raced = dataclasses.replace(model, workspaces=SeemsFree())
    assert np.array_equal(scores(raced, segments), scores(model, segments))
    assert len(raced.workspaces) == 1


@settings(max_examples=60)
@given(
    family=st.sampled_from(PACKED),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    length=st.integers(1, LIMIT),
    before=NEIGHBOURS,
    after=NEIGHBOURS,
    seed=st.integers(0, 2**31),
)
def test_a_text_in_a_fixed_shape_has_the_same_bits_anywhere(
    stocks, strategies, halves, family, dtype, length, before, after, seed
):
    loaded, model = (stocks[family], strategies[family]) if dtype == "float32" else halves[family]
    segments = draw_tokens([length, *before, *after], loaded.vocabulary, seed)
    left, right = np.split(all_segments(segments)[1:], [len(before)])
    shape = BatchShape(tokens=11 * LIMIT, texts=16)
    expected = scores(model, segments, [0], shape)[0]
    assert np.isfinite(expected).all()
    for rows in ([*left, 0, *right], [*right, 0, *left], [0, *left], [*right, 0], [*left, 0]):
        assert np.array_equal(scores(model, segments, rows, shape)[rows.index(0)], expected)


@pytest.mark.parametrize("family", PACKED)
def test_a_pack_filled_up_to_a_shape_gives_the_same_scores(stocks, strategies, family):
    segments = draw_tokens([32, 9, 9, 9, 1], stocks[family].vocabulary)
    for shape in (
        BatchShape(tokens=60, texts=5),
        BatchShape(tokens=61, texts=5),
        BatchShape(tokens=60, texts=9),
        SHAPE,
    ):
        found = scores(strategies[family], segments, shape=shape)
        np.testing.assert_allclose(found, stock_probabilities(stocks[family], segments), atol=5e-6)


@pytest.mark.parametrize("family", PACKED)
def test_bfloat16_scores_are_near_and_independent_of_neighbours(stocks, halves, family):
    loaded, model = halves[family]
    segments = draw_tokens([*range(1, LIMIT + 1)] * 2, loaded.vocabulary)
    found = scores(model, segments)
    np.testing.assert_allclose(found, stock_probabilities(loaded, segments), atol=0.06)
    np.testing.assert_allclose(found, stock_probabilities(stocks[family], segments), atol=0.08)
    single = np.concatenate([scores(model, segments, [row]) for row in all_segments(segments)])
    np.testing.assert_allclose(found, single, atol=0.02)


@pytest.mark.parametrize("family", PACKED)
def test_packing_keeps_the_stock_scores_and_copies_no_weight(tmp_path, family):
    loaded = load_classifier(write_stock_model(family, tmp_path / family))
    segments = draw_tokens([12, 5, 1], loaded.vocabulary)
    before, size = stock_probabilities(loaded, segments), sum(p.numel() for p in loaded.network.parameters())
    for _ in range(2):  # the probe packs it once more
        model = strategy(loaded)
        assert np.array_equal(stock_probabilities(loaded, segments), before)
        assert sum(p.numel() for p in loaded.network.parameters()) == size
    parameters = {p.untyped_storage().data_ptr() for p in loaded.network.parameters()}
    for layer in model.encoder.layers:
        for product in layer[:2] + layer[3:5]:
            assert product.weight.untyped_storage().data_ptr() in parameters
        joined = [p for p in loaded.network.parameters() if p.shape == (32, 32) and inside(p, layer.qkv.weight)]
        assert [p.data_ptr() - layer.qkv.weight.data_ptr() for p in joined] == [0, 4_096, 8_192]
    embeddings = (model.encoder.word_embeddings, model.encoder.position_embeddings)
    assert {one.untyped_storage().data_ptr() for one in embeddings} <= parameters


def inside(parameter, whole):
    return parameter.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def test_a_packed_model_can_change_its_dtype_and_be_packed_again(tmp_path):
    loaded = load_classifier(write_stock_model("bert", tmp_path / "bert"))
    segments = draw_tokens([12, 5, 1], loaded.vocabulary)
    before = scores(strategy(loaded), segments)
    again = loaded.to("cpu", "bfloat16").to("cpu", "float32")
    np.testing.assert_allclose(scores(strategy(again), segments), before, atol=0.06)
    np.testing.assert_allclose(scores(strategy(again), segments), stock_probabilities(again, segments), atol=5e-6)


@pytest.mark.parametrize(
    ("changes", "device", "dtype", "reason"),
    [
        ({"is_decoder": True}, "cpu", "float32", "its attention is not a plain encoder's"),
        ({"position_embedding_type": "relative_key"}, "cpu", "float32", "its attention is not a plain encoder's"),
        ({}, "cuda:0", "float32", "packs on CUDA need half precision"),
        (
            {"num_attention_heads": 8},
            "cuda:0",
            "bfloat16",
            "packs on CUDA need heads as wide as a multiple of 8, and its heads are 4 wide",
        ),
        (
            {"hidden_size": 512, "num_attention_heads": 1},
            "cuda:0",
            "float16",
            "packs on CUDA need heads at most 256 wide, and its heads are 512 wide",
        ),
    ],
)
def test_a_model_that_cannot_be_packed_stays_untouched(tmp_path, changes, device, dtype, reason):
    loaded = load_classifier(write_stock_model("bert", tmp_path / "bert"))
    config = loaded.network.config
    for name, value in changes.items():
        setattr(config, name, value)
    places = [parameter.data_ptr() for parameter in loaded.network.parameters()]
    assert build_packed(loaded.network, device, dtype) == (None, f"padded batches, because {reason}")
    assert [parameter.data_ptr() for parameter in loaded.network.parameters()] == places


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    ("capability", "flash", "reason"),
    [
        ((7, 5), True, "packs on CUDA need compute capability 8.0, and this device has 7.5"),
        ((12, 0), False, "this build of torch lacks FlashAttention, the kernel for packs on CUDA"),
    ],
)
def test_without_the_kernel_batches_are_padded(tmp_path, pretend_cuda, capability, flash, reason, dtype):
    loaded = load_classifier(write_stock_model("bert", tmp_path / "bert"))
    pretend_cuda(capability, flash=flash)
    assert build_packed(loaded.network, "cuda:0", dtype) == (None, f"padded batches, because {reason}")
    for capability in ((8, 0), (8, 9), (12, 0)):
        pretend_cuda(capability)
        assert build_packed(loaded.network, "cuda:0", dtype)[1] == "packed without padding"


def test_a_family_of_another_build_is_not_packed(tmp_path):
    loaded = load_classifier(write_stock_model("modernbert", tmp_path / "modernbert"))
    assert build_packed(loaded.network, "cpu", "float32") == (
        None,
        "padded batches, because modernbert models cannot be packed",
    )


def test_an_activation_other_than_the_usual_is_the_stock_module(tmp_path):
    loaded = load_classifier(write_stock_model("bert", tmp_path / "bert"))
    for block in loaded.network.bert.encoder.layer:
        block.intermediate.intermediate_act_fn = nn.GELU(approximate="tanh")
    segments = draw_tokens([12, 5, 1], loaded.vocabulary)
    model = strategy(loaded)
    assert model.encoder.activation is not torch.ops.aten.gelu_
    np.testing.assert_allclose(scores(model, segments), stock_probabilities(loaded, segments), atol=5e-6)
