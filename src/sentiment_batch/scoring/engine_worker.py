"""A model in a process of an engine: it does one task after the other, and knows nothing of other workers."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.data import formats
from sentiment_batch.data.readers.input_state import drop_machine_bound
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.scoring.annotate import TableAnnotator
from sentiment_batch.scoring.backends.row_blocks import RowBlock
from sentiment_batch.scoring.backends.tasks import BlockResult, BlockTask, PartAttempt, PartTask, Task, TaskResult
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.bad_rows import BadRows
from sentiment_batch.scoring.output.part_files import DATA, describe_part, name_part, name_scores_file, pack_scores
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.settings import LOCAL

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.records import Problem
    from sentiment_batch.scoring.backends.base import Description
    from sentiment_batch.scoring.backends.row_blocks import Counts
    from sentiment_batch.scoring.backends.tasks import PartsPlan
    from sentiment_batch.scoring.output.targets import PartResult
    from sentiment_batch.settings import ScoreSettings


class Worker:
    """What a process of an engine holds: one model, and the input of the run that it works for.

    Args:
        model: a folder or Hub id that this machine can reach.
        settings: the settings that the engine was given.
        threads: CPU threads for the model; None takes all cores.

    Raises:
        ModelError: the model cannot be used.
        DeviceError: the device is not there.

    Example:
        worker = Worker(model, settings)
        result = worker(task)  # a task of `Engine.submit`
    """

    def __init__(self, model: str, settings: ScoreSettings, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._scorer = Scorer(model=model, settings=dataclasses.replace(settings, engine=LOCAL, engine_options=()))
        self._input: _Input | None = None
        # Load now, so that an engine learns at its start if a worker cannot work
        _ = self.description

    @property
    def description(self) -> Description:
        """What the model is, and how it is run here."""
        return self._scorer.description

    def __call__(self, task: Task) -> TaskResult:
        """Do a task.

        Raises:
            SentimentBatchError: the input is not what it was when the run began, cannot be read here, or the model or
                a plugin fails.
        """
        return self._score_block(task) if isinstance(task, BlockTask) else self._do_part(task)

    def close(self) -> None:
        """Free the model, and close the input."""
        self._scorer.close()
        self._close_input()

    def _score_block(self, task: BlockTask) -> BlockResult:
        # Other hardware gives other last bits, and a table must not depend on which worker scored a row
        _refuse_changes(fingerprint.list_changes({"device": task.hardware}, {"device": self.description.hardware}))
        block = RowBlock.unpack_texts(task.texts)
        (scored,) = self._scorer.score_blocks([block], expected_rows=task.expected_rows)
        return BlockResult(
            probabilities=scored.probabilities, counts=scored.counts, failures=scored.failures, number=task.number
        )

    def _do_part(self, task: PartTask) -> PartAttempt:
        plan, scorer = task.plan, self._scorer
        source = self._open_input(plan)
        # An earlier attempt that failed may have left bad rows of its part
        source.bad_rows = BadRows()
        annotator = TableAnnotator(
            job=plan.job,
            reader=source.reader,
            text_columns=plan.text_columns,
            part_rows=plan.part_rows,
            scorer=scorer,
            bad_rows=source.bad_rows,
        )
        _refuse_changes(fingerprint.list_changes(plan.scoring, fingerprint.describe_scoring(scorer, annotator.schema)))
        before = dataclasses.replace(scorer.counts)
        with _open_folder(plan) as folder:
            attempt = _AttemptTarget(plan, task.index, annotator.schema, folder)
            try:
                annotator.write(
                    attempt,
                    start=task.start,
                    first=task.start,
                    stop=task.start + task.rows,
                    empty=task.rows == 0,
                    expected_rows=plan.expected_rows,
                )
                # Checked again after the last row, because the input may have been replaced while it was read
                source.check_unchanged(plan.identity)
                return attempt.finish(task.rows, scorer.counts.subtract(before))
            except BaseException:
                attempt.abort()
                raise

    def _open_input(self, plan: PartsPlan) -> _Input:
        """The input of the run, opened when its first part comes."""
        if self._input is None or self._input.run != plan.run:
            self._close_input()
            # The input stays open for the next part of the run, because opening reads metadata each time
            self._input = _Input(plan)
            self._input.check_unchanged(plan.identity)
        return self._input

    def _close_input(self) -> None:
        if self._input is not None:
            self._input.reader.close()
        self._input = None


def _refuse_changes(changes: list[str]) -> None:
    """Refuse to work with other versions, another model or other hardware than the run began with."""
    if changes:
        raise UsageError(
            f"the worker on {socket.gethostname()} would give other scores: {'; '.join(changes)}. Use the same "
            "versions, model, devices and kind of CPU on all machines."
        )


class _Input:
    """The open input of one run."""

    def __init__(self, plan: PartsPlan) -> None:
        job = plan.job
        self.run = plan.run
        self.bad_rows = BadRows()
        self._job = job
        on_bad_row = self._add_bad_row if job.on_bad_row == "mark" else None
        options = dataclasses.replace(job.read, on_bad_row=on_bad_row)
        try:
            self.reader: Reader = formats.open_reader(job.source, format=job.input_format, options=options)
        except InputError as error:
            raise InputError(f"on {socket.gethostname()}: {error}") from error

    def _add_bad_row(self, problem: Problem) -> None:
        self.bad_rows.add_from_split(problem)

    def check_unchanged(self, identity: Any) -> None:
        """Compare the input with what it was when the run began.

        Raises:
            InputError: it is another one.
        """
        found = fingerprint.read_input_state(self.reader, self._job.source, self._job.input_format)
        # Each machine has its own inode numbers and change times for a shared file
        if drop_machine_bound(found) != drop_machine_bound(identity):
            raise InputError(
                f"{self._job.source} is not the same on {socket.gethostname()} as where the run began, or was changed "
                "since; nothing was published. Name an input that all machines share and that nobody writes to."
            )


class _AttemptTarget:
    """A `PartTarget` for one part: its scores, or its file under a name that no other attempt has."""

    def __init__(self, plan: PartsPlan, index: int, schema: pa.Schema, folder: Path) -> None:
        self._plan = plan
        self._index = index
        self._result: PartResult | None = None
        self._writer: Writer | None = None
        # A task may be done twice at the same time, so each attempt has a file of its own
        self._file = folder / f"{name_part(index)}-{uuid.uuid4().hex}{plan.file_suffix}"
        if plan.file_format is not None:
            # The name is new, so nothing is replaced
            options = dataclasses.replace(plan.job.write, overwrite=True, scratch=None)
            self._writer = formats.open_writer(str(self._file), schema, format=plan.file_format, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        if self._writer is not None:
            self._writer.write(batch)

    def end_part(self, result: PartResult) -> None:
        """Take the result, because all rows are there."""
        self._result = result
        if self._writer is not None:
            self._writer.commit()

    def finish(self, rows: int, counts: Counts) -> PartAttempt:
        """The result of the task.

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
        name, data = self._take_data(result)
        return PartAttempt(
            part=describe_part(self._index, rows=rows, counts=result.counts, file=name, data=data),
            data=data if isinstance(data, bytes) else data.name,
            problems=result.problems,
            counts=counts,
            host=socket.gethostname(),
        )

    def _take_data(self, result: PartResult) -> tuple[str, bytes | Path]:
        """The name of the part's data in the work folder, and the data, or the file that holds them."""
        if self._writer is None:
            return name_scores_file(self._index), pack_scores(result.scores)
        name = f"{DATA}/{name_part(self._index)}{self._plan.file_suffix}"
        return name, self._file if self._plan.folder is not None else self._file.read_bytes()

    def abort(self) -> None:
        """Remove the file."""
        if self._writer is not None:
            self._writer.abort()
            self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def _open_folder(plan: PartsPlan) -> Iterator[Path]:
    """The folder for a worker's files: the plan's, or a temporary one of this machine."""
    if plan.folder is not None:
        yield Path(plan.folder)
        return
    with tempfile.TemporaryDirectory(prefix="sentiment-batch-") as folder:
        yield Path(folder)
