"""One training run: reads tables, prepares the data, trains or resumes, measures, and publishes the model."""

from __future__ import annotations

import contextlib
import logging
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.display import terminal_width
from sentiment_batch.errors import DeviceError, OutputError, UsageError, first_line
from sentiment_batch.evaluation.calibration import Calibration, calibrate
from sentiment_batch.evaluation.report_values import collect_report
from sentiment_batch.model import hub
from sentiment_batch.model.device import choose_device, choose_training_dtype, make_repeatable
from sentiment_batch.model.folder import read_meta
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.training.checkpoint.fingerprint import Fingerprint, compute_fingerprint, hash_fingerprint
from sentiment_batch.training.checkpoint.history import (
    HistoryEntry,
    find_best,
    format_history_table,
    parse_training_log,
    should_stop,
    to_rows,
)
from sentiment_batch.training.checkpoint.state import Snapshot, StateSaver
from sentiment_batch.training.checkpoint.work_folder import Checkpoint
from sentiment_batch.training.components import Setup, set_up
from sentiment_batch.training.loop import compute_logits, fit
from sentiment_batch.training.messages import log_beginning, log_data_check, log_setup, log_validation
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.report_data import REPORT_FILE, MeasuredRows, make_page, measure_all
from sentiment_batch.training.result import Trained, describe_model

if TYPE_CHECKING:
    from sentiment_batch.training.job import TrainJob

logger = logging.getLogger("sentiment_batch")


def run_training(job: TrainJob) -> Trained:
    """Train on labelled reviews, and publish the model folder.

    Raises:
        InputError: a table cannot be read, or a classifier cannot learn from the rows.
        ModelError: the base cannot be used.
        OutputError: something is at the output, it cannot be written, or the run to resume is damaged or another one.
        DeviceError: the device does not exist, or its memory is too small.
        UsageError: settings exclude each other.
    """
    checkpoint = Checkpoint(job.output, overwrite=job.overwrite, resume=job.resume, restart=job.restart)
    try:
        reviews, val, test = job.read_tables()
        device = choose_device(job.settings.device)
        dtype = choose_training_dtype(job.settings.dtype, device.value)
        base = hub.resolve_model(job.settings.base, setting="base")
        data = prepare(reviews, job.settings, val=val, test=test, label_settings=job.label_settings)
        log_data_check(data)
        logger.info("device: %s; dtype: %s", device, dtype)
        fingerprint = compute_fingerprint(job.settings, data, hub.digest_model_folder(base), device.value, dtype.value)
        with make_repeatable(job.settings.seed, device.value), _explain_lack_of_memory(device.value):
            setup = set_up(data, base, job.settings, device, dtype, quiet=job.quiet)
            log_setup(setup, num_logged=len(data.summary["findings"]))
            return _train_and_publish(setup, checkpoint, fingerprint, job)
    except BaseException:
        for line in checkpoint.describe_remains():
            logger.warning("%s", line)
        raise
    finally:
        checkpoint.close()


def _train_and_publish(setup: Setup, checkpoint: Checkpoint, fingerprint: Fingerprint, job: TrainJob) -> Trained:
    """Train the classifier, or find that this was done before; then measure, calibrate and publish it."""
    state = checkpoint.begin(fingerprint)
    if checkpoint.finished:
        logger.info("%s is finished already, so there was nothing left to do", checkpoint.output)
        history, model_folder = _read_history(checkpoint.output), checkpoint.output
    else:
        history, model_folder = _train(setup, checkpoint, state, fingerprint), checkpoint.best
    best = find_best(history)
    if best is None:
        checkpoint.remove()
        raise UsageError("the training diverged: its loss is not a number. Use a smaller `learning_rate`.")
    # From disk, so that what is measured is what users will load.
    setup.classifier.take_stock(load_classifier(model_folder).network)
    calibration = _read_calibration(model_folder) if checkpoint.finished else _calibrate(setup)
    measured = measure_all(setup.classifier, setup)
    logger.info("%s", format_history_table(to_rows(history), width=terminal_width(sys.stderr)))
    if not checkpoint.finished:
        _write_final_model(setup, checkpoint, fingerprint, history, measured, calibration, job)
    return Trained(
        path=str(checkpoint.publish()),
        labels=setup.config.labels,
        best=best,
        history=tuple(history),
        validation=measured["validation"].metrics,
        test=measured["test"].metrics if "test" in measured else None,
        calibration=calibration,
        device=setup.device,
        dtype=setup.dtype,
        input=next((one for _, one in setup.data.inputs), None),
    )


