"""One training run: reads tables, prepares the data, trains or resumes, measures, and publishes the model."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.display import BLOCK, terminal_width
from sentiment_batch.errors import DeviceError, OutputError, UsageError, first_line
from sentiment_batch.evaluation.calibration import Calibration, calibrate
from sentiment_batch.evaluation.metrics import Metrics
from sentiment_batch.evaluation.report_values import collect_report
from sentiment_batch.memory import advise
from sentiment_batch.model import hub
from sentiment_batch.model.device import choose_device, choose_training_dtype, describe_hardware, make_repeatable
from sentiment_batch.model.folder import read_meta
from sentiment_batch.model.memory import unify_memory_errors
from sentiment_batch.model.openmp import wait_briefly
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.model.stock import load_classifier
from sentiment_batch.training.baseline import CURES, Baseline, measure_baseline
from sentiment_batch.training.checkpoint.fingerprint import (
    Fingerprint,
    compute_fingerprint,
    hash_fingerprint,
    hash_rows,
)
from sentiment_batch.training.checkpoint.history import (
    HistoryEntry,
    find_best,
    format_history_table,
    parse_training_log,
    to_rows,
)
from sentiment_batch.training.checkpoint.work_folder import WorkFolder
from sentiment_batch.training.components import Setup, set_up
from sentiment_batch.training.learning_curve.curve import LearningCurve, measure_curve
from sentiment_batch.training.learning_curve.sizes import describe_curve_cost
from sentiment_batch.training.loop import compute_logits
from sentiment_batch.training.messages import log_beginning, log_data_check, log_setup
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.report_data import MeasuredRows, make_page, measure_all
from sentiment_batch.training.result import REPORT_FILE, Trained, describe_model
from sentiment_batch.training.self_training.distillation import describe_cost, plan_distillation
from sentiment_batch.training.self_training.gain import SelfTraining
from sentiment_batch.training.self_training.unlabelled import read_unlabelled
from sentiment_batch.training.self_training.unlabelled_file import store_unlabelled
from sentiment_batch.training.trainings import Trainings

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.training.dataset import ReviewSet
    from sentiment_batch.training.job import TrainJob
    from sentiment_batch.training.self_training.distillation import DistillationPlan
    from sentiment_batch.training.self_training.unlabelled_file import UnlabelledTexts

logger = logging.getLogger("sentiment_batch")

_turn = threading.Lock()
"""Held during a training. Trainings of one process take turns, because each seeds generators of the whole process."""


def run_training(job: TrainJob) -> Trained:
    """Train on labelled reviews, and publish the model folder. Another training of this process ends first.

    Raises:
        InputError: a table cannot be read, or a classifier cannot learn from the rows.
        ModelError: the base cannot be used.
        OutputError: something is at the output, it cannot be written, or the run to resume is damaged or another one.
        DeviceError: the device does not exist, or its memory is too small.
        UsageError: settings exclude each other.
    """
    if _turn.locked():
        logger.info("waiting for another training of this process to end")
    with _turn:
        return _run_alone(job)


def _run_alone(job: TrainJob) -> Trained:
    """`run_training` while no other training runs in this process."""
    work_folder = WorkFolder(job.output, overwrite=job.overwrite, resume=job.resume, restart=job.restart)
    try:
        device = choose_device(job.settings.device)
        dtype = choose_training_dtype(job.settings.dtype, device.value)
        reviews, val, test = job.read_tables()
        base = hub.resolve_model(job.settings.base, setting="base")
        data = prepare(reviews, job.settings, val=val, test=test, label_settings=job.label_settings)
        log_data_check(data)
        logger.info("device: %s; dtype: %s", device, dtype)
        stored = work_folder.unlabelled_path if work_folder.resume else None
        unlabelled = read_unlabelled(job, data, reviews[0], stored)
        digest = hub.hash_model_folder(base)
        repeatable = make_repeatable(job.settings.seed, device.value)
        with repeatable, wait_briefly(device.value), _explain_lack_of_memory(device.value):
            setup = set_up(data, base, job.settings, device, dtype, quiet=job.quiet)
            log_setup(setup, num_logged=len(data.summary["findings"]))
            # With the crops that were chosen, because older versions, whose runs may be resumed, had none.
            settings = replace(job.settings, random_crops=setup.config.random_crops or None)
            fingerprint = compute_fingerprint(settings, data, digest, device.value, dtype.value)
            if unlabelled is not None:
                fingerprint["the unlabelled texts"] = unlabelled.digest
            return _train_and_publish(setup, work_folder, fingerprint, job, unlabelled)
    except BaseException:
        for line in work_folder.describe_remains():
            logger.warning("%s", line)
        raise
    finally:
        work_folder.close()


def _train_and_publish(
    setup: Setup, work_folder: WorkFolder, fingerprint: Fingerprint, job: TrainJob, unlabelled: UnlabelledTexts | None
) -> Trained:
    """Train the classifier, or find that this was done before; then measure, calibrate and publish it."""
    state = work_folder.begin(fingerprint)
    if work_folder.finished:
        _refuse_other_test_rows(work_folder.output, setup.data.test)
        logger.info("%s is finished already, so there was nothing left to do", work_folder.output)
        if job.report and not (work_folder.output / REPORT_FILE).exists():
            logger.warning("%s has no report, and gets one only if it is trained anew", work_folder.output)
        result = _read_result(work_folder.output)
    else:
        if unlabelled is not None and unlabelled.source is not None:
            with translate_write_errors(str(work_folder.path)):
                store_unlabelled(work_folder.unlabelled_path, unlabelled)
        plan = plan_distillation(setup.config.settings, unlabelled)
        for note in describe_cost(setup, plan) if plan else ():
            logger.info("%s", note)
        if job.settings.learning_curve:
            logger.info("%s", describe_curve_cost(setup))
        result = _train_and_measure(setup, work_folder, state, fingerprint, job, plan)
    best = find_best(result.history)
    assert best is not None
    return Trained(
        path=str(work_folder.publish()),
        labels=setup.config.labels,
        best=best,
        history=tuple(result.history),
        validation=result.metrics["validation"],
        test=result.metrics.get("test"),
        calibration=result.calibration,
        device=setup.device,
        dtype=setup.dtype,
        folds=setup.data.folds.number if setup.data.folds else None,
        baseline=result.baseline,
        input=next((one for _, one in setup.data.inputs), None),
        likely_wrong_labels=result.likely_wrong_labels,
        self_training=result.self_training,
        learning_curve=result.learning_curve,
    )


class _Result(NamedTuple):
    """What a finished training is known by."""

    history: Sequence[HistoryEntry]
    metrics: Mapping[str, Metrics]
    """By what was measured: `validation`, and `test` if there is a test file."""
    calibration: Calibration | None
    baseline: Baseline | None
    likely_wrong_labels: Sequence[Mapping[str, Any]] | None = None
    self_training: SelfTraining | None = None
    learning_curve: LearningCurve | None = None


def _train_and_measure(
    setup: Setup,
    work_folder: WorkFolder,
    state: dict[str, Any] | None,
    fingerprint: Fingerprint,
    job: TrainJob,
    plan: DistillationPlan | None,
) -> _Result:
    """Train from the beginning or from `state`, and put the measured and calibrated model into the work folder."""
    log_beginning(state, machine := _describe_machine(setup.config.device), resume=work_folder.resume)
    constants = {"fingerprint": fingerprint, "machine": machine}
    model = Trainings(setup, work_folder, state, constants, plan).run()
    history, setup = model.history, model.setup
    if find_best(history) is None:
        work_folder.remove()
        raise UsageError("the training diverged: its loss is not a number. Use a smaller `learning_rate`.")
    # From disk, so that what is measured is what users will load.
    setup.classifier.load_stock_weights(load_classifier(model.folder).network)
    calibration, validation_NK = _calibrate(setup, model.out_of_fold_NK)
    measured = measure_all(setup, validation_NK)
    with_folds, width = setup.data.folds is not None, terminal_width(sys.stderr)
    logger.info("%s", format_history_table(to_rows(history), width=width, folds=with_folds), extra=BLOCK)
    baseline = _compare_with_baseline(setup, measured) if job.baseline else None
    result = _Result(
        history=history,
        metrics={name: one.metrics for name, one in measured.items()},
        calibration=calibration,
        baseline=baseline,
        likely_wrong_labels=measured["validation"].list_label_issues(),
        self_training=model.self_training,
        learning_curve=measure_curve(setup, model.curve, validation_NK, baseline) if model.curve else None,
    )
    _write_final_model(setup, work_folder, fingerprint, measured, result, job)
    return result


def _calibrate(setup: Setup, out_of_fold_NK: Floats | None) -> tuple[Calibration | None, Floats]:
    """Fit a temperature on the validation rows, and fold it into the classifier.

    Returns:
        The calibration, None if none is wanted; and the calibrated logits of the validation rows.
    """

    def compute() -> Floats:
        return compute_logits(setup.classifier, setup.validation, setup.config)

    logits_NK = compute() if out_of_fold_NK is None else out_of_fold_NK
    if not setup.config.settings.calibrate:
        return None, logits_NK
    calibration = calibrate(logits_NK, setup.validation.codes)
    setup.classifier.divide_logits(calibration.temperature)
    logger.info("calibration: %s", calibration)
    if out_of_fold_NK is None:
        return calibration, compute()
    return calibration, out_of_fold_NK / np.float32(calibration.temperature)


def _compare_with_baseline(setup: Setup, measured: Mapping[str, MeasuredRows]) -> Baseline:
    """Compare the model with a bag of words, and warn of a model that is not clearly better."""
    settings, labels = setup.config.settings, setup.config.labels
    balanced = setup.config.class_weights is not None
    baseline = measure_baseline(
        setup.data.training, measured, labels, balanced=balanced, seed=settings.seed, folds=setup.data.folds
    )
    if baseline.verdict:
        logger.warning("%s. %s", baseline.verdict, CURES)
    return baseline


def _write_final_model(
    setup: Setup,
    work_folder: WorkFolder,
    fingerprint: Fingerprint,
    measured: Mapping[str, MeasuredRows],
    result: _Result,
    job: TrainJob,
) -> None:
    """Replace the best model by the calibrated one with its description and its report."""
    meta = describe_model(
        setup,
        result.history,
        {name: result.metrics.get(name) for name in ("validation", "test")},
        result.calibration,
        confidence=round(float(softmax(measured["validation"].logits_NK).max(axis=1).mean()), 4),
        baseline=result.baseline,
        self_training=result.self_training,
        learning_curve=result.learning_curve,
    )
    history = to_rows(result.history)

    def make_pages(folder: Path) -> dict[str, str]:
        if not job.report:
            return {}
        evaluations = [rows.evaluate(name, result.calibration) for name, rows in measured.items()]
        device, name = setup.config.device, work_folder.output.name
        about = {"title": name, "model": name, "labels": setup.config.labels, "version": meta["version"]}
        run = {"device": device, "dtype": setup.config.dtype, "description": meta["input"], "command": job.command}
        content = collect_report(evaluations, meta, **about, **run, history=history)
        return {REPORT_FILE: make_page(content, folder, device, measured)}

    test = None if setup.data.test is None else hash_rows(setup.data.test)
    identity = {"run": hash_fingerprint(fingerprint), "test_rows": test}
    work_folder.save_best(setup.save, meta | identity, history, make_pages)


def _refuse_other_test_rows(folder: Path, test: ReviewSet | None) -> None:
    """Refuse test rows on which the finished model in `folder` was not measured.

    Raises:
        UsageError: they are others, or there were none.
    """
    meta = read_meta(folder) or {}
    if test is None or ("test_rows" not in meta and meta["metrics"]["test"]):  # an older version kept no digest
        return
    if (measured := meta.get("test_rows")) != hash_rows(test):
        raise UsageError(
            f"{folder} was finished {'with other' if measured else 'without'} test rows, so these would be ignored. "
            "Measure the model on these rows with sentiment-batch evaluate, or train again with `overwrite=True`."
        )


def _read_result(folder: Path) -> _Result:
    """What a finished model says about its training.

    Raises:
        OutputError: its files are damaged.
    """
    log = folder / "training_log.csv"
    try:
        meta = read_meta(folder) or {}
        return _Result(
            history=parse_training_log(log.read_text(encoding="utf-8")),
            metrics={name: Metrics.from_json(one) for name, one in meta["metrics"].items() if one},
            calibration=Calibration.from_json(meta["calibration"]) if meta["calibration"] else None,
            baseline=Baseline.from_json(meta["baseline"]) if meta["baseline"] else None,
            self_training=SelfTraining.from_json(taught) if (taught := meta.get("self_training")) else None,
            learning_curve=LearningCurve.from_json(curve) if (curve := meta.get("learning_curve")) else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{folder} cannot be read: {first_line(error)}. Train again with `overwrite=True`."
        ) from error


@contextlib.contextmanager
def _explain_lack_of_memory(device: str) -> Iterator[None]:
    """Turn a lack of memory that smaller batches cannot help into an error with its cure."""
    try:
        with unify_memory_errors():
            yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the memory of {device} does not hold the model and the optimizer's state. "
            + advise("a smaller `base`", device)
        ) from error


def _describe_machine(device: str) -> str:
    """What the last bits of a sum depend on, besides the versions of the libraries."""
    threads = "" if device.startswith("cuda") else f", {torch.get_num_threads()} threads"
    return describe_hardware(device) + threads


def _renew_turn() -> None:
    """Give a forked process a turn of its own: no thread that it has would ever end that of its parent."""
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_turn)
