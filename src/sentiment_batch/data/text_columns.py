"""Finds the text columns of a table: those that the user names, else those of the training, else by names, types and
first values."""

from __future__ import annotations

import collections
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.data.column_paths import (
    describe_type,
    explain_rows_inside,
    find_field,
    infer_json_types,
    list_paths,
)
from sentiment_batch.data.columns import OBJECT_MARK, find_path, find_places, holds_json, holds_text, is_binary
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.text_values import (
    are_equal,
    hardly_repeats,
    holds_long_texts,
    holds_single_words,
    list_long_texts,
    repeats_short_phrases,
)
from sentiment_batch.data.usual_names import LONG_TEXT_NAMES, TEXT_NAMES, find_usual_name, simplify_name
from sentiment_batch.errors import InputError, UsageError, listed

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextColumns:
    """The columns that hold the text of a table."""

    names: tuple[str, ...]
    """Their names or paths. The texts of several columns are joined by a blank line."""
    assumed: bool
    """True if neither the user nor the model named them."""


def choose_text_columns(
    table: Reader | pa.Schema, chosen: Sequence[str] = (), trained: Callable[[], Sequence[str]] = tuple
) -> TextColumns:
    """The text columns of a table. Logs if they are not those that the model was trained with.

    Args:
        table: an open table, whose first rows are read if its names do not tell; or a schema.
        chosen: the columns that the user named.
        trained: gives the columns that the model was trained with, if any. It is called only if `chosen` is empty.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
        UsageError: a column is chosen twice.
    """

    def find(names: Sequence[str]) -> tuple[str, ...]:
        found = find_text_columns(table, names) if isinstance(table, pa.Schema) else detect_text_columns(table, names)
        return tuple(found)

    if chosen:
        if (name := _find_repeated(chosen)) is not None:
            raise UsageError(f"`text_column` names {name!r} more than once. Name each column once.")
        return TextColumns(names=find(chosen), assumed=False)
    wanted = tuple(trained())
    schema = table if isinstance(table, pa.Schema) else table.schema
    # The columns of the training are taken only if all are there. A part of them would be another text.
    missing = [name for name in wanted if find_field(schema, name) is None]
    if wanted and not missing:
        try:
            return TextColumns(names=find(wanted), assumed=False)
        except InputError as error:  # such a column holds numbers here, or there are two of one name
            logger.warning("the model was trained on %s, but %s", _join(wanted), error)
    found = TextColumns(names=find(()), assumed=True)
    if missing:
        # A part of what the model knows gives worse scores; another name for the same text does not.
        level = logging.WARNING if len(missing) < len(wanted) else logging.INFO
        message = "the model was trained on %s. This table has no %s, so its text is %s"
        logger.log(level, message, _join(wanted), _join(missing), _join(found.names))
    return found


def find_text_columns(schema: pa.Schema, chosen: Sequence[str] = (), sample: pa.RecordBatch | None = None) -> list[str]:
    """The names of the columns that hold the text.

    Args:
        schema: the table's columns.
        chosen: the columns or paths that the user named; several are later joined by a blank line.
        sample: some rows. If no column has a usual name, a column of long texts is found by its values.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """
    if not schema.names:
        raise InputError("the table has no columns, so it holds no text.")
    if chosen:
        for name in chosen:
            _check_text(schema, name)
        return list(chosen)
    return [_find_unnamed(schema if sample is None else infer_json_types(schema, sample), sample)]


def _find_unnamed(schema: pa.Schema, sample: pa.RecordBatch | None) -> str:
    """The column that holds the text, if the user named none; arguments and errors as for `find_text_columns`."""
    # Columns of nothing but objects are no texts, and a repeated name cannot be chosen
    counts = collections.Counter(schema.names)
    unique = [field for field in schema if counts[field.name] == 1]
    possible = [field for field in unique if _may_be_text(field) and OBJECT_MARK not in (field.metadata or {})]
    texts = [field.name for field in possible]
    strings = [field for field in possible if not is_binary(field.type)]
    # First a column with a usual name, then the only one with long texts, then the only column
    if usual := [name for name in texts if simplify_name(name) in TEXT_NAMES]:
        return _choose_usual(usual, [field.name for field in strings if not holds_json(field)], sample)
    long = [] if sample is None else list_long_texts(sample, [field.name for field in strings])
    found = long[0] if len(long) == 1 else find_usual_name(long, LONG_TEXT_NAMES)
    if found is None and len(texts) == 1 and len(schema) == 1:
        found = texts[0]
    if found is None:
        raise _make_unknown_error(schema, unique, texts, long)
    return found


