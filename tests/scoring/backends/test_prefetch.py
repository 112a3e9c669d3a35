"""Stages run side by side, a bounded number of items ahead; a fault or an early end stops all of them at once."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment_batch.scoring.backends.prefetch import Stages, Stopped

SOON = 30.0
"""Seconds after which something hangs; nothing waits for so long when all is well."""


class FaultError(Exception):
    """What goes wrong in a stage."""


class Source:
    """Endless numbers; knows whether it was closed, in which thread, and how many were taken."""

    def __init__(self, most=10**9):
        self.taken = 0
        self.closed_in = None
        self.closed = threading.Event()
        self._most = most

    def items(self):
        try:
            for number in range(self._most):
                self.taken += 1
                yield number
        finally:
            self.closed_in = threading.current_thread().name
            self.closed.set()


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert left == []


def chained(stages, items, *works, depth=1):
    """Each work in a stage of its own, after one that reads."""
    stream = stages.run_ahead(items, "read", depth)
    for number, work in enumerate(works):
        stream = stages.run_ahead(map(work, stream), f"work {number}", depth)
    return stream


def same(item):
    return item


def failing(at):
    """A function that fails at the item `at`, and returns every other item."""

    def work(item):
        if item == at:
            raise FaultError(f"at {item}")
        return item

    return work


@settings(max_examples=30)
@given(items=st.lists(st.integers(), max_size=30), depth=st.integers(1, 4), works=st.integers(0, 3))
def test_the_items_come_out_in_their_order(items, depth, works):
    with Stages() as stages:
        assert list(chained(stages, items, *[same] * works, depth=depth)) == items


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_stage_is_further_ahead_than_it_may(depth):
    source, full = Source(), threading.Event()

    def noting(item):
        if item == depth:  # one more than fits is in work
            full.set()
        return item

    with Stages() as stages:
        stream = stages.run_ahead(map(noting, source.items()), "read", depth)
        for number in range(20):
            assert next(stream) == number
            assert source.taken <= number + 1 + depth + 1
        assert full.wait(SOON)


def test_nothing_is_read_before_it_is_asked_for():
    source = Source()
    with Stages() as stages:
        stages.run_ahead(source.items(), "read")
    assert source.taken == 0


def test_stages_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=SOON)

    def meet_at(number):
        def work(item):
            if item == number:
                meeting.wait()  # the others are in the middle of theirs
            return item

        return work

    with Stages() as stages:
        assert list(chained(stages, range(4), meet_at(2), meet_at(1), meet_at(0))) == [0, 1, 2, 3]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_fault_of_any_stage_comes_out_past_full_queues(place):
    begun, failed, source = threading.Event(), threading.Event(), Source()

    def fault(item):
        if item == 2:  # the stages after this one wait soon: item 1 is finished and not taken
            begun.wait(SOON)
            failed.set()
            raise FaultError("at 2")
        return item

    works = [same, same, same]
    works[place] = fault
    with Stages() as stages:
        stream = chained(stages, source.items(), *works)
        assert next(stream) == 0
        begun.set()
        assert failed.wait(SOON)
        with pytest.raises(FaultError, match="at 2"):
            list(stream)
    assert source.closed.is_set()


@pytest.mark.parametrize("place", [0, 1])
def test_a_fault_comes_out_while_a_later_stage_is_at_work(place):
    busy, failed = threading.Event(), threading.Event()

    def fault(item):
        if item == 2:
            assert busy.wait(SOON)
            raise FaultError("at 2")
        return item

    with Stages() as stages:

        def slow(item):
            """As the model does: long at work on one item, and asks now and then."""
            busy.set()
            while True:
                if failed.wait(0.01):
                    raise AssertionError("nobody stopped it")
                stages.check()

        works = [same, same, slow]
        works[place] = fault
        stream = chained(stages, Source().items(), *works)
        with pytest.raises(FaultError, match="at 2"):
            next(stream)


def test_the_very_exception_comes_out_whatever_it_is():
    class OddError(BaseException):
        def __init__(self, number, *, named):  # cannot be made again from its arguments
            super().__init__("odd")

        def __bool__(self):
            return False

    error = OddError(1, named=2)

    def work(item):
        raise error

    with Stages() as stages, pytest.raises(OddError) as caught:
        next(chained(stages, iter([1]), work, same))
    assert caught.value is error


def test_the_first_of_several_faults_comes_out():
    first = threading.Event()

    def early(item):
        first.set()
        raise FaultError("early")

    def cleaning():
        try:
            yield from range(10**9)
        finally:
            assert first.is_set()
            raise FaultError("late")

    with Stages() as stages, pytest.raises(FaultError, match="early"):
        next(chained(stages, cleaning(), early))


def test_a_fault_comes_out_before_the_items_in_the_queue():
    with Stages() as stages:
        found = []
        with pytest.raises(FaultError, match="at 5"):
            found.extend(chained(stages, iter(range(9)), failing(5)))
        assert found == list(range(len(found)))
        assert len(found) <= 5


@pytest.mark.parametrize("error", [None, FaultError("of the consumer"), KeyboardInterrupt(), GeneratorExit()])
def test_leaving_early_ends_all_stages_and_closes_the_source(error):
    source = Source()

    def consumer():
        with Stages() as stages:
            for item in chained(stages, source.items(), same, same):
                if item == 3:
                    if error is not None:
                        raise error
                    break

    if error is None:
        consumer()
    else:
        with pytest.raises(type(error)) as caught:
            consumer()
        assert caught.value is error
    assert source.closed.is_set()
    assert source.closed_in == "read"
    assert source.taken <= 12


def test_a_generator_that_consumes_stages_may_be_closed():
    source = Source()

    def rows():
        with Stages() as stages:
            yield from chained(stages, source.items(), same)

    stream = rows()
    assert [next(stream), next(stream)] == [0, 1]
    stream.close()
    assert source.closed.is_set()


def test_a_stage_in_the_middle_of_an_item_ends_when_it_asks():
    busy, ended = threading.Event(), threading.Event()
    with Stages() as stages:

        def work(item):
            if item == 1:
                busy.set()
                try:
                    while not ended.wait(0.005):
                        stages.check()
                except Stopped:
                    ended.set()
                    raise
            return item

        stream = chained(stages, Source().items(), work)
        assert next(stream) == 0
        assert busy.wait(SOON)
        assert not ended.is_set()
    assert ended.is_set()


def test_check_does_nothing_while_the_run_lasts():
    with Stages() as stages:
        assert stages.check() is None


def test_a_stage_that_hangs_is_not_waited_for_beyond_patience(monkeypatch):
    monkeypatch.setattr("sentiment_batch.scoring.backends.prefetch.MAX_SECONDS_TO_STOP", 0.01)
    hangs, release = threading.Event(), threading.Event()

    def work(item):
        if item == 1:
            hangs.set()
            release.wait(SOON)  # as a read from a terminal does
        return item

    with Stages() as stages:
        assert next(chained(stages, iter([0, 1]), work)) == 0
        assert hangs.wait(SOON)
    (left,) = [thread for thread in threading.enumerate() if thread.name == "work 0"]
    assert left.daemon
    release.set()
    left.join(SOON)


def test_a_stage_is_stopped_after_the_end():
    with Stages() as stages:
        stream = chained(stages, Source().items(), same)
        assert next(stream) == 0
    with pytest.raises(Stopped):
        next(stream)


def test_a_stage_that_cannot_start_says_so(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"), Stages() as stages:
        next(stages.run_ahead(iter([1]), "read"))
