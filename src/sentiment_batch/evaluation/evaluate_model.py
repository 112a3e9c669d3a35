"""Measures a model on labelled reviews: matches labels, streams the texts to the scorer, and collects the report."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.input_description import InputDescription, log_description
from sentiment_batch.data.text_sketch import estimate_common_share
from sentiment_batch.display import shortened
from sentiment_batch.errors import InputError, listed
from sentiment_batch.evaluation.assess import Evaluation, LeftOut, assess
from sentiment_batch.evaluation.report_values import add_word_weights, collect_report
from sentiment_batch.evaluation.word_weights import weigh_marking_words
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.matching import match_mapping
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.progress import show_progress
from sentiment_batch.report.formatting import format_percent
from sentiment_batch.settings import MAX_ERRORS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")

TEXTS_PER_BATCH = 4_096
"""Number of texts that are sent to the model at once."""
MIN_TRAINED_SHARE = 0.1
"""If at least this share of the texts was trained on, there is a warning."""
MAX_UNKNOWN_SHARE = 0.05
"""If more than this share of the rows has an unknown label, there is a warning."""


def evaluate_labelled(
    scorer: Scorer,
    rows: LabelledRows,
    *,
    label_settings: LabelSettings | None = None,
    max_errors: int = MAX_ERRORS,
    max_label_issues: int | None = None,
    with_words: bool = False,
    quiet: bool = True,
) -> Evaluation:
    """Measure how well the model of `scorer` predicts the labels of `rows`.

    Args:
        scorer: the model.
        rows: texts, and labels as written. Labels are read as those of the training data were, else by their meaning.
        label_settings: what the user says about the labels; None says nothing.
        max_errors: how many errors to list.
        max_label_issues: how many labels that are likely wrong to list; None lists up to `max_errors`.
        with_words: also find the words that weigh most, see `weigh_marking_words`.
        quiet: show no progress.

    Raises:
        InputError: the labels have no counterpart among those of the model, or no row has one.
    """
    # The rows with a label of the model
    mapping, description = match_labels(scorer, rows, label_settings or LabelSettings())
    encoded = mapping.encode(rows.labels)
    left_out = LeftOut.count(encoded, rows.num_blank)
    report_left_out(left_out, len(rows.labels) + rows.num_blank)
    known = np.flatnonzero(encoded.codes >= 0)
    if not len(known):
        raise InputError(f"{rows.name} holds no row to measure{explain_no_rows(left_out)}")
    # Score them. A scorer may be used several times, so its counts are compared with those of before.
    texts = [rows.texts[row] for row in known]
    before = replace(scorer.counts)
    probabilities_NK, lengths_N, cut_N = _score_texts(scorer, texts, quiet=quiet)
    evaluation = assess(
        probabilities_NK,
        encoded.codes[known],
        scorer.labels,
        texts=texts,
        lengths_N=lengths_N,
        cut_N=cut_N,
        locate_row=lambda place: rows.locate_row(int(known[place])),
        by=(rows.by_column, rows.by.take(known)) if rows.by_column and rows.by is not None else None,
        max_errors=max_errors,
        max_label_issues=max_label_issues,
    )
    # What is known of the texts, beside the figures
    reading = None if description is None else description.to_json()
    known_texts = _describe_texts(scorer, texts, before)
    words = weigh_marking_words(scorer, texts, probabilities_NK.argmax(axis=1)) if with_words else None
    return replace(evaluation, mapping=str(mapping), left_out=left_out, input=reading, words=words, **known_texts)


def _score_texts(
    scorer: Scorer, texts: Sequence[str], *, quiet: bool
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(N, K) the probabilities of N texts; (N,) their numbers of tokens; and (N,) true for texts that are cut."""
    tokenizer = scorer.tokenizer
    lengths: list[npt.NDArray[np.int64]] = []
    cut: list[npt.NDArray[np.bool_]] = []

    # The scorer does not say how many tokens a text has, so texts are tokenized a second time here. The scorer reads
    # them in a thread, so the model works meanwhile.
    def stream() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(texts), TEXTS_PER_BATCH):
            some = texts[start : start + TEXTS_PER_BATCH]
            tokens = tokenizer(some)
            lengths.append(tokens.uncut_lengths)
            cut.append(tokens.cut & (tokenizer.policy.long_text != "windows"))  # windows cut nothing
            yield pa.record_batch({"text": pa.array(some, pa.large_string())})

    with show_progress(len(texts), quiet=quiet) as bar:
        scored = [scores for _, scores in scorer.probabilities(stream(), ["text"], bar.update, len(texts))]
    return np.concatenate(scored), np.concatenate(lengths), np.concatenate(cut)


