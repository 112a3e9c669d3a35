"""Makes a method of a suite a test whose failure is said in words: what the plugin did, and what the protocol asks."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sentiment_batch.errors import PluginError, SentimentBatchError, first_line
from sentiment_batch.locations import without_password

SECONDS = 60.0
"""After so long a call counts as one that never ends."""
_OURS = str(Path(__file__).parents[1])
Test = TypeVar("Test", bound=Callable[..., None])
Result = TypeVar("Result")


class Broken(Exception):
    """The plugin did not keep a promise; the message says what it did."""


def check(test: Test) -> Test:
    """Make `test` a check: whatever it raises fails with its docstring, which is what the protocol says."""
    rule = " ".join((inspect.getdoc(test) or "").split())

    @functools.wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        try:
            test(*arguments, **keywords)
        except Exception as error:
            failure = f"{_what(error)}\n\nThe protocol: {rule}{_where(error)}"
        else:
            return
        pytest.fail(failure, pytrace=False)

    return run  # type: ignore[return-value]


def _what(error: Exception) -> str:
    if isinstance(error, Broken | PluginError):
        return str(error)
    return f"It raised {type(error).__name__}: {first_line(error)}"


def _where(error: BaseException) -> str:
    """Where the plugin's code raised the first cause of `error`; the steps through ours before it say nothing."""
    while error.__cause__ is not None:
        error = error.__cause__
    steps = traceback.extract_tb(error.__traceback__)
    ours = [step.filename.startswith(_OURS) or step.filename == contextlib.__file__ for step in steps]
    theirs = steps[ours.index(False) :] if False in ours else []
    if not theirs:
        return ""
    said = "".join(traceback.format_exception_only(error))
    return f"\n\nRaised in\n{''.join(traceback.format_list(theirs))}{said}".rstrip()


def refused(kind: type[SentimentBatchError], call: Callable[[], object], names: str | None = None) -> str:
    """What `call` says to the user when it refuses.

    Args:
        kind: the error that it must raise.
        call: what is to be refused.
        names: what the message must hold.

    Raises:
        Broken: it did not refuse, or not with this error, or not in one line, or did not name what it refused.
    """
    try:
        call()
    except kind as error:
        message = str(error)
    except Exception as error:
        raise Broken(f"It raised {type(error).__name__}, no {kind.__name__}: {first_line(error)}") from error
    else:
        raise Broken(f"It raised nothing where it must raise {kind.__name__}.")
    check_line(message)
    if names is not None and names not in message:
        raise Broken(f"Its message does not say that {names!r} is meant: {message}")
    return message


@contextlib.contextmanager
def nothing_told() -> Iterator[None]:
    """See to it that the guards warn of nothing: they tell what a plugin raises in `close` or `abort`, for it must not
    hide how a run ended.

    Raises:
        Broken: they warned.
    """
    from sentiment_batch.data import plugin_guards

    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(lambda record: record.module == plugin_guards.__name__.rpartition(".")[2])
    logger = logging.getLogger("sentiment_batch")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if told:
        raise Broken(told[0])


def named(location: str) -> str:
    """What a message holds that names a location: of a path its last name, of a URL all before the query."""
    if "://" in location:
        return without_password(location).partition("?")[0]
    return os.path.basename(location.rstrip("/"))


def check_line(message: str) -> None:
    """See to it that a message is one line.

    Raises:
        Broken: it is empty, or has more than one.
    """
    if len(message.splitlines()) != 1:
        raise Broken(f"Its message is not one line: {message!r}")


def in_time(call: Callable[[], Result], what: str, seconds: float = SECONDS) -> Result:
    """What `call` gives, or raises, in a thread of its own.

    Raises:
        Broken: it has not come to an end after so many seconds.
    """
    found: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise Broken(f"{what}: it had not come to an end after {seconds:g} seconds.")
    if raised:
        raise raised[0]
    return found[0]
