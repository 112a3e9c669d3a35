"""Scores with the engine of a plugin: blocks and parts are sent out as tasks, and results are put in order."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sentiment_batch.data import formats
from sentiment_batch.data.plugin_guards import PluginGuard
from sentiment_batch.errors import OutputError, PluginError
from sentiment_batch.scoring.backends.base import Description, OnRows
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.row_blocks import ScoredBlock, reuse_known_scores
from sentiment_batch.scoring.backends.tasks import BlockTask, PartAttempt, PartTask

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.row_blocks import Counts, RowBlock
    from sentiment_batch.scoring.backends.tasks import PartsPlan, Task
    from sentiment_batch.scoring.output.journal import Journal
    from sentiment_batch.settings import ScoreSettings

MAX_TASKS_PER_WORKER = 2
"""Tasks that each worker has at a time: one that it works on, and one that waits for it."""
MAX_HELD_BYTES = 2**30
"""Bytes of the blocks whose results are awaited; of wide rows, fewer blocks are sent out."""
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
            if not isinstance(getattr(self.engine, "description", None), Description):
                raise plugin.error("its engine has no description, which a Worker has")
            if not isinstance(self.engine.workers, int) or self.engine.workers < 1:
                raise plugin.error(f"its engine has {self.engine.workers!r} workers")
        self.description = self.engine.description
        self._plugin = plugin

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it; blocks are read here, scored by workers."""
        waiting: deque[tuple[RowBlock, Future[Any] | None]] = deque()
        max_waiting, held = MAX_TASKS_PER_WORKER * self.engine.workers, 0
        with Stages() as stages:
            try:
                for block in stages.run_ahead(blocks, "read"):
                    waiting.append((block, self._submit(block, expected_rows)))
                    held += block.held_bytes
                    while len(waiting) > max_waiting or held > MAX_HELD_BYTES:
                        held -= waiting[0][0].held_bytes
                        yield _await_scores(*waiting.popleft(), on_rows)
                while waiting:
                    yield _await_scores(*waiting.popleft(), on_rows)
            finally:
                for _, future in waiting:
                    if future is not None:
                        future.cancel()

    def do_parts(self, plan: PartsPlan, rows: int, journal: Journal, on_done: Callable[[Counts], object]) -> None:
        """Let the workers do every part that the journal lacks; they read the input themselves.

        Args:
            plan: what the parts have in common.
            rows: rows of the whole output.
            journal: takes the parts, in whatever order they are done.
            on_done: called with the counts of each part.

        Raises:
            OutputError: a part cannot be stored, or a worker's file is not seen here.
            SentimentBatchError: as a worker raises it.
        """
        tasks = _list_missing_parts(plan, rows, journal)
        under_way: set[Future[Any]] = set()
        try:
            while True:
                while len(under_way) < MAX_TASKS_PER_WORKER * self.engine.workers:
                    task = next(tasks, None)
                    if task is None:
                        break
                    with self._plugin.translate_errors():
                        under_way.add(self.engine.submit(task))
                if not under_way:
                    return
                finished, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    attempt: PartAttempt = future.result()
                    data = attempt.data if isinstance(attempt.data, bytes) else _await_file(plan, attempt)
                    journal.adopt(attempt.part, data, attempt.problems)
                    on_done(attempt.counts)
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """End the workers."""
        self.engine.close()

    def _submit(self, block: RowBlock, expected_rows: int | None) -> Future[Any] | None:
        """Send a block to a worker; None if its scores are known."""
        if block.known is not None:
            return None
        task = BlockTask(
            texts=block.pack_texts(), expected_rows=expected_rows, hardware=self.engine.description.hardware
        )
        with self._plugin.translate_errors():
            return self.engine.submit(task)


def _await_scores(block: RowBlock, future: Future[Any] | None, on_rows: OnRows | None) -> ScoredBlock:
    if future is None:
        return reuse_known_scores(block)
    result = future.result()
    if len(result.probabilities) != block.rows:
        raise PluginError(
            f"an engine gave {len(result.probabilities):,} scores for {block.rows:,} rows. Report it to its author."
        )
    if on_rows is not None:
        on_rows(block.rows)
    return ScoredBlock(block=block, probabilities=result.probabilities, counts=result.counts, failures=result.failures)


def _list_missing_parts(plan: PartsPlan, rows: int, journal: Journal) -> Iterator[PartTask]:
    """The parts that are still to be done; even an output without rows has one part."""
    for index in range(max(1, -(-rows // plan.part_rows))):
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
    while not file.exists() or file.stat().st_size != attempt.part.bytes:
        if time.monotonic() > limit:
            raise OutputError(
                f"the worker on {attempt.host} wrote {file}, which is not seen here: an output folder must lie where "
                "all machines see it. Name such a folder, or a file, which only this machine writes."
            )
        time.sleep(0.1)
    return file