def _make_unknown_error(
    schema: pa.Schema, unique: Sequence[pa.Field], texts: Sequence[str], long: Sequence[str]
) -> InputError:
    """The error if no text column was found. It names the likeliest reason."""
    unknown = "cannot tell which column holds the text"
    repeated = _find_repeated([field.name for field in schema if _may_be_text(field)])
    if repeated is not None and not long and (not texts or simplify_name(repeated) in TEXT_NAMES):
        count = schema.names.count(repeated)
        return InputError(
            f"{unknown}: {count} columns are called {repeated!r}. Rename them so that `text_column` can name one."
        )
    if not long and (rows_inside := explain_rows_inside(schema)):
        return InputError(f"no column holds the text: {rows_inside}.")
    if not _list_texts(schema) and not any(map(pa.types.is_null, schema.types)):
        # No column could be named, so the cure cannot be to name one
        held = f"{schema.names[0]!r} holds {describe_type(schema.types[0])}"
        if len(schema) > 1:
            held += f", and the other columns ({listed(schema.names[1:])}) hold no text either"
        return InputError(f"no column holds text: {held}. Write the text into a column of its own.")
    inside = None if long else _find_text_inside(schema)
    setting = "`text_column`" if inside is None else f"`text_column={json.dumps(inside, ensure_ascii=False)}`"
    return InputError(
        f"{unknown}: {_explain_no_text(unique, texts, long)}. Name it with {setting}; the columns are "
        f"{listed(schema.names)}."
    )


def detect_text_columns(reader: Reader, chosen: Sequence[str] = ()) -> list[str]:
    """The text columns of an open table. Its first rows are read only if the names do not show them.

    If the table has no rows, the plainest of several usual names is taken, because there is nothing to mistake.

    Raises:
        InputError: a chosen column is missing or holds no text, or no text column was found.
    """
    # Reading the first rows of a pipe or a database costs time, so the names are tried first.
    sample = None if chosen else _read_sample_if_needed(reader)
    try:
        return find_text_columns(reader.schema, chosen, sample)
    except InputError:
        if chosen:
            raise
        return find_text_columns(reader.schema, chosen, read_first_batch(reader))


def read_first_batch(reader: Reader) -> pa.RecordBatch | None:
    """The first rows of a table, or None if it has no rows. The splits can be read again afterwards.

    Raises:
        InputError: the rows cannot be read.
    """
    return next((batch for batch in stream_batches(reader) if batch.num_rows), None)


def _read_sample_if_needed(reader: Reader) -> pa.RecordBatch | None:
    """The first rows of a table, if its names alone do not show which column holds the text.

    JSON text may hold objects, and a column with a usual name may hold something else, such as categories.
    """
    usual = [name for name in reader.schema.names if simplify_name(name) in TEXT_NAMES]
    if len(usual) > 1 or any(map(holds_json, reader.schema)):
        return _read_sample(reader)
    has_rivals = any(holds_text(field.type) and field.name not in usual for field in reader.schema)
    if not usual or not has_rivals:
        return None
    try:
        return _read_sample(reader)
    except InputError:  # a bad value, perhaps in a column that nobody needs
        return None


def _read_sample(reader: Reader) -> pa.RecordBatch:
    """The first rows of a table; a batch without rows if it has none."""
    nothing = [pa.nulls(0, kind) for kind in reader.schema.types]
    return read_first_batch(reader) or pa.RecordBatch.from_arrays(nothing, schema=reader.schema)


def check_column(schema: pa.Schema, name: str, setting: str, *, whole: bool = False) -> str:
    """`name`, if it is a column or a path inside one.

    Args:
        schema: the table's columns.
        name: the column's name or path.
        setting: the setting that gave the name, such as `group_column`.
        whole: refuse a path.

    Raises:
        InputError: there is no such column, or several columns have the name, or that of a part of the path.
    """
    path = find_path(schema, name)
    if not path or (whole and path[0].name != name):
        if rows_inside := explain_rows_inside(schema, name):
            raise InputError(f"`{setting}` cannot be {name!r}: {rows_inside}.")
        if path:
            raise InputError(
                f"`{setting}` takes whole columns, and {name!r} lies inside of the column {path[0].name!r}. "
                f"Name {path[0].name!r} in its place."
            )
        known = schema.names if whole else [path for path, _ in list_paths(schema)]
        raise InputError.no_column(name, known, setting)
    _refuse_repeated(schema, path, setting)
    return name


