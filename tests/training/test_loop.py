import dataclasses
import itertools
import logging
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from sentiment_batch import metrics
from sentiment_batch.errors import DeviceError
from sentiment_batch.training import loop
from sentiment_batch.training.loop import (
    MicroBatches,
    Progress,
    Run,
    adamw,
    fit,
    is_best,
    validate,
    validation_steps,
    warmup_then_decay,
)


def run_of(settings, *, weights=None, labels=("negative", "positive"), rate=1e-3, dtype="float32") -> Run:
    return Run(
        settings=settings,
        learning_rate=rate,
        device="cpu",
        dtype=dtype,
        labels=labels,
        class_weights=None if weights is None else torch.tensor(weights),
        quiet=True,
    )


@pytest.fixture
def batch_and(learner):
    """A classifier, and a batch of 11 texts of different lengths and three classes."""
    classifier, texts = learner(3)
    rows = ["the film was " + "very " * n + word for n, word in enumerate(["good", "bad", "fine", "dull"] * 3)][:11]
    batch = texts(rows, [0, 1, 2, 0, 0, 0, 1, 0, 2, 0, 0]).collate(list(range(11)))
    return classifier, batch


def gradients(classifier) -> dict[str, torch.Tensor]:
    return {name: one.grad.clone() for name, one in classifier.named_parameters()}


