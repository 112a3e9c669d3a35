"""Scores with the engine of a plugin: blocks and parts are sent out as tasks, and results are put in order."""

from __future__ import annotations

import concurrent.futures
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sentiment_batch.data import formats
from sentiment_batch.data.plugin_guards import PluginGuard
from sentiment_batch.errors import OutputError
from sentiment_batch.scoring.backends.base import Description, OnRows
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.row_blocks import Counts, Failure, ScoredBlock, reuse_known_scores
from sentiment_batch.scoring.backends.tasks import BlockResult, BlockTask, PartAttempt, PartTask

if TYPE_CHECKING:
    from sentiment_batch.errors import PluginError
    from sentiment_batch.scoring.backends.row_blocks import RowBlock
    from sentiment_batch.scoring.backends.tasks import PartsPlan, Task
    from sentiment_batch.scoring.output.journal import Journal
    from sentiment_batch.settings import ScoreSettings

MAX_TASKS_PER_WORKER = 2
"""Tasks that each worker has at a time: one that it works on, and one that waits for it."""
MAX_HELD_BYTES = 2**30
"""Bytes of the blocks whose results are awaited; with wide rows, fewer blocks are in flight."""
MAX_SECONDS_UNTIL_SEEN = 10.0
"""Seconds to wait for a worker's file to be seen here, because a shared file system may be slow."""


class Engine(Protocol):
    """What a plugin brings to score in other processes, each of which holds a `Worker`.

    An engine hands out tasks and brings back their results, in any order. A task may be done twice. The run takes care
    of the order of rows, of the parts, of resuming, and of publishing.
    """

    description: Description
    """What the workers report of the model; it must be the same for all workers, except for `device`."""
    workers: int
    """The number of tasks that are done at the same time."""

    def submit(self, task: Task) -> Future[Any]:
        """Hand out a task, which can be pickled, and return at once.

        The result of the future is `worker(task)`. If the worker of a task dies, the engine gives the task to another
        worker. An error that a worker raises is raised unchanged by the future. The future of a task that no worker has
        begun may be cancelled.

        Raises:
            SentimentBatchError: no worker can do it.
        """
        ...

    def close(self) -> None:
        """End the workers, even if they have tasks; it may be called twice."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A block that an engine has."""

    number: int
    """The number of its task."""
    future: Future[Any]


