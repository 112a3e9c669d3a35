"""The finished parts of an output, as files in its work folder.

A part is a fixed number of rows. Its data are the scores for an output that is one file, and a file of the output for
one that is a folder. They are written first, then a record that names them with their digest. Each file appears by a
rename and is synced. A part counts only if its record and its data are undamaged.

    .OUT.scoring/   lock              held by the run that is at work
                    lock.holder       its process, machine and start time
                    job.json          what decides the bytes of the output
                    part-00000.json   the record of a part: rows, counts, digests
                    part-00000.scores or data/part-00000.parquet
                    part-00000.problems.jsonl
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import checked_json, hash_file, open_regular, read_checked_json
from sentiment_batch.files.lock import LOCK_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment_batch.model.probabilities import Floats

JOB = "job.json"
MANIFEST = "manifest.json"
"""The manifest of an output that is about to be published; it is copied beside the output after that."""
PROBLEMS = "problems.jsonl"
"""The bad rows of all parts of an output that is about to be published."""
DATA = "data"
"""The folder for the files of an output that is a folder."""
OLD = "old"
"""Where a folder that is replaced lies until the new one is in its place."""
SCRATCH = "scratch"
"""The folder for files that are being written; a later run does not use what it holds."""
MAX_COUNT = 2**53
"""The largest number in a record of a part."""
PART_PREFIX = "part-"
"""How the names of the files of every part begin."""
SCORES_ENDING = ".scores"
_ENDINGS = (".json", SCORES_ENDING, ".problems.jsonl")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The record of a finished part."""

    index: int
    rows: int
    counts: dict[str, Any]
    """What `Tally.to_json` gives."""
    file: str
    """The path of its data below the work folder."""
    bytes: int
    """Bytes of its data."""
    sha256: str
    """The SHA-256 of its data."""
    problems: str | None = None
    """The SHA-256 of its list of bad rows, None if it has none."""
    job: str | None = None
    """The SHA-256 of the description of its job; None until the part is recorded."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Part | None:
        """The record with these plain values; None if a run cannot have written them."""
        try:
            part = cls(**values)
            counts = dict(part.counts)
            groups = [counts.pop("labels"), counts.pop("sample", {})]
            # `bad` and `compiled` are named, because a record without them is no record of a run
            numbers = [counts["bad"], counts["compiled"], *counts.values(), *groups[0].values(), *groups[1].values()]
        except (TypeError, ValueError, KeyError, AttributeError):
            return None
        whole = [part.index, part.rows, part.bytes]
        is_sound = all(type(number) is int for number in whole) and type(part.file) is str
        return part if is_sound and all(map(is_count, [*whole, *numbers])) else None


def describe_part(index: int, *, rows: int, counts: dict[str, Any], file: str, data: bytes | Path) -> Part:
    """The record of a part with these data, or with the data in a file.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(data, bytes):
        size, sha256 = len(data), hashlib.sha256(data).hexdigest()
    else:
        size, sha256 = data.stat().st_size, hash_file(data)
    return Part(index=index, rows=rows, counts=counts, file=file, bytes=size, sha256=sha256)


def name_scores_file(index: int) -> str:
    """The path of the scores of a part below the work folder."""
    return f"{name_part(index)}{SCORES_ENDING}"


def name_part(index: int) -> str:
    """The name of the files of a part, without their endings."""
    return f"{PART_PREFIX}{index:05d}"


def is_count(value: Any) -> bool:
    """True for a number that rows, or what is in them, can be counted by."""
    return type(value) in (int, float) and 0 <= value <= MAX_COUNT


def pack_scores(scores: Floats) -> bytes:
    """The content of the scores file of a part; `scores` are the probabilities (rows, labels)."""
    stream = io.BytesIO()
    np.save(stream, scores.astype("<f4"), allow_pickle=False)
    return stream.getvalue()


