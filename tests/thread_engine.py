"""An engine of threads, as a plugin would bring it, for tests of distributed scoring."""

from __future__ import annotations

import dataclasses
import pickle
import random
import threading
import time
from concurrent.futures import Future

from sentiment_batch import Worker, hookimpl
from sentiment_batch.errors import DeviceError, UsageError


class Threads:
    """An engine of threads that ends tasks in a shuffled order, each as it would come from another process."""

    def __init__(self, model, settings, options):
        unknown = set(options) - {"workers"}
        if unknown:
            raise UsageError(f"threads has no option {unknown.pop()!r}; give workers.")
        self.workers = int(options.get("workers", 3))
        self.worker = Worker(model, settings)
        self.description = dataclasses.replace(self.worker.description, devices=self.workers)
        self.tasks = []
        self.fails_at = None
        self.closed = 0
        self._lock = threading.Lock()
        made.append(self)

    def submit(self, task):
        future = Future()
        self.tasks.append(task)
        number = len(self.tasks)
        delay = random.Random(number).random() / 50

        def do():
            time.sleep(delay)
            with self._lock:
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    if number == self.fails_at:
                        raise DeviceError("it broke. Mend it.")
                    done = pickle.loads(pickle.dumps(self.worker(pickle.loads(pickle.dumps(task)))))
                except Exception as error:
                    future.set_exception(error)
                else:
                    future.set_result(done)

        threading.Thread(target=do).start()
        return future

    def close(self):
        self.closed += 1
        self.worker.close()


made: list[Threads] = []


class Plugin:
    @hookimpl
    def register_engines(self, registry):
        registry.add("threads", Threads)
        registry.add("broken", lambda model, settings, options: object())
        registry.add("raising", lambda model, settings, options: 1 / 0)
