"""Explanations on a CUDA device: the weights of the CPU, and a model that scores as before."""

from __future__ import annotations

import pytest
import torch

from sentiment_batch import Scorer
from sentiment_batch.explanation import integrated_gradients
from sentiment_batch.explanation.attribution import explain_texts
from sentiment_batch.explanation.integrated_gradients import IntegratedGradients
from tests.stock_models import FAMILIES, write_stock_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
TEXTS = ["the film was great, don't you think?", "", "boring", "a wonderful story " * 40, "日本語の映画 😀"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_weights_are_those_of_the_cpu_and_scores_stay(family, dtype, tmp_path):
    folder = str(write_stock_model(family, tmp_path / family))
    with Scorer.load(folder, device="cpu", dtype=dtype) as cpu, Scorer.load(folder, device="cuda", dtype=dtype) as cuda:
        first, again, reference = explain_texts(cuda, TEXTS), explain_texts(cuda, TEXTS), explain_texts(cpu, TEXTS)
    assert [one.score for one in first] == [one.score for one in again]
    for one, other in zip(first, reference, strict=True):
        if one.label == other.label:  # near a tie, half precision may tip over
            weights = [[word.weight or 0.0 for word in found.words] for found in (one, other)]
            assert weights[0] == pytest.approx(weights[1], abs=0.02)


def test_a_device_whose_memory_is_short_takes_smaller_batches(tmp_path, monkeypatch):
    sizes, real = [], IntegratedGradients._batch

    def small(self, ids, *rest):
        sizes.append(ids.numel())
        if ids.numel() > 64:
            torch.empty(2**50, device=ids.device)  # the device's own error
        return real(self, ids, *rest)

    with Scorer.load(str(write_stock_model("bert", tmp_path / "bert")), device="cuda", dtype="float32") as scorer:
        before = explain_texts(scorer, TEXTS)
        monkeypatch.setattr(integrated_gradients.IntegratedGradients, "_batch", small)
        after = explain_texts(scorer, TEXTS)
    assert sizes[0] > 64
    for one, other in zip(before, after, strict=True):
        assert [word.weight for word in one.words] == pytest.approx([word.weight for word in other.words], abs=1e-3)
