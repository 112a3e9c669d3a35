"""The states in which a power cut may leave a folder, by the operations that a command did on it before.

A power cut keeps what was synced. Of all else it may keep anything. Two models say what that means:

`journal`  As on ext4 and XFS: changes of names (create, mkdir, link, rename, unlink, rmdir) reach the disk in their
           order, and each sync of a file or folder takes all earlier ones along. Bytes reach the disk in any order.
`strict`   What POSIX promises and no more, as in the studies of crash consistency: a change of a name is safe after a
           sync of the folder that holds the name (of a rename: the new name), and a sync of a file does not save its
           name. All others are lost or kept alone, in any order. A rename is one change, of both folders.

In both models a write is safe after a later sync of the file. A write that is not safe is kept, lost, cut to its first
blocks, or becomes zeros of the same length. A truncation is kept or lost.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.file_operations import Operation

MODELS = ("journal", "strict")
BLOCK_BYTES = 512
"""What a disk writes at once."""
MAX_PENDING_FOR_ALL = 4
"""Up to so many changes of names that may be lost, all their combinations are tried."""
RANDOM_CHOICES = 6
"""Random combinations of more."""

Keep = Literal["all", "lost", "cut", "zeros"]
"""What becomes of a write that is not safe."""
KEEP: tuple[Keep, ...] = ("all", "lost", "cut", "zeros")
_DATA = ("write", "truncate")
_NAMES = ("create", "mkdir", "link", "rename", "unlink", "rmdir")
_SYNCS = ("fsync", "fsync of a folder")


@dataclass(slots=True)
class _Step:
    """An operation with the files and folders that it means, as numbers that are never used twice."""

    kind: str
    node: int
    folder: int = 0
    """The folder of the name; of a rename or link the folder of the new one."""
    name: str = ""
    old_folder: int = 0
    old_name: str = ""
    offset: int = 0
    data: bytes = b""


Fate = tuple[int, Keep, int]
"""The number of a write or truncation, what becomes of it, and the bytes that are kept of one that is cut."""


@dataclass(frozen=True, slots=True)
class DiskState:
    """What lies in a folder after a power cut."""

    files: dict[str, int | None]
    """The number of each file by its path; None for a folder. A file with two names has its number twice."""
    fates: dict[int, tuple[Fate, ...]]
    """What became of the writes to each file."""
    after: int
    """Operations before the power cut."""
    model: str
    history: History

    def read(self) -> dict[str, bytes | None]:
        """Bytes for each file and None for each folder, by the paths."""
        return {
            name: None if node is None else self.history.read_file(node, self.fates.get(node, ()))
            for name, node in self.files.items()
        }

    def digest(self) -> bytes:
        """It is the same for the same content."""
        return hashlib.sha256(repr((sorted(self.files.items(), key=str), sorted(self.fates.items()))).encode()).digest()

    def write(self, folder: Path) -> None:
        """Put it into an empty folder."""
        first: dict[int, str] = {}
        for name, data in sorted(self.read().items()):
            node = self.files[name]
            if data is None or node is None:
                (folder / name).mkdir()
            elif node in first:
                os.link(folder / first[node], folder / name)
            else:
                first[node] = name
                (folder / name).write_bytes(data)
                os.utime(folder / name, (1, 1))


@dataclass(slots=True)
class _Names:
    """The names in folders. Files and folders are numbers; the first folder is 0."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})

    def copy(self) -> _Names:
        return _Names({number: dict(names) for number, names in self.folders.items()})

    def change(self, step: _Step) -> None:
        """Do an operation on names."""
        names = self.folders.setdefault(step.folder, {})
        if step.kind in ("unlink", "rmdir"):
            if names.get(step.name) == step.node:
                del names[step.name]
            return
        if step.kind == "mkdir":
            self.folders.setdefault(step.node, {})
        if step.kind == "rename":
            before = self.folders.setdefault(step.old_folder, {})
            if before.get(step.old_name) == step.node:
                del before[step.old_name]
            if step.node in self.folders:  # a folder has one name
                for others in self.folders.values():
                    for name in [name for name, node in others.items() if node == step.node]:
                        del others[name]
        names[step.name] = step.node

    def list_files(self) -> dict[str, int | None]:
        """The number of each file that can be reached, None for a folder, by the paths."""
        files: dict[str, int | None] = {}
        waiting = [("", 0)]
        while waiting:
            path, folder = waiting.pop()
            for name, node in self.folders[folder].items():
                is_folder = node in self.folders
                files[f"{path}{name}"] = None if is_folder else node
                if is_folder:
                    waiting.append((f"{path}{name}/", node))
        return files


