"""Where the things of one output lie: itself, its work folder, its manifest and its list of bad rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from sentiment_batch.data.writers.local import is_special
from sentiment_batch.data.writers.write_errors import failures_named
from sentiment_batch.errors import OutputError
from sentiment_batch.files.cache import cache_folder
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import COMPRESSIONS, scheme_of, suffix_of
from sentiment_batch.plugins.registry import BUILT_IN, Format

MANIFEST_ENDING = ".manifest.json"
PROBLEMS_ENDING = ".problems.jsonl"
LONGEST_NAME = 200
"""Bytes of a file's name that leave room for what is added to it, in the 255 that file systems allow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The places of one output."""

    destination: str
    """As the user named it."""
    path: Path | None
    """On this machine's disk, links followed; None where it lies elsewhere."""
    is_folder: bool
    """Whether the output is a folder of files, a part each."""
    work: Path | None
    """The folder for what is under way; None where nothing can be kept."""
    beside: str | None
    """What the names of the manifest and of the list of bad rows begin with; None where they have no place."""

    @property
    def manifest(self) -> str | None:
        """Where the manifest goes."""
        return None if self.beside is None else self.beside + MANIFEST_ENDING

    @property
    def problems(self) -> str | None:
        """Where the list of bad rows goes."""
        return None if self.beside is None else self.beside + PROBLEMS_ENDING

    def exists(self) -> bool:
        """Whether something is at the destination, as far as a look at this machine's disk tells."""
        if self.path is None:
            return False
        return any(self.path.iterdir()) if self.is_folder and self.path.is_dir() else os.path.lexists(self.path)

    def check_place(self) -> None:
        """See to it that the folder is there that the output is to appear in.

        Raises:
            OutputError: it is not, or a folder is where a file is to be, or the other way round.
        """
        if self.path is None:
            return
        with failures_named(self.destination), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(self.path)  # a name that is too long, or a circle of links
        if not self.path.parent.is_dir():
            raise OutputError(
                f"there is no folder {self.path.parent} to write {self.destination} into. Create it, or name another "
                "OUT."
            )
        if self.path.is_dir() and not self.is_folder:
            raise OutputError(
                f"{self.destination} is a folder. Name a file in it; or end the name with / to make it a data set of "
                "a file for each part."
            )
        if self.is_folder and os.path.ismount(self.path):
            raise OutputError(f"{self.destination} is where a disk is mounted, and stays. Name a folder in it.")
        if self.path.exists() and self.is_folder and not self.path.is_dir():
            raise OutputError(f"{self.destination} ends with /, but a file of that name is there. Name another OUT.")


def layout_of(destination: str, format: Format) -> Layout:
    """Find the places of an output.

    Args:
        destination: a path or URL, or `-`; one that ends in `/` is a folder of files.
        format: what it is written in.
    """
    by_scheme = format.owner != BUILT_IN and scheme_of(destination) in format.schemes
    is_folder = destination.endswith("/") and not by_scheme
    local = None if by_scheme else local_path(destination)
    if destination == "-" or (local is not None and is_special(local)):
        return Layout(destination=destination, path=None, is_folder=False, work=None, beside=None)
    if local is None:
        beside = None if by_scheme else destination.partition("?")[0].rstrip("/")
        return Layout(
            destination=destination,
            path=None,
            is_folder=is_folder,
            work=_elsewhere(destination, relative=by_scheme),
            beside=beside,
        )
    path = Path(os.path.realpath(os.path.expanduser(local)))
    if not path.name:
        raise OutputError(f"{destination} is no place for an output. Name a file or folder in it.")
    work = path.with_name(f".{_short(path.name)}.scoring")
    return Layout(
        destination=destination,
        path=path,
        is_folder=is_folder,
        work=work,
        beside=str(path.with_name(_short(path.name))),
    )


def files_ending(destination: str, format: Format) -> str:
    """The ending of the files of an output that is a folder: the format's, and the compression's if it names one."""
    compression = os.path.splitext(destination.rstrip("/"))[1].lower()
    own = suffix_of(destination)
    ending = own if own in format.suffixes else format.suffixes[0]
    return ending + (compression if compression in COMPRESSIONS else "")


def _elsewhere(destination: str, *, relative: bool) -> Path:
    """A work folder on this machine for an output that lies on none of its disks; `relative`: it may name a file from
    the folder that we are in, as `sqlite:///shop.db` does.
    """
    if relative and re.match(r"\w+:///[^/]", destination):
        destination = f"{os.getcwd()}\n{destination}"
    return cache_folder() / "scoring" / hashlib.sha256(destination.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _short(name: str) -> str:
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
