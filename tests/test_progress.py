"""The progress of a long task: a bar on a terminal, whole lines in a log file."""

from __future__ import annotations

import io
import re
import sys

import pytest

from sentiment_batch import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, total, quiet=False, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "SECONDS_PER_LOG_LINE", 0.0)
    with progress.show_progress(total, quiet=quiet, **options) as bar:
        for _ in range(4):
            bar.update(5)
    return stream.getvalue()


def test_a_terminal_has_a_bar_that_is_drawn_anew(monkeypatch):
    text = shown(monkeypatch, Terminal(), 20)
    assert "\r" in text
    assert "scoring: 100%|" in text


@pytest.mark.parametrize(("total", "last"), [(20, "scoring: 20 of 20 rows, "), (None, "scoring: 20 rows, ")])
def test_a_log_file_has_lines_and_no_carriage_returns(monkeypatch, total, last):
    text = shown(monkeypatch, io.StringIO(), total)
    assert "\r" not in text
    lines = text.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("scoring: ") for line in lines)
    assert lines[-1].startswith(last)
    assert text.endswith("\n")


def test_steps_are_counted_whole_and_a_resumed_run_counts_on(monkeypatch):
    text = shown(monkeypatch, io.StringIO(), 2_020, done=2_000, task="training", unit="step")
    assert text.splitlines()[-1].startswith("training: 2,020 of 2,020 steps, ")
    assert re.search(r"training: 2,000 of 2,020", text)


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "file"])
def test_quiet_shows_nothing(monkeypatch, stream):
    assert shown(monkeypatch, stream, 20, quiet=True) == ""


class Shell:
    config = ("IPKernelApp",)


def test_a_notebook_has_a_bar_without_a_terminal(monkeypatch):
    pytest.importorskip("IPython", reason="IPython is not installed")
    monkeypatch.setattr("IPython.get_ipython", Shell)
    text = shown(monkeypatch, io.StringIO(), 20)
    assert "scoring: 100%|" in text


class Reader:
    """A reader that knows nothing before the first rows, then estimates too few, and then enough."""

    estimates = iter([None, 3, 12, 12])

    def estimate_rows(self):
        return next(self.estimates)


def test_an_estimate_is_called_one_until_the_end(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "SECONDS_PER_LOG_LINE", 0.0)
    with progress.show_progress(None, quiet=False) as bar:
        update = progress.update_estimated(bar, Reader())
        for _ in range(4):
            update(4)
        progress.end_estimate(bar)
    lines = [re.sub(r", \d\d:.*", "", line) for line in stream.getvalue().splitlines()]
    assert lines[:5] == [
        *("scoring: 0 rows", "scoring: 4 rows", "scoring: 8 of about 8 rows", "scoring: 12 of about 12 rows"),
        "scoring: 16 of about 16 rows",
    ]
    assert lines[-1] == "scoring: 16 of 16 rows"


def test_a_reader_without_an_estimate_changes_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.show_progress(None, quiet=True) as bar:
        progress.update_estimated(bar, object())(5)
        assert bar.total is None