class History:
    """The operations of one command on a folder.

    Args:
        folder: the folder.
        start: its content before the command: bytes for each file, None for each folder.
        inodes: the inode of each of them, and of the folder itself as "".
        operations: what the command did.
    """

    def __init__(
        self, folder: Path, start: dict[str, bytes | None], inodes: dict[str, int], operations: list[Operation]
    ) -> None:
        self._root, self._start = str(folder), _Names()
        self._first: dict[int, bytes] = {}
        """The bytes of each file before the command."""
        self.steps: list[_Step] = []
        self.notes: list[tuple[int, str]] = []
        """Each note with the number of operations before it."""
        self._live = {inodes[""]: 0}
        self._next = 1
        for name, data in sorted(start.items()):
            node = self._live[inodes[name]] = self._next
            self._next += 1
            parent, base = self._split(self._start, f"{self._root}/{name}")
            self._start.folders[parent][base] = node
            if data is None:
                self._start.folders[node] = {}
            else:
                self._first[node] = data
        names = self._start.copy()
        for operation in operations:
            if operation.kind == "note":
                self.notes.append((len(self.steps), operation.path))
                continue
            step = self._find_nodes(names, operation)
            if step.kind in _NAMES:
                names.change(step)
            self.steps.append(step)
        self._safe = {model: [self._safe_after(n, model) for n in range(len(self.steps))] for model in MODELS}

    def end(self) -> DiskState:
        """The state without a power cut: it shows whether all operations were seen."""
        return self._make(len(self.steps), "", lost=set(), fates={}, chance=random.Random(1))

    def read_file(self, node: int, fates: tuple[Fate, ...]) -> bytes:
        """The content of a file after these writes and truncations."""
        content = bytearray(self._first.get(node, b""))
        for number, keep, cut in fates:
            step = self.steps[number]
            size = step.offset if step.kind == "truncate" else step.offset + len(step.data)
            content.extend(bytes(max(0, step.offset - len(content))))
            if step.kind == "truncate":
                del content[size:]
            else:
                data = step.data if keep == "all" else step.data[:cut] if keep == "cut" else bytes(len(step.data))
                content[step.offset : step.offset + len(data)] = data
        return bytes(content)

    def list_states(self, seed: int = 1) -> Iterator[DiskState]:
        """The states after a power cut behind each operation, each content once between two notes, in their order."""
        seen = set()
        for after in range(len(self.steps) + 1):
            for model in MODELS:
                for state in self.list_states_after(after, model, seed + after):
                    noted = sum(before <= after for before, _ in self.notes)
                    if (noted, digest := state.digest()) not in seen:
                        seen.add((noted, digest))
                        yield state

    def list_states_after(self, after: int, model: str, seed: int = 1) -> Iterator[DiskState]:
        """The states after a power cut behind so many operations; some have the same content."""
        chance = random.Random(seed)
        safe = self._safe[model]
        pending = [n for n in range(after) if safe[n] is None or safe[n] >= after]
        names = [n for n in pending if self.steps[n].kind in _NAMES]
        data = [n for n in pending if self.steps[n].kind in _DATA]
        for kept in _choose_names(names, model, chance):
            for keep in (*KEEP, "mixed") if data else ("all",):
                fates = {n: chance.choice(KEEP) if keep == "mixed" else keep for n in data}
                yield self._make(after, model, set(names) - kept, fates, chance)

    def _make(self, after: int, model: str, lost: set[int], fates: dict[int, Keep], chance: random.Random) -> DiskState:
        names, writes = self._start.copy(), defaultdict(list)
        for n, step in enumerate(self.steps[:after]):
            if step.kind in _NAMES:
                if n not in lost:
                    names.change(step)
            elif step.kind in _DATA:
                fate = _choose_fate(n, step, fates.get(n, "all"), chance)
                writes[step.node] += [fate] if fate else []
        files = names.list_files()
        reached = {node for node in files.values() if node is not None}
        return DiskState(files, {node: tuple(writes[node]) for node in reached if writes[node]}, after, model, self)

    def _find_nodes(self, names: _Names, operation: Operation) -> _Step:
        kind, new = operation.kind, operation.other or operation.path
        if kind in ("create", "mkdir"):
            self._live[operation.inode] = self._next
            self._next += 1
        node = self._live.get(operation.inode, -1)
        if kind in _SYNCS or kind in _DATA:
            return _Step(kind, node, offset=operation.offset, data=operation.data)
        assert kind in _NAMES, f"no model for {operation}"
        step = _Step(kind, node, *self._split(names, new))
        if operation.other:
            step.old_folder, step.old_name = self._split(names, operation.path)
        return step

    def _split(self, names: _Names, path: str) -> tuple[int, str]:
        """The folder of a path as it is now, and the last name."""
        assert path.startswith(self._root + "/"), path
        *parents, base = path[len(self._root) + 1 :].split("/")
        folder = 0
        for name in parents:
            folder = names.folders[folder][name]
        return folder, base

    def _safe_after(self, n: int, model: str) -> int | None:
        """The number of the operation that makes this one safe; None if none does."""
        step = self.steps[n]
        if step.kind in _SYNCS:
            return n
        for later in range(n + 1, len(self.steps)):
            sync = self.steps[later]
            if sync.kind not in _SYNCS:
                continue
            if step.kind in _DATA:
                if sync.node == step.node:
                    return later
            elif model == "journal" or sync.node == step.folder:
                return later
        return None


def _choose_fate(number: int, step: _Step, keep: Keep, chance: random.Random) -> Fate | None:
    """What becomes of a write or truncation; None if it is lost."""
    if keep == "all" or (keep == "zeros" and not any(step.data) and step.kind == "write"):
        return number, "all", 0
    if keep == "lost" or step.kind == "truncate":
        return None
    if keep == "zeros":
        return number, keep, 0
    cut = chance.randrange(0, len(step.data), BLOCK_BYTES) if step.data else 0
    return (number, keep, cut) if cut else None


def _choose_names(names: list[int], model: str, chance: random.Random) -> Iterator[set[int]]:
    """Choices of the changes of names that are kept."""
    if model == "journal":
        for length in range(len(names) + 1):
            yield set(names[:length])
        return
    if len(names) <= MAX_PENDING_FOR_ALL:
        for bits in range(1 << len(names)):
            yield {n for place, n in enumerate(names) if bits >> place & 1}
        return
    everything = set(names)
    yield from (set(), everything)
    for n in names:
        yield {n}
        yield everything - {n}
    for _ in range(RANDOM_CHOICES):
        yield {n for n in names if chance.random() < 0.5}
