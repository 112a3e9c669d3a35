"""Validates record batches as pyarrow read them, and repairs or refuses strings that are not UTF-8."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from sentiment_batch.data.readers.read_errors import make_damage_error, translate_read_errors
from sentiment_batch.data.readers.utf8_repair import describe_bad_utf8, is_valid, repair_utf8
from sentiment_batch.errors import InputError, reason
from sentiment_batch.records import Problem


def strings_are_valid(batch: pa.RecordBatch, where: str) -> bool:
    """True if everything in `batch` is valid; False if strings are not UTF-8, which may hide other damage.

    Raises:
        InputError: something else is invalid.
    """
    valid = True
    for column, name in zip(batch.columns, batch.schema.names, strict=True):
        with translate_read_errors(f"{where}, column {name!r},"):
            valid &= is_valid(column)
    return valid


def validate_batch(
    batch: pa.RecordBatch, where: str, *, first: int = 0, on_bad_row: Callable[[Problem], None] | None = None
) -> pa.RecordBatch:
    """`batch` after all its offsets, indices and strings were checked. pyarrow itself does not check them.

    Args:
        batch: rows as pyarrow read them.
        where: the file and the place in it, for messages.
        first: the number of the first row in its split.
        on_bad_row: called for each row with a string that is not UTF-8; U+FFFD then replaces its bad bytes. None makes
            such a row an error.

    Raises:
        InputError: something is invalid. Using it could crash, or read past the end of a buffer.
    """
    if strings_are_valid(batch, where):
        return batch
    # A column is repaired or refused on its own, so that the message can name it
    columns = [
        _repair_column(column, f"{where}, column {field.name!r}", first, on_bad_row)
        for column, field in zip(batch.columns, batch.schema, strict=True)
    ]
    with translate_read_errors(where):
        batch = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
    # pyarrow stops at the first fault of an array, so a bad string may have hidden damage of another kind.
    strings_are_valid(batch, where)
    return batch


def _repair_column(column: pa.Array, where: str, first: int, on_bad_row: Callable[[Problem], None] | None) -> pa.Array:
    """`column` without bad strings, each of which was passed to `on_bad_row` or raised an error."""
    try:
        array, found = repair_utf8(column)
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"{where}: {reason(error)}. Repair them, or leave that column out.") from error
    except Exception as error:
        raise make_damage_error(where, error) from error
    for row in sorted(found):
        what = describe_bad_utf8(found[row])
        if on_bad_row is None:
            raise InputError(
                f"{where}, row {first + row:,} (counted from 0): {what}. "
                'Repair that value, or keep such rows with `on_bad_row="mark"`.'
            )
        on_bad_row(Problem(row=first + row, where=where, reason=what, original=found[row]))
    return array
