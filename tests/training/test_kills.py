"""A run that is killed, or finds the disk full, before any change of a file is resumed to the same end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.training import loop
from sentiment_batch.training.checkpoint.state import TrainState
from tests.training.file_change_failures import Killed, ending_at
from tests.training.run_results import files, names, result, sha256_of

# Killed between two changes of files


def changes_of(train, **chosen) -> int:
    with ending_at(None) as changes:
        train("counted", **chosen)
    return changes.count


def check_scoreable(folder: Path) -> None:
    """A best model, wherever a run was killed, is a whole one."""
    if folder.exists():
        with Scorer.load(str(folder), device="cpu", dtype="float32") as scorer:
            assert scorer(pa.table({"text": ["a good film"]}))["sentiment"].null_count == 0


SHORT = {"epochs": 2, "batch_size": 54}


@pytest.fixture
def always_best(monkeypatch):
    """The best model is replaced at every validation; and nobody waits for the disk, which no process's death asks.

    No time passes, so that the model's files are the same each time, and what is found out about it is kept but once.
    """
    monkeypatch.setattr(TrainState, "seconds", 0.0)
    monkeypatch.setattr(loop, "is_best", lambda loss, history: True)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_a_run_killed_at_any_file_change_resumes_to_the_same_end(
    train, often, always_best, tmp_path, reviews, end_points
):
    chosen = {"val": reviews(60, start=200), "test": reviews(10, start=100)} | SHORT
    whole = train("whole", **chosen)
    expected = result(whole)
    assert expected[1][1].best
    assert whole.calibration.temperature != 1.0
    total = changes_of(train, **chosen)
    assert total > 40
    published, ends = 0, end_points(total, every=6)
    for end in ends:
        output = tmp_path / f"model{end}"
        with contextlib.suppress(Killed), ending_at(end):
            train(output.name, **chosen)
            assert end == total, "the last change is that of the folder"
        check_scoreable(output.with_name(f"model{end}.training") / "best")
        there = files(output)
        assert result(train(output.name, resume=True, **chosen)) == expected, end
        assert not there or files(output) == there, "a published model is not touched"
        assert not output.with_name(f"model{end}.training").exists()
        published += bool(there)
    assert 1 < published < len(ends) / 2


def test_a_model_to_be_replaced_is_not_lost_at_any_kill(train, often, always_best, tmp_path, end_points):
    old = result(train("model", seed=7, **SHORT))
    expected = result(train("whole", **SHORT))
    shutil.copytree(tmp_path / "model", tmp_path / "old")
    total = changes_of(train, **SHORT)
    for end in [total - 31 + place for place in end_points(32, every=2)]:
        shutil.rmtree(tmp_path / "model")
        shutil.copytree(tmp_path / "old", tmp_path / "model")
        with contextlib.suppress(Killed), ending_at(end):
            train("model", overwrite=True, **SHORT)
        found = [folder for folder in (tmp_path / "model", tmp_path / "model.training" / "replaced") if folder.exists()]
        assert sha256_of(found[0]) in {old[0], expected[0]}
        assert result(train("model", resume=True, overwrite=True, **SHORT)) == expected, end
        assert names(tmp_path) == ["counted", "model", "old", "whole"]


def test_a_resumed_run_may_be_killed_too(train, often, always_best, tmp_path):
    expected = result(train("whole", **SHORT))
    for end in range(1, 40, 6):
        for start in (25, 45):
            output = f"model{end}-{start}"
            for one in (start, end):
                with contextlib.suppress(Killed), ending_at(one):
                    train(output, resume=True, **SHORT)
            assert result(train(output, resume=True, **SHORT)) == expected, (start, end)


KILLED = """
import os, signal, sys
from sentiment_batch.cli import main
from sentiment_batch.training.checkpoint import state

state.MIN_SECONDS_BETWEEN_SAVES, state.MAX_SAVING_SHARE = 0.0, 1e9
left, fsync = {count}, os.fsync

def counted(descriptor):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)

os.fsync = counted
sys.argv[1:] = {arguments!r}
main()
"""


@pytest.mark.parametrize("count", [pytest.param(30, marks=pytest.mark.stress), 62])
def test_a_process_that_is_killed_is_resumed_by_the_command_line(cli, tiny_base, reviews_csv, tmp_path, count):
    def arguments(name, *more):
        words = ["train", reviews_csv, "-o", tmp_path / name, "--base", tiny_base, "--batch-size", 18, "--quiet"]
        words += ["--folds", 2, "--epochs", 8]
        return [str(word) for word in (*words, "--device", "cpu", "--dtype", "float32", *more)]

    script = KILLED.format(count=count, arguments=arguments("model"))
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "model.training" / "state.json").exists()
    for name, more in (("model", ["--resume"]), ("whole", [])):
        done = cli(*arguments(name, *more))
        assert done.exit_code == 0, done.output
    assert sha256_of(tmp_path / "model") == sha256_of(tmp_path / "whole")


# A full disk


def test_a_disk_full_at_any_change_is_one_line_and_resumable(train, often, always_best, tmp_path, end_points):
    expected = result(train("whole", **SHORT))
    with ending_at(None, error=True) as changes:
        train("counted", **SHORT)
    refused, ends = 0, end_points(changes.count, every=6)
    for end in ends:
        output = f"model{end}"
        with ending_at(end, error=True):
            try:
                train(output, **SHORT)
            except OutputError as error:
                refused += 1
                assert str(tmp_path / output) in str(error)  # noqa: PT017 - it need not be raised in the clear-up
                assert "the disk is full. Free some space" in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
        assert result(train(output, resume=True, **SHORT)) == expected, end
    assert refused > len(ends) * 0.7


def test_a_state_that_does_not_fit_leaves_the_previous_one(train, often, always_best, tmp_path, monkeypatch):
    import safetensors.torch

    whole = result(train("whole", **SHORT))
    save = safetensors.torch.save_file

    def full(tensors, path, *arguments):
        if Path(path).name == "state-2.safetensors":
            Path(path).write_bytes(b"half of it")
            raise OSError(28, "No space left on device")
        save(tensors, path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(OutputError, match="the disk is full"):
            train(**SHORT)
    assert "state-2.safetensors" not in names(tmp_path / "model.training")
    assert "state-1.safetensors" in names(tmp_path / "model.training")
    assert result(train(resume=True, **SHORT)) == whole