def whole(classifier, batch, weights) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and gradients of the textbook: one forward pass, one mean."""
    classifier.zero_grad()
    weight = None if weights is None else torch.tensor(weights, dtype=classifier.linear.weight.dtype)
    loss = functional.cross_entropy(classifier(batch.ids_BT, batch.mask_BT), batch.labels_B, weight=weight)
    loss.backward()
    found = gradients(classifier)
    classifier.zero_grad()
    return float(loss.detach()), found


class LittleMemory(torch.nn.Module):
    """Raises as a device does that holds no more than so many rows; in the backward pass if so asked."""

    def __init__(self, classifier, most: int, *, backward: bool = False) -> None:
        super().__init__()
        self.classifier, self.most, self.backward = classifier, most, backward
        self.tried: list[int] = []

    def forward(self, ids_BT, mask_BT=None):
        self.tried.append(len(ids_BT))
        logits = self.classifier(ids_BT, mask_BT)
        if len(ids_BT) > self.most:
            if not self.backward:
                raise torch.OutOfMemoryError("CUDA out of memory")
            logits.register_hook(self.fail)
        return logits

    @staticmethod
    def fail(gradient):
        raise torch.OutOfMemoryError("CUDA out of memory")


# Parts of a batch


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.5]], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("rows", [1, 2, 4, 11, 16])
def test_a_batch_in_parts_has_the_loss_and_gradients_of_the_whole(batch_and, settings, weights, rows):
    classifier, batch = batch_and
    loss, expected = whole(classifier, batch, weights)
    micro = MicroBatches(classifier, run_of(settings(), weights=weights))
    micro.rows = rows
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6, msg=name)


def test_in_float64_the_parts_add_up_to_the_last_digits(batch_and, settings, monkeypatch):
    classifier, batch = batch_and
    classifier.double()
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the loop takes its logits in float32
    weights = [0.5, 2.0, 3.5]
    loss, expected = whole(classifier, batch, weights)
    run = run_of(settings(), weights=weights)
    micro = MicroBatches(classifier, dataclasses.replace(run, class_weights=run.class_weights.double()))
    micro.rows = 3
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-6)
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-7, atol=1e-12, msg=name)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("most", "left"), [(11, 16), (10, 5), (3, 2), (1, 1)])
def test_out_of_memory_halves_the_parts_and_changes_no_gradient(batch_and, settings, most, left, backward, caplog):
    classifier, batch = batch_and
    weights = [0.5, 2.0, 3.5]
    loss, expected = whole(classifier, batch, weights)
    small = LittleMemory(classifier, most, backward=backward)
    micro = MicroBatches(small, run_of(settings(batch_size=16), weights=weights))
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-5)
    assert micro.rows == left
    assert ("out of memory" in caplog.text) == (left < 11)
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6, msg=name)
    small.tried.clear()
    classifier.zero_grad()
    micro.backward(batch)
    assert max(small.tried) <= most, "the parts that fit are remembered"


def test_a_part_that_fails_late_leaves_nothing_of_the_earlier_parts(batch_and, settings):
    classifier, batch = batch_and
    _, expected = whole(classifier, batch, None)
    calls = itertools.count(1)

    class FailsOnce(torch.nn.Module):
        def forward(self, ids_BT, mask_BT=None):
            if next(calls) == 3:
                raise torch.OutOfMemoryError
            return classifier(ids_BT, mask_BT)

    wrapped = FailsOnce()
    wrapped.classifier = classifier
    micro = MicroBatches(wrapped, run_of(settings()))
    micro.rows = 4
    micro.backward(batch)
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6, msg=name)


def test_a_device_that_holds_not_even_one_text_is_an_error_with_the_cure(batch_and, settings):
    classifier, batch = batch_and
    micro = MicroBatches(LittleMemory(classifier, 0), run_of(settings()))
    with pytest.raises(DeviceError, match=r"--max-length, or --device cpu"):
        micro.backward(batch)


def test_other_errors_of_the_forward_pass_are_not_taken_for_lack_of_memory(batch_and, settings):
    class Broken(torch.nn.Module):
        def forward(self, ids_BT, mask_BT=None):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        MicroBatches(Broken(), run_of(settings())).backward(batch_and[1])


def test_in_bfloat16_the_loss_and_the_weights_stay_float32(batch_and, settings):
    classifier, batch = batch_and
    loss, _ = whole(classifier, batch, None)
    found = MicroBatches(classifier, run_of(settings(), dtype="bfloat16")).backward(batch)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(loss, rel=0.1)
    assert float(found) != loss
    assert {one.grad.dtype for one in classifier.parameters()} == {torch.float32}


# The optimiser and its schedule


def test_biases_and_norms_do_not_decay(learner):
    classifier, _ = learner()
    groups = adamw(classifier, 1e-3, 0.3).param_groups
    names = {id(one): name for name, one in classifier.named_parameters()}
    decayed = {names[id(one)] for group in groups if group["weight_decay"] for one in group["params"]}
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}
    assert {names[id(one)] for group in groups for one in group["params"]} == set(names.values())
    assert decayed == {name for name in names.values() if name.endswith("weight") and "norm" not in name.lower()}


def test_the_rate_rises_to_its_peak_in_the_warm_up_and_falls_to_nothing_at_the_end():
    factors = [warmup_then_decay(100, 0.1)(step) for step in range(101)]
    assert factors[:11] == pytest.approx([n / 11 for n in range(1, 12)])
    assert factors[10:] == pytest.approx([n / 90 for n in range(90, -1, -1)])
    assert max(factors) == 1.0


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (2, 0.5), (7, 1.0), (3, 0.1)])
def test_in_the_shortest_runs_no_step_is_without_a_rate(steps, warmup):
    factor = warmup_then_decay(steps, warmup)
    assert all(0 < factor(step) <= 1 for step in range(steps))
    assert factor(steps) == 0


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, {1}),
        (999, {999}),
        (1_999, {1_999}),
        (2_000, {1_000, 2_000}),
        (3_001, {1_000, 2_001, 3_001}),
        (100_000, {25_000, 50_000, 75_000, 100_000}),
    ],
)
def test_long_epochs_are_validated_within_and_every_epoch_at_its_end(steps, expected):
    assert validation_steps(steps) == expected


# The best state


def progress(loss: float, best: bool = False) -> Progress:
    numbers = dict.fromkeys(("epoch", "step", "training_loss", "accuracy", "macro_f1", "learning_rate", "seconds"), 0)
    return Progress(validation_loss=loss, best=best, **numbers)


@pytest.mark.parametrize(
    ("loss", "before", "expected"),
    [
        (0.5, [], True),
        (0.4, [0.5, 0.6], True),
        (0.5, [0.5], False),
        (0.6, [0.5], False),
        (math.nan, [], False),
        (math.inf, [], False),
        (math.nan, [0.5], False),
        (0.5, [math.nan], True),
        (0.6, [math.nan, 0.5], False),
    ],
)
def test_only_a_number_below_all_earlier_ones_is_best(loss, before, expected):
    assert is_best(loss, [progress(one) for one in before]) is expected


@pytest.fixture
def fitted(learner, settings, monkeypatch):
    """Runs `fit` on eight texts, with validation losses as scripted; gives the history and the losses saved as best."""

    def fitted(losses, **chosen):
        classifier, texts = learner()
        data = texts(["good film", "bad film"] * 4, [1, 0] * 4)
        script = iter(losses)
        told = metrics.measure(np.eye(2), np.array([0, 1]), ("negative", "positive"))
        monkeypatch.setattr(loop, "validate", lambda *_: dataclasses.replace(told, loss=next(script)))
        saved: list[float] = []
        run = run_of(settings(**{"epochs": len(losses), "batch_size": 4} | chosen))
        history = fit(classifier, data, data, run, lambda entry: saved.append(entry.validation_loss))
        return history, saved

    return fitted


def test_training_stops_after_so_many_validations_without_gain(fitted, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    history, saved = fitted([0.9, 0.5, 0.6, 0.5, 0.1], patience=2)
    assert [entry.validation_loss for entry in history] == [0.9, 0.5, 0.6, 0.5]
    assert saved == [0.9, 0.5]
    assert "stopped early" in caplog.text


def test_a_gain_renews_the_patience_and_without_patience_nothing_stops(fitted):
    assert len(fitted([0.9, 1.0, 0.8, 1.0, 0.7, 1.0], patience=2)[0]) == 6
    assert len(fitted([0.1, 0.2, 0.3, 0.4, 0.5], patience=None)[0]) == 5
    assert len(fitted([0.1, 0.2, 0.3, 0.4, 0.5], patience=1)[0]) == 2


def test_a_loss_that_is_no_number_is_never_saved_and_counts_as_no_gain(fitted):
    history, saved = fitted([math.nan, math.nan, 0.1], patience=2)
    assert (len(history), saved) == (2, [])
    assert fitted([0.5, math.nan, 0.4], patience=2)[1] == [0.5, 0.4]


def test_the_history_counts_steps_and_epochs_and_marks_what_was_best(fitted):
    history, _ = fitted([0.5, 0.4, 0.6], patience=None)
    assert [(entry.step, entry.epoch, entry.best) for entry in history] == [(2, 1, True), (4, 2, True), (6, 3, False)]
    assert all(math.isfinite(entry.training_loss) and entry.training_loss > 0 for entry in history)


def test_a_long_epoch_is_validated_within(fitted, monkeypatch):
    monkeypatch.setattr(loop, "STEPS_PER_VALIDATION", 1)
    history, _ = fitted([0.5, 0.4, 0.6, 0.3], epochs=2, patience=None)
    assert [(entry.step, entry.epoch) for entry in history] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


# Learning and measuring


def test_the_loop_learns(learner, settings):
    classifier, texts = learner()
    data = texts(["a good film", "a bad film", "good acting", "bad acting"] * 4, [1, 0, 1, 0] * 4)
    history = fit(classifier, data, data, run_of(settings(epochs=8), rate=3e-3), lambda entry: None)
    assert history[-1].accuracy == 1.0
    assert history[-1].validation_loss < history[0].validation_loss / 2


def test_validation_measures_every_text_as_one_by_one_with_dropout_off(learner, settings, monkeypatch):
    classifier, texts = learner(dropout=0.9)
    rows = ["the film was " + "very " * (n % 5) + "good" for n in range(23)]
    data = texts(rows, [n % 2 for n in range(23)])
    monkeypatch.setattr(loop, "batch_tokens", lambda device, width: 40)
    classifier.train()
    found = validate(classifier, data, run_of(settings()))
    logits = []
    with torch.no_grad():
        for row in range(23):
            logits.append(classifier.eval()(data.collate([row]).ids_BT))
    expected = functional.cross_entropy(torch.cat(logits), torch.from_numpy(data.codes))
    assert found.loss == pytest.approx(float(expected), rel=1e-5)
    assert found.rows == 23


def test_validation_that_runs_out_of_memory_goes_on_in_halves(learner, settings, caplog):
    classifier, texts = learner()
    data = texts(["the film was " + "very " * (n % 5) + "good" for n in range(11)], [n % 2 for n in range(11)])
    expected = validate(classifier, data, run_of(settings()))
    small = LittleMemory(classifier, 3)
    small.encoder = classifier.encoder
    assert validate(small, data, run_of(settings())).loss == pytest.approx(expected.loss, rel=1e-5)
    assert "is done again, and from here on batches hold" in caplog.text
