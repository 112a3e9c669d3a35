"""Where the files of one output lie: the output, its work folder, its manifest, and its list of bad rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from sentiment_batch.data.scored_names import MANIFEST_ENDING, PROBLEMS_ENDING, WORK_ENDING, shorten_name
from sentiment_batch.data.writers.local import is_special
from sentiment_batch.data.writers.remote import list_names
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files.cache import cache_folder
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import COMPRESSIONS, scheme_of, suffix_of, without_query
from sentiment_batch.plugins.registry import BUILT_IN, Format


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputPaths:
    """The paths of one output."""

    destination: str
    """The output as the user named it."""
    path: Path | None
    """The output on this machine's disk, with links resolved; None if it lies elsewhere."""
    is_folder: bool
    """True if the output is a folder with a file for each part."""
    work_folder: Path | None
    """The folder for unfinished work; None if the output cannot be resumed, such as standard output."""
    beside: str | None
    """How the names of the manifest and of the list of bad rows begin; None if they have no place."""
    no_files_of: str | None = None
    """The name of the format if it writes no files, so that the output cannot be a folder of files; else None."""

    @property
    def manifest(self) -> str | None:
        """The place of the manifest."""
        return None if self.beside is None else self.beside + MANIFEST_ENDING

    @property
    def problems(self) -> str | None:
        """The place of the list of bad rows."""
        return None if self.beside is None else self.beside + PROBLEMS_ENDING

    def exists(self) -> bool:
        """True if something is at the destination on this machine's disk; other places are not looked at."""
        if self.path is None:
            return False
        return any(self.path.iterdir()) if self.is_folder and self.path.is_dir() else os.path.lexists(self.path)

    def list_names(self) -> list[str]:
        """The names of what lies in an output folder; none if there is no such folder.

        Raises:
            OutputError: the storage of a URL refuses.
        """
        if self.path is None:
            return list_names(self.destination)
        return [path.name for path in self.path.iterdir()] if self.exists() else []

    def check(self) -> None:
        """Check that the output can be made at its place on this machine's disk.

        Raises:
            OutputError: the folder that is to hold it does not exist, or a folder is where a file is to be, or a file
                where a folder is to be.
            UsageError: it is a folder of files, and its format writes no files.
        """
        if self.is_folder and self.no_files_of is not None:
            raise UsageError(
                f"{self.destination} ends with /, which makes it a folder of files, but the format "
                f"{self.no_files_of!r} writes no files. Name another format with `output_format`, or another output."
            )
        if self.path is None:
            return
        with translate_write_errors(self.destination), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.stat(self.path)  # fails for a name that is too long, and for links in a circle
        if not self.path.parent.is_dir():
            raise OutputError(
                f"there is no folder {self.path.parent} to write {self.destination} into. Create it, or name another "
                "output."
            )
        if self.path.is_dir() and not self.is_folder:
            raise OutputError(
                f"{self.destination} is a folder. Name a file in it, or end the name with / to make it a folder with a "
                "file for each part."
            )
        if self.is_folder and os.path.ismount(self.path):
            raise OutputError(f"{self.destination} is a mount point and cannot be replaced. Name a folder in it.")
        if self.path.exists() and self.is_folder and not self.path.is_dir():
            raise OutputError(f"{self.destination} ends with /, but a file has that name. Name another output.")


def locate_output(destination: str, format: Format) -> OutputPaths:
    """Find the paths of an output.

    Args:
        destination: a path or URL, or `-`; one that ends in `/` is a folder of files.
        format: the format of the output.

    Raises:
        OutputError: the destination is a place without a name, such as `/`, or a name that no file can have.
    """
    if "\0" in destination:
        raise OutputError(
            f"no output can be written to {destination!r}, because it holds a NUL. Name a file or folder."
        )
    # A plugin that serves a scheme, such as sqlite://, decides itself where its output lies
    by_scheme = format.owner != BUILT_IN and scheme_of(destination) in format.schemes
    is_folder = destination.endswith("/") and not by_scheme
    local = None if by_scheme else local_path(destination)
    # A format without suffixes writes no files, such as a table of a database
    no_files_of = None if format.suffixes else format.name
    if destination == "-" or (local is not None and is_special(local)):
        return OutputPaths(destination=destination, path=None, is_folder=False, work_folder=None, beside=None)
    if local is None:
        beside = without_query(destination).rstrip("/")
        if beside.endswith(":"):
            raise OutputError(f"no output can be written to {destination}. Name a file or folder in it.")
        return OutputPaths(
            destination=destination,
            path=None,
            is_folder=is_folder,
            work_folder=_locate_remote_work(destination, may_be_relative=by_scheme),
            beside=None if by_scheme else beside,
            no_files_of=no_files_of,
        )
    # Links are resolved, so that a rename replaces the file itself and not the link that names it
    path = Path(os.path.realpath(os.path.expanduser(local)))
    if not path.name:
        raise OutputError(f"no output can be written to {destination}. Name a file or folder in it.")
    # The work folder, the manifest and the list need longer names than the output, and names have a limit
    short_name = shorten_name(path.name)
    return OutputPaths(
        destination=destination,
        path=path,
        is_folder=is_folder,
        work_folder=path.with_name(f".{short_name}{WORK_ENDING}"),
        beside=str(path.with_name(short_name)),
        no_files_of=no_files_of,
    )


def part_file_suffix(destination: str, format: Format) -> str:
    """The suffix of the files of an output folder: the format's, and the compression's if the folder names one."""
    # A folder out.csv.gz/ holds files part-00000.csv.gz
    compression = os.path.splitext(destination.rstrip("/"))[1].lower()
    own = suffix_of(destination)
    suffix = own if own in format.suffixes else format.suffixes[0]
    return suffix + (compression if compression in COMPRESSIONS else "")


def _locate_remote_work(destination: str, *, may_be_relative: bool) -> Path:
    """The work folder, on this machine, for an output that lies elsewhere.

    Args:
        destination: the output.
        may_be_relative: True if it may name a file relative to the current folder, as `sqlite:///shop.db` and
            `delta://shop` do.
    """
    # The same relative name stands for another output in another folder, so the folder is part of the hash
    if may_be_relative and re.match(r"(?!delta:)\w+:///[^/]|delta://[^/]", destination):
        destination = f"{os.getcwd()}\n{destination}"
    # A storage has no locks and no renames, so the parts are kept on this machine until they are sent
    return cache_folder() / "scoring" / hashlib.sha256(destination.encode("utf-8", "surrogateescape")).hexdigest()[:24]
