"""Runs of the command line for the tests of plugins: a fixture that scores, and ways to kill a run at its commit."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from sentiment_batch.scoring.output import targets
from sentiment_batch.scoring.output.journal import Journal
from tests.conftest import _own_places, cli, make_model, tiny_base, tiny_model, vocabulary

__all__ = ["_own_places", "cli", "make_model", "tiny_base", "tiny_model", "vocabulary"]

CPU = ("--device", "cpu", "--dtype", "float32")
DONE = "was complete already; an earlier run ended just after it"
"""What a run prints that finds the finished output of a killed one."""


class KilledError(Exception):
    """What ends a run."""


def killed(*arguments, **options):
    raise KilledError


def ends_by_kill():
    return pytest.raises(KilledError)


@contextlib.contextmanager
def kill_before_commit(monkeypatch):
    """End the run in this block just before its commit."""
    with monkeypatch.context() as patch, ends_by_kill():
        patch.setattr(targets.FileTarget, "publish", killed)
        yield


@contextlib.contextmanager
def kill_after_commit(monkeypatch, remove=lambda journal: None):
    """End the run in this block when it has made its commit, before it clears up.

    Args:
        monkeypatch: the fixture of pytest.
        remove: what the run still removes, as a function of its journal.
    """

    def die(journal):
        remove(journal)
        journal._lock.release()  # as the end of a process does
        raise KilledError

    with monkeypatch.context() as patch, ends_by_kill():
        patch.setattr(Journal, "_remove", die)
        yield


def list_unfinished():
    """The records of runs that have not ended. The test needs the fixture `_own_cache`."""
    return os.listdir(Path(os.environ["SENTIMENT_BATCH_CACHE"]) / "scoring")


@pytest.fixture
def _own_cache(_own_places, monkeypatch, tmp_path):
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def score(cli, tiny_model):
    """Scores in this process, and returns the printed text."""

    def run(*arguments, fails=False):
        silent = () if "--verbose" in arguments else ("--quiet",)
        result = cli("score", *arguments, "-m", tiny_model, *CPU, *silent)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code != 0) == fails, result.stderr
        return result.stderr

    return run


@pytest.fixture
def reviews_file(tmp_path):
    """A CSV file of 20 rows."""
    path = tmp_path / "in.csv"
    path.write_text("id,review\n" + "".join(f"{n},a good film\n" for n in range(20)))
    return path
