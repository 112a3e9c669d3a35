"""Hands the tasks of a scoring run to the actors of a Ray cluster; one that dies is replaced, and its tasks redone."""

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
from sentiment_batch_ray.cluster import Crew, Options, crew, join

if TYPE_CHECKING:
    from sentiment_batch import ScoreSettings

logger = logging.getLogger("sentiment_batch.ray")

AT_A_TIME = 2
"""Tasks of an actor: one that it does, and one that is there already when it has done it."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
PATIENCE = 60.0
"""Seconds that the first actor has to come up before a word is said, and the others after it before work begins."""
ATTEMPTS = 4
"""Actors that may die with a task before it is taken for the cause."""


class _Actor:
    """A process of the cluster with a `Worker`, which is there once `load` was called."""

    def load(self, model: str, settings: ScoreSettings, threads: int) -> Any:
        """Not in `__init__`, whose errors Ray hands on as text alone."""
        self._worker = Worker(model, settings, threads=threads)
        return self._worker.description

    def do(self, task: Any) -> Any:
        return self._worker(task)


@dataclass(eq=False, slots=True)
class _Work:
    """A task on its way."""

    task: Any
    future: Future[Any] = field(default_factory=Future)
    deaths: int = 0
    """Actors that died with it."""


class RayEngine:
    """An `Engine` whose workers are Ray actors.

    Args:
        model: a folder or Hub id that every machine of the cluster can reach.
        settings: how to load it.
        options: `address`, `actors`, `cpus` and `gpus`, as text.

    Raises:
        UsageError: an option is not known.
        DeviceError: there is no cluster, or no room in it; or the actors would score differently.
        ModelError: the actors cannot use the model.
    """

    def __init__(self, model: str, settings: ScoreSettings, options: dict[str, str]) -> None:
        read = Options.read(options)
        self._lock = threading.RLock()
        self._queue: deque[_Work] = deque()
        """Tasks that no actor has yet."""
        self._open: set[_Work] = set()
        """Those whose futures have no result yet."""
        self._failure: BaseException | None = None
        """Why no task can be done any more."""
        self._busy: dict[Any, int] = {}
        """Tasks of each actor that is up."""
        self._all: set[Any] = set()
        """The actors that are up or coming up."""
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        """What Ray tells, to be dealt with in a thread of our own: in Ray's, handing out a task may wait for itself."""
        threading.Thread(target=self._deal, name="ray engine", daemon=True).start()
        self._joined = join(read)
        try:
            self._crew: Crew = crew(read, settings)
            self.workers: int = self._crew.actors
            self._arguments = (model, self._crew.settings, self._crew.cpus)
            self.description = self._started()
        except BaseException:
            self.close()
            raise

    def submit(self, task: Any) -> Future[Any]:
        """Hand out a task; the future's result is what a worker makes of it.

        Raises:
            DeviceError: by the future: every actor that took the task died, or none is left, or the engine was closed.
        """
        work = _Work(task)
        with self._lock:
            if self._failure is None:
                self._open.add(work)
                self._queue.append(work)
                self._hand_out()
            else:
                work.future.set_exception(self._failure)
        return work.future

    def close(self) -> None:
        """End the actors, and leave the cluster if this engine joined it."""
        self._fail(DeviceError("the engine was closed while it had work to do. Load the model again."))
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
        """Nothing can be done any more, if that was not so before; whoever waits is told why."""
        with self._lock:
            self._failure = self._failure or error
            lost, self._open = self._open, set()
            self._queue.clear()
        for work in lost:
            if not work.future.cancelled():
                work.future.set_exception(self._failure)

    def _started(self) -> Any:
        """Start all actors, and let them say what they are; who is late, for the cluster is full, joins later."""
        loading = {}
        for _ in range(self.workers):
            actor = self._new()
            loading[actor.load.remote(*self._arguments)] = actor
        done, late = ray.wait(list(loading), num_returns=1, timeout=PATIENCE)
        if not done:
            logger.warning("waiting for the Ray cluster to have room for an actor")
            done, late = ray.wait(list(loading), num_returns=1)
        more, late = ray.wait(late, num_returns=len(late), timeout=PATIENCE) if late else ([], [])
        try:
            found = ray.get([*done, *more])
        except RayTaskError as error:
            raise _cause(error) from error
        except RayError as error:
            raise DeviceError(f"a Ray actor did not come up: {_said(error)}. Look at `ray status`.") from error
        first = found[0]
        for one in found[1:]:
            if not _alike(one, first):
                raise DeviceError(
                    "the machines of the Ray cluster would not score alike: "
                    f"{_told(first)}, and {_told(one)}. Name the --dtype and --device, or use machines of one kind."
                )
        self._busy = {loading[ref]: 0 for ref in (*done, *more)}
        self._first = first
        if late:
            logger.warning("%s of %s Ray actors wait for room in the cluster", len(late), self.workers)
        for ref in late:
            ref.future().add_done_callback(partial(self._tell, self._up, loading[ref]))
        size = f"{self._crew.gpus:g} GPUs" if self._crew.gpus else f"{self._crew.cpus} cores"
        reason = f"{self.workers} Ray actors with {size} each"
        return replace(first, device=replace(first.device, reason=reason), devices=self.workers)

    def _new(self) -> Any:
        """An actor that comes up when the cluster has room for it."""
        made = ray.remote(_Actor).options(
            num_cpus=self._crew.cpus, num_gpus=self._crew.gpus, scheduling_strategy="SPREAD", max_restarts=0
        )
        actor = made.remote()
        self._all.add(actor)
        return actor

    def _hand_out(self) -> None:
        """Give waiting tasks to the actors that have fewest; the lock is held."""
        while self._queue and self._busy:
            actor = min(self._busy, key=self._busy.__getitem__)
            if self._busy[actor] >= AT_A_TIME:
                return
            work = self._queue.popleft()
            if work.deaths == 0 and not work.future.set_running_or_notify_cancel():
                self._open.discard(work)  # nobody wants it any more
                continue
            self._busy[actor] += 1
            reply = actor.do.remote(work.task).future()
            reply.add_done_callback(partial(self._tell, self._came, actor, work))

    def _tell(self, deal: Callable[..., None], *about: Any) -> None:
        self._events.put(partial(deal, *about))

    def _deal(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                event()
            except Exception as error:  # whoever waits must not wait for ever
                self._fail(error)

    def _came(self, actor: Any, work: _Work, done: Future[Any]) -> None:
        """A task is done, or its actor died."""
        error = done.exception()
        died = isinstance(error, RayError) and not isinstance(error, RayTaskError)  # killed for memory, among others
        with self._lock:
            if self._failure is not None or work not in self._open:
                return
            again = False
            if died:
                work.deaths += 1
                again = work.deaths < ATTEMPTS
                self._replace(actor)
            elif actor in self._busy:
                self._busy[actor] -= 1
            if again:
                self._queue.appendleft(work)
            else:
                self._open.discard(work)
            self._hand_out()
        if again:
            return
        if error is None:
            work.future.set_result(done.result())
        elif not died:
            work.future.set_exception(_cause(error))
        else:
            work.future.set_exception(
                DeviceError(
                    f"{ATTEMPTS} Ray actors died, one after the other, with the same task: {_said(error)}. If they "
                    "were killed, the memory was short: give fewer actors, or a smaller --batch-tokens."
                )
            )

    def _replace(self, actor: Any) -> None:
        """Start another actor for one that died; the lock is held."""
        if actor not in self._all:
            return
        self._all.discard(actor)
        self._busy.pop(actor, None)
        logger.warning("a Ray actor died; its tasks go to others, and another is started")
        new = self._new()
        loaded = new.load.remote(*self._arguments).future()
        loaded.add_done_callback(partial(self._tell, self._up, new))

    def _up(self, actor: Any, done: Future[Any]) -> None:
        """A new actor is up, or could not come up."""
        error = done.exception()
        with self._lock:
            if self._failure is not None or actor not in self._all:
                return
            if error is None and _alike(done.result(), self._first):
                self._busy[actor] = 0
                self._hand_out()
                return
            if error is None:
                error = DeviceError(f"it would score otherwise, {_told(done.result())}")
                ray.kill(actor)
            why = _said(_cause(error))
            logger.warning("a Ray actor cannot join: %s", why)
            self._all.discard(actor)
            none_left = not self._all
        if none_left:
            self._fail(DeviceError(f"no Ray actor is left, and no other comes up: {why}. Look at `ray status`."))


def _cause(error: BaseException) -> BaseException:
    """What a worker raised, with where it was; what Ray itself raised, as it is."""
    cause = getattr(error, "cause", None)
    if not isinstance(cause, BaseException):
        return error
    cause.add_note(f"In a Ray actor:\n{error}")
    return cause


def _said(error: BaseException) -> str:
    """The beginning of what an error says, in one line without colours."""
    return " ".join(_COLOUR.sub("", str(error)).split())[:300].rstrip(".")


def _alike(one: Any, other: Any) -> bool:
    """Whether two actors say the same of their models, but for the device and what else the model folder tells."""
    return bool(replace(one, device=other.device, meta=other.meta) == other)


def _told(description: Any) -> str:
    return f"{description.hardware} in {description.dtype.value}, {description.batch_tokens:,} tokens a batch"
