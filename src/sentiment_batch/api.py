"""The functions that people call from Python: `score`, `train` and others, on frames and on paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from sentiment_batch.errors import UsageError
from sentiment_batch.model.openmp import wait_passively
from sentiment_batch.settings import MAX_ERRORS, to_model_name
from sentiment_batch.shares.request import DEFAULT_PERIOD, MAX_WORDS, UNSURE_BELOW, SummaryRequest

if TYPE_CHECKING:
    from sentiment_batch.evaluation.assess import Evaluation
    from sentiment_batch.explanation.words import Explanation
    from sentiment_batch.keywords import ScoreKeywords, TrainKeywords
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.shares.result import ShareSummary
    from sentiment_batch.training.result import Trained

Model = str | os.PathLike[str]
"""A folder or Hub id, or what `train` returned, which stands for its folder."""


def score(
    frame: Any,
    model: Model | None = None,
    *,
    text_column: str | Sequence[str] | None = None,
    reuse: Any = None,
    **settings: Unpack[ScoreKeywords],
) -> Any:
    """Annotate a frame with the sentiment of each row.

    The loaded model is cached for the next call; `clear_cache()` frees it.

    Args:
        frame: a pandas, polars or pyarrow table or series, or anything with `__arrow_c_stream__`; a lazy frame of
            polars, a relation of DuckDB, a frame of dask or Spark; a list of texts, which gives a pandas frame.
        model: a folder or Hub id, or what `train` returned; None looks where the command line looks.
        text_column: the column or columns of the text; None takes those of the training, else finds them by name.
        reuse: an earlier result whose texts take over their scores: the path of an output that has a manifest, or a
            frame that this function gave. Some rows of a frame are scored again to check the model.
        settings: the fields of `ScoreSettings`, such as `probabilities=True` or `device="cpu"`.

    Returns:
        A new frame of the same kind, with the rows, order, index and types of the input, and two columns: `sentiment`
        (the label) and `sentiment_score` (its probability, 0 to 1). Both are null for a row without a text. A series
        gives a frame. A lazy frame stays lazy: its rows are scored when its library asks for them. A DuckDB relation is
        scored at once. With `neutral_band=0.65`, a model of two labels calls a row neutral if both probabilities are
        lower than that.

    Raises:
        InputError: there is no such column, or it holds no text.
        UsageError: a column of the frame has the name of an added one, or a setting is out of range. Or another model
            or other settings made the earlier result.
        ModelError: the model cannot be used.
        DeviceError: the device does not exist, or its memory is too small.
    """
    scorer = _scorer(model, settings)
    if reuse is None:
        return scorer(frame, text_column=text_column)
    from sentiment_batch.scoring.reuse.take_over import score_with_previous

    return score_with_previous(frame, scorer, text_column, reuse)


def train(
    reviews: Any,
    output: str | Path = "sentiment-model",
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    val: Any = None,
    test: Any = None,
    unlabelled: Any = None,
    stars: str | None = None,
    labels_map: Mapping[str, str] | str | None = None,
    no_answer: Sequence[object] | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    restart: bool = False,
    report: bool = True,
    baseline: bool = True,
    quiet: bool = False,
    **settings: Unpack[TrainKeywords],
) -> Trained:
    """Train a classifier on labelled reviews. If several threads call this, their trainings run one after the other.

    Args:
        reviews: a frame, a path, or a list of frames and paths.
        output: the model folder to make.
        text_column: the column or columns of the text; found by name if None.
        label_column: the column of the label; found by name if None.
        group_column: a column whose equal values stay on one side of the train/validation split.
        val: a frame or path to validate on, instead of a share of the reviews.
        test: a frame or path to measure the final model on.
        unlabelled: texts without labels: a frame, a path, a list of texts, or a list of frames and `pathlib.Path`s. The
            model also learns from the labels that other models give these texts with certainty, if that makes it
            better on the validation rows.
        stars: the meaning of numbers: where negative ends and positive begins, such as `2,4`, or
            `negative=1-2,neutral=3,positive=4-5`.
        labels_map: other words for labels, such as `{"negativ": "negative"}`.
        no_answer: values of rows without a label, such as `[9, 99]`.
        overwrite: replace a model at `output`.
        resume: continue the interrupted run of this `output`. The weights are those of an uninterrupted run.
        restart: delete that run, and start over.
        report: write a report.html into the model folder. It shows texts with wrong predictions.
        baseline: compare the model with a bag of words, which takes seconds.
        quiet: show no progress bar.
        settings: the fields of `TrainSettings`, such as `base="minilm"` or `epochs=2`.

    Returns:
        What was learned, and the path of the model.

    Raises:
        InputError: the reviews cannot be read, or a classifier cannot learn from them.
        ModelError: the base cannot be used.
        DeviceError: the device does not exist, or its memory is too small.
        OutputError: `output` exists, cannot be written, or has an unfinished run.
        UsageError: a setting is out of range.
    """
    from sentiment_batch.data.columns import to_column_name, to_column_names
    from sentiment_batch.labels.settings import LabelSettings
    from sentiment_batch.training.job import TrainJob, list_tables

    job = TrainJob(
        reviews=reviews if isinstance(reviews, list | tuple) else [reviews],
        output=output,
        settings=_train_settings(settings),
        val=val,
        test=test,
        unlabelled=list_tables(unlabelled),
        text_columns=to_column_names(text_column),
        label_column=to_column_name(label_column, "label_column"),
        group_column=to_column_name(group_column, "group_column"),
        label_settings=LabelSettings.parse(stars=stars, labels_map=labels_map, no_answer=no_answer),
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        report=report,
        baseline=baseline,
        quiet=quiet,
    )
    with wait_passively():
        from sentiment_batch.training.run import run_training

    return run_training(job)


def evaluate(
    rows: Any,
    model: Model | None = None,
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    stars: str | None = None,
    labels_map: Mapping[str, str] | str | None = None,
    no_answer: Sequence[object] | str | None = None,
    by: str | None = None,
    errors: int = MAX_ERRORS,
    **settings: Unpack[ScoreKeywords],
) -> Evaluation:
    """Measure a model on labelled reviews.

    Args:
        rows: a frame or a path.
        model: a folder or Hub id, or what `train` returned; None looks where the command line looks.
        text_column: the column or columns of the text; None takes those of the training, else finds them by name.
        label_column: the column of the label; found by name if None.
        stars: the meaning of numbers: where negative ends and positive begins, such as `2,4`, or
            `negative=1-2,neutral=3,positive=4-5`.
        labels_map: other words for labels, such as `{"negativ": "negative"}`.
        no_answer: values of rows without a label, such as `[9, 99]`.
        by: a column; the rows of each of its values are measured separately, too.
        errors: how many errors, and labels that are likely wrong, to list.
        settings: the fields of `ScoreSettings`.

    Returns:
        The figures with their intervals, tables and errors. Use `print`, or its methods `table()` and `to_json()`.

    Raises:
        InputError: the rows cannot be read, or the model has none of their labels.
        ModelError: the model cannot be used.
        DeviceError: the device does not exist, or its memory is too small.
        UsageError: a setting is out of range, or `neutral_band` is set, because neutral is no label of the model.
    """
    from sentiment_batch.labels.settings import LabelSettings

    label_settings = LabelSettings.parse(stars=stars, labels_map=labels_map, no_answer=no_answer)
    if isinstance(errors, bool) or not isinstance(errors, int) or errors < 0:
        raise UsageError(f"`errors` is {errors!r}; it must be a whole number, 0 or more.")
    from sentiment_batch.data.columns import to_column_name, to_column_names
    from sentiment_batch.evaluation.entry import refuse_neutral_band
    from sentiment_batch.evaluation.reviews import read_measured_rows

    refuse_neutral_band(settings)
    reviews = read_measured_rows(
        rows,
        lambda: _choose_model(model),
        text_columns=to_column_names(text_column),
        label_column=to_column_name(label_column, "label_column"),
        label_settings=label_settings,
        by_column=to_column_name(by, "by"),
    )
    from sentiment_batch.evaluation.evaluate_model import evaluate_labelled

    return evaluate_labelled(_scorer(model, settings), reviews, label_settings=label_settings, max_errors=errors)


def summarize(
    table: Any,
    model: Model | None = None,
    *,
    by: str | Sequence[str] = (),
    over: str | None = None,
    every: str = DEFAULT_PERIOD,
    date_format: str | None = None,
    prefix: str | None = None,
    text_column: str | Sequence[str] | None = None,
    unsure_below: float = UNSURE_BELOW,
    words: int = MAX_WORDS,
) -> ShareSummary:
    """Compute the share of each label in a scored table.

    Args:
        table: a frame that `score` returned, or the path or URL of an output of `sentiment-batch score`.
        model: the folder or Hub id that scored the table, or what `train` returned. Its errors on test or
            validation rows correct the shares. None reads them from the manifest beside the file.
        by: a column, or two; the rows of each value, or pair of values, are counted separately, too.
        over: a column of dates; the rows of each period are counted separately, too.
        every: the length of a period: `day`, `week`, `month`, `quarter` or `year`.
        date_format: how the dates are written, such as `%d.%m.%Y`; None finds it from the first rows.
        prefix: the column of the labels; None takes that of the manifest, else `sentiment`, else the only column with a
            `_score` column beside it.
        text_column: the column or columns of the text, for the words; found if None.
        unsure_below: the model is unsure of a row if its score is below this.
        words: how many words to list that mark the texts of a label; 0 compares no words.

    Returns:
        The shares with their intervals. Use `print`, or its method `to_json()`.

    Raises:
        InputError: the table cannot be read, a column is missing, or it is not clear how the dates are written.
        ModelError: the model cannot be found.
        UsageError: a setting is out of range.
    """
    from sentiment_batch.data.columns import to_column_name, to_column_names
    from sentiment_batch.frames.open_table import open_table
    from sentiment_batch.shares.known_model import read_known_model
    from sentiment_batch.shares.run import summarize_shares

    request = SummaryRequest(
        by=to_column_names(by),
        over=to_column_name(over, "over"),
        every=every,
        date_format=date_format,
        prefix=to_column_name(prefix, "prefix"),
        text_columns=to_column_names(text_column),
        unsure_below=unsure_below,
        words=words,
    )
    with open_table(table) as opened:
        known = read_known_model(opened.location, None if model is None else to_model_name(model))
        return summarize_shares(opened.reader, opened.name, request, known, quiet=True)


def explain(
    texts: str | Iterable[str | None], model: Model | None = None, **settings: Unpack[ScoreKeywords]
) -> list[Explanation]:
    """Predict the labels of texts, and weigh the words that decide them.

    Each explanation has the label, its probability, and the text in pieces with their weights. A weight is gradient
    times input for the log-odds of the label, averaged on the path from the masked text (integrated gradients). The
    largest weight is 1. A piece with a weight above 0 speaks for the label, one below 0 against it.

    Args:
        texts: one text, or several such as a column of a frame. A null or blank text has no label.
        model: a folder or Hub id, or what `train` returned; None looks where the command line looks.
        settings: the fields of `ScoreSettings`.

    Returns:
        One explanation for each text, in order.

    Raises:
        ModelError: the model cannot be used, or gives no gradient.
        DeviceError: the device does not exist, or its memory is too small.
        UsageError: one of the texts is no text; or `neutral_band` is set, because neutral is no label of the model.
    """
    if settings.get("neutral_band") is not None:
        raise UsageError("`neutral_band` is for scoring; a model explains its own labels. Leave it out.")
    with wait_passively():
        from sentiment_batch.explanation.attribution import check_texts, explain_texts

    given = check_texts(texts)
    return explain_texts(_scorer(model, settings), given)


def clear_cache() -> None:
    """Drop the cached model of `score`, `evaluate` and `explain`, and free its memory."""
    from sentiment_batch.scoring.scorer_cache import clear_cached_scorer

    clear_cached_scorer()


def _train_settings(given: TrainKeywords) -> TrainSettings:
    from sentiment_batch.settings import TrainSettings, make_settings

    if isinstance(given.get("base"), os.PathLike):
        given = given | {"base": os.fspath(given["base"])}
    return make_settings(TrainSettings, given, "training")


def _scorer(chosen: Model | None, settings: ScoreKeywords) -> Scorer:
    """The cached scorer if its files and the settings are those of the last call, else a new one; it is loaded."""
    with wait_passively():
        from sentiment_batch.scoring.scorer_cache import get_cached_scorer
        from sentiment_batch.settings import ScoreSettings, make_settings

    return get_cached_scorer(_choose_model(chosen), make_settings(ScoreSettings, settings, "scoring")).open()


def _choose_model(chosen: Model | None) -> str:
    """The named model, else the one that the command line would take."""
    from sentiment_batch.scoring.default_model import choose_model

    return choose_model(None if chosen is None else to_model_name(chosen)).value
