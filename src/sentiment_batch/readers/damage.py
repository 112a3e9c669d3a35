"""Turns what pyarrow raises on damaged files into errors with the file's name, and checks what it let through."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sentiment_batch.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa


def reason(error: BaseException) -> str:
    """What `error` says, in one line that fits into a sentence."""
    return first_line(error).rstrip(".")


@contextlib.contextmanager
def damage_named(where: str) -> Iterator[None]:
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
        raise InputError(
            f"{where} cannot be read: {reason(error)}. The file is damaged, incomplete, or of a kind that "
            "pyarrow does not know; get or write it again."
        ) from error


def checked(batch: pa.RecordBatch, where: str) -> pa.RecordBatch:
    """`batch` if all its offsets, indices and strings are valid, which nothing has looked at before.

    Raises:
        InputError: they are not; using them would crash, or read past the end of a buffer.
    """
    with damage_named(where):
        batch.validate(full=True)
    return batch
