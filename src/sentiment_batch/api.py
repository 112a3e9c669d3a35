"""The functions that people call from Python: `score`, `train`, `evaluate` and `explain`, on frames and on paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import InputError, UsageError

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.evaluation.evaluate_model import Evaluation
    from sentiment_batch.explanation.words import Explanation
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.training.result import Trained


def score(
    frame: Any, model: str | Path | None = None, *, text_column: str | Sequence[str] | None = None, **settings: Any
) -> Any:
    """Annotate a frame with the sentiment of each row.

    The loaded model is cached for the next call; `clear_cache()` frees it.

    Args:
        frame: a pandas, polars or pyarrow table or series, or anything with `__arrow_c_stream__`; a lazy frame of
            polars, a relation of DuckDB, a frame of dask or Spark.
        model: a folder or Hub id; None looks where the command line looks.
        text_column: the column or columns of the text; found by name if None.
        settings: the fields of `ScoreSettings`, such as `probabilities=True` or `device="cpu"`.

    Returns:
        A new frame of the same kind, with the rows, order, index and types of the input, and two columns: `sentiment`
        (the label) and `sentiment_score` (its probability, 0 to 1). Both are null for a row without a text. A series
        gives a frame. A lazy frame stays lazy: its rows are scored when its library asks for them. A DuckDB relation is
        scored at once. With `neutral_band=0.65`, a model of two labels calls a row neutral if both probabilities are
        lower than that.

    Raises:
        InputError: there is no such column, or it holds no text.
        UsageError: a column of the frame has the name of an added one, or a setting is out of range.
        ModelError: the model cannot be used.
    """
    return _scorer(model, settings)(frame, text_column=text_column)


def train(
    reviews: Any,
    output: str | Path = "sentiment-model",
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    val: Any = None,
    test: Any = None,
    stars: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    restart: bool = False,
    report: bool = True,
    quiet: bool = False,
    **settings: Any,
) -> Trained:
    """Train a classifier on labelled reviews.

    Args:
        reviews: a frame, a path, or a list of paths.
        output: the model folder to make.
        text_column: the column or columns of the text; found by name if None.
        label_column: likewise for the labels.
        group_column: rows of equal value here stay on one side of the split.
        val: a frame or path to validate on, instead of a share of the reviews.
        test: a frame or path to measure the final model on.
        stars: where negative ends and positive begins, such as `2,4`.
        overwrite: replace a model at `output`.
        resume: go on with the interrupted run of this `output`, to the same weights as if it had not been.
        restart: delete that run, and start over.
        report: put a report.html into the model folder; it shows texts that the model gets wrong.
        quiet: show no progress bar.
        settings: the fields of `TrainSettings`, such as `base="minilm"` or `epochs=2`.

    Returns:
        What was learned and where it lies.

    Raises:
        InputError: the reviews cannot be read, or there is nothing to learn from.
        ModelError: the base cannot be used.
        OutputError: something is at `output`, it cannot be written, or an interrupted run is in the way.
        UsageError: a setting is out of range.
    """
    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.checkpoint.work_folder import Checkpoint
    from sentiment_batch.training.run import train_labelled

    label_column, group_column = _column(label_column, "label_column"), _column(group_column, "group_column")
    _check_stars(stars)
    flags = {"overwrite": overwrite, "resume": resume, "restart": restart, "report": report, "quiet": quiet}
    for name, value in flags.items():
        if type(value).__name__ not in {"bool", "bool_"}:  # "false" would be true
            raise UsageError(f"{name} is {value!r}; it must be True or False.")
    if isinstance(settings.get("base"), os.PathLike):
        settings["base"] = os.fspath(settings["base"])
    try:
        chosen = TrainSettings(**settings)
    except TypeError as error:
        known = ", ".join(TrainSettings.__dataclass_fields__)
        raise UsageError(f"{error}. The settings of training are {known}.") from error

    def read(source: Any, *, split: bool = False) -> LabelledRows:
        columns = {"label_column": label_column, "group_column": group_column}
        return labelled(source, text_column, **columns, group_optional=not split, others=True)

    Checkpoint(output, overwrite=overwrite, resume=resume, restart=restart).close()  # before a long table is read
    sources = list(reviews) if isinstance(reviews, (list, tuple)) else [reviews]
    if not sources:
        raise InputError("there are no reviews to train on. Give a frame, a path, or a list of paths.")
    return train_labelled(
        [read(source, split=True) for source in sources],
        output,
        chosen,
        val=None if val is None else read(val),
        test=None if test is None else read(test),
        stars=stars,
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        report=report,
        quiet=quiet,
    )


def evaluate(
    rows: Any,
    model: str | Path | None = None,
    *,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    stars: str | None = None,
    by: str | None = None,
    errors: int = 20,
    **settings: Any,
) -> Evaluation:
    """Measure a model on labelled reviews.

    Args:
        rows: a frame or a path.
        model: a folder or Hub id; None looks where the command line looks.
        text_column: the column or columns of the text; found by name if None.
        label_column: likewise for the labels.
        stars: where negative ends and positive begins, such as `2,4`.
        by: a column; the rows of each of its values are measured apart, too.
        errors: how many of the errors, and of the labels that are likely wrong, are kept.
        settings: the fields of `ScoreSettings`.

    Returns:
        The figures with their intervals, tables and errors; `print` it, or ask for its `table()` or `to_json()`.

    Raises:
        InputError: the rows cannot be read, or their labels are none of the model's.
        ModelError: the model cannot be used.
        UsageError: `neutral_band` is set, which is no label of the model's.
    """
    label_column, by = _column(label_column, "label_column"), _column(by, "by")
    _check_stars(stars)
    if isinstance(errors, bool) or not isinstance(errors, int) or errors < 0:
        raise UsageError(f"errors is {errors!r}; it must be a whole number, 0 or more.")
    if settings.get("neutral_band") is not None:
        raise UsageError("neutral_band is for scoring; a model is measured on its own labels. Leave it out.")
    from sentiment_batch.evaluation.evaluate_model import evaluate_labelled

    read = labelled(rows, text_column, label_column=label_column, by_column=by)
    return evaluate_labelled(_scorer(model, settings), read, stars=stars, most_errors=errors)


def explain(texts: str | Iterable[str | None], model: str | Path | None = None, **settings: Any) -> list[Explanation]:
    """Tell what a model says of texts, and which words weighed how much in it.

    Each explanation has the label, its probability, and the text in pieces, each with a weight: gradient times input
    for the log-odds of the label, the gradient averaged on the way from the masked text (integrated gradients). The
    largest is 1; above 0 a piece speaks for the label, below 0 against it.

    Args:
        texts: one, or several such as a column of a frame; null or blank ones have no label.
        model: a folder or Hub id; None looks where the command line looks.
        settings: the fields of `ScoreSettings`.

    Returns:
        One for each text, in order.

    Raises:
        ModelError: the model cannot be used, or no gradient can be had of it.
        UsageError: something among the texts is none; or `neutral_band` is set, which is no label of the model's.
    """
    if settings.get("neutral_band") is not None:
        raise UsageError("neutral_band is for scoring; a model explains its own labels. Leave it out.")
    from sentiment_batch.explanation.attribution import check_texts, explain_texts

    given = check_texts(texts)
    return explain_texts(_scorer(model, settings), given)


def _column(name: object, argument: str) -> str | None:
    """The name of a column; those of pandas may be numbers."""
    if name is None or isinstance(name, str):
        return name
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise UsageError(f"{argument} is {name!r}; it must be the name of one column.")


def _check_stars(stars: object) -> None:
    if stars is not None and not isinstance(stars, str):
        raise UsageError(f"stars is {stars!r}; it must be text, such as '2,4'.")


def clear_cache() -> None:
    """Drop the cached model of `score`, `evaluate` and `explain`, and free its memory."""
    from sentiment_batch.scoring.scorer_cache import clear_cached_scorer

    clear_cached_scorer()


def labelled(source: Any, text_column: str | Sequence[str] | None = None, **options: Any) -> LabelledRows:
    """Labelled rows from a path or a frame; further `options` as `inputs.read` takes them."""
    from sentiment_batch import frames
    from sentiment_batch.data import formats, labelled_rows
    from sentiment_batch.data.columns import to_column_names
    from sentiment_batch.data.readers.table import TableReader

    reader: Reader
    if isinstance(source, (str, Path)):
        reader, name = formats.open_reader(str(source)), str(source)
    else:
        reader, name = TableReader(frames.wrap_frame(source).table()), f"the {type(source).__name__}"
    try:
        return labelled_rows.read_labelled_rows(reader, name, text_columns=to_column_names(text_column), **options)
    finally:
        reader.close()


def _scorer(chosen: str | Path | None, settings: dict[str, Any]) -> Scorer:
    """The cached scorer if its files and the settings are those of the last call, else a new one; it is loaded."""
    from sentiment_batch.scoring.default_model import choose_model
    from sentiment_batch.scoring.scorer import build_settings
    from sentiment_batch.scoring.scorer_cache import get_cached_scorer

    choice = choose_model(None if chosen is None else str(chosen))
    return get_cached_scorer(choice.value, build_settings(settings)).open()
