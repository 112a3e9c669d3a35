"""Finds the files of a data set: one file, a folder with hive partitions or a glob, local or behind a URL."""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from sentiment_batch.data.readers.file_names import (
    GLOB_CHARACTERS,
    OWN_ENDINGS,
    find_own_files,
    is_hidden,
    is_work_folder,
    matches_pattern,
)
from sentiment_batch.data.readers.file_trees import LocalTree, RemoteTree, Tree, join, list_parents
from sentiment_batch.errors import InputError
from sentiment_batch.files import filesystems
from sentiment_batch.locations import suffix_of, without_password

logger = logging.getLogger("sentiment_batch")

_DELTA_LOG = "_delta_log"
"""The folder in a Delta Lake table with the log that lists the files of the table."""
_MODEL_FILES = ("config.json", "model.safetensors")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """One file of a data set."""

    location: str
    """A path or URL that a `Source` opens."""
    partitions: dict[str, str | None] = field(default_factory=dict)
    """The values in the names of its folders, such as `year=2024`, by name; None for hive's null."""
    size: int | None = None
    """Its size in bytes as it is stored; None if that is unknown."""


def find_files(location: str, endings: tuple[str, ...]) -> list[DataFile]:
    """The files of a data set in natural order: `part-2` before `part-10`.

    Args:
        location: a file, a folder, a glob, their URL, or `-`. A file whose name looks like a glob is taken as a file.
        endings: the file endings that are looked for in folders. If no file has one, all files are taken.

    Raises:
        InputError: nothing is there, the folder holds no files, or files lie in a Delta Lake table, whose folder also
            holds the files of older versions.
    """
    if location == filesystems.STDIN:
        return [DataFile(location=location)]
    is_local = filesystems.local_path(location) is not None
    tree: Tree = LocalTree(location) if is_local else RemoteTree(location)
    try:
        root, found = _find_root_and_paths(tree, endings)
        files = [
            DataFile(
                location=tree.to_location(path),
                partitions=_parse_partitions(path.removeprefix(root)),
                size=tree.size(path),
            )
            for path in found
        ]
    except InputError:
        raise
    except Exception as error:  # each file system has its own errors
        raise filesystems.make_unreachable_error(location, error) from error
    if not found:
        what = "is a folder that holds" if tree.is_folder(tree.path) else "holds"
        raise InputError(f"{location} {what} no {endings[0]} files. Check the path.")
    return files


def list_endings(folder: str) -> Iterator[set[str]]:
    """The endings of the files in a local folder that `find_files` may take: a set for each folder below it.

    There are none for other locations, such as a pattern or the URL of a folder.

    Raises:
        InputError: a folder cannot be listed.
    """
    tree = LocalTree(folder)
    try:
        for found in tree.walk(tree.path) if tree.is_folder(tree.path) else ():
            if not is_hidden(found.path.removeprefix(tree.path)):
                own = find_own_files(found.files, found)
                yield {suffix_of(name) for name in found.files if name not in own and not is_hidden(name)}
    except OSError as error:
        raise filesystems.make_unreachable_error(folder, error) from error


def natural_sort_key(path: str) -> tuple[list[str | int], str]:
    """A sort key that compares the numbers in paths by their value."""
    return [int(part) if part.isascii() and part.isdecimal() else part for part in re.split(r"([0-9]+)", path)], path


def _find_root_and_paths(tree: Tree, endings: tuple[str, ...]) -> tuple[str, list[str]]:
    """The folder below which folder names may be partitions, and the paths of all files in natural order."""
    if tree.is_folder(tree.path):
        _refuse_delta_table(tree, tree.path)
        _refuse_model(tree)
        root, found = tree.path, _list_data_files(tree, tree.path, endings)
    # A file whose name looks like a pattern is a file
    elif tree.is_file(tree.path) or not GLOB_CHARACTERS.search(tree.path):
        return tree.path, [tree.path]  # opening a missing file reports it
    else:
        root, found = _find_matches(tree, endings)
    # A file that is reached through several links must not give its rows several times.
    chosen, repeated = tree.drop_repeated(sorted(found, key=natural_sort_key))
    if repeated:
        shown, example = without_password(tree.path), min(repeated, key=natural_sort_key)
        logger.warning("%s: links to files that are read anyway are left out, such as %r", shown, example)
    return root, chosen


