"""The folders of the local disk and of fsspec file systems: lists files, and finds those that match a pattern."""

from __future__ import annotations

import glob
import heapq
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sentiment_batch.data.readers.file_names import ANY_FOLDERS, GLOB_CHARACTERS, is_hidden, matches_pattern
from sentiment_batch.files import filesystems


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """What lies in one folder."""

    path: str
    """Its path, with `/` between the parts."""
    files: list[str]
    """The names of its files."""
    folders: list[str]
    """The names of its folders."""

    def __iter__(self) -> Iterator[str]:
        """The names of all that it holds."""
        yield from self.files
        yield from self.folders


class LocalTree:
    """The folders of the local disk, with `/` between the parts of a path."""

    def __init__(self, location: str) -> None:
        path = filesystems.local_path(location) or ""
        self.path = path.replace(os.sep, "/").rstrip("/") or path
        self.is_folder = os.path.isdir
        self.is_file = os.path.exists
        self._met_again: list[str] = []
        """Folders that were found before, through another path."""

    def to_location(self, path: str) -> str:
        """The location of a path."""
        return path

    def size(self, path: str) -> int | None:
        """The size of a file in bytes; None if it is no plain file."""
        return os.path.getsize(path) if os.path.isfile(path) else None

    def list_names(self, folder: str) -> list[str]:
        """The names of all that lies in a folder."""
        return os.listdir(folder or ".")

    def glob(self, pattern: str) -> list[str]:
        """The files and folders that match a pattern. Those whose names begin with a dot match only if it names one."""
        parts = pattern.split("/")
        if ANY_FOLDERS not in parts:
            return [path.replace(os.sep, "/") for path in glob.glob(pattern)]
        # The glob of Python would follow links that lead in circles.
        first = parts.index(ANY_FOLDERS)
        base, rest = "/".join(parts[:first]), parts[first:]
        tops = self.glob(base) if GLOB_CHARACTERS.search(base) else [base or ("/" if first else "")]
        return [path for top in tops if os.path.isdir(top or ".") for path in self._glob_below(top, rest)]

    def walk(self, folder: str, *, dotted: bool = True) -> Iterator[Folder]:
        """A folder and all folders below it, each once: under a name that is neither hidden nor a link, if it has one.

        Args:
            folder: the path of the folder.
            dotted: also the folders whose names begin with a dot.

        Raises:
            OSError: a folder cannot be listed.
        """
        # Folders are visited by their path without links, so that links in circles end, and each folder counts once.
        # The heap gives visible folders before hidden ones and real ones before links.
        visited: set[str] = set()
        waiting = [(False, False, folder, os.path.realpath(folder or "."))]
        while waiting:
            hidden, linked, path, real = heapq.heappop(waiting)
            if real in visited:
                if not hidden:
                    self._met_again.append(path)
                continue
            visited.add(real)
            found = Folder(path=path, files=[], folders=[])
            with os.scandir(path or ".") as entries:
                for entry in entries:
                    if not _is_folder(entry):
                        found.files.append(entry.name)
                    elif dotted or not entry.name.startswith("."):
                        found.folders.append(entry.name)
                        below, is_link = join(path, entry.name), _is_link(entry)
                        # Resolving links asks the system for each part of a path, so it is done for links only
                        real_below = os.path.realpath(below) if is_link else os.path.join(real, entry.name)
                        state = hidden or is_hidden(entry.name), linked or is_link
                        heapq.heappush(waiting, (*state, below, real_below))
            yield found

    def drop_repeated(self, paths: list[str]) -> tuple[list[str], list[str]]:
        """The paths of different files, and those that lead to one of these files, too, because there are links."""
        folders: dict[str, str] = {}

        def rate(path: str) -> tuple[bool, bool, str]:
            """Whether the file is a link, whether another part of its path is one, and its path without links."""
            parent, name = posixpath.split(path)
            if os.path.islink(path):
                return True, True, os.path.realpath(path)
            if parent not in folders:
                folders[parent] = os.path.realpath(parent or ".")
            real = os.path.join(folders[parent], name)
            return False, real != os.path.abspath(path), real

        rated = {path: rate(path) for path in paths}
        kept: dict[str, str] = {}
        # Of several paths to one file the one with the fewest links wins
        for path in sorted(rated, key=lambda path: rated[path][:2]):
            kept.setdefault(rated[path][2], path)
        chosen = [path for path in paths if kept[rated[path][2]] == path]
        repeated = [path for path in paths if kept[rated[path][2]] != path]
        # A link to a folder outside of what is read hides no file, so it is not reported
        if self._met_again:
            read = {parent for path in kept for parent in list_parents(path.replace(os.sep, "/"))}
            repeated += [path for path in self._met_again if os.path.realpath(path).replace(os.sep, "/") in read]
        return chosen, repeated

    def _glob_below(self, top: str, pattern: list[str]) -> Iterator[str]:
        """What matches the rest of a pattern, which begins with any number of folders."""
        if top and matches_pattern([], pattern, hidden=True):
            yield top
        depth = len(top.rstrip("/")) + 1 if top else 0
        for folder in self.walk(top, dotted=any(part.startswith(".") for part in pattern)):
            above = folder.path[depth:].split("/") if folder.path != top else []
            for name in folder:
                if matches_pattern([*above, name], pattern, hidden=True):
                    yield join(folder.path, name)


