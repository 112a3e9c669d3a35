"""Fuzzes the readers of CSV, JSON lines, JSON, Parquet and Arrow files, and those of manifests and records.

    python -m tests.stress.reader_fuzz --minutes 60 --state DIR --log tests/stress/reader_fuzz.log

Each case is a mutated file with options. It must be read, or be refused with an error of the package in one line. A
case that takes over 10 seconds, over 4 GB, or ends in another error is a fault. What is read must pass the checks of
Arrow and come out the same the second time. Cases that reach new lines of the readers are mutated further.

The run can be stopped at any time. The same command continues it from the files in DIR until the minutes are used up.
`--case FILE` reads one of the faults again that DIR holds. Linux and macOS only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import selectors
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.stress.command import GB
from tests.stress.fuzz_documents import Case, make_case, mutate_document, mutate_json_values

SECONDS = 10
"""Processor time of a case; one that takes longer is a fault."""
MAX_WAITING = 900
"""Seconds of the clock after which a case is a fault that hangs and takes no processor time."""
MEMORY = 4 * GB
BATCH = 100
"""Cases that one forked process reads."""
CURRENT = "current.json"
"""The file with the case that a process is at."""
TRACED_BYTES = 4_000
"""Larger cases are not traced, because tracing is slow."""
MAX_TRACED_LINES = 200_000
"""No more lines that run are traced in a case, because a small compressed file may hold much."""
MAX_COMPARED_ROWS = 20_000


def read_case(case: Case, folder: Path) -> str:
    """Read one case; returns what came of it in one word.

    Raises:
        AssertionError: the reader broke its contract, or its error is not one clear line.
        Exception: any other error of the reader, which is a fault, too.
    """
    from sentiment_batch.errors import SentimentBatchError

    path = folder / f"in{case.suffix}"
    path.write_bytes(case.data)
    try:
        return _read_table(path, case)
    except SentimentBatchError as error:
        _check_message(str(error))
        return type(error).__name__


def _check_message(message: str) -> None:
    assert message, "an error without a message"
    assert len(message.splitlines()) == 1, f"an error of several lines: {message!r}"
    assert len(message) < 3_000, f"an error of {len(message):,} characters: {message[:300]!r}"


def _read_table(path: Path, case: Case) -> str:
    from sentiment_batch.data import formats
    from sentiment_batch.data.text_columns import choose_text_columns
    from sentiment_batch.errors import InputError
    from sentiment_batch.records import ReadOptions

    problems: list = []
    options = ReadOptions(**case.options, on_bad_row=problems.append if case.marks else None)
    with contextlib.closing(formats.open_reader(str(path), options=options)) as reader:
        with contextlib.suppress(InputError):  # it holds no text
            choose_text_columns(reader)
        problems.clear()
        first = _read_rows(reader)
        found = [(problem.row, problem.where, problem.reason) for problem in problems]
        rows = sum(batch.num_rows for batch in first)
        assert reader.num_rows in (None, rows), f"{reader.num_rows} rows were promised, and {rows} came"
        assert all(0 <= row < rows for row, _, _ in found), f"problems outside of the {rows} rows: {found[:3]}"
        assert [row for row, _, _ in found] == sorted(row for row, _, _ in found), "problems out of order"
        if rows <= MAX_COMPARED_ROWS:
            problems.clear()
            assert list(map(repr, _plain(first))) == list(map(repr, _plain(_read_rows(reader)))), (
                "another second reading"
            )
            assert [(one.row, one.where, one.reason) for one in problems] == found, "other problems the second time"
    return "marked" if found else "read"


def _read_rows(reader) -> list:
    batches = [batch for split in reader.splits() for batch in reader.batches(split)]
    for batch in batches:
        batch.validate(full=True)
        assert batch.schema.equals(reader.schema), f"{batch.schema} is not {reader.schema}"
    return batches


def _plain(batches) -> Iterator[object]:
    for batch in batches:
        for column in batch.columns:
            try:
                yield column.to_pylist()
            except Exception:  # such as a time that Python cannot hold
                yield column.cast("string") if column.type.num_fields == 0 else str(column)


class Records:
    """Reads mutated manifests, jobs and records of parts, some of which hold the right digest of wrong values."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        from sentiment_batch.files.checksums import checked_json
        from sentiment_batch.scoring.output.part_files import pack_scores

        self._folder = folder
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.table({"text": ["a", "b"]}), folder / "out.parquet")
        data = (folder / "out.parquet").read_bytes()
        self._manifest = {
            "format": 3,
            "files": [{"name": "out.parquet", "rows": 2, "bytes": len(data), "sha256": _sha256(data)}],
            "problems": {"rows": 1, "bytes": 2, "sha256": _sha256(b"{}")},
            "rows": 2,
            "source": str(folder / "out.parquet"),
            "input": {"format": "parquet"},
            "input_state": [{"path": "x", "bytes": 1}],
            "settings": {"output_format": "parquet", "input_format": "parquet", "on_bad_row": "fail", "limit": None},
            "counts": {"rows": 2},
        }
        counts = {"bad": 0, "compiled": 0, "labels": {"negative": 2}}
        self._part = {"index": 0, "rows": 2, "counts": counts, "file": "part-00000.scores", "problems": None}
        self._scores = pack_scores(np.zeros((2, 2), np.float32))
        self._part |= {"bytes": len(self._scores), "sha256": _sha256(self._scores)}
        self._checked_json = checked_json

    def read_mutated(self, chance: random.Random) -> str:
        """Read one mutated file; returns what came of it in one word."""
        from sentiment_batch.errors import SentimentBatchError
        from sentiment_batch.scoring.output.part_files import PartFiles
        from sentiment_batch.scoring.output.verify import verify_output

        is_manifest = chance.random() < 0.7
        values = self._manifest if is_manifest else self._part
        signed = chance.random() < 0.5
        if signed:
            for _ in range(chance.choice((0, 1, 1, 2))):
                values = mutate_json_values(chance, values)
            data = self._checked_json(values)
        else:
            data = mutate_document(chance, self._checked_json(values))
        self.data = data
        if is_manifest:
            (self._folder / "out.parquet.manifest.json").write_bytes(data)
            (self._folder / "out.parquet.problems.jsonl").write_bytes(b"{}")
            try:
                verify_output(str(self._folder / "out.parquet"))
            except SentimentBatchError as error:
                _check_message(str(error))
                return "refused"
            return "verified"
        (self._folder / "part-00000.scores").write_bytes(self._scores)
        (self._folder / "part-00000.json").write_bytes(data)
        parts, _ = PartFiles(self._folder).find_first()
        return "part" if parts else "no part"


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