class DistributedBackend:
    """A model that the engine of a plugin runs.

    Args:
        model: a folder or Hub id.
        settings: how to load it, with the name and the options of the engine.

    Raises:
        UsageError: no engine has that name.
        PluginError: the plugin failed.
        ModelError, DeviceError: as its workers raise them.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        found = formats.find_engine(settings.engine)
        plugin = PluginGuard(name=found.owner, location=f'`engine="{settings.engine}"`')
        with plugin.translate_errors():
            self.engine: Engine = found.open(model, settings, dict(settings.engine_options))
            plugin.check_methods(self.engine, "submit", "close")
        self._plugin = plugin
        self._numbers = itertools.count()
        try:
            self.description, self._workers = self._check_engine()
        except BaseException:
            self.close()  # the workers of an engine that is not used would stay
            raise

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it; blocks are read here, scored by workers."""
        waiting: deque[tuple[RowBlock, _Sent | None]] = deque()
        max_waiting, held = MAX_TASKS_PER_WORKER * self._workers, 0
        with Stages() as stages:
            try:
                for block in stages.run_ahead(blocks, "read"):
                    # Workers finish in any order. The queue keeps the order of the blocks.
                    waiting.append((block, self._submit(block, expected_rows)))
                    held += block.held_bytes
                    # Take results before more is sent, because a block stays in memory until its result is there
                    while len(waiting) > max_waiting or held > MAX_HELD_BYTES:
                        held -= waiting[0][0].held_bytes
                        yield self._await_scores(*waiting.popleft(), on_rows)
                while waiting:
                    yield self._await_scores(*waiting.popleft(), on_rows)
            finally:
                # A run that stops early leaves no tasks behind that workers would still begin
                for _, sent in waiting:
                    if sent is not None:
                        sent.future.cancel()

    def do_parts(self, plan: PartsPlan, rows: int, journal: Journal, on_done: Callable[[Counts], object]) -> None:
        """Let the workers do every part that the journal lacks; they read the input themselves.

        Args:
            plan: what the parts have in common.
            rows: rows of the whole output.
            journal: takes the parts, in whatever order they are done.
            on_done: called with the counts of each part.

        Raises:
            OutputError: a part cannot be stored, or a worker's file is not seen here.
            PluginError: the engine failed, or a result is not that of its task.
            SentimentBatchError: as a worker raises it.
        """
        tasks = _list_missing_parts(plan, rows, journal)
        under_way: dict[Future[Any], PartTask] = {}
        try:
            while True:
                # Keep each worker busy, but hand out no more, so that a run that stops leaves little work behind
                for task in itertools.islice(tasks, MAX_TASKS_PER_WORKER * self._workers - len(under_way)):
                    self._submit_part(task, under_way)
                if not under_way:
                    return
                finished, _ = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    attempt = self._take_attempt(under_way.pop(future), future)
                    # A task may be done twice. Only the attempt that is adopted here becomes the part.
                    data = attempt.data if isinstance(attempt.data, bytes) else _await_file(plan, attempt)
                    journal.adopt(attempt.part, data, attempt.problems)
                    on_done(attempt.counts)
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """End the workers. An error is only logged, because all results are there by then."""
        with self._plugin.log_errors():
            self.engine.close()

    def _check_engine(self) -> tuple[Description, int]:
        """The engine's description and its number of workers."""
        plugin = self._plugin
        with plugin.translate_errors():
            description: object = getattr(self.engine, "description", None)
            if not isinstance(description, Description):
                raise plugin.make_error("its engine has no description, which a Worker has")
            workers: object = self.engine.workers
            if not isinstance(workers, int) or workers < 1:
                raise plugin.make_error(f"its engine has {workers!r} workers")
        return description, workers

    def _submit_task(self, task: Task) -> Future[Any]:
        """Hand a task to the engine."""
        with self._plugin.translate_errors():
            future: object = self.engine.submit(task)
            if isinstance(future, Future):
                return future
            raise self._plugin.make_error(
                f"its submit() returned an object of the type {type(future).__name__}, not Future"
            )

    def _submit_part(self, task: PartTask, under_way: dict[Future[Any], PartTask]) -> None:
        """Hand out a part, and note it with those that are under way."""
        future = self._submit_task(task)
        # The second task would take the place of the first, and nothing would wait for the first part
        if future in under_way:
            raise self._plugin.make_error("its submit() returned the same future for two tasks")
        under_way[future] = task

    def _submit(self, block: RowBlock, expected_rows: int | None) -> _Sent | None:
        """Send a block to a worker; None if its scores are known."""
        if block.known is not None:
            return None
        task = BlockTask(
            texts=block.pack_texts(),
            expected_rows=expected_rows,
            hardware=self.description.hardware,
            number=next(self._numbers),
        )
        return _Sent(number=task.number, future=self._submit_task(task))

    def _await_scores(self, block: RowBlock, sent: _Sent | None, on_rows: OnRows | None) -> ScoredBlock:
        """Wait for the scores of a block."""
        if sent is None:
            return reuse_known_scores(block)
        with self._plugin.translate_errors():
            # A plugin may return anything, so nothing of a result is believed before it is checked
            result: object = sent.future.result()
            if not isinstance(result, BlockResult):
                raise self._make_result_error(result, "BlockResult")
            if result.number != sent.number:
                raise self._plugin.make_error(f"it returned the result of task {result.number} for task {sent.number}")
            self._check_scores(result, block.rows)
        if on_rows is not None:
            on_rows(block.rows)
        probabilities, counts, failures = result.probabilities, result.counts, result.failures
        return ScoredBlock(block=block, probabilities=probabilities, counts=counts, failures=failures)

    def _check_scores(self, result: BlockResult, rows: int) -> None:
        """Raise PluginError if a result cannot be that of a block with that number of rows."""
        shape: object = getattr(result.probabilities, "shape", None)
        if shape != (rows, len(self.description.labels)):
            expected = f"{rows:,} rows and {len(self.description.labels)} labels"
            raise self._plugin.make_error(f"its result has scores of the shape {shape} for a block of {expected}")
        failures_fit = all(isinstance(one, Failure) and 0 <= one.row < rows for one in result.failures)
        if not isinstance(result.counts, Counts) or not failures_fit:
            raise self._plugin.make_error("the counts or the failures in its result are not those of a Worker")

    def _take_attempt(self, task: PartTask, future: Future[Any]) -> PartAttempt:
        """The result of a part that is done."""
        with self._plugin.translate_errors():
            attempt: object = future.result()
            if not isinstance(attempt, PartAttempt):
                raise self._make_result_error(attempt, "PartAttempt")
            part, is_file = attempt.part, isinstance(attempt.data, str) and task.plan.folder is not None
            # A part in the place of another would give wrong rows, so the number and the rows must fit
            if (part.index, part.rows) != (task.index, task.rows):
                wanted = f"part {task.index} with {task.rows:,} rows"
                raise self._plugin.make_error(f"it returned part {part.index} with {part.rows:,} rows for {wanted}")
            if not is_file and not isinstance(attempt.data, bytes):
                raise self._plugin.make_error(f"part {part.index} has data of the type {type(attempt.data).__name__}")
        return attempt

    def _make_result_error(self, result: object, expected: str) -> PluginError:
        return self._plugin.make_error(f"its future has a result of the type {type(result).__name__}, not {expected}")


def _list_missing_parts(plan: PartsPlan, rows: int, journal: Journal) -> Iterator[PartTask]:
    """The parts that are still to be done; even an output without rows has one part."""
    # The number of parts is rounded up, because the last part may be shorter
    for index in range(max(1, -(-rows // plan.part_rows))):
        # An earlier run may have left gaps, because its workers finished parts in any order
        if index >= len(journal.parts) and index not in journal.ahead:
            start = index * plan.part_rows
            yield PartTask(plan=plan, index=index, start=start, rows=min(plan.part_rows, rows - start))


def _await_file(plan: PartsPlan, attempt: PartAttempt) -> Path:
    """The file that a worker wrote, once it is seen here.

    Raises:
        OutputError: it is not seen in time.
    """
    file = Path(str(plan.folder)) / str(attempt.data)
    limit = time.monotonic() + MAX_SECONDS_UNTIL_SEEN
    # A network file system may show the name before all bytes, so the size is compared, too
    while not file.exists() or file.stat().st_size != attempt.part.bytes:
        if time.monotonic() > limit:
            raise OutputError(
                f"the worker on {attempt.host} wrote {file}, which is not seen here: an output folder must lie where "
                "all machines see it. Name such a folder, or a file, which only this machine writes."
            )
        time.sleep(0.1)
    return file
