"""Finds the files of a data set: one file, a folder with hive partitions or a glob, local or behind a URL."""

from __future__ import annotations

import glob
import logging
import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from sentiment_batch.errors import InputError
from sentiment_batch.files import filesystems
from sentiment_batch.locations import suffix_of, without_password

logger = logging.getLogger("sentiment_batch")

_DELTA_LOG = "_delta_log"
"""The folder in a Delta Lake table with the log that lists the files of the table."""
_MODEL_FILES = ("config.json", "model.safetensors")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
GLOB_CHARACTERS = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One file of a data set."""

    location: str
    """A path or URL that a `Source` opens."""
    partitions: dict[str, str | None] = field(default_factory=dict)
    """The values in the names of its folders, such as `year=2024`, by name; None for hive's null."""


def find_files(location: str, endings: tuple[str, ...]) -> list[DataFile]:
    """The files of a data set in natural order: `part-2` before `part-10`.

    Args:
        location: a file, a folder, a glob, their URL, or `-`. A file whose name looks like a glob is taken as a file.
        endings: the file endings that are looked for in folders. If no file has one, all files are taken.

    Raises:
        InputError: nothing is there, the folder holds no files, or it is a Delta Lake table, in which files of older
            versions lie, too.
    """
    if location == filesystems.STDIN:
        return [DataFile(location=location)]
    is_local = filesystems.local_path(location) is not None
    tree: _LocalTree | _RemoteTree = _LocalTree(location) if is_local else _RemoteTree(location)
    try:
        root, found = _find_root_and_paths(tree, endings)
    except InputError:
        raise
    except Exception as error:  # each file system has its own errors
        raise filesystems.unreachable(location, error) from error
    if not found:
        what = "is a folder that holds" if tree.is_folder(tree.path) else "holds"
        raise InputError(f"{location} {what} no {endings[0]} files. Check the path.")
    return [
        DataFile(location=tree.to_location(path), partitions=_parse_partitions(path.removeprefix(root)))
        for path in sorted(found, key=natural_sort_key)
    ]


def natural_sort_key(path: str) -> tuple[list[str | int], str]:
    """A sort key that compares the numbers in paths by their value."""
    return [int(part) if part.isascii() and part.isdecimal() else part for part in re.split(r"([0-9]+)", path)], path


def _find_root_and_paths(tree: _LocalTree | _RemoteTree, endings: tuple[str, ...]) -> tuple[str, set[str]]:
    """The folder below which folder names may be partitions, and the paths of all files."""
    if tree.is_folder(tree.path):
        _refuse_delta_table(tree)
        _refuse_model(tree)
        return tree.path, set(_list_data_files(tree, tree.path, endings))
    if tree.is_file(tree.path) or not GLOB_CHARACTERS.search(tree.path):
        return tree.path, {tree.path}  # opening a missing file reports it
    found: set[str] = set()
    files: set[str] = set()
    for path in tree.glob(tree.path):
        if tree.is_folder(path):
            found.update(_list_data_files(tree, path, endings))
        else:
            files.add(path)
    hidden = set() if is_hidden(_name(tree.path)) else {path for path in files if is_hidden(_name(path))}
    _report_hidden(tree.path, hidden, endings)
    found |= files - hidden
    return GLOB_CHARACTERS.split(tree.path)[0].rpartition("/")[0], found


def _refuse_delta_table(tree: _LocalTree | _RemoteTree) -> None:
    """Raise an error for the folder of a Delta Lake table, because only its log shows which files belong to it."""
    if tree.is_folder(f"{tree.path}/{_DELTA_LOG}"):
        shown = without_password(tree.path)
        place = shown if isinstance(tree, _LocalTree) else "PATH on this machine"
        raise InputError(
            f"{shown} is a Delta Lake table, so its folder may hold rows that were replaced. Read it as "
            f"delta://{place}, or name its files with a pattern such as *.parquet."
        )


def _refuse_model(tree: _LocalTree | _RemoteTree) -> None:
    """Raise an error for a model folder, which somebody who mixes up the arguments gives as a table."""
    if isinstance(tree, _LocalTree) and all(tree.is_file(f"{tree.path}/{name}") for name in _MODEL_FILES):
        raise InputError(f"{tree.path} is the folder of a model, not a table. Name the file of the table in its place.")


def _list_data_files(tree: _LocalTree | _RemoteTree, folder: str, endings: tuple[str, ...]) -> list[str]:
    every = tree.walk(folder)
    below = [path for path in every if not is_hidden(path.removeprefix(folder))]
    matching = [path for path in below if suffix_of(path) in endings]
    left_out = len(below) - len(matching)
    _report_hidden(
        folder,
        {path for path in every if not is_hidden(path.removeprefix(folder).rpartition("/")[0])} - {*below},
        endings,
    )
    if matching and left_out:
        shown, wanted = without_password(folder), " or ".join(endings)
        logger.warning("%s: files that do not end in %s are left out: %d", shown, wanted, left_out)
    return matching or below


def _report_hidden(place: str, paths: set[str], endings: tuple[str, ...]) -> None:
    """Warn of files that look like data but for the first character of their names. Markers have other endings."""
    names = sorted(_name(path) for path in paths if suffix_of(path) in endings)
    if names:
        shown = without_password(place)
        logger.warning("%s: files whose names begin with . or _ are left out, such as %r", shown, names[0])


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def is_hidden(path: str) -> bool:
    """True if a part of the path begins with a dot or an underscore, as markers such as _SUCCESS do."""
    return any(name.startswith((".", "_")) for name in path.split("/"))


def _parse_partitions(path: str) -> dict[str, str | None]:
    pairs = [name.partition("=") for name in path.split("/")[:-1] if "=" in name]
    return {unquote(key): None if value == _HIVE_NULL else unquote(value) for key, _, value in pairs if key}


class _LocalTree:
    """The folders of the local disk, with `/` between the parts of a path."""

    def __init__(self, location: str) -> None:
        path = filesystems.local_path(location) or ""
        self.path = path.replace(os.sep, "/").rstrip("/") or path
        self.is_folder = os.path.isdir
        self.is_file = os.path.exists

    def to_location(self, path: str) -> str:
        return path

    def glob(self, pattern: str) -> list[str]:
        return [path.replace(os.sep, "/") for path in glob.glob(pattern, recursive=True)]

    def walk(self, folder: str) -> list[str]:
        def refuse(error: OSError) -> None:
            raise error  # os.walk silently leaves out folders that it cannot list

        return [
            f"{parent.replace(os.sep, '/')}/{name}"
            for parent, _, names in os.walk(folder, onerror=refuse, followlinks=True)
            for name in names
        ]


class _RemoteTree:
    """The folders of an fsspec file system."""

    def __init__(self, location: str) -> None:
        self._filesystem, path = filesystems.open_filesystem(location)
        self.path = path.rstrip("/") or path
        self._given = {self.path: location}
        self.is_folder: Any = self._filesystem.isdir
        self.is_file: Any = self._filesystem.isfile

    def to_location(self, path: str) -> str:
        # The user's URL may hold what the path lacks, such as a chain of protocols.
        return self._given.get(path) or str(self._filesystem.unstrip_protocol(path))

    def glob(self, pattern: str) -> list[str]:
        return [str(path) for path in self._filesystem.glob(pattern)]

    def walk(self, folder: str) -> list[str]:
        return [str(path) for path in self._filesystem.find(folder)]
