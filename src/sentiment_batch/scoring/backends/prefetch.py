"""Runs the stages of a stream side by side: each in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
_END = object()
MAX_SECONDS_TO_STOP = 1.0
"""Seconds to wait for a stage when all are stopped; a stage that hangs in a read ends with the process."""


class Stopped(BaseException):
    """Ends a stage whose result is not needed any more.

    It is no `Exception`, so that code on its way does not handle it as an error.
    """


class Stages:
    """The stages of one run.

    The first failure of any stage stops all stages. It is raised at once where the stream is consumed, even if items
    wait in the queues. Leaving the `with` block stops the stages, too.

    Example:
        with Stages() as stages:
            read = stages.run_ahead(read_blocks(), "read")
            for result in stages.run_ahead(map(work, read), "work"):
                ...
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def run_ahead(self, items: Iterable[Item], name: str, depth: int = 1) -> Iterator[Item]:
        """Make the same items in the same order, in a thread that is up to `depth` finished items ahead.

        The thread starts when the first item is asked for. If `items` is a generator, it is closed in that thread.
        """
        queue: deque[Any] = deque()
        thread = threading.Thread(target=self._fill, args=(items, queue, depth), name=name, daemon=True)
        thread.start()  # raises if the system gives no thread; then there is none to wait for
        self._threads.append(thread)
        while (item := self._take(queue)) is not _END:
            yield item

    def check(self) -> None:
        """Stop here if the run is over; a stage that works long on one item calls this now and then.

        Raises:
            Stopped: the run is over.
        """
        if self._stopped:
            raise Stopped

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # Wait, because a stage may still use the open input. Not for ever, because a read may hang.
        for thread in self._threads:
            thread.join(MAX_SECONDS_TO_STOP)

    def _fill(self, items: Iterable[Item], queue: deque[Any], depth: int) -> None:
        try:
            try:
                for item in items:
                    self._put(queue, item, depth)
                self._put(queue, _END, depth)
            finally:
                # A generator can only be closed by the thread that runs it, and closes the files that it reads
                close = getattr(items, "close", None)
                if close is not None:
                    close()
        except Stopped:
            pass
        except BaseException as error:  # whatever it is, the consumer must see it
            with self._changed:
                # A failure of one stage stops the others, whose own failures are only its consequences
                self._failure = self._failure or error
                self._stopped = True
                self._changed.notify_all()

    def _put(self, queue: deque[Any], item: object, depth: int) -> None:
        with self._changed:
            # A full queue holds the stage up. This bounds the memory when the next stage is slower.
            self._changed.wait_for(lambda: len(queue) < depth or self._stopped)
            self.check()
            queue.append(item)
            self._changed.notify_all()

    def _take(self, queue: deque[Any]) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: queue or self._stopped)
            if self._failure is not None:
                # The failure comes before the items that wait, because the run ends without them
                raise self._failure
            self.check()
            item = queue.popleft()
            self._changed.notify_all()
            return item
