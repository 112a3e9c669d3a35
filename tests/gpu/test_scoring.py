"""Scoring on a CUDA device: packs in one kernel, the same bits in a fixed shape, compiled layers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from sentiment_batch import Scorer
from sentiment_batch.model.forward.attention import CpuPackAttention, CudaPackAttention, Workspace
from sentiment_batch.model.forward.packed import PackedStrategy, build_packed
from sentiment_batch.model.forward.strategies import PaddedStrategy
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.tokenization.packing import build_pack
from tests.conftest import WORDS
from tests.ragged_tokens import LENGTHS, PACKED, all_segments, draw_tokens, stock_probabilities
from tests.stock_models import FAMILIES, write_stock_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

TOLERANCE = 0.08
"""Of probabilities in half precision, of random models with large weights."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    return {family: write_stock_model(family, folder / family) for family in FAMILIES}


def batch(rows=500, seed=0):
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(WORDS, size=generator.integers(1, 40))) for _ in range(rows)]
    return pa.record_batch({"text": pa.array(texts, pa.large_string())})


def scores(folder, *batches, device="cuda", **options):
    with Scorer.load(folder, device=device, **options) as scorer:
        return np.concatenate([found for _, found in scorer.probabilities(batches, ["text"])])


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_kernel_gives_what_the_loop_gives(heads):
    width, device = 32 * heads, torch.device("cuda")
    for lengths in (*LENGTHS.values(), [512, 1, 511, 64, 65], [3] * 2_000):
        one_pack = build_pack(draw_tokens(lengths, 30), np.arange(len(lengths)))
        qkv = torch.randn((sum(lengths), 3 * width), generator=torch.Generator().manual_seed(1)).bfloat16()
        ours = CudaPackAttention(one_pack, heads, device, None)
        loop = CpuPackAttention(one_pack, heads, Workspace(torch.float32), None)
        on_gpu, exact = qkv.to(device), qkv.float()
        found = ours.attend(on_gpu)
        torch.testing.assert_close(found.cpu().float(), loop.attend(exact), atol=0.03, rtol=0.03)
        first = ours.attend_first(on_gpu[ours.first, :width], on_gpu[:, width:])
        expected = loop.attend_first(exact[loop.first, :width], exact[:, width:])
        torch.testing.assert_close(first.cpu().float(), expected, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", PACKED)
def test_packs_score_as_the_stock_network_does(folders, family, dtype, lengths):
    exact, half = load_classifier(folders[family]), load_classifier(folders[family]).to("cuda:0", dtype)
    segments = draw_tokens(lengths, exact.vocabulary)
    padded = (
        PaddedStrategy(model=half, device="cuda:0", classes=len(half.labels))
        .logits(segments, all_segments(segments))
        .softmax(-1)
        .cpu()
        .numpy()
    )
    model, reason = build_packed(half.network, "cuda:0", dtype)
    assert reason == "packed without padding"
    strategy = PackedStrategy(model=model, device="cuda:0", classes=3)
    found = strategy.logits(segments, all_segments(segments)).softmax(-1).cpu().numpy()
    np.testing.assert_allclose(found, padded, atol=TOLERANCE)
    np.testing.assert_allclose(found, stock_probabilities(exact, segments), atol=TOLERANCE)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("bfloat16", TOLERANCE), ("float16", TOLERANCE)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_scores_as_on_the_cpu(folders, family, dtype, tolerance):
    expected = scores(folders[family], batch(), device="cpu", dtype="float32")
    for budget in (None, 100):
        found = scores(folders[family], batch(), dtype=dtype, batch_tokens=budget)
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_deterministic_scores_have_the_same_bits_beside_any_text(folders, family, dtype):
    rows, options = batch(2_000), {"dtype": dtype, "deterministic": True}
    expected = scores(folders[family], rows, **options)
    assert np.isfinite(expected).all()
    assert np.array_equal(scores(folders[family], rows, batch_tokens=100, **options), expected)
    order = np.random.default_rng(1).permutation(2_000)
    assert np.array_equal(scores(folders[family], rows.take(pa.array(order)), **options), expected[order])
    assert np.array_equal(scores(folders[family], rows.slice(777), **options), expected[777:])


@pytest.mark.slow
def test_compiled_layers_score_as_the_others(folders):
    rows = batch(2_000)
    options = {"dtype": "bfloat16", "batch_tokens": 2_048}
    expected = scores(folders["bert"], rows, compile=False, **options)
    np.testing.assert_allclose(scores(folders["bert"], rows, compile=True, **options), expected, atol=TOLERANCE)
