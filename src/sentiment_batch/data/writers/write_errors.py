"""Turns the errors of a failed write into one line that names the location, the reason and what to do."""

from __future__ import annotations

import contextlib
import errno
import re
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.errors import OutputError, first_line, reason
from sentiment_batch.files import windows

if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = "or name another destination"
_REASONS = {
    errno.ENOSPC: f"the disk is full. Free some space there, {_ELSEWHERE}.",
    errno.EDQUOT: f"your disk quota is used up. Free some space there, {_ELSEWHERE}.",
    errno.EFBIG: f"the file would be larger than the limit. Raise the limit (ulimit -f), {_ELSEWHERE}.",
    errno.EACCES: f"permission denied. Change the permissions of its folder, {_ELSEWHERE}.",
    errno.EPERM: f"the operation is not permitted. Change the permissions of its folder, {_ELSEWHERE}.",
    errno.EROFS: "the file system is read-only. Name another destination.",
    errno.EIO: f"the disk reports an input/output error. Check the disk, {_ELSEWHERE}.",
    errno.EPIPE: "the program that reads it has ended. Start it again.",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one.",
    errno.EBADF: f"it is closed, or open for reading only. Open it, {_ELSEWHERE}.",
    errno.EAGAIN: f"its reader is slower, and the pipe does not wait for it. Read it with cat, {_ELSEWHERE}.",
    errno.ENOENT: f"its folder no longer exists. Create the folder again, {_ELSEWHERE}.",
}
_RUST_CODE = re.compile(r"\(os error (\d+)\)")
"""The end of the system's errors in libraries that are written in Rust, such as tokenizers and safetensors."""


@contextlib.contextmanager
def translate_write_errors(location: str, *, storage: bool = False, keep_broken_pipe: bool = False) -> Iterator[None]:
    """Turn errors of the system, of pyarrow and of safetensors into an `OutputError`. Interrupts and bugs pass.

    Args:
        location: the destination, as a person knows it.
        storage: turn every error into an `OutputError`, because each storage library has errors of its own.
        keep_broken_pipe: let `BrokenPipeError` pass. On standard output it means that the reader has seen enough.

    Raises:
        OutputError: the destination cannot be written, or its format cannot hold a value.
    """
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        if keep_broken_pipe and isinstance(error, BrokenPipeError):
            raise
        found = _make_storage_error(location, error) if storage else _make_local_error(location, error)
        if found is None:
            raise
        raise found from error


def _make_local_error(location: str, error: Exception) -> OutputError | None:
    """The error to raise instead of `error`, or None if `error` is no failure to write."""
    if isinstance(error, OSError):
        return make_write_error(location, error, error.errno)
    if isinstance(error, pa.ArrowInvalid | pa.ArrowNotImplementedError | pa.ArrowTypeError):
        return OutputError(
            f"{location} cannot hold a value: {first_line(error)}. Leave that column out with `columns`, or write "
            "another format."
        )
    # These libraries have one class for all errors, so the number in the message shows an error of the system
    code = _RUST_CODE.search(str(error))
    if code or type(error).__name__ == "SafetensorError":
        return make_write_error(location, error, int(code[1]) if code else None)
    return None


def make_write_error(location: str, error: Exception, code: int | None) -> OutputError:
    """The error to raise if the system refused to write.

    Args:
        location: the destination, as a person knows it.
        error: what was raised.
        code: the number of the system's error, one of `errno`; None if it is not known.
    """
    if code == errno.EACCES and windows.IS_WINDOWS:  # the usual reason there
        return OutputError(
            f"{location} cannot be written: permission denied. Close the program that has it open, {_ELSEWHERE}."
        )
    # pyarrow's own errors have no code if Python code did not raise them.
    unknown = f"{getattr(error, 'strerror', None) or reason(error)}. Check the destination, {_ELSEWHERE}."
    return OutputError(f"{location} cannot be written: {_REASONS.get(code or 0, unknown)}")


def _make_storage_error(location: str, error: Exception) -> OutputError:
    return OutputError(
        f"{location} cannot be written: {type(error).__name__}: {reason(error)}. Check the address and your "
        "credentials for it."
    )
