"""The record of one training run, which the command line and `sentiment_batch.train` both build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.formats import shows_format
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.evaluation.reviews import read_reviews
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.settings import DEFAULT_MODEL_FOLDER, TrainSettings, is_truth

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows
    from sentiment_batch.records import ReadOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainJob:
    """The tables and settings of one training run.

    A table is a path, a frame, or rows that were read before (`LabelledRows`).
    """

    reviews: Sequence[Any]
    """The tables to train on; their rows are pooled."""
    output: str | Path = DEFAULT_MODEL_FOLDER
    """The model folder to make."""
    settings: TrainSettings = field(default_factory=TrainSettings)
    val: Any = None
    """The table to validate on; None holds back a share of the reviews."""
    test: Any = None
    """The table to measure the final model on, if any."""
    unlabelled: Sequence[Any] = ()
    """Tables of texts without labels to learn from, too; one may be a list of texts."""
    text_columns: Sequence[str] = ()
    """The columns of the text; they are found by name if there are none."""
    label_column: str | None = None
    """The column of the label; None finds it by name."""
    group_column: str | None = None
    """A column whose equal values stay on one side of the train/validation split."""
    label_settings: LabelSettings = field(default_factory=LabelSettings)
    """What the user says about the values of the label column."""
    input_format: str | None = None
    """The format of the files; None derives it from each name. See `choose_format`."""
    read_options: ReadOptions | None = None
    """How files are read; None takes the defaults."""
    overwrite: bool = False
    """Replace a model at `output`."""
    resume: bool = False
    """Continue the interrupted run of the same `output`. The weights are those of an uninterrupted run."""
    restart: bool = False
    """Delete the interrupted run of the same `output`, and start over."""
    report: bool = True
    """Write a report.html into the model folder."""
    baseline: bool = True
    """Compare the model with a bag of words."""
    quiet: bool = False
    """Show no progress bar."""
    command: str | None = None
    """The command line, for the report; None in Python."""

    def __post_init__(self) -> None:
        for name in ("overwrite", "resume", "restart", "report", "baseline", "quiet"):
            value = getattr(self, name)
            if not is_truth(value):
                raise UsageError(f"`{name}` is {value!r}; it must be True or False.")
        # Settings that would have no effect are refused, because users believe that they have one
        for name in ("folds", "val_size"):
            if self.val is not None and getattr(self.settings, name):
                raise UsageError(f"`{name}` and a validation table exclude each other. Leave one of them out.")
        for name in ("unlabelled_limit", "unlabelled_confidence", "unlabelled_weight"):
            if not self.unlabelled and getattr(self.settings, name) is not None:
                raise UsageError(f"`{name}` is about unlabelled texts. Name their table with `unlabelled`.")

    def read_tables(self) -> tuple[list[LabelledRows], LabelledRows | None, LabelledRows | None]:
        """The labelled rows of the tables to train on, of the validation table and of the test table.

        Raises:
            InputError: there is no table to train on, or a table cannot be read.
        """
        if not self.reviews:
            raise InputError("there are no reviews to train on. Give a frame, a path, or a list of paths.")
        reviews = [self._read(table, group_optional=False) for table in self.reviews]
        val, test = (None if one is None else self._read(one, group_optional=True) for one in (self.val, self.test))
        return reviews, val, test

    def choose_format(self, table: Any) -> str | None:
        """The format of a table: `input_format`, or None for the one that its name shows.

        If some of the names show a format, and others do not, `input_format` is for the others.
        """
        if self.input_format is None:
            return None
        # If the names of all tables show a format, `input_format` contradicts them on purpose, and is for each of them
        tables = (*self.reviews, self.val, self.test, *self.unlabelled)
        is_shown = {str(one): shows_format(str(one)) for one in tables if isinstance(one, str | Path)}
        shows = isinstance(table, str | Path) and is_shown[str(table)]
        return None if shows and not all(is_shown.values()) else self.input_format

    def _read(self, table: Any, *, group_optional: bool) -> LabelledRows:
        """Read one table. A validation or test table needs no group column, because it is not split."""
        return read_reviews(
            table,
            text_columns=self.text_columns,
            label_column=self.label_column,
            label_settings=self.label_settings,
            group_column=self.group_column,
            group_optional=group_optional,
            others=True,
            input_format=self.choose_format(table),
            read_options=self.read_options,
        )


def list_tables(unlabelled: Any) -> Sequence[Any]:
    """The tables of unlabelled texts: a list of texts is one, a list of frames and paths has one in each item.

    Args:
        unlabelled: a frame, a path, or such a list; None for no table.
    """
    if unlabelled is None:
        return ()
    # In a list of texts, an item may be None. So one None or one text makes it a list of texts.
    if isinstance(unlabelled, list | tuple) and not any(item is None or isinstance(item, str) for item in unlabelled):
        return tuple(unlabelled)
    return (unlabelled,)
