"""Runs the tasks of a scoring run on the actors of a Ray cluster. An actor that dies is replaced, and its tasks run
again."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from sentiment_batch import DeviceError, Worker
from sentiment_batch_ray.cluster import ActorPlan, Options, join, plan_actors

if TYPE_CHECKING:
    from sentiment_batch import ScoreSettings

logger = logging.getLogger("sentiment_batch.ray")

MAX_TASKS_PER_ACTOR = 2
"""Tasks that an actor has at the same time: one runs, and the next waits."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
MAX_START_SECONDS = 60.0
"""Seconds to wait for the first actor before a warning, and then for the others before the tasks are assigned."""
MAX_ATTEMPTS = 4
"""Number of actors that may die with a task before the task counts as the cause."""


class _Actor:
    """A process of the cluster. `load` makes its `Worker`."""

    def load(self, model: str, settings: ScoreSettings, threads: int) -> Any:
        """Load the model. In `__init__` Ray would pass on only the text of an error."""
        self._worker = Worker(model, settings, threads=threads)
        return self._worker.description

    def do(self, task: Any) -> Any:
        """Run a task."""
        return self._worker(task)


@dataclass(eq=False, slots=True)
class _Work:
    """A task that has no result yet."""

    task: Any
    future: Future[Any] = field(default_factory=Future)
    deaths: int = 0
    """Number of actors that died while they had it."""