def _count_packed_rows(path: Path) -> int:
    """The rows of a file that holds what `pack_scores` gave.

    Raises:
        OSError, ValueError: it cannot be read, or is another file.
    """
    with open_regular(path) as file:
        np.lib.format.read_magic(file)
        (rows, _), _, _ = np.lib.format.read_array_header_1_0(file)
    return rows


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files of the parts in one work folder; each method raises OSError if the disk fails."""

    folder: Path
    job: str | None = None
    """The SHA-256 of the description of the job, which each record names; None if it is not known."""

    def write(self, part: Part, problems: bytes) -> Part:
        """Record a part whose data are safe on disk, with its bad rows as JSON lines; returns the record."""
        # The record comes last: a part whose record exists is finished
        if problems:
            part = replace(part, problems=hashlib.sha256(problems).hexdigest())
            atomic.write_whole(self._problems_file(part), problems)
        part = replace(part, job=self.job)
        atomic.write_whole(self.folder / f"{name_part(part.index)}.json", checked_json(asdict(part)))
        return part

    def write_data(self, part: Part, data: bytes | Path) -> None:
        """Write the data of a part, or move a file on the same disk to its place."""
        file = self.folder / part.file
        file.parent.mkdir(exist_ok=True)
        if isinstance(data, bytes):
            atomic.write_whole(file, data)
        else:
            os.replace(data, file)
            atomic.sync_folder(file.parent)

    def read_scores(self, part: Part) -> Floats:
        """The probabilities (rows, labels) of a part."""
        with open_regular(self.folder / part.file) as file:
            scores: Floats = np.load(io.BytesIO(file.read()), allow_pickle=False)
        return scores

    def read_problems(self, part: Part) -> bytes:
        """The bad rows of a part that has some, as JSON lines."""
        with open_regular(self._problems_file(part)) as file:
            return file.read()

    def find_first(self) -> tuple[list[Part], Path | None]:
        """The parts from the first on, up to one that is missing or damaged; and the record of a damaged one."""
        found: list[Part] = []
        while (record := self.folder / f"{name_part(len(found))}.json").exists():
            part = self._read_undamaged(record, len(found))
            if part is None:
                return found, record
            found.append(part)
        return found, None

    def find_beyond(self, gap: int) -> dict[int, Part]:
        """The undamaged parts after the part `gap`, which is missing or damaged, by their index."""
        found: dict[int, Part] = {}
        # Workers finish parts in any order, so the records have gaps
        for record in self.folder.glob(f"{PART_PREFIX}[0-9]*.json"):
            number = record.name.removeprefix(PART_PREFIX).removesuffix(".json")
            part = self._read_undamaged(record, int(number)) if number.isdecimal() and int(number) > gap else None
            if part is not None:
                found[part.index] = part
        return found

    def list_others(self, parts: list[Part], *, published: bool) -> Iterator[Path]:
        """Everything except the lock, the job, these parts and, if `published`, what publishing left."""
        names = set(LOCK_FILES)
        if parts or published:
            names |= {JOB, DATA}
        if published:
            names |= {MANIFEST, PROBLEMS}
        names |= {f"{name_part(part.index)}{ending}" for part in parts for ending in _ENDINGS}
        files = {part.file for part in parts}
        for path in [*self.folder.iterdir(), *(self.folder / DATA).glob("*")]:
            if path.name not in names and str(path.relative_to(self.folder)) not in files:
                yield path

    def _read_undamaged(self, record: Path, index: int) -> Part | None:
        """The part of a record; None if the record, the data or the bad rows are not what was written."""
        # The file may be of another job that was begun here, or have another name than it was written with
        part = Part.from_json(read_checked_json(record) or {})
        if part is None or part.index != index or (self.job is not None and part.job != self.job):
            return None
        return part if self._is_undamaged(part) else None

    def _is_undamaged(self, part: Part) -> bool:
        """True if the data and the bad rows of a part are what was written."""
        # The record may name any path. Only the two that runs write are opened.
        path = self.folder / part.file
        if part.file != name_scores_file(part.index) and not part.file.startswith(f"{DATA}/{name_part(part.index)}."):
            return False
        if part.file.startswith(DATA) and (self.folder / MANIFEST).exists() and not (self.folder / DATA).exists():
            return True  # the folder is published already; its manifest shows whether it is complete
        try:
            if path.stat().st_size != part.bytes or hash_file(path) != part.sha256:
                return False
            if path.suffix == SCORES_ENDING and _count_packed_rows(path) != part.rows:
                return False
            return part.problems is None or hash_file(self._problems_file(part)) == part.problems
        except (OSError, ValueError):  # the path of the data may be no path
            return False

    def _problems_file(self, part: Part) -> Path:
        return self.folder / f"{name_part(part.index)}.problems.jsonl"