def make_report(
    evaluation: dict[str, Any], rows: LabelledRows, scorer: Scorer, *, command: str | None = None
) -> dict[str, Any]:
    """The values of the report of an evaluation.

    Args:
        evaluation: the evaluation as plain values; its errors get the weights of their words if the model gives any.
        rows: the rows that were measured.
        scorer: the model.
        command: the command line; None in Python.
    """
    report = collect_report(
        [{"name": rows.name, "evaluation": evaluation, "before_calibration": None}],
        scorer.description.meta or {},
        title=f"{scorer.model} on {rows.name}",
        model=scorer.model,
        labels=scorer.labels,
        version=version("sentiment-batch"),
        device=scorer.device.value,
        dtype=scorer.dtype.value,
        description=evaluation["input"],
        command=command,
    )
    add_word_weights(report, lambda: contextlib.nullcontext(scorer))
    return report


def match_labels(
    scorer: Scorer, rows: LabelledRows, settings: LabelSettings
) -> tuple[LabelMapping, InputDescription | None]:
    """The mapping from the labels of the rows to the classes of the model; and how the rows are read. Logs it.

    Args:
        scorer: the model.
        rows: texts, and labels as written.
        settings: what the user says about the labels.

    Raises:
        InputError: the labels have no counterpart among those of the model.
    """
    meta = scorer.description.meta
    trained = LabelMapping.from_json(meta["labels"]) if meta and meta["labels"] else None
    if trained is not None and trained.labels != scorer.labels:
        trained = None  # the setting `labels` has renamed them
    # A column of the same name as in the training has its coding, where numbers alone could mean several things
    same_column = rows.label_column == ((meta or {}).get("input") or {}).get("label_column")
    mapping = match_mapping(trained, scorer.labels, rows.labels, rows.label_column, settings, same_column=same_column)
    description = rows.input
    if description is not None:
        said = mapping is trained or bool(settings.ranges or settings.labels_map)
        meanings = mapping.meanings or {label: label for label in mapping.labels}
        description = description.with_mapping(meanings, assumed=not said)
        log_description(rows.name, description)
    for note in settings.describe_unused(rows.labels):
        logger.info("%s", note)
    # Such as 0 and 1 for a model of three labels: they may be its first two, or a coding of their own
    missing = [label for label in scorer.labels if label not in mapping.values.values()]
    if mapping.kind == "numbers" and missing:
        logger.warning(
            "the labels of %r are read as %s, but none is %s. If they mean something else, say so with `stars`",
            rows.label_column,
            shortened(str(mapping)),
            listed(missing),
        )
    return mapping, description


def _describe_texts(scorer: Scorer, texts: Sequence[str], before: Counts) -> dict[str, Any]:
    """What is known of the measured texts, as fields of an `Evaluation`. Logs warnings about them.

    Args:
        scorer: the model.
        texts: the texts.
        before: what the scorer had counted before it scored them.
    """
    check = scorer.judge_texts(before)
    if check.unlike_reasons:
        logger.warning("%s", check)
    sketch = ((scorer.description.meta or {}).get("texts") or {}).get("sketch")
    share = None if sketch is None else estimate_common_share(texts, sketch)
    if share is not None and share >= MIN_TRAINED_SHARE:
        percent = format_percent(share, 0)
        logger.warning("about %s of these texts were trained on, so the figures are too good", percent)
    return {"unlike": check.unlike, "unlike_reasons": check.unlike_reasons, "trained_on": share}


def explain_no_rows(left_out: LeftOut) -> str:
    """The end of a sentence: why no row is left, and what to do."""
    if not left_out.reasons:
        return ": it has no rows at all."
    only_blank = left_out.blank and len(left_out.reasons) == 1
    return f": {left_out}. Check its `{'text_column' if only_blank else 'label_column'}`."


def report_left_out(left_out: LeftOut, num_rows: int) -> None:
    """Log the rows that are not measured. Many rows with an unknown label are a warning."""
    if left_out.label_unknown_rows > MAX_UNKNOWN_SHARE * num_rows:
        logger.warning("of %s rows, the figures leave out %s", f"{num_rows:,}", left_out)
    elif left_out.reasons:
        logger.info("left out: %s", left_out)
