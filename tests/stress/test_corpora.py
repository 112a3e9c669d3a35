"""A sample of the stress runs: foreign corpora and monsters through the command line, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def stressed(module, tmp_path, *arguments):
    """The log of one of the programs in tests/stress, which must find nothing wrong."""
    log = tmp_path / "log"
    command = [sys.executable, "-m", f"tests.stress.{module}", "--log", str(log), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, f"{log.read_text() if log.exists() else ''}\n{done.stderr[-3000:]}"
    return log.read_text()


@pytest.mark.skipif(not os.environ.get("SENTIMENT_BATCH_DATA"), reason="SENTIMENT_BATCH_DATA is not set")
def test_foreign_files_are_scored_whole_or_refused_for_a_reason(tmp_path):
    log = stressed("corpora", tmp_path, "--data", os.environ["SENTIMENT_BATCH_DATA"], "--every", 20)
    assert "blns as csv: scored 515 rows" in log
    assert "csv-spectrum/simple.csv: scored 1 rows" in log
    assert " 0 wrong" in log
    assert "NO REASON KNOWN" not in log
    assert str(Path.home()) not in log
    assert os.environ["SENTIMENT_BATCH_DATA"] not in log


@pytest.mark.stress
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_small_monsters_end_as_documented(tmp_path):
    log = stressed("monsters", tmp_path, "--only", "one column", "row groups", "twice", "a column", "nested", "a word")
    assert log.count(": scored ") == 6
    assert log.count(": refused: ") == 2
    assert " 0 wrong" in log