class RayEngine:
    """An `Engine` whose workers are Ray actors.

    Args:
        model: a folder or Hub id that every machine of the cluster can reach.
        settings: the settings of the scoring.
        options: the values of `address`, `actors`, `cpus` and `gpus` as text.

    Raises:
        UsageError: an option is unknown.
        DeviceError: there is no cluster, it has no room, or its actors would score differently.
        ModelError: the actors cannot use the model.
    """

    def __init__(self, model: str, settings: ScoreSettings, options: dict[str, str]) -> None:
        read = Options.read(options)
        self._lock = threading.RLock()
        self._queue: deque[_Work] = deque()
        """The tasks that no actor has yet."""
        self._open: set[_Work] = set()
        """The tasks whose futures have no result yet."""
        self._failure: BaseException | None = None
        """Why no task can run any more; None if tasks can run."""
        self._busy: dict[Any, int] = {}
        """Number of tasks of each running actor."""
        self._all: set[Any] = set()
        """The actors that run or start."""
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        """Events of Ray, which our own thread handles. In the thread of Ray, assigning a task could wait for itself."""
        threading.Thread(target=self._handle_events, name="ray engine", daemon=True).start()
        self._joined = join(read)
        try:
            self._plan: ActorPlan = plan_actors(read, settings)
            self.workers: int = self._plan.actors
            self._arguments = (model, self._plan.settings, self._plan.cpus)
            self.description = self._start_actors()
        except BaseException:
            self.close()
            raise

    def submit(self, task: Any) -> Future[Any]:
        """Assign a task to an actor.

        Returns:
            A future with the result. It raises a `DeviceError` if every actor with the task died, no actor is left, or
            the engine was closed.
        """
        work = _Work(task)
        with self._lock:
            if self._failure is None:
                self._open.add(work)
                self._queue.append(work)
                self._assign_tasks()
            else:
                work.future.set_exception(self._failure)
        return work.future

    def close(self) -> None:
        """End the actors, and leave the cluster if this engine joined it."""
        self._fail(DeviceError("the engine was closed while it had tasks. Load the model again."))
        with self._lock:
            actors, self._all, self._busy = self._all, set(), {}
        self._events.put(None)
        if ray.is_initialized():
            for actor in actors:
                ray.kill(actor)
            if self._joined:
                ray.shutdown()
        self._joined = False

    def _fail(self, error: BaseException) -> None:
        """End all tasks with this error, or with the first one if there was an error before."""
        with self._lock:
            self._failure = self._failure or error
            lost, self._open = self._open, set()
            self._queue.clear()
        for work in lost:
            if not work.future.cancelled():
                work.future.set_exception(self._failure)

    def _start_actors(self) -> Any:
        """Start all actors, and return their common description. If the cluster is full, the others join later."""
        loading = {}
        for _ in range(self.workers):
            actor = self._make_actor()
            loading[actor.load.remote(*self._arguments)] = actor
        done, late = ray.wait(list(loading), num_returns=1, timeout=MAX_START_SECONDS)
        if not done:
            logger.warning("waiting for the Ray cluster to have room for an actor")
            done, late = ray.wait(list(loading), num_returns=1)
        more, late = ray.wait(late, num_returns=len(late), timeout=MAX_START_SECONDS) if late else ([], [])
        try:
            found = ray.get([*done, *more])
        except RayTaskError as error:
            raise _cause(error) from error
        except RayError as error:
            raise DeviceError(f"a Ray actor did not start: {_describe_error(error)}. Run 'ray status'.") from error
        first = found[0]
        for one in found[1:]:
            if not _scores_alike(one, first):
                raise DeviceError(
                    "the machines of the Ray cluster would not score alike: "
                    f"{_describe_actor(first)}, and {_describe_actor(one)}. Set `dtype` and `device`, or use "
                    "machines with the same kind of CPU or GPU."
                )
        self._busy = {loading[ref]: 0 for ref in (*done, *more)}
        self._first = first
        if late:
            logger.warning("%s of %s Ray actors wait for room in the cluster", len(late), self.workers)
        for ref in late:
            ref.future().add_done_callback(partial(self._post, self._on_started, loading[ref]))
        size = f"{self._plan.gpus:g} GPUs" if self._plan.gpus else f"{self._plan.cpus} cores"
        reason = f"{self.workers} Ray actors with {size} each"
        return replace(first, device=replace(first.device, reason=reason), devices=self.workers)

    def _make_actor(self) -> Any:
        """Make an actor, which starts when the cluster has room for it."""
        made = ray.remote(_Actor).options(
            num_cpus=self._plan.cpus, num_gpus=self._plan.gpus, scheduling_strategy="SPREAD", max_restarts=0
        )
        actor = made.remote()
        self._all.add(actor)
        return actor

    def _assign_tasks(self) -> None:
        """Give waiting tasks to the actors with the fewest tasks. The caller holds the lock."""
        while self._queue and self._busy:
            actor = min(self._busy, key=self._busy.__getitem__)
            if self._busy[actor] >= MAX_TASKS_PER_ACTOR:
                return
            work = self._queue.popleft()
            if work.deaths == 0 and not work.future.set_running_or_notify_cancel():
                self._open.discard(work)  # the caller has cancelled it
                continue
            self._busy[actor] += 1
            reply = actor.do.remote(work.task).future()
            reply.add_done_callback(partial(self._post, self._on_done, actor, work))

    def _post(self, handle: Callable[..., None], *arguments: Any) -> None:
        self._events.put(partial(handle, *arguments))

    def _handle_events(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                event()
            except Exception as error:  # else callers would wait for ever
                self._fail(error)

    def _on_done(self, actor: Any, work: _Work, done: Future[Any]) -> None:
        """Handle the end of a task, or the death of its actor."""
        error = done.exception()
        # The actor died, for example because it was killed for its memory. A RayTaskError is an error of the task.
        died = isinstance(error, RayError) and not isinstance(error, RayTaskError)
        with self._lock:
            if self._failure is not None or work not in self._open:
                return
            again = False
            if died:
                work.deaths += 1
                again = work.deaths < MAX_ATTEMPTS
                self._replace(actor)
            elif actor in self._busy:
                self._busy[actor] -= 1
            if again:
                self._queue.appendleft(work)
            else:
                self._open.discard(work)
            self._assign_tasks()
        if again:
            return
        if error is None:
            work.future.set_result(done.result())
        elif not died:
            work.future.set_exception(_cause(error))
        else:
            work.future.set_exception(
                DeviceError(
                    f"{MAX_ATTEMPTS} Ray actors died one after the other with the same task: {_describe_error(error)}. "
                    "If they ran out of memory, use fewer actors or a smaller `batch_tokens`."
                )
            )

    def _replace(self, actor: Any) -> None:
        """Start another actor in place of one that died. The caller holds the lock."""
        if actor not in self._all:
            return
        self._all.discard(actor)
        self._busy.pop(actor, None)
        logger.warning("a Ray actor died; its tasks run on others, and a new actor starts")
        new = self._make_actor()
        loaded = new.load.remote(*self._arguments).future()
        loaded.add_done_callback(partial(self._post, self._on_started, new))

    def _on_started(self, actor: Any, done: Future[Any]) -> None:
        """Handle the start of a new actor, or its failure."""
        error = done.exception()
        with self._lock:
            if self._failure is not None or actor not in self._all:
                return
            if error is None and _scores_alike(done.result(), self._first):
                self._busy[actor] = 0
                self._assign_tasks()
                return
            if error is None:
                error = DeviceError(f"it would score differently, {_describe_actor(done.result())}")
                ray.kill(actor)
            why = _describe_error(_cause(error))
            logger.warning("a Ray actor cannot join: %s", why)
            self._all.discard(actor)
            none_left = not self._all
        if none_left:
            self._fail(DeviceError(f"no Ray actor is left, and no other starts: {why}. Run 'ray status'."))


def _cause(error: BaseException) -> BaseException:
    """The error that a worker raised, with its traceback as a note; or an error of Ray itself."""
    cause = getattr(error, "cause", None)
    if not isinstance(cause, BaseException):
        return error
    cause.add_note(f"In a Ray actor:\n{error}")
    return cause


def _describe_error(error: BaseException) -> str:
    """The beginning of the message of an error, in one line without colours."""
    return " ".join(_COLOUR.sub("", str(error)).split())[:300].rstrip(".")


def _scores_alike(one: Any, other: Any) -> bool:
    """True if the descriptions of two actors are equal, except for the device and the metadata of the model folder."""
    return bool(replace(one, device=other.device, meta=other.meta) == other)


def _describe_actor(description: Any) -> str:
    return f"{description.hardware} in {description.dtype.value}, {description.batch_tokens:,} tokens a batch"