class Fuzzer:
    """Runs numbered cases in forked processes, and keeps its state in a folder.

    Args:
        state: the folder.
        say: takes the lines of the log.
        seed: decides the cases, with their numbers.
    """

    def __init__(self, state: Path, say, seed: int) -> None:
        self._state, self._say, self._seed = state, say, seed
        state.mkdir(parents=True, exist_ok=True)
        saved = json.loads((state / "state.json").read_text()) if (state / "state.json").exists() else {}
        self.tried: int = saved.get("tried", 0)
        self.seconds: float = saved.get("seconds", 0.0)
        self.faults: int = saved.get("faults", 0)
        self.outcomes: Counter[str] = Counter(saved.get("outcomes", {}))
        self.kinds: Counter[str] = Counter(saved.get("kinds", {}))
        self.peak: int = saved.get("peak", 0)
        self._lines = {tuple(line) for line in saved.get("lines", [])}
        self._corpus = [Case.from_json(json.loads(path.read_text())) for path in sorted(state.glob("corpus-*.json"))]

    def run(self, minutes: float) -> None:
        """Read cases until the time is used up, with that of earlier runs."""
        while self.seconds < 60 * minutes:
            started = time.monotonic()
            with tempfile.TemporaryDirectory(dir=self._state) as folder:
                self._run_batch(Path(folder))
            self.seconds += time.monotonic() - started
            self._save()

    def summary(self) -> str:
        """One line about all runs so far."""
        outcomes = ", ".join(f"{count:,} {name}" for name, count in self.outcomes.most_common())
        return (
            f"{self.tried:,} cases in {self.seconds / 60:.1f} minutes: {outcomes}; {len(self._corpus)} kept because "
            f"they reached new lines ({len(self._lines):,}); peak {self.peak / 2**20:.0f} MB; {self.faults} faults"
        )

    def _save(self) -> None:
        names = ("tried", "seconds", "faults", "outcomes", "peak", "kinds")
        values = {name: getattr(self, name) for name in names} | {"lines": sorted(self._lines)}
        (self._state / "state.new").write_text(json.dumps(values))
        os.replace(self._state / "state.new", self._state / "state.json")

    def _run_batch(self, folder: Path) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._be_child(writing, folder)
        os.close(writing)
        done, late = 0, False
        with os.fdopen(reading, "rb") as stream, selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while True:
                if not selector.select(MAX_WAITING):
                    late = True
                    os.kill(child, signal.SIGKILL)
                line = stream.readline()
                if not line.endswith(b"\n"):
                    break
                self._take(json.loads(line))
                done += 1
        _, status, usage = os.wait4(child, 0)
        self.peak = max(self.peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
        if done < BATCH:
            slow = f"over {SECONDS} s of processor time" if os.waitstatus_to_exitcode(status) == -signal.SIGPROF else ""
            what = f"over {MAX_WAITING} s of the clock" if late else slow or f"the process ended with status {status}"
            self._fault(self.tried, what, json.loads((folder / CURRENT).read_text()))
            self.tried += 1

    def _take(self, result: dict) -> None:
        """Take the result of one case from a child."""
        self.outcomes[result["outcome"]] += 1
        if result["fault"]:
            self._fault(result["number"], result["fault"], result["case"])
        elif result["lines"]:
            self._lines.update(map(tuple, result["lines"]))
            self._corpus.append(Case.from_json(result["case"]))
            (self._state / f"corpus-{result['number']:09}.json").write_text(json.dumps(result["case"]))
        self.tried = result["number"] + 1

    def _fault(self, number: int, what: str, case: dict) -> None:
        self.faults += 1
        frames = re.findall(r'File ".*/(\w+\.py)", line (\d+)', what)
        last = what.strip().splitlines()[-1][:300]
        kind = f"{frames[-1] if frames else ''} {last.partition(':')[0]}"
        self.kinds[kind] += 1
        if self.kinds[kind] > 3:
            return  # known well enough
        (self._state / f"fault-{number:09}.json").write_text(json.dumps(case | {"fault": what}))
        self._say(f"FAULT in case {number}: {last}{' at {}:{}'.format(*frames[-1]) if frames else ''}")

    def _be_child(self, writing: int, folder: Path) -> None:
        """Read the cases of one batch, and write a line for each; never returns."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = MEMORY + _address_space()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        devnull = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(devnull, stream)
        try:
            with os.fdopen(writing, "wb") as results:
                records = Records(folder / "records")
                for number in range(self.tried, self.tried + BATCH):
                    results.write(json.dumps(self._try(number, folder, records)).encode() + b"\n")
                    results.flush()
            os._exit(0)
        except BaseException:
            (self._state / "crash.txt").write_text(traceback.format_exc())
            os._exit(70)

    def _try(self, number: int, folder: Path, records: Records) -> dict:
        chance = random.Random(f"{self._seed} {number}")
        case = make_case(chance, self._corpus)
        (folder / CURRENT).write_text(json.dumps(case.to_json()))
        of_records = number % 10 == 9
        fault, outcome, lines = "", "fault", set()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends the process
        try:
            if of_records:
                outcome = records.read_mutated(chance)
            else:
                with _traced(lines if len(case.data) <= TRACED_BYTES else None):
                    outcome = read_case(case, folder)
        except BaseException:
            fault = traceback.format_exc()
        signal.setitimer(signal.ITIMER_PROF, 0)
        if of_records:
            case = Case(records.data, ".manifest.json", {}, marks=False)
        new = sorted(lines - self._lines)
        self._lines |= lines
        kept = case.to_json() if fault or new else None
        return {"number": number, "outcome": outcome, "fault": fault, "lines": new, "case": kept}


@contextlib.contextmanager
def _traced(lines: set[tuple[str, int]] | None) -> Iterator[None]:
    """Add the lines of the readers that are run to `lines`; None traces nothing."""
    if lines is None:
        yield
        return

    left = MAX_TRACED_LINES

    def trace_line(frame, event, argument):
        nonlocal left
        left -= 1
        lines.add((frame.f_code.co_filename.rpartition("/")[2], frame.f_lineno))
        if left > 0:
            return trace_line
        sys.settrace(None)  # for all calls to come, and below for those that are running
        while frame is not None:
            frame.f_trace, frame = None, frame.f_back
        return None

    def trace_call(frame, event, argument):
        name = frame.f_code.co_filename
        return trace_line if "/data/" in name and "sentiment_batch" in name else None

    sys.settrace(trace_call)
    try:
        yield
    finally:
        sys.settrace(None)


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 16 * GB


def load_readers() -> None:
    """Import what the readers need, so that the forked processes need not."""
    import pyarrow.dataset
    import pyarrow.parquet  # noqa: F401

    from sentiment_batch.data import formats

    formats.find_reader_format("in.csv")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="in all, with those of earlier runs; default: 60")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="folder of the state; default: a new temporary one")
    parser.add_argument("--log", type=Path, help="append what is printed here, too")
    parser.add_argument("--case", type=Path, help="read one case of the state, and show its traceback")
    given = parser.parse_args()
    load_readers()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reader-fuzz-")))
        if given.case:
            print(read_case(Case.from_json(json.loads(given.case.read_text())), folder))
            return 0
        log = stack.enter_context(given.log.open("a")) if given.log else None

        def say(line: str) -> None:
            for stream in filter(None, (sys.stdout, log)):
                print(line, file=stream, flush=True)

        fuzzer = Fuzzer(given.state or folder, say, given.seed)
        if fuzzer.tried:
            say(f"continued after {fuzzer.tried:,} cases")
        try:
            fuzzer.run(given.minutes)
        finally:
            say(fuzzer.summary())
    return int(fuzzer.faults > 0)


if __name__ == "__main__":
    sys.exit(main())