def _train(
    setup: Setup, checkpoint: Checkpoint, state: dict[str, Any] | None, fingerprint: Fingerprint
) -> list[HistoryEntry]:
    """Train from the beginning or from `state` to the end; the best model is then in the checkpoint."""
    machine = _describe_machine(setup.config.device)
    log_beginning(state, machine, resume=checkpoint.resume)

    def on_validation(entry: HistoryEntry) -> None:
        log_validation(entry)
        if entry.best:
            checkpoint.save_best(setup.save, describe_model(setup, [entry], {}), to_rows([entry]))

    def write(snapshot: Snapshot) -> None:
        checkpoint.save_state(snapshot.values | {"fingerprint": fingerprint, "machine": machine}, snapshot.tensors)

    def load() -> Snapshot | None:
        return Snapshot(state, checkpoint.read_tensors(state)) if state else None

    saver = StateSaver(write, load)
    history = fit(setup.classifier, setup.training, setup.validation, setup.config, on_validation, saver)
    if should_stop(history, patience := setup.config.settings.patience):
        logger.info("stopped early: no better validation loss in the last %s validations", patience)
    return history


def _calibrate(setup: Setup) -> Calibration | None:
    """Fit a temperature on the validation rows, and fold it into the classifier."""
    if not setup.config.settings.calibrate:
        return None
    logits_NK = compute_logits(setup.classifier, setup.validation, setup.config)
    calibration = calibrate(logits_NK, setup.validation.codes)
    setup.classifier.divide_logits(calibration.temperature)
    logger.info("calibration: %s", calibration)
    return calibration


def _write_final_model(
    setup: Setup,
    checkpoint: Checkpoint,
    fingerprint: Fingerprint,
    history: Sequence[HistoryEntry],
    measured: Mapping[str, MeasuredRows],
    calibration: Calibration | None,
    job: TrainJob,
) -> None:
    """Replace the best model by the calibrated one with its description and its report."""
    metrics = {name: measured[name].metrics if name in measured else None for name in ("validation", "test")}
    confidence = round(float(softmax(measured["validation"].logits_NK).max(axis=1).mean()), 4)
    meta = describe_model(setup, history, metrics, calibration, confidence)

    def make_pages(folder: Path) -> dict[str, str]:
        if not job.report:
            return {}
        evaluations = [rows.evaluate(name, calibration) for name, rows in measured.items()]
        device, name = setup.config.device, checkpoint.output.name
        about = {"title": name, "model": name, "labels": setup.config.labels, "version": meta["version"]}
        run = {"device": device, "dtype": setup.config.dtype, "description": meta["input"], "command": job.command}
        content = collect_report(evaluations, meta, **about, **run, history=to_rows(history))
        return {REPORT_FILE: make_page(content, folder, device)}

    checkpoint.save_best(setup.save, meta | {"run": hash_fingerprint(fingerprint)}, to_rows(history), make_pages)


def _read_history(folder: Path) -> list[HistoryEntry]:
    """The history of a finished model."""
    path = folder / "training_log.csv"
    try:
        return parse_training_log(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read: {first_line(error)}. Train again with `overwrite=True`.") from error


def _read_calibration(folder: Path) -> Calibration | None:
    """The calibration of a finished model, which is part of its weights already."""
    found = (read_meta(folder) or {}).get("calibration")
    return Calibration(**found) if found else None


@contextlib.contextmanager
def _explain_lack_of_memory(device: str) -> Iterator[None]:
    """Turn a lack of memory that smaller batches cannot help into an error with its cure."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the memory of {device} does not hold the model and the optimizer's state. Use a smaller `base`, or "
            '`device="cpu"`.'
        ) from error


def _describe_machine(device: str) -> str:
    """What the last bits of a sum depend on, besides the versions of the libraries."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
