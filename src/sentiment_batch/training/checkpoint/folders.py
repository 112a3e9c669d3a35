"""Moves, deletes and locks the folders of a run, so that none is ever seen half; it knows nothing of their content."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from sentiment_batch.errors import OutputError, first_line
from sentiment_batch.files import atomic
from sentiment_batch.files.lock import Lock


def lock(work: Path, output: Path) -> Lock:
    """The right to work in `work`, which is made if it is not there.

    Raises:
        OutputError: another process has it.
        OSError: the folder cannot be made.
    """
    while True:
        work.mkdir(parents=True, exist_ok=True)
        try:
            return Lock(work / "lock", str(output))
        except FileNotFoundError:  # another run ended between the two calls, and removed its folder
            continue


def put(new: Path, place: Path, *, aside: Path) -> None:
    """Rename `new` to `place`; what is there goes to `aside`, and comes back if that fails."""
    replaces = place.exists()
    if replaces:
        atomic.remove(aside)
    try:
        # Two renames: there is a moment without a model, but never a half-written one.
        if replaces:
            place.rename(aside)
        new.rename(place)
    except BaseException:  # the user's wish to end, too
        if replaces and not place.exists():
            aside.rename(place)
        raise


def throw_away(*folders: Path, under: Path) -> None:
    """Delete whole folders, each under the name of `under`, where nobody takes what is left of one for a model."""
    for folder in folders:
        atomic.remove(under)
        if folder.exists():
            folder.rename(under)
    atomic.remove(under)


def sync(folder: Path) -> None:
    """Wait until all files of a folder are on disk."""
    for path in folder.iterdir():
        with path.open("rb+") as file:  # Windows syncs only what is open for writing
            atomic.sync(file.fileno())
    atomic.sync_folder(folder)


_SYSTEM = re.compile(r"\(os error \d+\)")
"""How libraries written in Rust, such as tokenizers and safetensors, end what the operating system said."""


@contextlib.contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turn what a disk says of `path` into an `OutputError`."""
    cause: Exception
    try:
        yield
    except OSError as error:
        why, cause = error.strerror or first_line(error), error
    except Exception as error:
        if not _SYSTEM.search(str(error)) and type(error).__name__ != "SafetensorError":
            raise
        why, cause = first_line(error), error
    else:
        return
    raise OutputError(f"{path} cannot be written: {why}. Make room or choose another --output.") from cause
