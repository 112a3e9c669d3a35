"""One training run from labelled reviews to a published model folder: wires split, data, model, loop and checkpoint."""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.errors import DeviceError, OutputError, UsageError, first_line
from sentiment_batch.evaluation.calibration import Calibration, calibrate
from sentiment_batch.model import hub
from sentiment_batch.model.device import choose_device, repeatable, training_dtype
from sentiment_batch.model.folder import read_meta
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.training.checkpoint.fingerprint import Fingerprint, digest, fingerprint
from sentiment_batch.training.checkpoint.history import Progress, best_of, from_log, history_table, to_rows
from sentiment_batch.training.checkpoint.state import Keeper, Snapshot
from sentiment_batch.training.checkpoint.work_folder import Checkpoint
from sentiment_batch.training.components import Setup, set_up
from sentiment_batch.training.loop import fit, logits
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.report_data import REPORT, measure_all, page, report_of
from sentiment_batch.training.result import Trained, description

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import Labelled
    from sentiment_batch.model.classifier import SentimentClassifier
    from sentiment_batch.records import Choice
    from sentiment_batch.settings import TrainSettings

logger = logging.getLogger("sentiment_batch")


def train_labelled(
    reviews: Sequence[Labelled],
    output: str | Path,
    settings: TrainSettings,
    *,
    val: Labelled | None = None,
    test: Labelled | None = None,
    stars: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    restart: bool = False,
    report: bool = True,
    quiet: bool = False,
) -> Trained:
    """Train on labelled reviews and publish the model folder.

    Args:
        reviews: one or more tables; their rows are pooled.
        output: the model folder to make.
        settings: see `TrainSettings`.
        val: rows to validate on, instead of a share of the reviews.
        test: rows to measure the final model on.
        stars: what `--stars` says.
        overwrite: replace a model at `output`.
        resume: go on with the interrupted run of the same `output`, to the same weights as if it had not been.
        restart: delete that run, and start over.
        report: put report.html into the model folder.
        quiet: show no progress bar.

    Raises:
        InputError: there is nothing to learn from.
        ModelError: the base cannot be used.
        OutputError: something is at `output`, it cannot be written, or the run to resume is damaged or another.
        DeviceError: the device is not there.
    """
    checkpoint = Checkpoint(output, overwrite=overwrite, resume=resume, restart=restart)
    try:
        device = choose_device(settings.device)
        dtype = training_dtype(settings.dtype, device.value)
        folder = hub.resolve(settings.base)
        data = prepare(reviews, settings, val=val, test=test, stars=stars)  # after what is quicker to refuse
        logger.info("device: %s; dtype: %s", device, dtype)
        identity = fingerprint(settings, data, hub.digest(folder), device.value, dtype.value)
        with repeatable(settings.seed, device.value), _memory_named(device.value):
            setup = set_up(data, folder, settings, device, dtype, quiet=quiet)
            return _train(setup, checkpoint, identity, device, dtype, report=report)
    except BaseException:
        checkpoint.tell_what_is_kept()
        raise
    finally:
        checkpoint.close()


@contextlib.contextmanager
def _memory_named(device: str) -> Iterator[None]:
    """Smaller batches cannot help where the weights, their gradients and the optimiser's state do not fit."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the memory of {device} does not hold the model and the optimiser's state. Take a smaller --base, or "
            "--device cpu."
        ) from error


def _train(
    setup: Setup, checkpoint: Checkpoint, identity: Fingerprint, device: Choice, dtype: Choice, *, report: bool
) -> Trained:
    history, model_folder = _history(setup, checkpoint, identity, device, dtype)
    best = best_of(history)
    if best is None:
        checkpoint.remove()
        raise UsageError("the loss is not a number: training diverged. Take a smaller --learning-rate.")
    kept = setup.classifier
    kept.take_stock(load_classifier(model_folder).network)  # from disk: what is measured is what users will load
    calibration = _calibration_of(model_folder) if checkpoint.finished else _calibrate(kept, setup)
    measured = measure_all(kept, setup)
    logger.info("%s", history_table(to_rows(history)))
    if not checkpoint.finished:
        results = {what: measured[what].metrics if what in measured else None for what in ("validation", "test")}
        said = description(setup.data, setup.run, setup.policy, device, dtype, history, results, calibration)

        def more(folder: Path) -> dict[str, str]:
            if not report:
                return {}
            evaluations = [one.evaluation(what, calibration) for what, one in measured.items()]
            about = report_of(checkpoint.output.name, said, evaluations, to_rows(history))
            return {REPORT: page(about, folder, device.value)}

        checkpoint.finish(setup.save, said | {"run": digest(identity)}, to_rows(history), more)
    return Trained(
        path=str(checkpoint.publish()),
        labels=setup.run.labels,
        best=best,
        history=tuple(history),
        validation=measured["validation"].metrics,
        test=measured["test"].metrics if "test" in measured else None,
        calibration=calibration,
        device=device,
        dtype=dtype,
    )


def _history(
    setup: Setup, checkpoint: Checkpoint, identity: Fingerprint, device: Choice, dtype: Choice
) -> tuple[list[Progress], Path]:
    """Train to the end, unless that was done before; gives all validations, and the folder of the best model."""
    values = checkpoint.begin(identity)
    if checkpoint.finished:
        logger.info("%s is finished already; there was nothing left to do", checkpoint.output)
        return _read_log(checkpoint.output / "training_log.csv"), checkpoint.output
    machine = _machine(setup.run.device)
    if values:
        _tell_resumed(values, machine)

    def on_best(entry: Progress) -> None:
        said = description(setup.data, setup.run, setup.policy, device, dtype, [entry], {})
        checkpoint.save(setup.save, said, to_rows([entry]))

    def write(snapshot: Snapshot) -> None:
        about = {"fingerprint": identity, "machine": machine}
        checkpoint.save_state(snapshot.values | about, snapshot.tensors)

    def found() -> Snapshot | None:
        return Snapshot(values, checkpoint.read_tensors(values)) if values else None

    history = fit(setup.classifier, setup.training, setup.validation, setup.run, on_best, Keeper(write, found))
    return history, checkpoint.best


def _read_log(path: Path) -> list[Progress]:
    try:
        return from_log(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read: {first_line(error)}. Train again with --overwrite.") from error


def _machine(device: str) -> str:
    """What the last bits of a sum depend on, beside the versions of the libraries."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _tell_resumed(values: Mapping[str, Any], machine: str) -> None:
    logger.info("going on from step %s of %s", f"{values['step']:,}", f"{values['steps']:,}")
    if values["machine"] != machine:
        logger.warning(
            "the run began on another machine (%s) than this (%s): its weights may differ in their last bits from "
            "those of a run without interruption",
            values["machine"],
            machine,
        )


def _calibrate(classifier: SentimentClassifier, setup: Setup) -> Calibration | None:
    """Fit a temperature on the validation rows, and fold it into the classifier."""
    if not setup.run.settings.calibrate:
        return None
    found = calibrate(logits(classifier, setup.validation, setup.run), setup.validation.codes)
    classifier.divide_logits(found.temperature)
    logger.info("calibration: %s", found)
    return found


def _calibration_of(folder: Path) -> Calibration | None:
    """That of a finished model, which is part of its weights already."""
    found = (read_meta(folder) or {}).get("calibration")
    return Calibration(**found) if found else None
