"""Reads labelled reviews into memory for training and evaluation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.column_paths import find_field
from sentiment_batch.data.columns import describe_null_words, extract_texts, is_blank
from sentiment_batch.data.input_description import InputDescription, describe_reading
from sentiment_batch.data.label_columns import LabelColumns, extract_any_values
from sentiment_batch.data.other_columns import OtherColumns, find_id_column
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.text_columns import TextColumns, check_column, choose_text_columns, read_first_batch
from sentiment_batch.data.value_names import concatenate_dictionaries, format_values
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.labels.settings import NO_LABEL_SETTINGS, LabelSettings
from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledRows:
    """Reviews with their labels as they stand in the table. All sequences have the same length, n."""

    name: str
    """The table's location, for messages."""
    texts: list[str]
    """(n,) the text of each row."""
    labels: list[object]
    """(n,) the label of each row, of any type; `labels.inference` finds out what they mean."""
    groups: list[object] | None
    """(n,) rows of equal values stay together when the rows are split, such as reviews of one film.

    None if no column was named.
    """
    text_columns: tuple[str, ...]
    """The columns of the text."""
    label_column: str
    """The column of the labels."""
    num_blank: int
    """Number of rows that were left out because they hold no text."""
    group_column: str | None = None
    """The column of `groups`."""
    numbers: list[int] | None = None
    """(n,) the number of each row in the table as read, counted from 0; None if unknown."""
    by_column: str | None = None
    """The column whose values are measured separately."""
    by: pa.DictionaryArray | None = None
    """(n,) the names of the values of `by_column`, see `value_names.format_values`."""
    others: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    """Other columns of short values by name, each (n,). Empty unless requested. Some may turn out to be groups."""
    id_column: str | None = None
    """The column that holds another value in each row, such as `review_id`; None if there is none."""
    ids: pa.StringArray | None = None
    """(n,) the values of `id_column`."""
    input: InputDescription | None = None
    """How the table was read; None if it was not read here."""

    def locate_row(self, index: int) -> dict[str, Any]:
        """The file, the number and the id of a row, for people who look for it there."""
        return {
            "file": self.name,
            "row": index if self.numbers is None else self.numbers[index],
            "id_column": self.id_column,
            "id": None if self.ids is None else self.ids[index].as_py(),
        }


def read_labelled_rows(
    reader: Reader,
    name: str,
    *,
    text_columns: Sequence[str] = (),
    label_column: str | None = None,
    label_settings: LabelSettings | None = None,
    group_column: str | None = None,
    group_optional: bool = False,
    by_column: str | None = None,
    others: bool = False,
    trained: Callable[[], Sequence[str]] = tuple,
    trained_label: Callable[[], str | None] = lambda: None,
) -> LabelledRows:
    """Read all labelled rows of `reader`. Rows without text are left out and counted.

    Args:
        reader: an open table.
        name: the table's location, for messages.
        text_columns: the columns that the user named. If there are none, the text column is found by names and values.
        label_column: the column that the user named. None: it is found by its name.
        label_settings: what the user says about the values of the label column; None says nothing.
        group_column: a column whose equal values stay together.
        group_optional: accept a table without the group column.
        by_column: a column of any type whose values are measured separately.
        others: also collect the other columns of short values.
        trained: gives the text columns that a model was trained with, see `choose_text_columns`.
        trained_label: gives the label column that it was trained with. It is taken if the table has it.

    Raises:
        InputError: a column is missing or cannot be found, or the rows cannot be read.
    """
    # A group column that may be missing counts as none from here on
    if group_optional and (group_column is None or find_field(reader.schema, group_column) is None):
        group_column = None
    # Choose the columns by names and first rows, before the whole table is read
    known_label = trained_label() if label_column is None else None
    text_found, label_columns = _find_columns(
        reader,
        name,
        text_columns,
        trained,
        (label_column, known_label),
        {"group_column": group_column, "by": by_column},
    )
    found = text_found.names
    other_columns = OtherColumns(reader.schema, {*found, group_column or ""}, ids_only=not others)
    # Read all rows once. Whatever needs values looks at each batch as it passes.
    texts, groups, by = _read_columns(reader, name, found, group_column, by_column, (label_columns, other_columns))
    # Rows without a text teach nothing. `full` holds the numbers of the others, by which all columns are filtered.
    full = [row for row, text in enumerate(texts) if text is not None and not is_blank(text)]
    label, values = _choose_label(label_columns, name, label_settings)
    # The label was unknown while the columns were collected, so it is taken out now
    other_values = other_columns.select_rows(full)
    other_values.pop(label, None)
    # A column of ids keeps no rows together, so it is no candidate for the groups either
    id_column = find_id_column(other_values)
    ids = other_values.pop(id_column) if id_column is not None else None
    return LabelledRows(
        name=without_password(name),
        texts=[text for row in full if (text := texts[row]) is not None],
        labels=[values[row] for row in full],
        groups=[groups[row] for row in full] if group_column is not None else None,
        text_columns=found,
        label_column=label,
        num_blank=len(texts) - len(full),
        group_column=group_column,
        numbers=full,
        by_column=by_column,
        by=concatenate_dictionaries(by).take(pa.array(full, pa.int64())) if by_column is not None else None,
        others=other_values if others else {},
        id_column=id_column,
        ids=None if ids is None else ids.dictionary_decode(),
        input=describe_reading(
            reader,
            text=text_found,
            label_column=label,
            label_assumed=label not in {label_column, known_label},
            group_column=group_column,
        ),
    )


