"""Which signals end the command line cleanly."""

from __future__ import annotations

import signal

import pytest

from sentiment_batch.cli import signals


@pytest.fixture
def handled(monkeypatch):
    """The handlers that were set, by signal."""
    found = {}
    monkeypatch.setattr(signal, "signal", found.__setitem__)
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
@pytest.mark.parametrize(("before", "is_handled"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_a_closed_terminal_ends_a_run_unless_nohup_asks_not_to(handled, monkeypatch, before, is_handled):
    monkeypatch.setattr(signal, "getsignal", lambda number: before)
    signals.handle_signals()
    assert {signal.SIGINT, signal.SIGTERM} <= set(handled)
    assert (signal.SIGHUP in handled) == is_handled


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_exit_code_is_that_of_a_shell(handled, name):
    if (number := getattr(signal, name, None)) is None:
        pytest.skip(f"this system has no {name}")
    signals.handle_signals()
    handler = handled.get(number, signals._exit)
    with pytest.raises(signals.SignalExit) as ended:
        handler(number, None)
    assert ended.value.code == 128 + number
