"""Describes how the table that a plugin returned differs from the one that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import first_line, listed

if TYPE_CHECKING:
    import pyarrow as pa


def describe_difference(given: pa.Table, found: pa.Table, *, same_types: bool, null_is_empty: bool) -> str | None:
    """The first difference between two tables in their column names, number and order of rows, and values.

    Args:
        given: the table that was stored or written.
        found: the table that came back.
        same_types: the types must be equal, too. If False, a value may have another type, such as text, if it can be
            cast back to the same value.
        null_is_empty: an empty text and a null count as equal.

    Returns:
        One sentence, or None if the tables are equal.
    """
    if found.schema.names != given.schema.names:
        return f"The columns are {listed(found.schema.names)}, but should be {listed(given.schema.names)}."
    if found.num_rows != given.num_rows:
        return f"There are {found.num_rows:,} rows, but should be {given.num_rows:,}."
    for field, before, after in zip(given.schema, given.columns, found.columns, strict=True):
        if same_types and after.type != before.type:
            return f"The column {field.name!r} has the type {after.type}, but should have {before.type}."
        change = _describe_change(_join_chunks(before), _join_chunks(after), null_is_empty)
        if change is not None:
            return f"In the column {field.name!r} ({before.type}), {change}."
    return None


def _join_chunks(column: pa.ChunkedArray) -> pa.Array:
    """The values as one array, without dictionary or run-ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _describe_change(before: pa.Array, after: pa.Array, null_is_empty: bool) -> str | None:
    """The first value of a column that differs, in words; None if none does."""
    import pyarrow as pa

    # Both sides are made equal in what the format cannot tell apart. Then the values are compared in the type given.
    if null_is_empty:
        before, after = _without_empty(before), _without_empty(after)
    if pa.types.is_null(before.type):
        return None if after.null_count == len(after) else "a null became a value"
    try:
        back = after if after.type == before.type else _cast(after, before.type)
    except pa.ArrowNotImplementedError:  # such as text into a list; different values must at least stay different
        return _describe_mixed_up_values(before, after)
    except pa.ArrowInvalid as error:
        if pa.types.is_nested(before.type):  # pyarrow also casts the hidden values below a null
            return _describe_mixed_up_values(before, after)
        return f"the values came back as {after.type} and cannot be cast back: {first_line(error)}"
    if back.equals(before):
        return None
    row = next(row for row in range(len(before)) if not back[row].equals(before[row]))
    return f"row {row:,} is {_show(after[row])}, but should be {_show(before[row])}"


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column cast to its former type. The text of a date or time may have further digits that are zero."""
    import pyarrow as pa

    from sentiment_batch.data.writers.value_text import is_text

    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        if not is_text(column.type) or not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise
        return column.cast(pa.timestamp("us", getattr(kind, "tz", None))).cast(kind)


def _without_empty(column: pa.Array) -> pa.Array:
    """The column with a null in place of each empty text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from sentiment_batch.data.writers.value_text import is_text

    if not is_text(column.type):
        return column
    texts = column.cast(pa.large_string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)


def _describe_mixed_up_values(before: pa.Array, after: pa.Array) -> str | None:
    """A pair of values that became equal, equal values that became different, or a null that became a value."""
    # The values cannot be cast back. But equal values must stay equal, and different ones different: a one-to-one map.
    became: dict[str, str] = {}
    was: dict[str, str] = {}
    for old, new in zip(before, after, strict=True):
        if old.is_valid != new.is_valid:
            return f"{_show(old)} became {_show(new)}"
        one, other = str(old), str(new)
        if became.setdefault(one, other) != other or was.setdefault(other, one) != one:
            return (
                f"{one[:80]} became {other[:80]}, but another value became the same, or it became another value before"
            )
    return None


def _show(value: Any) -> str:
    """A scalar as messages show it. Python cannot represent some times."""
    try:
        plain = value.as_py()
    except (ValueError, OverflowError):
        plain = str(value)
    if isinstance(plain, str) and len(plain) > 80:
        return f"{plain[:60]!r}... ({len(plain):,} characters)"
    return repr(plain)
