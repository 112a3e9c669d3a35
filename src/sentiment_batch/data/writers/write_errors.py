"""What the operating system and pyarrow say when a write fails, turned into one line with a cure."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.errors import OutputError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = "or name another destination"
_REASONS = {
    errno.ENOSPC: f"the disk is full. Free some space there, {_ELSEWHERE}.",
    errno.EDQUOT: f"your disk quota is used up. Free some space there, {_ELSEWHERE}.",
    errno.EFBIG: f"it would be larger than a file may be here. Raise the limit (ulimit -f), {_ELSEWHERE}.",
    errno.EACCES: f"permission denied. Change the permissions of its folder, {_ELSEWHERE}.",
    errno.EPERM: f"it is not permitted. Change the permissions of its folder, {_ELSEWHERE}.",
    errno.EROFS: "the file system is read-only. Name another destination.",
    errno.EIO: f"the disk reports an input/output error. Check the disk, {_ELSEWHERE}.",
    errno.EPIPE: "the program that reads it has ended. Start it again.",
    errno.ENAMETOOLONG: "the name is too long. Name a shorter one.",
    errno.ENOENT: f"its folder has gone. Create the folder again, {_ELSEWHERE}.",
}


def cannot_write(place: str, error: OSError) -> OutputError:
    """The error that names `place`, the reason and the cure."""
    # pyarrow's own errors carry no number where they were not raised by Python code.
    fallback = f"{error.strerror or first_line(error)}. Check the destination, {_ELSEWHERE}."
    return OutputError(f"{place} cannot be written: {_REASONS.get(error.errno or 0, fallback)}")


@contextlib.contextmanager
def failures_named(place: str, *, keep_broken_pipe: bool = False) -> Iterator[None]:
    """Turn failures of the system and of pyarrow into `OutputError`; interrupts and bugs pass.

    Args:
        place: the destination as a person knows it.
        keep_broken_pipe: let `BrokenPipeError` pass: on standard output it means that the reader has seen enough.

    Raises:
        OutputError: the destination cannot be written, or its format cannot hold a value.
    """
    try:
        yield
    except BrokenPipeError as error:
        if keep_broken_pipe:
            raise
        raise cannot_write(place, error) from error
    except OSError as error:
        raise cannot_write(place, error) from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise OutputError(
            f"{place} cannot hold a value: {first_line(error)}. Leave the column out with --columns, or write "
            "another format."
        ) from error
