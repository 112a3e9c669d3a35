"""Guards standard input, output and error, which may be closed or full, or whose reader may have ended.

Nothing heavy is imported, because this runs before everything else.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from sentiment_batch.errors import OutputError
from sentiment_batch.plugins.prints import is_plugin_running


class OutputStream(io.TextIOWrapper):
    """Standard output. What it cannot take raises an `OutputError`, or a `BrokenPipeError` if its reader has ended.

    What a plugin prints goes to standard error, because a table or JSON may go to standard output.
    """

    def write(self, text: str) -> int:
        """Write `text`."""
        if is_plugin_running():
            return sys.stderr.write(text)
        try:
            return super().write(text)
        except OSError as error:
            raise _make_output_error(error) from error

    def flush(self) -> None:
        """Pass what is written so far to the system."""
        try:
            super().flush()
        except OSError as error:
            raise _make_output_error(error) from error


class MessageStream(io.TextIOWrapper):
    """Standard error. What it cannot take is dropped, because no message is worth the end of a run."""

    def write(self, text: str) -> int:
        """Write `text`, or drop it."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Pass what is written so far to the system, or drop it."""
        try:
            super().flush()
        except OSError:
            return


def open_closed_descriptors() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the next file that is opened would take its number, and messages of libraries would end up in that file.
    What is written to a closed standard output fails, as it would without this. A closed standard input stays None in
    `sys.stdin`.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # it takes the lowest free number, which is this one
    sys.stdout = sys.stdout or io.TextIOWrapper(_writer(1))
    sys.stderr = sys.stderr or io.TextIOWrapper(_writer(2))


def guard_streams() -> None:
    """Make standard output and error report or drop what they cannot take, and write UTF-8 where no terminal reads.

    A code page may lack characters of a review; a sign stands for each of these.
    """
    sys.stdout = _guarded(OutputStream, sys.stdout)
    sys.stderr = _guarded(MessageStream, sys.stderr)


def end_output() -> None:
    """Flush standard output. If that fails, the bytes are dropped, so that the end of Python does not try again."""
    try:
        sys.stdout.flush()
    except (OSError, OutputError):  # the error was reported when it came first
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _guarded(kind: type[io.TextIOWrapper], stream: TextIO) -> TextIO:
    """The same stream, as `kind`. A stream that the user of this package has put in place stays."""
    if type(stream) is not io.TextIOWrapper:  # such as the one of a test, or a notebook
        return stream
    is_terminal, encoding, line_buffering = stream.isatty(), stream.encoding, stream.line_buffering
    return kind(
        stream.detach(),
        encoding=encoding if is_terminal else "utf-8",
        errors="replace",
        line_buffering=line_buffering,
        write_through=stream.write_through,
    )


def _writer(number: int) -> io.BufferedWriter:
    return io.BufferedWriter(_Descriptor(number, "w", closefd=False))


class _Descriptor(io.FileIO):
    """An open file that cannot seek: a text stream would otherwise ask for the position of a closed one."""

    def seekable(self) -> bool:
        return False


def _make_output_error(error: OSError) -> Exception:
    """The error to raise if standard output cannot take `error`'s bytes."""
    if isinstance(error, BrokenPipeError):
        return error
    from sentiment_batch.data.writers.write_errors import make_write_error

    return make_write_error("standard output", error, error.errno)
