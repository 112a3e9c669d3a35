"""The parts of a scoring run that are done, kept on disk so that a run that was cut off goes on where it was.

A part is a fixed number of rows. Its data (the scores for an output that is one file, a file of the output for one that
is a folder) are written first, then a record that names them with their digest; each appears by a rename, synced. A
part counts only if its record and its data are whole, and all parts before it are.

    .OUT.scoring/   lock              held by the run that is at work
                    job.json          what the run does, by what decides its bytes
                    part-00000.json   rows, counts, digests
                    part-00000.scores | data/part-00000.parquet
                    part-00000.problems.jsonl
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment_batch.data.writers.write_errors import failures_named
from sentiment_batch.errors import OutputError
from sentiment_batch.files import atomic, lock
from sentiment_batch.files.checksums import checked_json, file_sha256, read_checked_json
from sentiment_batch.scoring.output.fingerprint import differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from sentiment_batch.model.probabilities import Floats

logger = logging.getLogger("sentiment_batch")

JOB = "job.json"
MANIFEST = "manifest.json"
"""Of an output that is whole and about to be published; it is copied beside the output when that is done."""
PROBLEMS = "problems.jsonl"
"""The bad rows of all parts; likewise."""
LOCK = "lock"
DATA = "data"
"""The folder of the files of an output that is one itself."""
PART = "part-"
"""What the names of the parts' files begin with."""
SCRATCH = "scratch"
"""The folder for files that are being written; what a killed run left in it is worth nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part that is done."""

    index: int
    rows: int
    counts: dict[str, Any]
    """What was seen and done: the fields of `Tally`."""
    file: str
    """Of its data, below the work folder."""
    bytes: int
    sha256: str
    problems: str | None = None
    """The SHA-256 of its list of bad rows, None where it has none."""

    @property
    def name(self) -> str:
        """What its files are called."""
        return part_name(self.index)


def part_name(index: int) -> str:
    """The name of the files of a part, without their endings."""
    return f"{PART}{index:05d}"


