"""Finds the files of a data set: one file, a folder with its hive partitions, or a glob, here or behind a URL."""

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
from sentiment_batch.locations import suffix_of

logger = logging.getLogger("sentiment_batch")

_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One file of a data set."""

    location: str
    """A path or URL that a `Source` opens."""
    partitions: dict[str, str | None] = field(default_factory=dict)
    """The values that the names of its folders give, as in `year=2024`; None for hive's null."""


def find_files(location: str, endings: tuple[str, ...]) -> list[DataFile]:
    """The files that `location` names, in natural order: `part-2` before `part-10`.

    Args:
        location: a file, a folder, a glob, their URL, or `-`. What exists under that very name wins over the glob.
        endings: the file endings to look for in folders; where no file has one, all files are taken.

    Raises:
        InputError: nothing is there, or the folder holds no files.
    """
    if location == filesystems.STDIN:
        return [DataFile(location=location)]
    tree: _Local | _Remote = _Local(location) if filesystems.local_path(location) is not None else _Remote(location)
    try:
        root, found = _root_and_paths(tree, endings)
    except InputError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise filesystems.unreachable(location, error) from error
    if not found:
        raise InputError(f"{location} holds no {endings[0]} files. Check the path.")
    return [
        DataFile(location=tree.location(path), partitions=_partitions(path.removeprefix(root)))
        for path in sorted(found, key=natural_sort_key)
    ]


def natural_sort_key(path: str) -> tuple[list[str | int], str]:
    """A key that sorts the numbers in paths by their value."""
    return [int(part) if part.isascii() and part.isdecimal() else part for part in re.split(r"([0-9]+)", path)], path


def _root_and_paths(tree: _Local | _Remote, endings: tuple[str, ...]) -> tuple[str, set[str]]:
    """The folder below which names may give partitions, and the paths of all files."""
    if tree.is_folder(tree.path):
        return tree.path, set(_data_files(tree, tree.path, endings))
    if tree.is_file(tree.path) or not _MAGIC.search(tree.path):
        return tree.path, {tree.path}  # one that is not there is reported when it is opened
    found: set[str] = set()
    markers_too = _hidden(tree.path.rpartition("/")[2])
    for path in tree.glob(tree.path):
        if tree.is_folder(path):
            found.update(_data_files(tree, path, endings))
        elif markers_too or not _hidden(path.rpartition("/")[2]):
            found.add(path)
    return _MAGIC.split(tree.path)[0].rpartition("/")[0], found


def _data_files(tree: _Local | _Remote, folder: str, endings: tuple[str, ...]) -> list[str]:
    below = [path for path in tree.walk(folder) if not _hidden(path.removeprefix(folder))]
    named = [path for path in below if suffix_of(path) in endings]
    left_out = len(below) - len(named)
    if named and left_out:
        logger.warning("%s: %d files do not end in %s and are left out", folder, left_out, " or ".join(endings))
    return named or below


def _hidden(path: str) -> bool:
    """Whether a name on the way begins with a dot or an underscore, as do markers such as _SUCCESS."""
    return any(name.startswith((".", "_")) for name in path.split("/"))


def _partitions(path: str) -> dict[str, str | None]:
    pairs = [name.partition("=") for name in path.split("/")[:-1] if "=" in name]
    return {unquote(key): None if value == _NULL else unquote(value) for key, _, value in pairs if key}


class _Local:
    """This machine's disk."""

    def __init__(self, location: str) -> None:
        path = filesystems.local_path(location) or ""
        self.path = path.replace(os.sep, "/").rstrip("/") or path
        self.is_folder = os.path.isdir
        self.is_file = os.path.exists

    def location(self, path: str) -> str:
        return path

    def glob(self, pattern: str) -> list[str]:
        return [path.replace(os.sep, "/") for path in glob.glob(pattern, recursive=True)]

    def walk(self, folder: str) -> list[str]:
        def refuse(error: OSError) -> None:
            raise error  # os.walk leaves out in silence what it may not list

        return [
            f"{parent.replace(os.sep, '/')}/{name}"
            for parent, _, names in os.walk(folder, onerror=refuse, followlinks=True)
            for name in names
        ]


class _Remote:
    """A file system of fsspec."""

    def __init__(self, location: str) -> None:
        self._filesystem, path = filesystems.remote(location)
        self.path = path.rstrip("/") or path
        self._given = {self.path: location}
        self.is_folder: Any = self._filesystem.isdir
        self.is_file: Any = self._filesystem.isfile

    def location(self, path: str) -> str:
        # The user's own spelling may hold what the path does not, such as a chain of protocols.
        return self._given.get(path) or str(self._filesystem.unstrip_protocol(path))

    def glob(self, pattern: str) -> list[str]:
        return [str(path) for path in self._filesystem.glob(pattern)]

    def walk(self, folder: str) -> list[str]:
        return [str(path) for path in self._filesystem.find(folder)]