def _find_columns(
    reader: Reader,
    name: str,
    text_columns: Sequence[str],
    trained: Callable[[], Sequence[str]],
    label_columns: tuple[str | None, str | None],
    further: Mapping[str, str | None],
) -> tuple[TextColumns, LabelColumns]:
    """The text columns, and those that may hold the labels; checks that the `further` ones exist, given by setting."""
    try:
        found = choose_text_columns(reader, text_columns, trained)
        chosen, known = label_columns
        labels = LabelColumns(reader.schema, chosen, found.names, lambda: read_first_batch(reader), name, known)
        for setting, column in further.items():
            if column is not None:
                check_column(reader.schema, column, setting)
    except InputError as error:  # there may be several tables, so the message names this one
        raise InputError(f"{name}: {error}") from error
    check_two_columns(found.names, labels.names[0])
    return found, labels


def check_two_columns(text_columns: Sequence[str], label_column: str) -> None:
    """Refuse a column that would be read as the text and as the label.

    Raises:
        InputError: the label column is one of the text columns.
    """
    if label_column in text_columns:
        raise InputError(
            f"column {label_column!r} would be both the text and the label. Name both with `text_column` and "
            "`label_column`."
        )


def check_any_text(names: Iterable[str], num_texts: int, num_rows: int) -> None:
    """Refuse tables from which nothing can be learned.

    Args:
        names: the locations of the tables, for messages.
        num_texts: the number of rows with a text.
        num_rows: the number of all rows.

    Raises:
        InputError: no row holds a text.
    """
    if not num_rows:
        raise InputError(f"{', '.join(names)}: there are no rows to learn from. Give rows with a text and a label.")
    if not num_texts:
        raise InputError(f"{', '.join(names)}: no row holds a text. Check `text_column`.")


def _read_columns(
    reader: Reader,
    name: str,
    text_columns: Sequence[str],
    group_column: str | None,
    by_column: str | None,
    collectors: Sequence[LabelColumns | OtherColumns],
) -> tuple[list[str | None], list[object], list[pa.DictionaryArray]]:
    """The text and the group of each row, and the names of the values of `by_column`, batch by batch.

    Args:
        reader: an open table, which is read once.
        name: the table's location, for messages.
        text_columns: the columns of the text.
        group_column: the column of the groups; None gives none.
        by_column: the column whose values are named; None gives none.
        collectors: what else looks at each batch.
    """
    texts: list[str | None] = []
    null_words: Counter[str] = Counter()
    groups: list[object] = []
    by: list[pa.DictionaryArray] = []
    for batch in stream_batches(reader):
        texts += extract_texts(batch, text_columns, start=len(texts), null_words=null_words).to_pylist()
        if group_column is not None:
            groups += extract_any_values(batch, group_column)
        if by_column is not None:
            by.append(format_values(batch, by_column))
        for collector in collectors:
            collector.add(batch)
    if null_words:
        logger.warning("%s: %s", without_password(name), describe_null_words(null_words))
    return texts, groups, by


def _choose_label(columns: LabelColumns, name: str, settings: LabelSettings | None) -> tuple[str, Sequence[object]]:
    """The label column and its values; logs which other columns could be it."""
    try:
        choice, values = columns.choose(settings or NO_LABEL_SETTINGS)
    except (InputError, UsageError) as error:
        # There may be several tables, so the message names this one. The kind of the error decides the exit code.
        raise type(error)(f"{without_password(name)}: {error}") from error
    if choice.agreeing:
        logger.info("%s: %s could be the label, too, and fits it row by row", choice.column, listed(choice.agreeing))
    return choice.column, values