@dataclass(slots=True, eq=False)
class Journal:
    """The work folder of one output, locked for this process; close it.

    Args:
        folder: where; None keeps nothing, for an output that nothing can go on with.
        destination: the output, for messages.

    Raises:
        OutputError: another process is at work on this output, or the folder cannot be made.
    """

    folder: Path | None
    destination: str
    parts: list[Part] = field(default_factory=list)
    """Those that are done, from the first row on without a gap."""
    ahead: dict[int, Part] = field(default_factory=dict)
    """Those that are done, too, by their index, but not yet all before them; of a run by several workers."""
    _keeps: bool = field(default=False, init=False)
    """Whether anything can be gone on with."""
    _begun: bool = field(default=False, init=False)
    """Whether what is in the folder is this run's; before, it belongs to one that was cut off."""
    _lock: lock.Lock | None = field(default=None, init=False)
    _scores: tuple[int, Floats] | None = field(default=None, init=False)
    """The scores of the part that was read last."""

    def __post_init__(self) -> None:
        if self.folder is not None:
            with self._named():
                self._lock = self._locked()

    def _locked(self) -> lock.Lock:
        assert self.folder is not None
        if self.folder.is_symlink() or (self.folder / DATA).is_symlink():
            raise OutputError(f"{self.folder} is needed to work in, but is or holds a link. Take it away.")
        for attempt in (1, 2, 3):  # a run that just ends may take the folder away between the two steps
            self.folder.mkdir(exist_ok=True, parents=True)
            try:
                return lock.Lock(self.folder / LOCK, self.destination)
            except FileNotFoundError:
                if attempt == 3:
                    raise
        raise AssertionError

    @property
    def rows(self) -> int:
        """Rows that are done, from the first on."""
        return sum(part.rows for part in self.parts)

    @property
    def kept_rows(self) -> int:
        """Rows that are done, those beyond a gap among them."""
        return self.rows + sum(part.rows for part in self.ahead.values())

    @property
    def scratch(self) -> str | None:
        """A folder for files under way."""
        return None if self.folder is None else str(self.folder / SCRATCH)

    def begin(self, fingerprint: dict[str, Any] | None, *, restart: bool, gaps: bool = False) -> None:
        """Find what an earlier run of the same job left, or begin anew.

        Args:
            fingerprint: what decides the bytes of the output; None where nothing can be gone on with.
            restart: begin anew whatever is there.
            gaps: keep the parts beyond a missing one, which this run can do by itself.

        Raises:
            OutputError: parts of another job are there, or the folder cannot be written.
        """
        if self.folder is None:
            return
        with self._named():
            known = read_checked_json(self.folder / JOB)
            worthless = restart or known == {}  # what a run left that nothing can go on with
            found = [] if worthless else self._found()
            ahead = {} if worthless else self._found_ahead(len(found))
            sealed = not worthless and (self.folder / MANIFEST).exists()
            if found or ahead or sealed:
                self._refuse_another(known, fingerprint)
            ahead = ahead if gaps else {}
            self._clear([*found, *ahead.values()], sealed)
            self._begun, self._keeps, self.parts, self.ahead = True, fingerprint is not None, found, ahead
            (self.folder / SCRATCH).mkdir(exist_ok=True)
            if not found and not ahead:
                atomic.write_whole(self.folder / JOB, checked_json(fingerprint or {}))

    def add(self, part: Part, problems: bytes = b"") -> None:
        """Record a part whose data are safe on disk.

        Args:
            part: what it is.
            problems: its list of bad rows, as JSON lines.

        Raises:
            OutputError: it could not be recorded; the parts before it stay.
        """
        if problems:
            part = replace(part, problems=hashlib.sha256(problems).hexdigest())
        if self.folder is not None:
            with self._named():
                if problems:
                    atomic.write_whole(self._problems_file(part), problems)
                atomic.write_whole(self.folder / f"{part.name}.json", checked_json(asdict(part)))
        self.ahead[part.index] = part
        while (following := self.ahead.pop(len(self.parts), None)) is not None:
            self.parts.append(following)

    def adopt(self, part: Part, data: bytes | Path, problems: bytes = b"") -> None:
        """Make a part of what a worker did, in whatever order; only this decides which attempt at it counts.

        Args:
            part: what it is.
            data: of its file, or a file on the same disk that becomes it in one rename, safe on disk.
            problems: its list of bad rows, as JSON lines.

        Raises:
            OutputError: as for `add`.
        """
        assert self.folder is not None
        file = self.folder / part.file
        with self._named():
            file.parent.mkdir(exist_ok=True)
            if isinstance(data, bytes):
                atomic.write_whole(file, data)
            else:
                os.replace(data, file)
                atomic.sync_folder(file.parent)
        self.add(part, problems)

    def add_scores(self, scores: Floats, counts: dict[str, Any], problems: bytes = b"") -> None:
        """Keep the probabilities (rows, K) of the next part, and record it.

        Raises:
            OutputError: as for `add`.
        """
        index = len(self.parts)
        data = packed(scores)
        part = Part(
            index=index,
            rows=len(scores),
            counts=counts,
            file=f"{part_name(index)}.scores",
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        if self.folder is not None:
            with self._named():
                atomic.write_whole(self.folder / part.file, data)
        self.add(part, problems)

    def scores(self, start: int, rows: int) -> Floats | None:
        """The probabilities (rows, K) of so many rows from a number on, which lie in one part; None if not done.

        Raises:
            OutputError: the part cannot be read any more.
        """
        first = 0
        for part in self.parts:  # few thousand at most, and windows come in order
            if start < first + part.rows:
                scores = self._scores_of(part)
                return scores[start - first : start - first + rows]
            first += part.rows
        return None

    def problems(self) -> Iterator[bytes]:
        """The lists of bad rows of all parts, in order."""
        for part in self.parts:
            if part.problems is not None and self.folder is not None:
                yield self._problems_file(part).read_bytes()

    @property
    def kept(self) -> bool:
        """Whether there is something that the next run can go on with."""
        return self._keeps and bool(self.parts or self.ahead)

    def close(self, *, keep: bool) -> None:
        """Let others work on the output; `keep` leaves what is done for the next run, if anything is."""
        if self.folder is None or self._lock is None:
            return
        if keep and self.kept:
            atomic.remove(self.folder / SCRATCH)
        elif self._begun or os.listdir(self.folder) == [LOCK]:
            self._remove()
        self._lock.release()
        self._lock = None

    def _remove(self) -> None:
        """Remove the folder; in one rename first, so that nobody ever finds a part of it and goes on from there."""
        assert self.folder is not None
        waste = _waste(self.folder)
        with contextlib.suppress(OSError):
            os.rename(self.folder, waste)
        atomic.remove(waste)

    def _scores_of(self, part: Part) -> Floats:
        if self._scores is None or self._scores[0] != part.index:
            assert self.folder is not None
            with self._named():
                self._scores = part.index, _unpacked((self.folder / part.file).read_bytes())
        return self._scores[1]

    def _found(self) -> list[Part]:
        """The parts that an earlier run left, up to the first that is missing or damaged."""
        assert self.folder is not None
        found: list[Part] = []
        while (record := self.folder / f"{part_name(len(found))}.json").exists():
            part = _part(record, len(found))
            if part is None or not self._is_whole(part):
                logger.warning("%s is damaged: it and what follows is done again", record)
                break
            found.append(part)
        return found

    def _found_ahead(self, gap: int) -> dict[int, Part]:
        """The whole parts beyond one that is missing."""
        assert self.folder is not None
        found: dict[int, Part] = {}
        for record in self.folder.glob(f"{PART}[0-9]*.json"):
            number = record.name.removeprefix(PART).removesuffix(".json")
            part = _part(record, int(number)) if number.isdecimal() and int(number) > gap else None
            if part is not None and self._is_whole(part):
                found[part.index] = part
        return found

    def _is_whole(self, part: Part) -> bool:
        """Whether the part's files hold what they held when it was recorded."""
        assert self.folder is not None
        path = self.folder / part.file
        if part.file.startswith(DATA) and (self.folder / MANIFEST).exists() and not (self.folder / DATA).exists():
            return True  # it was published already; whether it is whole there, the manifest tells
        try:
            if path.stat().st_size != part.bytes or file_sha256(path) != part.sha256:
                return False
            return part.problems is None or file_sha256(self._problems_file(part)) == part.problems
        except OSError:
            return False

    def _refuse_another(self, known: dict[str, Any] | None, fingerprint: dict[str, Any] | None) -> None:
        if fingerprint is None:
            raise OutputError(
                f"{self.destination} was begun by another run, of an input that can be gone on with; this one cannot. "
                "Give the same again to go on with it, or start over with --restart."
            )
        changed = ["its description is damaged"] if known is None else differences(known, fingerprint)
        if changed:
            raise OutputError(
                f"{self.destination} was begun by another run: {'; '.join(changed)}. Give the same again to go on with "
                "it, or start over with --restart."
            )

    def _clear(self, kept: list[Part], sealed: bool) -> None:
        """Remove all that is neither the lock, nor the job, nor of a part that is kept."""
        assert self.folder is not None
        names = {LOCK} | ({JOB, DATA} if kept or sealed else set()) | ({MANIFEST, PROBLEMS} if sealed else set())
        names |= {f"{part.name}{ending}" for part in kept for ending in (".json", ".scores", ".problems.jsonl")}
        files = {part.file for part in kept}
        for path in [*self.folder.iterdir(), *(self.folder / DATA).glob("*")]:
            if path.name not in names and str(path.relative_to(self.folder)) not in files:
                atomic.remove(path)

    def _problems_file(self, part: Part) -> Path:
        assert self.folder is not None
        return self.folder / f"{part.name}.problems.jsonl"

    def _named(self) -> AbstractContextManager[None]:
        return failures_named(str(self.folder))


def remove_waste(folder: Path | None) -> None:
    """Remove what a run left that died while it removed its work folder."""
    if folder is not None:
        atomic.remove(_waste(folder))


def _waste(folder: Path) -> Path:
    """What a work folder is called while it is removed."""
    return folder.with_name(f"{folder.name}.done")


def packed(scores: Floats) -> bytes:
    """Probabilities (n, K) as a part's file holds them."""
    stream = io.BytesIO()
    np.save(stream, scores.astype("<f4"), allow_pickle=False)
    return stream.getvalue()


def _unpacked(data: bytes) -> Floats:
    scores: Floats = np.load(io.BytesIO(data), allow_pickle=False)
    return scores


def _part(record: Path, index: int) -> Part | None:
    content = read_checked_json(record)
    try:
        part = None if content is None else Part(**content)
    except TypeError:
        return None
    return part if part is not None and part.index == index else None
