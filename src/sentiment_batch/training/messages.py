"""What a training run logs: the data check, the chosen values, the start of a resumed run, and each validation."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sentiment_batch.data.input_description import format_description
from sentiment_batch.display import BLOCK, terminal_width
from sentiment_batch.training.checkpoint.state import describe_progress
from sentiment_batch.training.data_check.wording import format_finding, format_lengths, format_summary

if TYPE_CHECKING:
    from sentiment_batch.training.checkpoint.history import HistoryEntry
    from sentiment_batch.training.components import Setup
    from sentiment_batch.training.prepare import PreparedData

logger = logging.getLogger("sentiment_batch")


def log_data_check(data: PreparedData) -> None:
    """Log how the tables were read, what they hold, and the findings."""
    # Tables that are read alike share a block
    names: dict[str, list[str]] = {}
    for name, description in data.inputs:
        names.setdefault(json.dumps(description.to_json()), []).append(name)
    for description_json, tables in names.items():
        logger.info("%s", format_description(tables, json.loads(description_json)), extra=BLOCK)
    # A warning, because what is assumed or left out should show in programs that show no other messages
    for note in data.notes:
        logger.warning("%s", note)
    lines = format_summary(data.summary, data.conflicts, terminal_width(sys.stderr))
    logger.info("%s", "\n".join(["data check", *lines]), extra=BLOCK)
    _log_findings(data.summary["findings"])


def log_setup(setup: Setup, *, num_logged: int) -> None:
    """Log the lengths of the texts, the findings after the first `num_logged`, and what was chosen by default."""
    summary, width = setup.data.summary, terminal_width(sys.stderr)
    logger.info("%s", "\n".join(format_lengths(summary["lengths"], setup.policy.long_text, width)), extra=BLOCK)
    _log_findings(summary["findings"][num_logged:])
    for note in setup.notes:
        logger.info("%s", note)


def _log_findings(findings: Sequence[Mapping[str, str]]) -> None:
    width = terminal_width(sys.stderr)
    for finding in findings:
        if finding["level"] == "warning":
            logger.warning("%s", format_finding(finding, width), extra=BLOCK)
        else:
            logger.info("note: %s", format_finding(finding, width), extra=BLOCK)


def log_beginning(state: Mapping[str, Any] | None, machine: str, *, resume: bool) -> None:
    """Log from where a resumed run continues."""
    if state is None:
        if resume:
            logger.info("there is no state to resume from, so training starts from the beginning")
        return
    logger.info("resuming from %s", describe_progress(state))
    if state["machine"] != machine:
        logger.warning(
            "the run began on another machine (%s) than this one (%s). Its weights may differ in their last bits from "
            "those of an uninterrupted run",
            state["machine"],
            machine,
        )


def log_validation(entry: HistoryEntry, *, keeps_last: bool) -> None:
    """Log the figures of a validation, and if its state is saved. With `keeps_last`, that is the last state."""
    saved = "saved" if keeps_last else "best so far, saved"
    # The bar is cleared and drawn again, so that it does not end up within the line
    with tqdm.external_write_mode(file=sys.stderr):
        logger.info(
            "epoch %g: training loss %.4f, validation loss %.4f, accuracy %.4f, macro F1 %.4f%s",
            entry.epoch,
            entry.training_loss,
            entry.validation_loss,
            entry.accuracy,
            entry.macro_f1,
            f" ({saved})" if entry.best else "",
        )
