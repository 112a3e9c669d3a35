"""The values of report.html, for a trained model and for an evaluation, and the weights of words for it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.input_description import list_items
from sentiment_batch.errors import SentimentBatchError
from sentiment_batch.evaluation.word_weights import weigh_marking_words

if TYPE_CHECKING:
    from sentiment_batch.evaluation.metrics import Codes
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")


def collect_report(
    evaluations: Sequence[Mapping[str, Any]],
    meta: Mapping[str, Any],
    *,
    title: str,
    model: str,
    labels: Sequence[str],
    version: str,
    device: str,
    dtype: str,
    description: Mapping[str, Any] | None = None,
    command: str | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The values of a report. Of the time, they hold no more than the day, so that a resumed run makes the same page.

    Args:
        evaluations: each with its `name`, its `evaluation`, and what was measured `before_calibration`.
        meta: the content of the model's sentiment_batch.json; empty for a stock model.
        title: the title of the page.
        model: the name of the model.
        labels: the K labels.
        version: the version of sentiment-batch that measured.
        device: where it was measured.
        dtype: the dtype of the computation.
        description: how the table was read, as `InputDescription.to_json` gives it.
        command: the command line; None in Python.
        history: the rows of training_log.csv. With them the page shows the data and the settings of the run, too.
    """
    rows = None
    run: Mapping[str, Any] = {}  # stays empty for an evaluation, which shows nothing of the training
    if history is not None:
        # Without the seconds, which are others in a resumed run
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history]
        run = meta
    return {
        "title": title,
        "model": model,
        "version": version,
        "labels": list(labels),
        "evaluations": list(evaluations),
        "history": rows,
        "data": run.get("data"),
        "settings": run.get("settings"),
        "baseline": run.get("baseline"),
        "self_training": run.get("self_training"),
        "learning_curve": run.get("learning_curve"),
        "temperature": (meta.get("calibration") or {}).get("temperature"),
        "base": meta.get("base"),
        "device": device,
        "dtype": dtype,
        "date": datetime.now(UTC).date().isoformat(),
        "command": command,
        "input": description,
        "reading": list_items(description) if description else [],
    }


def add_word_weights(
    report: Mapping[str, Any],
    open_scorer: Callable[[], contextlib.AbstractContextManager[Scorer]],
    measured: Mapping[str, tuple[Sequence[str], Codes]] | None = None,
) -> None:
    """Give the errors in all evaluations of a report the weights of their words, and some evaluations their `words`.

    A model that gives no weights is logged, because what was measured stays true.

    Args:
        report: the values of the report, which are changed.
        open_scorer: gives the model for a `with` block. It is called only if there are texts to weigh words in.
        measured: by the name of an evaluation all its texts and their predicted classes; see `weigh_marking_words`.
    """
    import torch

    from sentiment_batch.explanation.attribution import explain_texts
    from sentiment_batch.explanation.words import round_weights

    # The errors of all evaluations, because a model is loaded once for all of them
    errors = [error for one in report["evaluations"] for error in one["evaluation"]["errors"]]
    if not errors and not measured:
        return
    try:
        with open_scorer() as scorer:
            for name, (texts, predicted_N) in (measured or {}).items():
                found = next(one for one in report["evaluations"] if one["name"] == name)
                found["evaluation"]["words"] = weigh_marking_words(scorer, texts, predicted_N)
            explanations = explain_texts(scorer, [error["text"] for error in errors])
        for error, explanation in zip(errors, explanations, strict=True):
            error["words"] = round_weights(explanation.words)
    except (SentimentBatchError, torch.OutOfMemoryError, MemoryError) as why:
        logger.warning("the report shows no weights of words, or not all of them: %s", why)
