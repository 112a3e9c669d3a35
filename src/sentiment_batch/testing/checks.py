"""Turns methods of a suite into checks whose failures report what the plugin did and what the protocol requires."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sentiment_batch.errors import PluginError, SentimentBatchError, first_line
from sentiment_batch.locations import without_password

MAX_SECONDS_PER_CALL = 60.0
"""A call that takes longer counts as one that never ends."""
_OURS = str(Path(__file__).parents[1])
Test = TypeVar("Test", bound=Callable[..., None])
Result = TypeVar("Result")


class Broken(Exception):
    """The plugin broke a rule of the protocol. The message says what it did."""


class InterruptedRun(Exception):
    """Ends a scoring run in the middle, as an interruption would."""


def check(test: Test) -> Test:
    """Make `test` a check: any error in it becomes a failure that quotes its docstring, the rule of the protocol."""
    rule = " ".join((inspect.getdoc(test) or "").split())

    @functools.wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        try:
            test(*arguments, **keywords)
        except Exception as error:  # `pytest.skip` raises a BaseException, which passes
            # What the guards and the suites report is a full sentence. Any other error needs its type.
            known = isinstance(error, Broken | PluginError)
            problem = str(error) if known else f"It raised {type(error).__name__}: {first_line(error)}"
            failure = f"{problem}\n\nThe protocol: {rule}{_trace(error)}"
            raise pytest.fail.Exception(failure, pytrace=False) from None

    return run  # type: ignore[return-value]


def _trace(error: BaseException) -> str:
    """The traceback of the first cause of `error` within the plugin; the frames of this package are left out."""
    # The guards wrap the error of a plugin in one for the user, so the first cause is the plugin's own.
    while error.__cause__ is not None:
        error = error.__cause__
    steps = traceback.extract_tb(error.__traceback__)
    ours = [step.filename.startswith(_OURS) or step.filename == contextlib.__file__ for step in steps]
    theirs = steps[ours.index(False) :] if False in ours else []
    if not theirs:
        return ""
    last = "".join(traceback.format_exception_only(error))
    return f"\n\nRaised in\n{''.join(traceback.format_list(theirs))}{last}".rstrip()


def check_refuses(kind: type[SentimentBatchError], call: Callable[[], object], names: str) -> None:
    """Check that `call` raises an error for the user.

    Args:
        kind: the type of the error.
        call: what the plugin must refuse.
        names: the text that the message must contain.

    Raises:
        Broken: it raised nothing or another error, or its message is not one line or lacks `names`.
    """
    if catch_refusal(kind, call, names) is None:
        raise Broken(f"It raised no error. It must raise {kind.__name__}.")


def catch_refusal(kind: type[SentimentBatchError], call: Callable[[], object], names: str = "") -> str | None:
    """The message of the error for the user that `call` raises; None if it raises nothing.

    Args:
        kind: the type of the error.
        call: what the plugin may refuse. A `Broken` that it raises passes.
        names: the text that the message must contain.

    Raises:
        Broken: it raised another error, or its message is not one line or lacks `names`.
    """
    try:
        call()
    except Broken:
        raise
    except kind as error:
        check_one_line(str(error))
        if names not in str(error):
            raise Broken(f"Its message does not name {names!r}: {error}") from error
        return str(error)
    except Exception as error:
        raise Broken(f"It raised {type(error).__name__} instead of {kind.__name__}: {first_line(error)}") from error
    return None


@contextlib.contextmanager
def check_no_warnings() -> Iterator[None]:
    """Check that the guards log no warning. They log what a plugin raises in `close` or `abort`.

    Raises:
        Broken: they logged a warning, which is the message.
    """
    from sentiment_batch.data import plugin_guards

    warnings: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(lambda record: record.module == plugin_guards.__name__.rpartition(".")[2])
    logger = logging.getLogger("sentiment_batch")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if warnings:
        raise Broken(warnings[0])


def shown_name(location: str) -> str:
    """The text by which a message must name a location: the last name of a path, or a URL without its query."""
    if "://" in location:
        return without_password(location).partition("?")[0]
    return os.path.basename(location.rstrip("/"))


def check_one_line(message: str) -> None:
    """Check that a message is one line.

    Raises:
        Broken: it is empty, or has several lines.
    """
    if len(message.splitlines()) != 1:
        raise Broken(f"Its message is not one line: {message!r}")


def run_in_time(call: Callable[[], Result], what: str, seconds: float = MAX_SECONDS_PER_CALL) -> Result:
    """Run `call` in another thread. Returns its result, or raises its error.

    Args:
        call: the function to run.
        what: the subject of the failure message.
        seconds: the time limit.

    Raises:
        Broken: it has not ended within `seconds`.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    # A thread cannot be stopped. As a daemon, one that hangs does not keep pytest from ending.
    threading.Thread(target=run, daemon=True).start()
    wait([future], seconds)
    if not future.done():
        raise Broken(f"{what} had not ended after {seconds:g} seconds.")
    return future.result()
