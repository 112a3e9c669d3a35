"""Turns the errors of Python, fsspec and pyarrow while reading into an `InputError` with the place and the cure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from sentiment_batch.errors import InputError, reason
from sentiment_batch.memory import lacks_memory

T = TypeVar("T")


@contextlib.contextmanager
def translate_read_errors(where: str) -> Iterator[None]:
    """Raise an `InputError` for whatever goes wrong inside. Wrap only calls of pyarrow in this.

    Args:
        where: the file and the place in it, for the message.
    """
    try:
        yield
    except InputError:
        raise
    # For damaged files pyarrow is known to raise ArrowInvalid, ArrowNotImplementedError, OSError, UnicodeDecodeError,
    # KeyError, MemoryError and OverflowError.
    except Exception as error:
        raise make_damage_error(where, error) from error


def iterate_translated(items: Iterable[T], where: str) -> Iterator[T]:
    """The `items` in order. An `InputError` is raised for whatever goes wrong while pyarrow makes one of them.

    Args:
        items: an iterable that calls only pyarrow.
        where: the file and the place in it, for the message.
    """
    with translate_read_errors(where):
        yield from items


def make_damage_error(where: str, error: BaseException) -> InputError:
    """The error for a binary file that pyarrow cannot read."""
    if lacks_memory(error):  # a damaged file may announce a size that no memory holds
        return InputError(
            f"{where} cannot be read: {reason(error)}. Give this process more memory (ulimit -v, or the limit of the "
            "container). If it has enough, the file is damaged; get or write it again."
        )
    if "decrypt" in str(error):
        return InputError(f"{where} cannot be read: it is encrypted, and no key can be given. Decrypt it first.")
    return InputError(
        f"{where} cannot be read: {reason(error)}. The file is damaged, incomplete, or of a kind that "
        "pyarrow does not know; get or write it again."
    )
