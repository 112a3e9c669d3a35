"""A model that an engine of a plugin runs elsewhere: windows and parts go out as tasks, and come back in order."""

from __future__ import annotations

import concurrent.futures
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sentiment_batch.data import formats
from sentiment_batch.data.plugin_guards import Plugin
from sentiment_batch.errors import OutputError, PluginError
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.results import Description, OnRows, Scored, passed
from sentiment_batch.scoring.backends.tasks import PartDone, PartTask, WindowTask
from sentiment_batch.scoring.output.journal import DATA, Journal, Part, part_name

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.results import Counts
    from sentiment_batch.scoring.backends.row_blocks import Window
    from sentiment_batch.scoring.backends.tasks import Plan, Task
    from sentiment_batch.settings import ScoreSettings

AHEAD = 2
"""Tasks that each worker has at a time: one that it does, and one that waits for it."""
HELD_BYTES = 2**30
"""Of windows that workers have, or that wait for one before them: of wide rows, fewer are under way."""
PATIENCE = 10.0
"""Seconds in which a file that a worker wrote must be seen here; a shared file system may be slow to show it."""


class Engine(Protocol):
    """What a plugin brings to score in other processes, each of which holds a `Worker`.

    An engine hands out tasks and brings back what they come to. Order, parts, what is kept for a run that is cut off,
    and what is published are the run's: a task may be done twice, and tasks in any order.
    """

    description: Description
    """What the workers say of the model; they must all say the same, but for `device`."""
    workers: int
    """How many tasks are done at a time."""

    def submit(self, task: Task) -> Future[Any]:
        """Hand out a task, which can be pickled, and return at once.

        The future's result is what a worker made of the task: `worker(task)`. A task whose worker died is given to
        another; what the worker raised is raised as it is. The future of a task that was not begun may be cancelled.

        Raises:
            SentimentBatchError: no worker can do it.
        """
        ...

    def close(self) -> None:
        """End the workers, whatever they are at; may be called twice."""
        ...


class Distributed:
    """The model of an engine.

    Args:
        model: a folder or Hub id.
        settings: how to load it, with the name and the options of the engine.

    Raises:
        UsageError: no engine has that name.
        PluginError: the plugin failed.
        ModelError, DeviceError: as its workers raise them.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        found = formats.engine(settings.engine)
        plugin = Plugin(name=found.owner, location=f"--engine {settings.engine}")
        with plugin.failures_named():
            self.engine: Engine = found.open(model, settings, dict(settings.engine_options))
            plugin.check_methods(self.engine, "submit", "close")
            if not isinstance(getattr(self.engine, "description", None), Description):
                raise plugin.failed("its engine has no description, which a Worker has")
            if not isinstance(self.engine.workers, int) or self.engine.workers < 1:
                raise plugin.failed(f"its engine has {self.engine.workers!r} workers")
        self.description = self.engine.description

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """The windows in their order, each with its probabilities; read here, scored wherever a worker is free."""
        waiting: deque[tuple[Window, Future[Any] | None]] = deque()
        most, held = AHEAD * self.engine.workers, 0
        with Stages() as stages:
            try:
                for window in stages.ahead(stream, "read"):
                    waiting.append((window, self._begun(window, expected_rows)))
                    held += window.held_bytes
                    while len(waiting) > most or held > HELD_BYTES:
                        held -= waiting[0][0].held_bytes
                        yield _finished(*waiting.popleft(), on_rows)
                while waiting:
                    yield _finished(*waiting.popleft(), on_rows)
            finally:
                for _, future in waiting:
                    if future is not None:
                        future.cancel()

    def _begun(self, window: Window, expected_rows: int | None) -> Future[Any] | None:
        if window.known is not None:
            return None
        return self.engine.submit(WindowTask(texts=window.pack_texts(), expected_rows=expected_rows))

    def do_parts(self, plan: Plan, rows: int, journal: Journal, on_done: Callable[[Counts], object]) -> None:
        """Have every part done that the journal lacks; workers read the input themselves.

        Args:
            plan: what the parts have in common.
            rows: of the whole output.
            journal: takes the parts, in whatever order they are done.
            on_done: told of each.

        Raises:
            OutputError: a part cannot be kept, or a worker's file is not seen here.
            SentimentBatchError: as a worker raises it.
        """
        tasks = _tasks(plan, rows, journal)
        under_way: set[Future[Any]] = set()
        try:
            while True:
                while len(under_way) < AHEAD * self.engine.workers and (task := next(tasks, None)) is not None:
                    under_way.add(self.engine.submit(task))
                if not under_way:
                    return
                finished, under_way = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    _adopt(plan, journal, future.result())
                    on_done(future.result().counts)
        finally:
            for future in under_way:
                future.cancel()

    def close(self) -> None:
        """End the workers."""
        self.engine.close()


def _finished(window: Window, future: Future[Any] | None, on_rows: OnRows | None) -> Scored:
    if future is None:
        return passed(window)
    done = future.result()
    if len(done.probabilities) != window.rows:
        raise PluginError(
            f"an engine gave {len(done.probabilities):,} scores for {window.rows:,} rows. Report it to its author."
        )
    if on_rows is not None:
        on_rows(window.rows)
    return Scored(window=window, probabilities=done.probabilities, counts=done.counts, failures=done.failures)


def _tasks(plan: Plan, rows: int, journal: Journal) -> Iterator[PartTask]:
    """The parts that are not done; a run has one at least."""
    for index in range(max(1, -(-rows // plan.part_rows))):
        if index >= len(journal.parts) and index not in journal.ahead:
            start = index * plan.part_rows
            yield PartTask(plan=plan, index=index, start=start, rows=min(plan.part_rows, rows - start))


def _adopt(plan: Plan, journal: Journal, done: PartDone) -> None:
    """Let the attempt of a worker be the part."""
    name = part_name(done.index)
    part = Part(
        index=done.index,
        rows=done.rows,
        counts=done.tally,
        file=f"{name}.scores" if plan.writing is None else f"{DATA}/{name}{plan.ending}",
        bytes=done.size,
        sha256=done.sha256,
    )
    journal.adopt(part, done.data if isinstance(done.data, bytes) else _seen(plan, done), done.problems)


def _seen(plan: Plan, done: PartDone) -> Path:
    """The file of an attempt.

    Raises:
        OutputError: it is not here.
    """
    file = Path(str(plan.folder)) / str(done.data)
    limit = time.monotonic() + PATIENCE
    while not file.exists() or file.stat().st_size != done.size:
        if time.monotonic() > limit:
            raise OutputError(
                f"the worker on {done.host} wrote {file}, which is not seen here: an OUT that is a folder must lie "
                "where all machines see it. Name such a folder, or a file, which only this machine writes."
            )
        time.sleep(0.1)
    return file
