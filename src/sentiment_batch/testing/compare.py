"""Says in words how the table that came back differs from the one that was laid out; None where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import listed
from sentiment_batch.testing.samples import is_text

if TYPE_CHECKING:
    import pyarrow as pa


def difference(given: pa.Table, found: pa.Table, *, same_types: bool, null_is_empty: bool) -> str | None:
    """How `found` differs from `given`; names, order and number of rows, and every value count.

    Args:
        given: what was laid out, or written.
        found: what came back.
        same_types: whether the types must be the same; else a value may come under another type, and as text, if it can
            be cast back to what it was.
        null_is_empty: whether an empty text and a null are the same.
    """
    if found.schema.names != given.schema.names:
        return f"The columns are {listed(found.schema.names)} where they were {listed(given.schema.names)}."
    if found.num_rows != given.num_rows:
        return f"There are {found.num_rows:,} rows where there were {given.num_rows:,}."
    for field, before, after in zip(given.schema, given.columns, found.columns, strict=True):
        if same_types and after.type != before.type:
            return f"The column {field.name!r} has the type {after.type} where it had {before.type}."
        said = _values_differ(_whole(before), _whole(after), null_is_empty)
        if said is not None:
            return f"In the column {field.name!r} ({before.type}), {said}."
    return None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The values in one piece, without dictionary or run-ends."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_run_end_encoded(column.type):
        column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _values_differ(before: pa.Array, after: pa.Array, null_is_empty: bool) -> str | None:
    import pyarrow as pa

    if null_is_empty:
        before, after = _without_empty(before), _without_empty(after)
    if pa.types.is_null(before.type):
        return None if after.null_count == len(after) else "a null became a value"
    try:
        back = after if after.type == before.type else _cast(after, before.type)
    except pa.ArrowNotImplementedError:  # such as text into a list: what a value became must at least be its own
        return _not_told_apart(before, after)
    except pa.ArrowInvalid as error:
        if pa.types.is_nested(before.type):  # pyarrow casts what lies below a null, too
            return _not_told_apart(before, after)
        return f"the values came back as {after.type}, which does not say them: {' '.join(str(error).split())}"
    if back.equals(before):
        return None
    row = next(row for row in range(len(before)) if not back[row].equals(before[row]))
    return f"row {row:,} is {_shown(after[row])} where it was {_shown(before[row])}"


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as the type that it had; the text of a moment may say more digits, or a time of day, that are zero."""
    import pyarrow as pa

    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        if not is_text(column.type) or not (pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
            raise
        return column.cast(pa.timestamp("us", getattr(kind, "tz", None))).cast(kind)


def _without_empty(column: pa.Array) -> pa.Array:
    """The column with null for each empty text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_text(column.type):
        return column
    texts = column.cast(pa.large_string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)


def _not_told_apart(before: pa.Array, after: pa.Array) -> str | None:
    """Two values that became one, one that became two, or a null that became a value."""
    became: dict[str, str] = {}
    was: dict[str, str] = {}
    for old, new in zip(before, after, strict=True):
        if old.is_valid != new.is_valid:
            return f"{_shown(old)} became {_shown(new)}"
        one, other = str(old), str(new)
        if became.setdefault(one, other) != other or was.setdefault(other, one) != one:
            return f"{one[:80]} became {other[:80]}, and so did another value, or it became another one before"
    return None


def _shown(value: Any) -> str:
    """A scalar for a message; Python has no word for some times."""
    try:
        plain = value.as_py()
    except (ValueError, OverflowError):
        plain = str(value)
    if isinstance(plain, str) and len(plain) > 80:
        return f"{plain[:60]!r}... ({len(plain):,} characters)"
    return repr(plain)
