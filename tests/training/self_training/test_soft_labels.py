"""Soft labels: which texts teach, how much each weighs, and that the classes stay in balance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sentiment_batch.model.probabilities import softmax
from sentiment_batch.training.batches import TokenizedTexts
from sentiment_batch.training.optimizer import MicroBatches, RunConfig
from sentiment_batch.training.self_training.soft_labels import (
    MAX_BALANCE,
    average_logits,
    choose_pseudo_labels,
    finish_soft_labels,
    soften_labels,
)

HALVES = np.array([0.5, 0.5])


def logits_of(*probabilities: float) -> np.ndarray:
    """Logits of two classes that give these probabilities to the second."""
    second = np.array(probabilities)
    return np.log(np.stack([1 - second, second], axis=1)).astype(np.float32)


def test_only_texts_with_a_sure_label_teach():
    sure = choose_pseudo_labels(logits_of(0.95, 0.7, 0.1, 0.5), HALVES, temperature=1.0, confidence=0.8, weight=1.0)
    assert sure.indices_S.tolist() == [0, 2]
    assert sure.soft_SK.argmax(axis=1).tolist() == [1, 0]


def test_a_temperature_makes_teachers_less_sure():
    logits = logits_of(0.9, 0.99)
    assert len(choose_pseudo_labels(logits, HALVES, temperature=1.0, confidence=0.85, weight=1.0).indices_S) == 2
    assert len(choose_pseudo_labels(logits, HALVES, temperature=2.0, confidence=0.85, weight=1.0).indices_S) == 1


def test_the_classes_weigh_as_among_the_labelled_rows():
    logits = logits_of(*[0.95] * 30, *[0.05] * 20)
    sure = choose_pseudo_labels(logits, np.array([0.25, 0.75]), temperature=1.0, confidence=0.8, weight=0.5)
    weights, likeliest = sure.soft_SK.sum(axis=1), sure.soft_SK.argmax(axis=1)
    assert weights.sum() == pytest.approx(25)
    assert weights[likeliest == 1].sum() == pytest.approx(0.75 * 25)


def test_a_text_of_a_rare_class_counts_three_times_at_most():
    sure = choose_pseudo_labels(logits_of(*[0.95] * 99, 0.05), HALVES, temperature=1.0, confidence=0.8, weight=0.5)
    assert sure.soft_SK.sum(axis=1).max() == pytest.approx(0.5 * MAX_BALANCE)


def test_no_sure_text_is_no_error():
    sure = choose_pseudo_labels(logits_of(0.5, 0.6), HALVES, temperature=1.0, confidence=0.8, weight=0.5)
    assert sure.soft_SK.shape == (0, 2)


def test_teachers_are_averaged_by_their_probabilities():
    mean = softmax(average_logits([logits_of(0.2, 0.9), logits_of(0.6, 0.9)]))
    assert mean[:, 1] == pytest.approx([0.4, 0.9])


def test_labelled_rows_learn_half_from_an_ensemble():
    codes, taught = np.array([0, 1]), np.array([[0.6, 0.4], [0.2, 0.8]], dtype=np.float32)
    assert soften_labels(codes, 2, None).tolist() == [[1, 0], [0, 1]]
    assert soften_labels(codes, 2, taught) == pytest.approx(np.array([[0.8, 0.2], [0.1, 0.9]]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.4, 1.7]])
def test_soft_labels_of_plain_classes_give_the_usual_gradients(learner, settings, weights, smoothing):
    classifier, texts = learner()
    config = RunConfig(
        settings=settings(label_smoothing=smoothing),
        learning_rate=1e-3,
        batch_size=8,
        weight_average=0.0,
        device="cpu",
        dtype="float32",
        labels=("negative", "positive"),
        class_weights=None if weights is None else torch.tensor(weights),
    )
    usual = texts(["the film was " + word for word in ("good", "bad", "very good", "dull")], [1, 0, 1, 0])
    soft = finish_soft_labels(soften_labels(usual.codes, 2, None), weights, smoothing)
    assert soft.sum() == pytest.approx(len(usual))
    found = []
    for one in (usual, TokenizedTexts(usual.tokens, usual.codes, usual.pad_id, soft)):
        micro = MicroBatches(classifier, config)
        classifier.zero_grad(set_to_none=True)
        micro.backward(one.collate([0, 1, 2, 3]))
        found.append(torch.cat([weight.grad.flatten() for weight in classifier.parameters()]))
    # With class weights and smoothing, both are the same up to a factor, which AdamW does not see.
    torch.testing.assert_close(found[1] / found[1].norm(), found[0] / found[0].norm(), atol=1e-5, rtol=1e-3)
    if weights is None:
        torch.testing.assert_close(found[1], found[0], atol=1e-6, rtol=1e-4)
