"""The suite for engines passes a good engine, and fails on each that breaks a rule."""

from __future__ import annotations

import contextlib
import dataclasses
from concurrent.futures import Future
from functools import partial

import pytest

from sentiment_batch import hookimpl
from sentiment_batch.errors import SentimentBatchError
from sentiment_batch.testing import EngineSuite
from tests.thread_engine import Plugin, Threads


class TestThreads(EngineSuite):
    engine = "threads"
    plugin = Plugin()


class Swapping(Threads):
    """Returns the result of the task before for every second task."""

    last = None

    def submit(self, task):
        future = super().submit(task)
        mixed, self.last = (self.last or future), future
        return mixed if len(self.tasks) % 2 == 0 else future


class Hiding(Threads):
    """Replaces the errors of its workers by errors of its own."""

    def submit(self, task):
        hidden = Future()
        real = super().submit(task)

        def done(future):
            if future.exception() is not None:
                hidden.set_exception(RuntimeError("a task failed"))
            else:
                hidden.set_result(future.result())

        real.add_done_callback(done)
        return hidden


class Careless(Threads):
    """Accepts any option and any model."""

    def __init__(self, model, settings, options):
        with contextlib.suppress(SentimentBatchError):
            super().__init__(model, settings, {})


class Rounding(Threads):
    """Its workers use another dtype than the one requested."""

    def __init__(self, model, settings, options):
        super().__init__(model, dataclasses.replace(settings, dtype="bfloat16"), options)


class Stubborn(Threads):
    """Cannot be closed twice."""

    def close(self):
        super().close()
        if self.closed > 1:
            raise ValueError("it is closed already")


CASES = [
    (Swapping, "test_a_run_writes_what_this_machine_writes", ("out.parquet",), ""),
    (Swapping, "test_an_input_that_only_this_machine_reads", (), ""),
    (Swapping, "test_a_frame", (), ""),
    (Swapping, "test_an_interrupted_run_can_be_resumed", ("out.csv",), ""),
    (Hiding, "test_an_error_of_a_worker_is_raised_unchanged", (), "It raised PluginError instead of InputError"),
    (Careless, "test_an_unknown_option_is_refused", (), "It raised no error"),
    (Careless, "test_a_missing_model_is_refused", (), "instead of ModelError"),
    (Rounding, "test_workers_describe_the_model_as_this_machine_does", (), "Its description has the dtype bfloat16"),
    (Stubborn, "test_it_may_be_closed_twice_and_with_open_tasks", (), "it is closed already"),
]


@pytest.mark.parametrize(
    ("kind", "name", "given", "message"), CASES, ids=[f"{one[0].__name__}-{one[1]}" for one in CASES]
)
def test_the_right_check_notices_a_broken_rule(tmp_path, monkeypatch, kind, name, given, message):
    from sentiment_batch.testing import engines, suite, tiny

    class Broken:
        @hookimpl
        def register_engines(self, registry):
            registry.add("broken", kind)

    class Suite(EngineSuite):
        engine = "broken"

    suite.install_plugin(Broken(), monkeypatch)
    tiny.write_tiny_model(tmp_path / "model")
    engines._write(engines._table(), tmp_path)
    check = getattr(Suite(), name)
    if name in STARTED:
        scorer = engines._scorer(tmp_path, engine="broken")
        call = partial(check, (tmp_path, scorer), *given)
    else:
        call = partial(check, tmp_path, *given)
    with pytest.raises(pytest.fail.Exception) as caught:
        call()
    assert message in str(caught.value)
    assert "The protocol: " in str(caught.value)


STARTED = {
    "test_workers_describe_the_model_as_this_machine_does",
    "test_a_run_writes_what_this_machine_writes",
    "test_an_input_that_only_this_machine_reads",
    "test_a_frame",
    "test_an_interrupted_run_can_be_resumed",
    "test_an_error_of_a_worker_is_raised_unchanged",
}


def test_every_check_has_an_engine_that_it_catches():
    assert {name for name in dir(EngineSuite) if name.startswith("test_")} == {name for _, name, _, _ in CASES}
