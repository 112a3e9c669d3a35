"""Turns what pyarrow raises on damaged files into errors with the file's name, and checks what it let through."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.data.readers.utf8_repair import INVALID_UTF8_MESSAGE, describe_bad_utf8, repair_utf8
from sentiment_batch.errors import InputError, reason
from sentiment_batch.records import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CURE = "Mend that value, or keep such rows with --on-bad-row mark."


@contextlib.contextmanager
def translate_read_errors(where: str) -> Iterator[None]:
    """Make an `InputError` of whatever goes wrong inside; wrap calls of pyarrow alone in this.

    Args:
        where: the file and the place in it, for the message.
    """
    try:
        yield
    except InputError:
        raise
    # On bytes that are no valid file pyarrow raises, so far as seen, ArrowInvalid, ArrowNotImplementedError, OSError,
    # UnicodeDecodeError, KeyError, MemoryError and OverflowError.
    except Exception as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: BaseException) -> InputError:
    if "decrypt" in str(error):
        return InputError(f"{where} cannot be read: it is encrypted, and no key can be given. Decrypt it first.")
    return InputError(
        f"{where} cannot be read: {reason(error)}. The file is damaged, incomplete, or of a kind that "
        "pyarrow does not know; get or write it again."
    )


def strings_are_valid(batch: pa.RecordBatch, where: str) -> bool:
    """Whether everything in `batch` is valid; False where strings are not UTF-8, or hide what else is wrong.

    Raises:
        InputError: something else is not valid.
    """
    try:
        batch.validate(full=True)
    except Exception as error:
        if INVALID_UTF8_MESSAGE not in str(error):
            raise _damaged(where, error) from error
        return False
    return True


def validate_batch(
    batch: pa.RecordBatch, where: str, *, first: int = 0, on_bad_row: Callable[[Problem], None] | None = None
) -> pa.RecordBatch:
    """`batch` if all its offsets, indices and strings are valid, which nothing has looked at before.

    Args:
        batch: rows as pyarrow read them.
        where: the file and the place in it, for messages.
        first: the number of the first row in its split.
        on_bad_row: told of each row with a string that is not UTF-8, which then has U+FFFD in place of the bad bytes.

    Raises:
        InputError: something is not valid; using it would crash, or read past the end of a buffer.
    """
    if strings_are_valid(batch, where):
        return batch
    columns = [
        _kept(column, f"{where}, column {field.name!r}", first, on_bad_row)
        for column, field in zip(batch.columns, batch.schema, strict=True)
    ]
    with translate_read_errors(where):
        batch = pa.RecordBatch.from_arrays(columns, schema=batch.schema)
        batch.validate(full=True)
    return batch


def _kept(column: pa.Array, where: str, first: int, on_bad_row: Callable[[Problem], None] | None) -> pa.Array:
    """`column` with its bad strings replaced, after `on_bad_row` was told of each; without it they are an error."""
    try:
        array, found = repair_utf8(column)
    except pa.ArrowNotImplementedError as error:
        raise InputError(f"{where}: {reason(error)}. Mend them, or leave that column out.") from error
    except Exception as error:
        raise _damaged(where, error) from error
    for row in sorted(found):
        what = describe_bad_utf8(found[row])
        if on_bad_row is None:
            raise InputError(f"{where}, row {first + row:,} (counted from 0): {what}. {_CURE}")
        on_bad_row(Problem(row=first + row, where=where, reason=what, original=found[row]))
    return array