def _find_matches(tree: Tree, endings: tuple[str, ...]) -> tuple[str, list[str]]:
    """The folder below which a pattern has wildcards, and the files that match it or lie in folders that match it."""
    pattern = tree.path.split("/")
    start = next(index for index, part in enumerate(pattern) if GLOB_CHARACTERS.search(part))
    root = "/".join(pattern[:start])
    matched = tree.glob(tree.path)

    def is_visible(path: str) -> bool:
        """True if no wildcard of the pattern matches a hidden name."""
        names = path.split("/")[start:]
        return not is_hidden("/".join(names)) or matches_pattern(names, pattern[start:], hidden=False)

    visible = list(filter(is_visible, matched))
    folders = {path for path in visible if tree.is_folder(path)}
    files = {path for path in visible if path not in folders}
    # A pattern that ends like our own files asks for them.
    if not tree.path.endswith(OWN_ENDINGS):
        files -= _find_own_paths(tree, files)
    _refuse_files_of_delta_tables(tree, files, root)
    found: set[str] = set()
    for folder in sorted(folders):
        _refuse_delta_table(tree, folder)
        # A folder below another one that matches is walked together with it
        if not any(folder.startswith(join(above, "")) for above in list_parents(folder) & folders):
            found.update(_list_data_files(tree, folder, endings))
    # Files in hidden folders are listed only for the warning
    hidden = set(matched) - {*visible}
    for folder in filter(tree.is_folder, sorted(hidden)):
        hidden.update(join(below.path, name) for below in tree.walk(folder) for name in below.files)
    _report_hidden(tree.path, (path.removeprefix(root).lstrip("/") for path in hidden), endings)
    return root, list(found | files)


def _list_data_files(tree: Tree, folder: str, endings: tuple[str, ...]) -> list[str]:
    """The files in a folder and below it that have one of the endings, or all files if none has."""
    below: list[str] = []
    hidden: list[str] = []
    tables: set[str] = set()
    for one in tree.walk(folder):
        # A manifest or list of bad rows beside its output is no data
        own = find_own_files(one.files, one)
        for name in one.files:
            path = join(one.path, name)
            if is_hidden(path.removeprefix(folder)):
                hidden.append(path.removeprefix(folder).lstrip("/"))
            elif name not in own:
                below.append(path)
        if _DELTA_LOG in one.folders:
            tables.add(one.path)
    matching = [path for path in below if suffix_of(path) in endings]
    # A table in a folder is refused only if a file that would be read lies in it
    if tables and (inside := tables & {parent for path in matching or below for parent in list_parents(path)}):
        raise _make_delta_error(tree, min(inside))
    _report_hidden(folder, hidden, endings)
    left_out = len(below) - len(matching)
    if matching and left_out:
        shown, wanted = without_password(folder), " or ".join(endings)
        logger.warning("%s: files that do not end in %s are left out: %d", shown, wanted, left_out)
    return matching or below


def _find_own_paths(tree: Tree, paths: Iterable[str]) -> set[str]:
    """Those of the paths that scoring gave to files beside its outputs."""
    names: dict[str, list[str]] = {}
    for path in paths:
        if path.endswith(OWN_ENDINGS):
            parent, name = posixpath.split(path)
            names.setdefault(parent, []).append(name)
    return {
        join(parent, name) for parent, found in names.items() for name in find_own_files(found, tree.list_names(parent))
    }


def _refuse_delta_table(tree: Tree, folder: str) -> None:
    """Raise an error for the folder of a Delta Lake table, because only its log shows which files belong to it."""
    if tree.is_folder(join(folder, _DELTA_LOG)):
        raise _make_delta_error(tree, folder)


def _refuse_files_of_delta_tables(tree: Tree, files: set[str], root: str) -> None:
    """Raise an error if a pattern matches a file of a Delta Lake table that the pattern does not name itself."""
    above = {folder for path in files for folder in list_parents(path) if folder.startswith(join(root, ""))}
    for folder in sorted(above):
        if "=" not in posixpath.basename(folder):  # partitions lie in a table
            _refuse_delta_table(tree, folder)


def _make_delta_error(tree: Tree, folder: str) -> InputError:
    shown = without_password(tree.to_location(folder)).rstrip("/")
    place = shown if isinstance(tree, LocalTree) else "PATH on this machine"
    return InputError(
        f"{shown} is a Delta Lake table, so its folder may hold rows that were replaced. Read it as delta://{place}, "
        f"or name its files with a pattern such as {shown}/*.parquet."
    )


def _refuse_model(tree: Tree) -> None:
    """Raise an error for a model folder. It is given as a table if the arguments are mixed up."""
    if isinstance(tree, LocalTree) and all(tree.is_file(f"{tree.path}/{name}") for name in _MODEL_FILES):
        raise InputError(f"{tree.path} is the folder of a model, not a table. Name the file of the table in its place.")


def _report_hidden(place: str, paths: Iterable[str], endings: tuple[str, ...]) -> None:
    """Warn of files that look like data but for their names or those of their folders. Markers have other endings."""
    found = [path for path in paths if suffix_of(path) in endings and not any(map(_is_log, path.split("/")))]
    if found:
        shown = without_password(place)
        logger.warning(
            "%s: files and folders whose names begin with . or _ are left out, such as %r",
            shown,
            min(found, key=natural_sort_key),
        )


def _is_log(name: str) -> bool:
    """True for the log of a Delta Lake table and for a work folder of scoring, which hold no table."""
    return name == _DELTA_LOG or is_work_folder(name)


def _parse_partitions(path: str) -> dict[str, str | None]:
    pairs = [name.partition("=") for name in path.split("/")[:-1] if "=" in name]
    return {unquote(key): None if value == _HIVE_NULL else unquote(value) for key, _, value in pairs if key}
