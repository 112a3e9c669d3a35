import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from sentiment_batch.errors import DeviceError
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.tokenization.packing import to_rectangle
from sentiment_batch.training import batches, loop, optimizer, schedule
from sentiment_batch.training.loop import (
    HistoryEntry,
    MicroBatches,
    RunConfig,
    fit,
    is_best,
    make_optimizer,
    make_rate_schedule,
    validate,
)
from sentiment_batch.training.schedule import plan_schedule


def run_of(settings, *, weights=None, labels=("negative", "positive"), rate=1e-3, dtype="float32") -> RunConfig:
    return RunConfig(
        settings=settings,
        learning_rate=rate,
        batch_size=settings.batch_size,
        weight_average=settings.weight_average or 0.0,
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


def padded(classifier, batch) -> torch.Tensor:
    """The logits by the base's own code."""
    ids, mask = to_rectangle(batch.pack, 0)
    return classifier(torch.from_numpy(ids), torch.from_numpy(mask))


def whole(classifier, batch, weights, smoothing=0.0) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and gradients of the textbook: one forward pass, one mean."""
    classifier.zero_grad()
    weight = None if weights is None else torch.tensor(weights, dtype=classifier.linear.weight.dtype)
    logits = padded(classifier, batch)
    loss = functional.cross_entropy(logits, batch.labels_B, weight=weight, label_smoothing=smoothing)
    loss.backward()
    found = gradients(classifier)
    classifier.zero_grad()
    return float(loss.detach()), found


def assert_close(classifier, expected):
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=2e-6, msg=name)


@pytest.fixture
def little_memory(monkeypatch):
    """`little_memory(n)`: the device holds no more than n tokens; fails in the backward pass if so asked.

    Gives the list of the tokens of each pass that was tried.
    """
    real = optimizer.choose_training_pass

    def little_memory(most, *, backward=False):
        tried = []

        def small(classifier, device, dtype):
            way = real(classifier, device, dtype)

            def training_pass(pack):
                tried.append(len(pack.ids))
                if len(pack.ids) <= most:
                    return way(pack)
                if not backward:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                logits = way(pack)
                logits.register_hook(fail)
                return logits

            return training_pass

        for module in (optimizer, loop):
            monkeypatch.setattr(module, "choose_training_pass", small)
        return tried

    return little_memory


def fail(gradient):
    raise torch.OutOfMemoryError("CUDA out of memory")


# Parts of a batch

LENGTHS = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
"""Tokens of the texts of `batch_and`, special ones included."""


def test_the_texts_of_these_tests_are_as_long_as_they_say(batch_and):
    assert batch_and[1].pack.lengths.tolist() == LENGTHS


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 3.5]], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("tokens", [1, 13, 30, 120, 8_192])
def test_a_batch_in_parts_has_loss_and_gradients_of_the_whole(batch_and, settings, weights, tokens, smoothing):
    classifier, batch = batch_and
    loss, expected = whole(classifier, batch, weights, smoothing)
    micro = MicroBatches(classifier, run_of(settings(label_smoothing=smoothing), weights=weights))
    micro.max_tokens = tokens
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-5)
    assert_close(classifier, expected)


def test_in_float64_the_parts_add_up_to_the_last_digits(batch_and, settings, monkeypatch):
    classifier, batch = batch_and
    classifier.double()
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the loop takes its logits in float32
    weights = [0.5, 2.0, 3.5]
    loss, expected = whole(classifier, batch, weights)
    run = run_of(settings(), weights=weights)
    micro = MicroBatches(classifier, dataclasses.replace(run, class_weights=run.class_weights.double()))
    micro.max_tokens = 40
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-6)
    for name, gradient in gradients(classifier).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-7, atol=1e-12, msg=name)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("most", "left"), [(121, 8_192), (120, 60), (40, 27), (16, 13)])
def test_out_of_memory_halves_the_parts_and_changes_no_gradient(
    batch_and, settings, little_memory, most, left, backward, caplog
):
    classifier, batch = batch_and
    weights = [0.5, 2.0, 3.5]
    loss, expected = whole(classifier, batch, weights)
    tried = little_memory(most, backward=backward)
    micro = MicroBatches(classifier, run_of(settings(), weights=weights))
    assert float(micro.backward(batch)) == pytest.approx(loss, rel=1e-5)
    assert micro.max_tokens == left
    assert ("out of memory" in caplog.text) == (most < sum(LENGTHS))
    assert_close(classifier, expected)
    tried.clear()
    classifier.zero_grad()
    micro.backward(batch)
    assert max(tried) <= most, "the parts that fit are remembered"


def test_a_part_that_fails_leaves_nothing_of_earlier_parts(batch_and, settings, monkeypatch):
    classifier, batch = batch_and
    _, expected = whole(classifier, batch, None)
    real, calls = optimizer.choose_training_pass, itertools.count(1)

    def fails_once(*arguments):
        way = real(*arguments)

        def training_pass(pack):
            if next(calls) == 3:
                raise torch.OutOfMemoryError
            return way(pack)

        return training_pass

    monkeypatch.setattr(optimizer, "choose_training_pass", fails_once)
    micro = MicroBatches(classifier, run_of(settings()))
    micro.max_tokens = 40
    micro.backward(batch)
    assert_close(classifier, expected)


def test_a_device_too_small_for_one_text_is_an_error(batch_and, settings, little_memory):
    classifier, batch = batch_and
    little_memory(0)
    with pytest.raises(DeviceError, match=r"does not hold a single text\. Use a smaller `max_length`, or give"):
        MicroBatches(classifier, run_of(settings())).backward(batch)


def test_other_errors_are_not_taken_for_lack_of_memory(batch_and, settings, monkeypatch):
    def broken(pack):
        raise RuntimeError("a bug")

    monkeypatch.setattr(optimizer, "choose_training_pass", lambda *_: broken)
    with pytest.raises(RuntimeError, match="a bug"):
        MicroBatches(batch_and[0], run_of(settings())).backward(batch_and[1])


def test_in_bfloat16_the_loss_and_the_weights_stay_float32(batch_and, settings):
    classifier, batch = batch_and
    loss, _ = whole(classifier, batch, None)
    found = MicroBatches(classifier, run_of(settings(), dtype="bfloat16")).backward(batch)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(loss, rel=0.1)
    assert float(found) != loss
    assert {one.grad.dtype for one in classifier.parameters()} == {torch.float32}


# The optimizer and its schedule


def test_biases_and_norms_do_not_decay(learner):
    classifier, _ = learner()
    groups = make_optimizer(classifier, 1e-3, 0.3).param_groups
    names = {id(one): name for name, one in classifier.named_parameters()}
    decayed = {names[id(one)] for group in groups if group["weight_decay"] for one in group["params"]}
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}
    assert {names[id(one)] for group in groups for one in group["params"]} == set(names.values())
    assert decayed == {name for name in names.values() if name.endswith("weight") and "norm" not in name.lower()}


def test_each_layer_down_learns_at_a_smaller_rate(learner):
    classifier, _ = learner()
    groups = make_optimizer(classifier, 1e-3, 0.3, layer_decay=0.5).param_groups
    rates = {id(one): group["lr"] for group in groups for one in group["params"]}
    encoder, layers = classifier.encoder, len(classifier.encoder.transformer.layer)
    assert {rates[id(one)] for one in classifier.linear.parameters()} == {1e-3}
    for number, layer in enumerate(encoder.transformer.layer):
        assert {rates[id(one)] for one in layer.parameters()} == {1e-3 * 0.5 ** (layers - number)}
    assert {rates[id(one)] for one in encoder.embeddings.parameters()} == {1e-3 * 0.5 ** (layers + 1)}


def test_the_rate_rises_in_the_warmup_and_falls_to_zero():
    factors = [make_rate_schedule(100, 0.1)(optimizer) for optimizer in range(101)]
    assert factors[:11] == pytest.approx([n / 11 for n in range(1, 12)])
    assert factors[10:] == pytest.approx([n / 90 for n in range(90, -1, -1)])
    assert max(factors) == 1.0


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (2, 0.5), (7, 1.0), (3, 0.1)])
def test_in_the_shortest_runs_no_step_is_without_a_rate(steps, warmup):
    factor = make_rate_schedule(steps, warmup)
    assert all(0 < factor(optimizer) <= 1 for optimizer in range(steps))
    assert factor(steps) == 0


# The best state


def progress(loss: float, best: bool = False) -> HistoryEntry:
    numbers = dict.fromkeys(("epoch", "step", "training_loss", "accuracy", "macro_f1", "learning_rate", "seconds"), 0)
    return HistoryEntry(validation_loss=loss, best=best, **numbers)


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


def test_the_loss_after_calibration_decides_where_there_is_one():
    sure = dataclasses.replace(progress(0.9), calibrated_loss=0.3)
    assert sure.selection_loss == 0.3
    assert is_best(0.29, [sure])
    assert not is_best(0.5, [sure])


def test_a_state_that_is_right_more_often_but_too_sure_is_kept(fitted):
    """Of the raw losses the first is lower, of those after calibration the second."""
    history, saved = fitted([0.5, 0.8], calibrated=[0.5, 0.4], patience=None)
    assert [entry.best for entry in history] == [True, True]
    assert saved == [0.5, 0.8]
    assert [entry.calibrated_loss for entry in history] == [0.5, 0.4]


def test_a_validation_has_the_loss_after_calibration_if_wanted(learner, settings):
    classifier, texts = learner()
    data = texts([f"{word} film {n}" for n in range(40) for word in ("good", "bad")], [1, 0] * 40)
    with torch.no_grad():
        classifier.linear.weight *= 30.0
    one = validate(classifier, data, run_of(settings()))
    assert one.calibrated_loss < one.metrics.loss
    assert validate(classifier, data, run_of(settings(calibrate=False))).calibrated_loss is None
    few = texts([f"good film {n}" for n in range(49)], [n % 2 for n in range(49)])
    assert validate(classifier, few, run_of(settings())).calibrated_loss is None, "else it would be that before"


@pytest.fixture
def fitted(learner, settings, monkeypatch):
    """Runs `fit` on eight texts, with validation losses as scripted; gives the history and the losses saved as best."""

    def fitted(losses, calibrated=None, **chosen):
        classifier, texts = learner()
        data = texts(["good film", "bad film"] * 4, [1, 0] * 4)
        script = zip(losses, calibrated or [None] * len(losses), strict=True)
        told = measure(np.eye(2), np.array([0, 1]), ("negative", "positive"))
        monkeypatch.setattr(loop, "validate", lambda *_: scripted(*next(script)))

        def scripted(loss, calibrated_loss):
            return loop.Validation(dataclasses.replace(told, loss=loss), calibrated_loss)

        saved: list[float] = []
        run = run_of(settings(**{"epochs": len(losses), "batch_size": 4} | chosen))

        def keep(entry):
            if entry.best:
                saved.append(entry.validation_loss)

        history = fit(classifier, data, data, run, plan_schedule(2, run.settings.epochs), keep)
        return history, saved

    return fitted


def test_training_stops_after_so_many_validations_without_gain(fitted):
    history, saved = fitted([0.9, 0.5, 0.6, 0.5, 0.1], patience=2)
    assert [entry.validation_loss for entry in history] == [0.9, 0.5, 0.6, 0.5]
    assert saved == [0.9, 0.5]


def test_a_gain_renews_the_patience_and_none_never_stops(fitted):
    assert len(fitted([0.9, 1.0, 0.8, 1.0, 0.7, 1.0], patience=2)[0]) == 6
    assert len(fitted([0.1, 0.2, 0.3, 0.4, 0.5], patience=None)[0]) == 5
    assert len(fitted([0.1, 0.2, 0.3, 0.4, 0.5], patience=1)[0]) == 2


def test_a_loss_that_is_not_finite_is_never_saved_and_is_no_gain(fitted):
    history, saved = fitted([math.nan, math.nan, 0.1], patience=2)
    assert (len(history), saved) == (2, [])
    assert fitted([0.5, math.nan, 0.4], patience=2)[1] == [0.5, 0.4]


def test_the_history_counts_steps_and_epochs_and_marks_the_best(fitted):
    history, _ = fitted([0.5, 0.4, 0.6], patience=None)
    assert [(entry.step, entry.epoch, entry.best) for entry in history] == [(2, 1, True), (4, 2, True), (6, 3, False)]
    assert all(math.isfinite(entry.training_loss) and entry.training_loss > 0 for entry in history)


def test_a_long_epoch_is_validated_within(fitted, monkeypatch):
    monkeypatch.setattr(schedule, "STEPS_PER_VALIDATION", 1)
    history, _ = fitted([0.5, 0.4, 0.6, 0.3], epochs=2, patience=None)
    assert [(entry.step, entry.epoch) for entry in history] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]


# Learning and measuring


def test_the_loop_learns(learner, settings):
    classifier, texts = learner()
    data = texts(["a good film", "a bad film", "good acting", "bad acting"] * 4, [1, 0, 1, 0] * 4)
    history = fit(
        classifier, data, data, run_of(settings(epochs=8), rate=3e-3), plan_schedule(2, 8), lambda entry: None
    )
    assert history[-1].accuracy == 1.0
    assert history[-1].validation_loss < history[0].validation_loss / 2


def test_validation_measures_each_text_without_dropout(learner, settings, monkeypatch):
    classifier, texts = learner(dropout=0.9)
    rows = ["the film was " + "very " * (n % 5) + "good" for n in range(23)]
    data = texts(rows, [n % 2 for n in range(23)])
    monkeypatch.setattr(loop, "choose_batch_tokens", lambda device, width: 40)
    classifier.train()
    found = validate(classifier, data, run_of(settings())).metrics
    logits = []
    with torch.no_grad():
        for row in range(23):
            logits.append(padded(classifier.eval(), data.collate([row])))
    expected = functional.cross_entropy(torch.cat(logits), torch.from_numpy(data.codes))
    assert found.loss == pytest.approx(float(expected), rel=1e-5)
    assert found.rows == 23


def test_validation_that_runs_out_of_memory_goes_on_in_halves(learner, settings, little_memory, caplog):
    classifier, texts = learner()
    data = texts(["the film was " + "very " * (n % 5) + "good" for n in range(11)], [n % 2 for n in range(11)])
    expected = validate(classifier, data, run_of(settings())).metrics
    tried = little_memory(20)
    assert validate(classifier, data, run_of(settings())).metrics.loss == pytest.approx(expected.loss, rel=1e-5)
    assert max(tried) > 20 >= tried[-1]
    assert "computed again, and from now on batches hold" in caplog.text


def test_an_average_of_the_weights_is_validated_and_saved(learner, settings):
    classifier, texts = learner()
    data = texts(["a good film", "a bad film"] * 8, [1, 0] * 8)
    saved = []
    run = run_of(settings(epochs=3, weight_average=0.9, patience=None), rate=3e-3)

    def on_validation(entry):
        if entry.best:
            saved.append(({name: one.detach().clone() for name, one in classifier.named_parameters()}, entry))

    history = fit(classifier, data, data, run, plan_schedule(2, 3), on_validation)
    trained = {name: one.detach().clone() for name, one in classifier.named_parameters()}
    last, entry = saved[-1]
    assert any(not last[name].equal(one) for name, one in trained.items()), "the weights in training are others"
    classifier.load_state_dict(last)
    assert validate(classifier, data, run).metrics.loss == entry.validation_loss
    assert history[-1].validation_loss < history[0].validation_loss


def test_training_texts_are_cropped_and_validation_texts_whole(learner, settings, monkeypatch):
    monkeypatch.setattr(batches, "MIN_CROP_TOKENS", 6)
    classifier, texts = learner()
    data = texts([f"the {word} film was not very good and so on and on" for word in ("old", "new")] * 8, [1, 0] * 8)
    cropped, epochs = dataclasses.replace(run_of(settings(patience=None)), random_crops=1.0), 4
    seen = []

    class Recorded(MicroBatches):
        def backward(self, batch):
            seen.append(batch.pack)
            return super().backward(batch)

    monkeypatch.setattr(loop, "MicroBatches", Recorded)
    history = fit(classifier, data, data, cropped, plan_schedule(2, epochs), lambda entry: None)
    lengths = np.array([pack.lengths for pack in seen])
    assert lengths.shape == (2 * epochs, 8)
    assert 6 <= lengths.min() < lengths.mean() < lengths.max() <= data.tokens.lengths.max()
    assert len({pack.ids.tobytes() for pack in seen}) == len(seen), "each epoch has other crops"
    assert all(ids[[0, -1]].tolist() == data.tokens.ids[[0, -1]].tolist() for ids in (pack.ids for pack in seen))
    whole = validate(classifier, data, run_of(settings())).metrics.loss
    assert history[-1].validation_loss == whole
