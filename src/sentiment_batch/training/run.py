"""One training run: reads tables, prepares the data, trains or resumes, measures, and publishes the model."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.display import BLOCK, terminal_width
from sentiment_batch.errors import DeviceError, UsageError
from sentiment_batch.evaluation.calibration import Calibration, calibrate
from sentiment_batch.evaluation.report_values import collect_report
from sentiment_batch.memory import advise
from sentiment_batch.model import hub
from sentiment_batch.model.device import choose_device, choose_training_dtype, describe_hardware, make_repeatable
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
from sentiment_batch.training.checkpoint.history import find_best, format_history_table, to_rows
from sentiment_batch.training.checkpoint.work_folder import WorkFolder
from sentiment_batch.training.components import Setup, set_up
from sentiment_batch.training.finished import RunResult, read_result, refuse_other_test_rows
from sentiment_batch.training.learning_curve.curve import measure_curve
from sentiment_batch.training.learning_curve.sizes import describe_curve_cost
from sentiment_batch.training.loop import compute_logits
from sentiment_batch.training.messages import log_beginning, log_data_check, log_setup
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.report_data import MeasuredRows, make_page, measure_all
from sentiment_batch.training.result import REPORT_FILE, Trained, describe_model
from sentiment_batch.training.self_training.distillation import describe_cost, plan_distillation
from sentiment_batch.training.self_training.unlabelled import read_unlabelled
from sentiment_batch.training.self_training.unlabelled_file import store_unlabelled
from sentiment_batch.training.trainings import Trainings

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
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
    # The work folder comes first: an output that may not be replaced is refused before large tables are read.
    work_folder = WorkFolder(job.output, overwrite=job.overwrite, resume=job.resume, restart=job.restart)
    try:
        # All that the user has named. Mistakes show here, before anything is loaded or trained.
        device = choose_device(job.settings.device)
        dtype = choose_training_dtype(job.settings.dtype, device.value)
        reviews, val, test = job.read_tables()
        base = hub.resolve_model(job.settings.base, setting="base")
        data = prepare(reviews, job.settings, val=val, test=test, label_settings=job.label_settings)
        log_data_check(data)
        logger.info("device: %s; dtype: %s", device, dtype)
        # A resumed run takes the stored texts, because a large table takes long to read again
        stored = work_folder.unlabelled_path if work_folder.resume else None
        unlabelled = read_unlabelled(job, data, reviews[0], stored)
        digest = hub.hash_model_folder(base)
        # Load the base, and train. The seeds are set first, because the new head is drawn from random numbers.
        repeatable = make_repeatable(job.settings.seed, device.value)
        with repeatable, wait_briefly(device.value), _explain_lack_of_memory(device.value):
            setup = set_up(data, base, job.settings, device, dtype, quiet=job.quiet)
            log_setup(setup, num_logged=len(data.summary["findings"]))
            # The fingerprint holds the chosen share of crops, and None for no crops. States of versions without crops
            # hold no share, which counts as None, too. So their runs are resumed if nothing would be cropped now.
            settings = replace(job.settings, random_crops=setup.config.random_crops or None)
            fingerprint = compute_fingerprint(settings, data, digest, device.value, dtype.value)
            if unlabelled is not None:
                fingerprint["the unlabelled texts"] = unlabelled.digest
            return _train_and_publish(setup, work_folder, fingerprint, job, unlabelled)
    except BaseException:  # Ctrl-C, too: users who interrupt a run need to know how to resume it
        for line in work_folder.describe_remains():
            logger.warning("%s", line)
        raise
    finally:
        work_folder.close()


def _train_and_publish(
    setup: Setup, work_folder: WorkFolder, fingerprint: Fingerprint, job: TrainJob, unlabelled: UnlabelledTexts | None
) -> Trained:
    """Train the classifier, or find that this was done before; then measure, calibrate and publish it."""
    # Deletes an earlier run with `restart=True`. So this comes after all checks of data, base and settings.
    state = work_folder.begin(fingerprint)
    if work_folder.finished:
        result = _read_finished_run(setup, work_folder.output, job)
    else:
        plan = _plan_trainings(setup, work_folder, job, unlabelled)
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


def _read_finished_run(setup: Setup, output: Path, job: TrainJob) -> RunResult:
    """The result of this very run, which was finished and published before.

    Raises:
        OutputError: the published model is damaged.
        UsageError: it was measured on other test rows.
    """
    refuse_other_test_rows(output, setup.data.test)
    logger.info("%s is finished already, so there was nothing left to do", output)
    if job.report and not (output / REPORT_FILE).exists():
        logger.warning("%s has no report, and gets one only if it is trained anew", output)
    return read_result(output)


def _plan_trainings(
    setup: Setup, work_folder: WorkFolder, job: TrainJob, unlabelled: UnlabelledTexts | None
) -> DistillationPlan | None:
    """Plan the teachers, if there are any; store the unlabelled texts, and log what the trainings will cost."""
    # A frame has no source. A resumed run could not tell whether stored texts are still those of the frame.
    if unlabelled is not None and unlabelled.source is not None:
        with translate_write_errors(str(work_folder.path)):
            store_unlabelled(work_folder.unlabelled_path, unlabelled)
    plan = plan_distillation(setup.config.settings, unlabelled)
    for note in describe_cost(setup, plan) if plan else ():
        logger.info("%s", note)
    if job.settings.learning_curve:
        logger.info("%s", describe_curve_cost(setup))
    return plan


def _train_and_measure(
    setup: Setup,
    work_folder: WorkFolder,
    state: dict[str, Any] | None,
    fingerprint: Fingerprint,
    job: TrainJob,
    plan: DistillationPlan | None,
) -> RunResult:
    """Train from the beginning or from `state`, and put the measured and calibrated model into the work folder."""
    machine = _describe_machine(setup.config.device)
    log_beginning(state, machine, resume=work_folder.resume)
    constants = {"fingerprint": fingerprint, "machine": machine}
    model = Trainings(setup, work_folder, state, constants, plan).run()
    history, setup = model.history, model.setup
    if find_best(history) is None:
        work_folder.remove()  # a resumed run would only diverge again
        raise UsageError("the training diverged: its loss is not a number. Use a smaller `learning_rate`.")
    # The weights come from disk, so that what is measured is what users will load
    setup.classifier.load_stock_weights(load_classifier(model.folder).network)
    calibration, validation_NK = _calibrate(setup, model.out_of_fold_NK)
    measured = measure_all(setup, validation_NK)
    with_folds, width = setup.data.folds is not None, terminal_width(sys.stderr)
    logger.info("%s", format_history_table(to_rows(history), width=width, folds=with_folds), extra=BLOCK)
    baseline = _compare_with_baseline(setup, measured) if job.baseline else None
    result = RunResult(
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
    # Computed again, because dividing the head rounds in another way than dividing its logits. The logits of folds are
    # those of other models, so they are divided.
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
    result: RunResult,
    job: TrainJob,
) -> None:
    """Replace the best model by the calibrated one with its description and its report."""
    confidence = round(float(softmax(measured["validation"].logits_NK).max(axis=1).mean()), 4)
    meta = describe_model(setup, result, confidence)
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

    # By the digest of the run, a resumed run knows this model as its own. By that of the test rows, it refuses others.
    test = None if setup.data.test is None else hash_rows(setup.data.test)
    identity = {"run": hash_fingerprint(fingerprint), "test_rows": test}
    work_folder.save_best(setup.save, meta | identity, history, make_pages)


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
    """The hardware and the number of threads, which the last bits of a sum depend on."""
    threads = "" if device.startswith("cuda") else f", {torch.get_num_threads()} threads"
    return describe_hardware(device) + threads


def _renew_turn() -> None:
    """Give a forked process a turn of its own: no thread that it has would ever end that of its parent."""
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_turn)
