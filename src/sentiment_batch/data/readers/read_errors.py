"""Turns the errors of Python, fsspec and pyarrow while reading into an `InputError` with the place and the cure."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sentiment_batch.errors import InputError, reason

T = TypeVar("T")

_BUFFER_BYTES = 1 << 20


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
        raise explain_damage(where, error) from error


def iterate_translated(items: Iterable[T], where: str) -> Iterator[T]:
    """The `items` in order. An `InputError` is raised for whatever goes wrong while pyarrow makes one of them.

    Args:
        items: an iterable that calls only pyarrow.
        where: the file and the place in it, for the message.
    """
    with translate_read_errors(where):
        yield from items


def explain_damage(where: str, error: BaseException) -> InputError:
    """The error for a binary file that pyarrow cannot read."""
    if "decrypt" in str(error):
        return InputError(f"{where} cannot be read: it is encrypted, and no key can be given. Decrypt it first.")
    return InputError(
        f"{where} cannot be read: {reason(error)}. The file is damaged, incomplete, or of a kind that "
        "pyarrow does not know; get or write it again."
    )


def buffer_stream(stream: Any, name: str, *, packed: Any = None, closes: bool = True) -> io.BufferedReader:
    """A buffered stream whose errors while reading become an `InputError` that names the file.

    Args:
        stream: any object with `read`.
        name: what messages call the file.
        packed: the compressed stream below `stream`, if there is one.
        closes: close both streams with the result. False for standard input, which belongs to the process.
    """
    return io.BufferedReader(_InputStream(stream, name, packed, closes), _BUFFER_BYTES)


class _InputStream(io.RawIOBase):
    """A stream whose errors name its file."""

    def __init__(self, stream: Any, name: str, packed: Any, closes: bool) -> None:
        self._stream = stream
        self._name = name
        self._packed = packed
        self._closes = closes
        # `read1` returns what a slow pipe has sent so far, and does not wait for a full buffer.
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._read(len(buffer))
        except InputError:
            raise
        except Exception as error:  # each network library and decompressor has its own errors
            trouble = "cannot be read" if self._packed is None else "is damaged or incomplete"
            raise InputError(f"{self._name} {trouble}: {reason(error)}. Get the file again.") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._closes and not self.closed:
            self._stream.close()
            if self._packed is not None:
                self._packed.close()
        super().close()
