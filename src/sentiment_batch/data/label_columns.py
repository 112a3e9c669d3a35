"""Finds the label column of a table: by its name, by its values where several fit, and never among predictions."""

from __future__ import annotations

import ast
import collections
import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.class_names import find_class_names, name_classes
from sentiment_batch.data.columns import extract_values
from sentiment_batch.data.scored_names import MANIFEST_ENDING, find_added_columns, name_score_column
from sentiment_batch.data.text_columns import check_column, read_first_batch
from sentiment_batch.data.usual_names import LABEL_NAMES, is_about_another, list_label_names, simplify_name
from sentiment_batch.data.value_names import CONVERSION_ERRORS, format_values
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.files.checksums import read_checked_json
from sentiment_batch.labels.candidates import LabelChoice, choose_label_column, holds_labels
from sentiment_batch.labels.directions import names_negative
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.labels.stars import format_setting
from sentiment_batch.labels.values import parse_number, to_canonical
from sentiment_batch.labels.words import name_both_sides

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

MAX_LIKELY_VALUES = 12
"""Largest number of different values of a column that is named as a likely label column."""
MAX_CANDIDATES = 8
"""Largest number of columns that are compared."""


class LabelColumns:
    """Collects the columns of a table that may hold the labels while it is read, and chooses one.

    Args:
        schema: the schema of all batches.
        chosen: the column that the user named; None finds one.
        texts: the text columns, which hold no labels.
        sample: gives some rows, to name likely columns if none is found.
        location: where the table stands. The manifest of a scoring beside it names the column of the predictions.
        trained: the label column that a model was trained with. It is taken if the table has it and no column is named.

    Raises:
        InputError: the chosen column is missing, or no column has a usual name.
    """

    def __init__(
        self,
        schema: pa.Schema,
        chosen: str | None = None,
        texts: Sequence[str] = (),
        sample: Callable[[], pa.RecordBatch | None] = lambda: None,
        location: str = "",
        trained: str | None = None,
    ) -> None:
        self._schema = schema
        self._chosen = chosen
        self._trained = trained
        self._scored = _find_scored_column(location)
        counts = collections.Counter(schema.names)
        # A column such as `label_negative` comes after one such as `label_positive`.
        found = sorted((name for name in list_label_names(schema.names) if counts[name] == 1), key=names_negative)
        if chosen is None and counts[trained or ""] == 1:
            found = list(dict.fromkeys([str(trained), *found]))
        elif chosen is not None:
            found = list(dict.fromkeys([check_column(schema, chosen, "label_column"), *found]))
        # A text column of a usual name is a candidate only if nothing else is. So the message can name it.
        usual = [name for name in found if simplify_name(name) in LABEL_NAMES]
        found = [name for name in found if name == chosen or name not in texts] or usual
        # The error is made only if it is needed, because it reads rows of the table
        self._ask: Callable[[], InputError] = lambda: _make_label_error(schema, sample(), texts)
        if not found:
            raise self._ask()
        self.names = found[:MAX_CANDIDATES]
        self._values: dict[str, list[object]] = {name: [] for name in self.names}
        # Scoring writes `sentiment` and `sentiment_score` side by side. The second shows that the first is a
        # prediction.
        scores = [name_score_column(name) for name in self.names if name != chosen]
        self._scores: dict[str, list[object]] = {name: [] for name in scores if counts[name] == 1}

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect the next rows."""
        for values in (self._values, self._scores):
            for name in values:
                values[name] += extract_any_values(batch, name)

    def choose(self, settings: LabelSettings = NO_LABEL_SETTINGS) -> tuple[LabelChoice, Sequence[object]]:
        """The label column, and the label of each row that was collected.

        Raises:
            InputError: the only columns that fit hold predictions of an earlier scoring, or none has a usual name and
                values that are labels.
            UsageError: several columns fit, and they differ; or the only ones hold objects or lists.
        """
        labels = {name: name_labels(values, self._schema, name, settings) for name, values in self._values.items()}
        predicted = list(filter(self._is_predicted, self.names))
        # Columns that the same scoring added hold no labels, either: the score, and a probability for each label
        added = {f"{name}_{what}" for name in predicted for what in ("score", *set(map(str, labels[name])))}
        columns = {name: labels[name] for name in self.names if name not in added.union(predicted)}
        nested = {name: found for name, values in columns.items() if (found := _find_nested(values)) is not None}
        if not columns:
            raise InputError(
                f"{predicted[0]!r} holds predictions of an earlier scoring, and no other column has a usual name of "
                "labels. Name the labels with `label_column`; if they are these, use "
                f"{format_setting(predicted[0], 'label_column')}."
            )
        if next(iter(columns)) != self._chosen:  # nobody named the objects or lists, so a plainer column may be meant
            columns = {name: values for name, values in columns.items() if name not in nested} or columns
        if (first := next(iter(columns))) in nested:
            raise _make_nested_error(first, nested[first])
        # The training has shown that this column holds labels, so its values need no judgement
        if first == self._trained:
            return LabelChoice(column=first), columns[first]
        usual = sum(name == self._chosen or simplify_name(name) in LABEL_NAMES for name in columns)
        choice = choose_label_column(columns, settings, usual=usual, chosen=first == self._chosen)
        if choice is None:
            raise self._ask()
        return choice, columns[choice.column]

    def _is_predicted(self, name: str) -> bool:
        """True if the manifest says so, or the column beside this one holds a probability in each row with a value.

        Both columns are empty if no row had a text.
        """
        if name == self._scored and name != self._chosen:
            return True
        values = self._scores.get(name_score_column(name))
        if values is None:
            return False
        # Every row with a value needs a number between 0 and 1 beside it
        numbers = [parse_number(text) for value in values if (text := to_canonical(value)) is not None]
        if not numbers:
            return all(to_canonical(value) is None for value in self._values[name])
        return all(number is not None and 0 < number <= 1 for number in numbers)


def _find_nested(values: Sequence[object]) -> dict[str, object] | list[object] | None:
    """The first object or list among the values, also if it is written as text; None if there is none."""
    for value in values:
        found = value
        if isinstance(value, str) and value.strip()[:1] in {"{", "["}:
            try:
                found = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError, MemoryError, RecursionError):  # it is JSON, or a word in brackets
                with contextlib.suppress(ValueError, RecursionError):
                    found = json.loads(value)
        if isinstance(found, (dict, list)):
            return found
    return None


def _make_nested_error(column: str, value: dict[str, object] | list[object]) -> UsageError:
    """The error for a column that holds objects or lists, such as `value`."""
    another = "or name another column with `label_column`"
    if isinstance(value, list):
        return UsageError(
            f"column {column!r} holds lists such as {value!r:.60}, which are no labels. Write one label in each row, "
            f"{another}."
        )
    inside = format_setting(f"{column}.{next(iter(value), 'label')}", "label_column")
    return UsageError(
        f"column {column!r} holds objects with the keys {listed(value)}, which are no labels. Write a value of "
        f"theirs into a column of its own. In JSON, Parquet and Arrow, its path works, too, such as {inside}."
    )


def _find_scored_column(location: str) -> str | None:
    """The column of the predictions, if a scoring wrote the table and its manifest stands beside it."""
    manifest = read_checked_json(Path(location.rstrip("/") + MANIFEST_ENDING)) if location else None
    return next(iter(find_added_columns((manifest or {}).get("output_columns"))), None)


def find_label_column(
    reader: Reader, chosen: str | None = None, texts: Sequence[str] = (), settings: LabelSettings = NO_LABEL_SETTINGS
) -> str:
    """The label column of an open table, by its names and its first rows; arguments and errors as `LabelColumns`."""
    sample = read_first_batch(reader)
    columns = LabelColumns(reader.schema, chosen, texts, lambda: sample)
    if sample is not None:
        columns.add(sample)
    return columns.choose(settings)[0].column


def _make_label_error(schema: pa.Schema, sample: pa.RecordBatch | None, texts: Sequence[str]) -> InputError:
    """The error that asks for the label column. It lists columns with few different values first.

    Text columns are not likely. Among the likely columns, those with words such as positive and negative come first,
    then those whose values have another known meaning. Columns in which a low number is good (`is_negative`) and
    columns such as `rating_date` come last.
    """
    few = {name: words for name in schema.names if name not in texts and (words := _list_few(sample, name))}

    def list_doubts(name: str) -> tuple[bool, ...]:
        """The marks that speak against a column. False comes before True, so each moves it back."""
        has_no_words = not name_both_sides(few[name])
        return names_negative(name), is_about_another(name), has_no_words, not holds_labels(name, few[name] * 2)

    likely = sorted(few, key=list_doubts)
    names = [*likely, *(name for name in schema.names if name not in likely)]
    such_as = "".join(f", such as with {format_setting(name, 'label_column')}" for name in likely[:1])
    repeated = [name for name in list_label_names(dict.fromkeys(schema.names)) if schema.names.count(name) > 1]
    why = f": {repeated[0]!r} occurs {schema.names.count(repeated[0])} times, so rename all but one" if repeated else ""
    return InputError(
        f"cannot tell which column holds the labels{why}. Name it with `label_column`{such_as}; the columns are "
        f"{listed(names)}."
    )


def _list_few(sample: pa.RecordBatch | None, name: str) -> list[str]:
    """The different values of a column if they are few and most of them repeat, else none."""
    if sample is None or sample.schema.names.count(name) > 1:
        return []
    try:
        words = pc.drop_null(pc.unique(format_values(sample, name).dictionary_decode())).to_pylist()
    except CONVERSION_ERRORS:
        return []
    return sorted(words) if 1 < len(words) <= min(MAX_LIKELY_VALUES, sample.num_rows // 2) else []


def name_labels(
    values: Sequence[object], schema: pa.Schema, column: str, settings: LabelSettings = NO_LABEL_SETTINGS
) -> Sequence[object]:
    """The names of the classes if `values` are their numbers in a file of the library `datasets`, which holds both.

    The numbers stay if the user says what they mean.
    """
    names = find_class_names(schema, column)
    if names is None or settings.ranges or any(parse_number(value) is not None for value in settings.labels_map):
        return values
    return name_classes(values, names)


def extract_any_values(batch: pa.RecordBatch, column: str) -> list[object]:
    """The values of a column, or their names if Python cannot hold the values.

    A list of one value is that value, and an empty list is none, because annotation tools such as doccano write the
    labels of each text as a list.
    """
    try:
        values = extract_values(batch, column)
        return [next(iter(one), None) if isinstance(one, list) and len(one) < 2 else one for one in values]
    except CONVERSION_ERRORS:
        return list(format_values(batch, column).to_pylist())
