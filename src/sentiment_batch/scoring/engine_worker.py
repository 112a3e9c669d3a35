"""A model in a process of an engine: tasks in, what they come to out. It knows nothing of other workers."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.data import formats
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.files.checksums import file_sha256
from sentiment_batch.plugins.registry import BUILT_IN
from sentiment_batch.scoring.annotate import Annotation
from sentiment_batch.scoring.backends.row_blocks import Window
from sentiment_batch.scoring.backends.tasks import Done, PartDone, PartTask, Task, WindowDone, WindowTask
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.bad_rows import Problems
from sentiment_batch.scoring.output.journal import packed, part_name
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.settings import LOCAL

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.records import Problem
    from sentiment_batch.scoring.backends.results import Counts, Description
    from sentiment_batch.scoring.backends.tasks import Plan
    from sentiment_batch.scoring.output.targets import PartResult
    from sentiment_batch.settings import ScoreSettings


class Worker:
    """What a process of an engine holds: one model, and the input of the run that it works for.

    Args:
        model: a folder or Hub id that this machine can reach.
        settings: as the engine was given them.
        threads: of a CPU, for the model; None takes all of its cores.

    Raises:
        ModelError: the model cannot be used.
        DeviceError: the device is not there.

    Example:
        worker = Worker(model, settings)
        done = worker(task)  # of an `Engine.submit`
    """

    def __init__(self, model: str, settings: ScoreSettings, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._scorer = Scorer(model=model, settings=dataclasses.replace(settings, engine=LOCAL, engine_options=()))
        self._input: _Input | None = None
        _ = self.description

    @property
    def description(self) -> Description:
        """What the model is and how it is run here."""
        return self._scorer.about

    def __call__(self, task: Task) -> Done:
        """Do a task.

        Raises:
            SentimentBatchError: the input is not what it was when the run began, cannot be read here, or the model or
                a plugin fails.
        """
        return self._window(task) if isinstance(task, WindowTask) else self._part(task)

    def close(self) -> None:
        """Free the model and the input."""
        self._scorer.close()
        if self._input is not None:
            self._input.reader.close()
        self._input = None

    def _window(self, task: WindowTask) -> WindowDone:
        window = Window.of_texts(task.texts)
        (scored,) = self._scorer.scored([window], expected_rows=task.expected_rows)
        return WindowDone(probabilities=scored.probabilities, counts=scored.counts, failures=scored.failures)

    def _part(self, task: PartTask) -> PartDone:
        plan, scorer = task.plan, self._scorer
        source = self._opened(plan)
        source.problems = Problems()
        annotation = Annotation(
            job=plan.job,
            reader=source.reader,
            texts=plan.texts,
            part_rows=plan.part_rows,
            scorer=scorer,
            problems=source.problems,
        )
        self._check_same(plan, annotation.schema)
        before = dataclasses.replace(scorer.counts)
        with _folder(plan) as folder:
            attempt = _Attempt(plan, task.index, annotation.schema, folder)
            try:
                annotation.write(
                    attempt,
                    start=task.start,
                    first=task.start,
                    stop=task.start + task.rows,
                    empty=task.rows == 0,
                    expected_rows=plan.expected_rows,
                )
                source.check(plan.identity)
                return attempt.done(task.rows, scorer.counts.since(before))
            except BaseException:
                attempt.abort()
                raise

    def _opened(self, plan: Plan) -> _Input:
        """The input of the run, opened when its first part comes."""
        if self._input is None or self._input.run != plan.run:
            if self._input is not None:
                self._input.reader.close()
                self._input = None
            self._input = _Input(plan)
            self._input.check(plan.identity)
        return self._input

    def _check_same(self, plan: Plan, schema: pa.Schema) -> None:
        changed = fingerprint.differences(plan.scoring, fingerprint.scoring_of(self._scorer, schema))
        if changed:
            raise UsageError(
                f"the worker on {socket.gethostname()} would give other scores: {'; '.join(changed)}. Let all machines "
                "have the same versions, model and devices."
            )


class _Input:
    """The input of one run, open."""

    def __init__(self, plan: Plan) -> None:
        job = plan.job
        self.run = plan.run
        self.problems = Problems()
        self._source = job.source
        self._built_in = formats.reading_format(job.source, job.input_format).owner == BUILT_IN
        told = self._tell if job.on_bad_row == "mark" else None
        options = dataclasses.replace(job.read, on_bad_row=told)
        try:
            self.reader: Reader = formats.open_reader(job.source, format=job.input_format, options=options)
        except InputError as error:
            raise InputError(f"on {socket.gethostname()}: {error}") from error

    def _tell(self, problem: Problem) -> None:
        self.problems.in_split(problem)

    def check(self, identity: Any) -> None:
        """See to it that the input is what it was.

        Raises:
            InputError: it is not.
        """
        if fingerprint.input_identity(self.reader, self._source, built_in=self._built_in) != identity:
            raise InputError(
                f"{self._source} is not the same on {socket.gethostname()} as where the run began, or was changed "
                "since; nothing was published. Give a place that all machines share, and that nobody writes to."
            )


class _Attempt:
    """A `PartTarget` for one part: its scores, or its file under a name that no other attempt has."""

    def __init__(self, plan: Plan, index: int, schema: pa.Schema, folder: Path) -> None:
        self._plan = plan
        self._index = index
        self._result: PartResult | None = None
        self._writer: Writer | None = None
        self._file = folder / f"{part_name(index)}-{uuid.uuid4().hex}{plan.ending}"
        if plan.writing is not None:
            options = dataclasses.replace(plan.job.write, overwrite=True, scratch=None)
            self._writer = formats.open_writer(str(self._file), schema, format=plan.writing, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        if self._writer is not None:
            self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """All rows are there."""
        self._result = result
        if self._writer is not None:
            self._writer.commit()

    def done(self, rows: int, counts: Counts) -> PartDone:
        """What came of it.

        Raises:
            InputError: the input gave fewer rows than it promised.
        """
        result = self._result
        if result is None or len(result.scores) != rows:
            found = 0 if result is None else len(result.scores)
            raise InputError(
                f"{self._plan.job.source} gave {found:,} rows of the {rows:,} in part {self._index}; nothing was "
                "published. Score it again when nobody writes to it."
            )
        return PartDone(
            index=self._index,
            rows=rows,
            **self._data(result),
            tally=result.counts,
            problems=result.problems,
            counts=counts,
            host=socket.gethostname(),
        )

    def _data(self, result: PartResult) -> dict[str, Any]:
        """The fields of `PartDone` on where the data are."""
        if self._writer is not None and self._plan.folder is not None:
            size, digest = self._file.stat().st_size, file_sha256(self._file)
            return {"data": self._file.name, "size": size, "sha256": digest}
        data = packed(result.scores) if self._writer is None else self._file.read_bytes()
        return {"data": data, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def abort(self) -> None:
        """Leave no trace."""
        if self._writer is not None:
            self._writer.abort()
            self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder(plan: Plan) -> Iterator[Path]:
    """Where the files of attempts go: where the run wants them, or a folder of this machine, to be sent from there."""
    if plan.folder is not None:
        yield Path(plan.folder)
        return
    with tempfile.TemporaryDirectory(prefix="sentiment-batch-") as folder:
        yield Path(folder)
