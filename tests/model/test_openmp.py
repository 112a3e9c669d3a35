"""Waiting threads give their cores away, from Python and on the command line; what the user has chosen stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from sentiment_batch.model import openmp
from sentiment_batch.model.openmp import wait_briefly, wait_passively

CALLS = """
import os, sys
import sentiment_batch
from sentiment_batch import train, score, explain
assert not {"torch", "numpy"} & sys.modules.keys()
calls = {
    "Scorer": lambda: sentiment_batch.Scorer,
    "Worker": lambda: sentiment_batch.Worker,
    "train": lambda: train("reviews.csv"),
    "score": lambda: score(["good"], model="model"),
    "explain": lambda: explain(["good"], model="model"),
}
for name, call in calls.items():
    before = os.environ.get("OMP_WAIT_POLICY")
    try:
        call()
    except ImportError as error:
        print(name, before, error, os.environ.get("OMP_WAIT_POLICY"))
"""
NAMES = ("Scorer", "Worker", "train", "score", "explain")


@pytest.fixture
def without_choice(monkeypatch):
    """The environment of a user who has not chosen how threads wait."""
    for name in openmp.VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(without_choice, tmp_path, monkeypatch):
    """Runs Python where importing torch fails, and says what torch would have read in the environment."""
    (tmp_path / "torch.py").write_text("import os\nraise ImportError(os.environ.get('OMP_WAIT_POLICY'))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*arguments):
        return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)

    return run


def test_torch_loads_passive_and_the_environment_is_put_back(run):
    assert run("-c", CALLS).stdout.splitlines() == [f"{name} None PASSIVE None" for name in NAMES]


def test_a_choice_of_the_user_stays(run, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert run("-c", CALLS).stdout.splitlines() == [f"{name} ACTIVE ACTIVE ACTIVE" for name in NAMES]


def test_the_command_line_loads_torch_with_passive_waiting(run):
    assert run("-m", "sentiment_batch", "doctor").stderr.splitlines()[-1] == "ImportError: PASSIVE"


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP prints what it read")
@pytest.mark.usefixtures("without_choice")
def test_openmp_reads_the_policy():
    script = "import sentiment_batch; sentiment_batch.Scorer"
    environment = os.environ | {"OMP_DISPLAY_ENV": "TRUE"}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in run.stderr


@pytest.mark.usefixtures("without_choice")
def test_the_environment_is_put_back_after_an_error():
    with pytest.raises(KeyError, match="PASSIVE"), wait_passively():
        raise KeyError(os.environ["OMP_WAIT_POLICY"])
    assert "OMP_WAIT_POLICY" not in os.environ


@pytest.mark.parametrize("name", openmp.VARIABLES)
@pytest.mark.usefixtures("without_choice")
def test_each_way_to_choose_is_respected(monkeypatch, name):
    monkeypatch.setenv(name, "20")
    before = dict(os.environ)
    with wait_passively():
        assert dict(os.environ) == before


@pytest.fixture
def cores(monkeypatch):
    """Makes this a machine of so many cores, of which torch uses some."""

    def pretend(cores, threads):
        monkeypatch.setattr(openmp.os, "cpu_count", lambda: cores)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    return pretend


@pytest.mark.parametrize(
    ("number", "threads", "teams"), [(2, 2, 1), (8, 8, 1), (8, 4, 2), (4, 2, 3), (4, 1, 0), (1, 1, 0), (64, 2, 16)]
)
@pytest.mark.usefixtures("without_choice")
def test_there_are_more_threads_than_cores_within_the_block(cores, number, threads, teams):
    cores(number, threads)
    before = set(threading.enumerate())
    with wait_briefly("cpu"):
        sleeping = set(threading.enumerate()) - before
        assert len(sleeping) == teams
        assert teams in (0, openmp.MAX_TEAMS) or 1 + (teams + 1) * (threads - 1) > number
    for thread in sleeping:
        thread.join(timeout=10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("device", "policy"), [("cuda:0", None), ("cpu", "ACTIVE"), ("cpu", "PASSIVE")])
@pytest.mark.usefixtures("without_choice")
def test_no_thread_is_started_without_need(cores, monkeypatch, device, policy):
    cores(2, 2)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    before = threading.active_count()
    with wait_briefly(device):
        assert threading.active_count() == before


@pytest.mark.usefixtures("without_choice")
def test_the_threads_end_after_an_error(cores):
    cores(2, 2)
    before = set(threading.enumerate())
    found = []
    with pytest.raises(ZeroDivisionError), wait_briefly("cpu"):
        raise ZeroDivisionError(found.extend(set(threading.enumerate()) - before))
    (sleeping,) = found
    sleeping.join(timeout=10)
    assert not sleeping.is_alive()
