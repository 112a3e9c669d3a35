"""Events in any order around one output: runs, kills, damage, changes, moves; compared with a simple model.

The model knows what is published, and which job the finished parts in the work folder belong to. After each event:

- The output is what it was before, or the output of an unbroken run of the present input and settings.
- A run that is refused names a reason that the model expects, in one line, and leaves all finished parts.
- A run that ends well leaves nothing behind, and has scored no finished part of its job again.
- `verify` accepts what a run published, and nothing else.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sentiment_batch.errors import SentimentBatchError
from sentiment_batch.records import ReadOptions, WriteOptions
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.journal import Journal
from sentiment_batch.scoring.output.part_files import OLD
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table
from tests.scoring.simulated_kills import SimulatedKill, killed_at

PART_ROWS = 5
OUTPUTS = ("out.csv", "out.parquet", "out/")
SETTINGS = ({}, {"keep": ("text",)}, {"limit": 12})
EVENTS = (
    *["score and die"] * 5,
    *["score as before"] * 4,
    *["score"] * 3,
    *["flip a bit"] * 3,
    *["verify"] * 2,
    "the input is written again",
    "the input is replaced under its size and time",
    "a setting is changed",
    "the folder is moved",
    "the output is removed",
    "another process is at work",
)
"""What can happen; that which is named several times happens more often."""
OVERWRITES = st.sampled_from((False, True, True, True))
RESTARTS = st.sampled_from((False, False, False, True))
LOCKS = {"lock", "lock.holder"}
MAX_CHANGES = 90
"""A little more than the changes of files of a run."""
DAMAGE_WORDS = ("damaged", "not written by a scoring run", "holds other things", "was not written")


def make_inputs() -> list[bytes]:
    """Tables of 23 rows; the first two differ in letters alone, the third has fewer rows, the last a bad one."""
    rows = [f"{n},{'' if n % 7 == 3 else f'the film {n} was great'}".encode() for n in range(23)]
    tables = [rows, [row.replace(b"great", b"awful") for row in rows], rows[:8], [*rows[:9], b"9,bad \xff film"]]
    return [b"\n".join([b"id,text", *table, b""]) for table in tables]


def content(path: str | Path):
    """The bytes of a file, or of all files of a folder by their names; None if nothing is there."""
    path = Path(path)
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    return path.read_bytes() if path.exists() else None


class Workshop:
    """The model, the inputs, and the outputs of unbroken runs, which all sequences share."""

    def __init__(self, scorer, folder: Path) -> None:
        self.scorer, self.folder, self.inputs = scorer, folder, make_inputs()
        self.counts: collections.Counter[str] = collections.Counter()
        """How often each event ended in which way."""
        self._expected: dict = {}

    def score(self, source: Path, destination: str, setting: int, **options):
        """One run in this process."""
        job = ScoreJob(
            source=str(source),
            destination=destination,
            quiet=True,
            part_rows=PART_ROWS,
            on_bad_row="mark",
            read=ReadOptions(encoding="utf-8", delimiter=","),
            **SETTINGS[setting],
            **options,
        )
        return score_table(job, lambda: self.scorer)

    def expected(self, variant: int, setting: int, out: str):
        """What an unbroken run writes."""
        key = variant, setting, out
        if key not in self._expected:
            with tempfile.TemporaryDirectory(dir=self.folder) as place, killed_at(None):
                source = Path(place) / "in.csv"
                source.write_bytes(self.inputs[variant])
                self.score(source, f"{place}/{out}", setting)
                self._expected[key] = content(f"{place}/{out}")
        return self._expected[key]


class AnySequence(RuleBasedStateMachine):
    """One sequence of events; a subclass names the workshop."""

    workshop: Workshop

    @initialize(out=st.sampled_from(OUTPUTS))
    def begin(self, out: str) -> None:
        """A folder with an input and nothing else."""
        self.root = Path(tempfile.mkdtemp(dir=self.workshop.folder))
        self.place, self.out = self.root / "here", out
        self.place.mkdir()
        self.variant = self.setting = self.generation = 0
        self.overwrite = False
        self.published = None
        """What was at the destination after the last event, with all damage."""
        self.made_of = (0, 0)
        """The input and the setting that the output was made of."""
        self.verifiable: bool | None = False
        """Whether `verify` accepts the output; None if both are right."""
        self.jobs: dict[bytes, tuple] = {}
        """By the content of job.json, what decided whether a run was of the same job."""
        self.damaged: set[str] = set()
        """Which of work, output and beside hold a flipped bit."""
        self._write_input()

    def teardown(self) -> None:
        """Remove all files."""
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    # Hypothesis leaves out some rules in each sequence, and calls others again and again. So there is one rule.

    @rule(event=st.sampled_from(EVENTS), number=st.integers(0, 9_999), overwrite=OVERWRITES, restart=RESTARTS)
    def happen(self, event: str, number: int, overwrite: bool, restart: bool) -> None:
        """One event; `number` chooses its place or kind."""
        if event == "score":
            self._run(overwrite=overwrite, restart=restart)
        elif event == "score as before":
            self._run(overwrite=self.overwrite, restart=False)
        elif event == "score and die":
            self._run(overwrite=overwrite, restart=restart, kill_at=MAX_CHANGES - number % MAX_CHANGES)
        elif event == "flip a bit":
            self._flip_a_bit(number)
        elif event == "verify":
            self._verify()
        else:
            self._count(event)
            self._change(event, number)

    def _flip_a_bit(self, number: int) -> None:
        """Damage a file of the output, of the work folder, or beside the output."""
        files = {path: data for path, data in self._files().items() if data}
        kinds = sorted({self._kind_of(path) for path in files})
        if not kinds:
            return
        kind = kinds[number % len(kinds)]
        paths = [path for path in files if self._kind_of(path) == kind]
        path = paths[number // 3 % len(paths)]
        changed = bytearray(files[path])
        changed[number * 7_919 % len(changed)] ^= 1 << number % 8
        (self.place / path).write_bytes(changed)
        self._count(f"a bit flipped: {kind}")
        if Path(path).name not in LOCKS:
            self.damaged.add(kind)
        if kind == "output":
            self.verifiable, self.published = False, self._output()
        elif kind == "beside" and self.verifiable:
            self.verifiable = None  # white space in the manifest may change

    def _kind_of(self, path: str) -> str:
        top = Path(path).parts[0]
        return "output" if top == self.name else "work" if top.startswith(".") else "beside"

    def _change(self, event: str, number: int) -> None:
        """Something happens between two runs."""
        if event == "the input is written again":
            self.variant, self.generation = number % len(self.workshop.inputs), self.generation + 1
            self._write_input()
        elif event == "the input is replaced under its size and time":
            self.variant = {0: 1, 1: 0}.get(self.variant, self.variant)
            self.generation += 1
            self._write_input(new_time=False)
        elif event == "a setting is changed":
            self.setting = number % len(SETTINGS)
        elif event == "the folder is moved":  # with the input, the output and the work; or back
            self.place = self.place.rename(self.root / ("there" if self.place.name == "here" else "here"))
        elif event == "the output is removed":  # with what lies beside it, but not the hidden work folder
            for path in self.place.iterdir():
                if path.name.startswith(self.name):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            self.published, self.verifiable = None, False
            self.damaged -= {"output", "beside"}
        else:
            self._run_beside_another()

    def _verify(self) -> None:
        """Check the output against its manifest."""
        message = None
        try:
            verify_output(self.destination)
        except SentimentBatchError as error:
            message = str(error)
        self._count(f"verify: {'refused' if message else 'complete'}")
        if message is None:
            assert self.verifiable is not False
            assert self._output() == self.workshop.expected(*self.made_of, self.out)
        else:
            assert "\n" not in message
            assert self.verifiable is not True, message

    def _run_beside_another(self) -> None:
        """A run finds that another process holds the lock."""
        before, work = self._files(), self.place / f".{self.name}.scoring"
        try:
            other = Journal(work, self.destination)
        except SentimentBatchError:
            assert self.damaged
            return
        try:
            how, found, _ = self._attempt(write=WriteOptions(overwrite=True))
        finally:
            other._lock.release()
        assert how == "refused", how
        assert "is being written by process" in found, found
        assert without_locks(self._files()) == without_locks(before)

    # What is there

    @property
    def name(self) -> str:
        """The name of the output."""
        return self.out.rstrip("/")

    @property
    def destination(self) -> str:
        """The output as a run names it."""
        return f"{self.place}/{self.out}"

    @property
    def job(self) -> tuple:
        """What decides whether two runs are of one job."""
        return self.generation, self.setting, self.place.name

    def _output(self):
        return content(self.destination.rstrip("/"))

    def _files(self) -> dict[str, bytes]:
        """All files except the input, by their path."""
        paths = (path for path in sorted(self.place.rglob("*")) if path.is_file() and path.name != "in.csv")
        return {str(path.relative_to(self.place)): path.read_bytes() for path in paths}

    def _work(self) -> dict[str, bytes]:
        """The files of the work folder, by their path below it."""
        start = f".{self.name}.scoring{os.sep}"
        return {path.removeprefix(start): data for path, data in self._files().items() if path.startswith(start)}

    def _remains(self) -> list[str]:
        """The hidden folders, which runs leave that have not ended well."""
        return [path.name for path in self.place.iterdir() if path.name.startswith(".")]

    def _is_mine(self, work: dict[str, bytes]) -> bool:
        """True if the parts in the work folder belong to the present job."""
        return self.jobs.get(work.get("job.json", b"")) == self.job

    def _count(self, event: str) -> None:
        self.workshop.counts[event] += 1

    def _write_input(self, *, new_time: bool = True) -> None:
        path, time = self.place / "in.csv", 10**18 + self.generation * 10**9
        if not new_time:
            time = path.stat().st_mtime_ns
        path.with_name("new").write_bytes(self.workshop.inputs[self.variant])
        os.utime(path.with_name("new"), ns=(time, time))
        path.with_name("new").replace(path)

    # Runs, and what must be true after them

    def _attempt(self, *, kill_at: int | None = None, **options):
        """How a run ends: done, refused or killed; with its summary or its message, and its warnings."""
        with warnings_of_the_run() as warnings, killed_at(kill_at):
            try:
                source = self.place / "in.csv"
                return "done", self.workshop.score(source, self.destination, self.setting, **options), warnings
            except SentimentBatchError as error:
                return "refused", str(error), warnings
            except SimulatedKill:
                return "killed", "", warnings

    def _run(self, *, overwrite: bool, restart: bool, kill_at: int | None = None) -> None:
        self.overwrite = overwrite
        replaced = content(self.place / f".{self.name}.scoring" / OLD)  # it comes back if no new one came
        work, remains, output = self._work(), self._remains(), self._output()
        beside = self._beside()
        how, found, warnings = self._attempt(write=WriteOptions(overwrite=overwrite), restart=restart, kill_at=kill_at)
        self._count(f"score{' and die' if kill_at else ''}: {how}")
        job = self._work().get("job.json")
        if job is not None and job != work.get("job.json"):
            self.jobs[job] = self.job
        now, expected = self._output(), self.workshop.expected(self.variant, self.setting, self.out)
        if how == "done":
            assert now == expected
            assert self._remains() == []
            if output is not None and not overwrite:
                assert output == expected, "an output was replaced without `overwrite`"
                assert remains, "a finished run was not refused"
            if not restart:
                self._check_parts(found, warnings, work)
            self.verifiable, self.made_of = True, (self.variant, self.setting)
            self.damaged = set()
        elif how == "refused":
            assert now in (output, replaced)
            assert self._lost_parts(work) == [], found
            assert self._expects(found, work, overwrite=overwrite, restart=restart), found
            if self._beside() != beside:
                self.verifiable = None
        else:
            moved = now is None and self.out.endswith("/") and any(Path(path).parts[0] == OLD for path in self._work())
            assert now in (output, replaced, expected) or moved
            if now is not None and now not in (output, replaced):
                self.made_of = self.variant, self.setting
            if now != self.published or self._beside() != beside:
                self.verifiable = None
            if now is None and moved:
                return
        self.published = now

    def _beside(self) -> dict[str, bytes]:
        return {path: data for path, data in self._files().items() if path.startswith(f"{self.name}.")}

    def _lost_parts(self, before: dict[str, bytes]) -> list[str]:
        after = self._work()
        return [
            path for path in before if path.startswith(("part-", "data", "job")) and before[path] != after.get(path)
        ]

    def _check_parts(self, summary, warnings, work) -> None:
        """Check that a run used the finished parts of its job, or said why not."""
        finished = min(PART_ROWS * count_parts(work), summary.rows)
        if self._is_mine(work) and summary.rows_resumed < finished:
            assert "work" in self.damaged, "finished parts were scored again"
            assert any("damaged" in line for line in warnings), "finished parts were scored again without a word"
        if finished and not self._is_mine(work):
            assert "work" in self.damaged or "manifest.json" in work, "the parts of another job were lost"

    def _expects(self, message: str, work: dict[str, bytes], *, overwrite: bool, restart: bool) -> bool:
        """True if a run may be refused for this reason."""
        if "\n" in message:
            return False
        if "exists already" in message:
            return self._output() is not None and not overwrite
        if "was begun by another run" in message:
            return not restart and ("work" in self.damaged or not self._is_mine(work))
        return bool(self.damaged) and any(words in message for words in DAMAGE_WORDS)


def count_parts(work: dict[str, bytes]) -> int:
    """The finished parts from the first on."""
    count = 0
    while f"part-{count:05d}.json" in work:
        count += 1
    return count


def without_locks(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files without those of the lock."""
    return {path: data for path, data in files.items() if Path(path).name not in LOCKS}


@contextlib.contextmanager
def warnings_of_the_run():
    """The warnings that the library logs."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sentiment_batch")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
