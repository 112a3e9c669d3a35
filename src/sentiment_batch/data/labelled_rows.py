"""Reads labelled reviews into memory for training and evaluation: readers in, texts and raw labels out."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sentiment_batch.data import columns
from sentiment_batch.data.column_values import CONVERSION_ERRORS, concatenate_names, name_values
from sentiment_batch.data.other_columns import OtherColumns
from sentiment_batch.errors import InputError
from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledRows:
    """Reviews with their labels as written; the four sequences are of one length, n."""

    name: str
    """Where they come from, for messages."""
    texts: list[str]
    labels: list[object]
    """Of any type; see `label_inference.infer`."""
    groups: list[object] | None
    """What keeps rows together when they are split, such as a film; None if no column was named."""
    text_columns: tuple[str, ...]
    label_column: str
    num_blank: int
    """Rows that were left out because they hold no text."""
    group_column: str | None = None
    """Where `groups` come from."""
    numbers: list[int] | None = None
    """The row of each in the table as read, from 0; None where nobody knows."""
    by_column: str | None = None
    """A column to measure the rows by."""
    by: pa.DictionaryArray | None = None
    """(n,) its values as `values.words_of` calls them."""
    others: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    """Further columns of short values, each (n,) words, where they were asked for: some may turn out to be groups."""


def read_labelled_rows(
    reader: Reader,
    name: str,
    *,
    text_columns: Sequence[str] = (),
    label_column: str | None = None,
    group_column: str | None = None,
    group_optional: bool = False,
    by_column: str | None = None,
    others: bool = False,
) -> LabelledRows:
    """All labelled rows of `reader`; those without text are counted and left out.

    Args:
        reader: an open table.
        name: its path, for messages.
        text_columns: what the user named; found by name else.
        label_column: likewise.
        group_column: a column whose equal values stay together.
        group_optional: take a table without that column, too.
        by_column: a column to measure the rows by; it may be any.
        others: keep the other columns of short values as well.

    Raises:
        InputError: a column is missing or cannot be found, or the rows cannot be read.
    """
    if group_optional and group_column not in reader.schema.names:
        group_column = None
    try:
        found = detect_text_columns(reader, text_columns)
        label = columns.find_label_column(reader.schema, label_column)
        for column, setting in ((group_column, "group_column"), (by_column, "by")):
            if column is not None:
                columns.check_column(reader.schema, column, setting)
    except InputError as error:  # of several tables, say which
        raise InputError(f"{name}: {error}") from error
    if label in found:
        raise InputError(f"column {label!r} would be text and label at once. Name both: --text-column, --label-column.")
    kept = [label, *([] if group_column is None else [group_column])]
    texts: list[str | None] = []
    values: dict[str, list[object]] = {column: [] for column in kept}
    by: list[pa.DictionaryArray] = []
    beside = OtherColumns(reader.schema, {*found, *kept}) if others else None
    for split in reader.splits():
        for batch in reader.batches(split):
            texts += columns.extract_texts(batch, found, start=len(texts)).to_pylist()
            for column in values:
                values[column] += _values(batch, column)
            if by_column is not None:
                by.append(name_values(batch, by_column))
            if beside:
                beside.see(batch)
    full = [row for row, text in enumerate(texts) if text is not None and not is_blank(text)]
    return LabelledRows(
        name=without_password(name),
        texts=[text for row in full if (text := texts[row]) is not None],
        labels=[values[label][row] for row in full],
        groups=[values[group_column][row] for row in full] if group_column is not None else None,
        text_columns=tuple(found),
        label_column=label,
        num_blank=len(texts) - len(full),
        group_column=group_column,
        numbers=full,
        by_column=by_column,
        by=concatenate_names(by).take(full) if by_column is not None else None,
        others=beside.of_rows(full) if beside else {},
    )


def _values(batch: pa.RecordBatch, column: str) -> list[object]:
    """The values of a column; the names of those that Python cannot hold."""
    try:
        return columns.extract_values(batch, column)
    except CONVERSION_ERRORS:
        return list(name_values(batch, column).to_pylist())


def is_blank(text: str) -> bool:
    """Whether a text holds nothing but white space."""
    return not text or text.isspace()


def fingerprint_text(text: str, seed: int = 0) -> bytes:
    """16 bytes that stand for a text whatever its case, blanks and Unicode form; another seed gives other bytes."""
    return hash_content(normalize_text(text), seed)


def normalize_text(text: str) -> bytes:
    """A text without case, in one Unicode form, its words a blank apart; UTF-8."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).encode("utf-8", "surrogatepass")


def hash_content(content: bytes, seed: int = 0) -> bytes:
    """16 bytes that stand for `content`; another seed gives other bytes."""
    return hashlib.blake2b(content, digest_size=16, salt=seed.to_bytes(16, "big")).digest()


def detect_text_columns(reader: Reader, chosen: Sequence[str] = ()) -> list[str]:
    """The columns of the text in an open table; looks at its first rows only where no name is known.

    Raises:
        InputError: a chosen column is not there, or none can be found.
    """
    try:
        return columns.find_text_columns(reader.schema, chosen)
    except InputError:
        if chosen:
            raise
        return columns.find_text_columns(reader.schema, chosen, read_first_batch(reader))


def read_first_batch(reader: Reader) -> pa.RecordBatch | None:
    """The first rows of a table, None where it has none; the splits can be read again afterwards."""
    for split in reader.splits():
        for batch in reader.batches(split):
            if batch.num_rows:
                return batch
    return None