def _refuse_repeated(schema: pa.Schema, path: Sequence[pa.Field], setting: str) -> None:
    """Raise an error if a column or field on a path shares its name with another one beside it."""
    fields: pa.Schema | pa.StructType = schema
    for depth, field in enumerate(path, 1):
        count = len(find_places(fields, field.name))
        if count > 1:
            name = ".".join(one.name for one in path[:depth])
            raise InputError(f"{count} columns are called {name!r}. Rename them so that `{setting}` can name one.")
        if not pa.types.is_struct(field.type):  # what is below are keys of JSON text
            return
        fields = field.type


def _choose_usual(names: Sequence[str], strings: Sequence[str], sample: pa.RecordBatch | None) -> str:
    """The one of the columns with usual names that holds the text.

    Args:
        names: the columns with usual names.
        strings: the columns of plain strings.
        sample: some rows; None if nothing is known but the names.

    Raises:
        InputError: another column is as likely by its values.
    """
    first = find_usual_name(names, TEXT_NAMES) or names[0]
    if sample is None:
        if len(names) > 1:
            raise _make_text_error(names, "all have usual names of text columns", names[0])
        return first
    # Several usual names are no question if the values of one column alone are long texts
    rivals = [name for name in names if holds_long_texts(sample, name)]
    if first in rivals and all(are_equal(sample, first, name) for name in rivals):
        return first
    if rivals:
        shown = sorted({first, *rivals}, key=names.index)
        but = "" if first in rivals else f", but the first rows of {first!r} hold no long texts"
        raise _make_text_error(shown, f"all have usual names of text columns{but}", rivals[0])
    # `feedback` over categories beside a column of long texts: the name and the values disagree
    others = list_long_texts(sample, strings)
    held = "single words"
    if not holds_single_words(sample, first):
        held = "short phrases that repeat"
        repeats = repeats_short_phrases(sample, first)
        others = [name for name in others if repeats and hardly_repeats(sample, name)]
    if others:
        what = f"could hold the text: {first!r} has a usual name, but its first rows hold {held}"
        raise _make_text_error([first, *others], what, others[0])
    return first


def _make_text_error(names: Sequence[str], what: str, likely: str) -> InputError:
    """The question which of several columns holds the text."""
    example = json.dumps(likely, ensure_ascii=False)
    return InputError(
        f"{listed(names)} {what}. Name the one to read with `text_column`, such as `text_column={example}`."
    )


def _find_text_inside(schema: pa.Schema) -> str | None:
    """The path of the likeliest text inside the objects of a column, or None."""
    columns = set(schema.names)
    texts = [path for path in _list_texts(schema) if path not in columns]
    last = {path.rpartition(".")[2]: path for path in reversed(texts)}
    usual = find_usual_name(list(last), TEXT_NAMES)
    return last[usual] if usual is not None else next(iter(texts), None)


def _list_texts(schema: pa.Schema) -> list[str]:
    """The names and paths of the columns and values that can hold text."""
    return [path for path, field in list_paths(schema) if holds_text(field.type)]


def _explain_no_text(unique: Sequence[pa.Field], texts: Sequence[str], long: Sequence[str]) -> str:
    """Why no text column was found, as part of a sentence."""
    if long:
        return f"{listed(long)} could all be it"
    for field in unique:
        if simplify_name(field.name) in TEXT_NAMES and field.name not in texts:
            kind = "objects or numbers" if OBJECT_MARK in (field.metadata or {}) else describe_type(field.type)
            return f"{field.name!r} holds {kind}, which is no text"
    return "none has a usual name or holds long texts"


def _check_text(schema: pa.Schema, name: str) -> None:
    check_column(schema, name, "text_column")
    field = find_field(schema, name)
    if field is not None and not holds_text(field.type) and not pa.types.is_null(field.type):
        texts = _list_texts(schema)
        what = f"column {name!r} holds {describe_type(field.type)}, not text"
        if not texts:
            raise InputError(f"{what}, and no other column holds text. Write the text into a column of its own.")
        raise InputError(f"{what}. Name another with `text_column`; the columns of text are {listed(texts)}.")


def _may_be_text(field: pa.Field) -> bool:
    """True if a column can hold texts by its type. A column of nulls has none, so its name must be a usual one."""
    return holds_text(field.type) or (pa.types.is_null(field.type) and simplify_name(field.name) in TEXT_NAMES)


def _find_repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs more than once, or None."""
    return next((name for name, count in collections.Counter(names).items() if count > 1), None)


def _join(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))