class RemoteTree:
    """The folders of an fsspec file system."""

    def __init__(self, location: str) -> None:
        self._filesystem, path = filesystems.open_filesystem(location)
        self.path = path.rstrip("/") or path
        self._given = {self.path: location}
        self._sizes: dict[str, int | None] = {}
        self.is_folder: Any = self._filesystem.isdir
        self.is_file: Any = self._filesystem.isfile

    def to_location(self, path: str) -> str:
        """The URL of a path."""
        # The user's URL may hold what the path lacks, such as a chain of protocols.
        return self._given.get(path) or str(self._filesystem.unstrip_protocol(path))

    def size(self, path: str) -> int | None:
        """The size of a file in bytes, if it was listed with its size; else None."""
        return self._sizes.get(path)

    def list_names(self, folder: str) -> list[str]:
        """The names of all that lies in a folder."""
        return [str(path).rstrip("/").rpartition("/")[2] for path in self._filesystem.ls(folder, detail=False)]

    def glob(self, pattern: str) -> list[str]:
        """The files and folders that match a pattern."""
        return self._list(self._filesystem.glob(pattern, detail=True))

    def walk(self, folder: str) -> Iterator[Folder]:
        """A folder and all folders below it that hold files."""
        found: dict[str, Folder] = {}

        def enter(path: str) -> Folder:
            if path not in found:
                found[path] = Folder(path=path, files=[], folders=[])
                parent, name = posixpath.split(path)
                if path != folder and parent.startswith(folder):
                    enter(parent).folders.append(name)
            return found[path]

        # An object store has no folders. They are made up from the paths of the objects.
        for path in self._list(self._filesystem.find(folder, detail=True)):
            parent, name = posixpath.split(path)
            enter(parent).files.append(name)
        yield from found.values()

    def drop_repeated(self, paths: list[str]) -> tuple[list[str], list[str]]:
        """The paths as they are. File systems behind URLs are not asked for links."""
        return paths, []

    def _list(self, found: dict[str, dict[str, Any]]) -> list[str]:
        """The paths of a listing, whose sizes are remembered."""
        self._sizes.update({str(path): state.get("size") for path, state in found.items()})
        return [str(path).rstrip("/") for path in found]


Tree = LocalTree | RemoteTree


def join(folder: str, name: str) -> str:
    """The path of what lies in a folder; the empty folder is the current one."""
    return f"{folder}{'' if folder.endswith('/') or not folder else '/'}{name}"


def list_parents(path: str) -> set[str]:
    """All folders above a path, without the root of the disk."""
    parts = path.split("/")[:-1]
    return {"/".join(parts[:end]) for end in range(1, len(parts) + 1)} - {""}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads to itself; opening it reports what is wrong
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    """True for a link, also for a junction of Windows, which Python 3.11 does not know."""
    return entry.is_symlink() or bool(getattr(entry, "is_junction", bool)())
