"""Trainings in several threads of one process: they run one after the other, because they share its generators."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.training import loop, run

FIRST_USE = """
import sys
from concurrent.futures import ThreadPoolExecutor
import pyarrow as pa
from sentiment_batch import train

texts = [f"film {n} was {'good' if n % 2 else 'bad'}" for n in range(40)]
rows = pa.table({"text": texts, "label": ["positive" if n % 2 else "negative" for n in range(40)]})
settings = {"base": sys.argv[1], "device": "cpu", "dtype": "float32", "epochs": 1, "folds": 0, "quiet": True}
with ThreadPoolExecutor(4) as pool:
    outputs = [f"{sys.argv[2]}/model{n}" for n in range(4)]
    for done in pool.map(lambda output: train(rows, output, baseline=False, report=False, **settings), outputs):
        print(done.path)
"""


def weights_of(trained) -> str:
    return hashlib.sha256((Path(trained.path) / "model.safetensors").read_bytes()).hexdigest()


def test_trainings_in_threads_give_the_weights_of_a_sequence(train):
    quick = {"report": False, "baseline": False}
    alone = [weights_of(train(f"alone{seed}", seed=seed, **quick)) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda seed: weights_of(train(f"beside{seed}", seed=seed, **quick)), (1, 2)))
    assert both == alone
    assert len(set(both)) == 2


def test_a_training_says_that_it_waits_for_another(train, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    begun, go_on, running = threading.Event(), threading.Event(), []
    take_step = loop.take_step

    def watch(*arguments):
        running.append(threading.get_ident())
        begun.set()
        assert go_on.wait(60)
        return take_step(*arguments)

    monkeypatch.setattr(loop, "take_step", watch)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(train, "first", epochs=1)
        assert begun.wait(60)
        assert "waiting for another training" not in caplog.text
        second = pool.submit(train, "second", epochs=1)
        while "waiting for another training of this process to end" not in caplog.text:
            assert not second.done()
            time.sleep(0.01)
        go_on.set()
        first.result(), second.result()
    changes = [one != other for one, other in itertools.pairwise(running)]
    assert sum(changes) == 1, "no step of one training lies between those of the other"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, InputError])
def test_a_training_that_ends_early_lets_the_next_one_run(train, interrupted, end):
    interrupted(1, end=end)
    assert not run._turn.locked()
    assert train("other", epochs=1).path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_does_not_wait_for_its_parent():
    with run._turn, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer versions of Python warn of forks beside threads
        child = os.fork()
        if child == 0:
            os._exit(int(run._turn.locked()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert run._turn.locked()


def test_the_first_trainings_of_a_process_may_begin_together(tiny_base, tmp_path):
    ran = subprocess.run([sys.executable, "-c", FIRST_USE, tiny_base, tmp_path], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len({(Path(folder) / "model.safetensors").read_bytes() for folder in ran.stdout.split()}) == 1
