"""A writer that is killed at any of its operations on files leaves the old table or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

operations = pytest.importorskip("tests.file_operations", reason="run from the root of sentiment-batch's repository")
SCRIPT = Path(__file__).with_name("killed_writers.py")
MEMORY = Path("/dev/shm")
"""A folder in memory, because a writer waits for the disk at each fsync."""


@pytest.fixture(scope="module")
def found(tmp_path_factory, request):
    """What the script prints. Every second operation is tried, and each one with `--stress`."""
    if operations.find_compiler() is None:
        pytest.skip("needs a C compiler and LD_PRELOAD")
    library = operations.build_library(tmp_path_factory.mktemp("library"))
    root, every = Path(operations.__file__).parents[1], 1 if request.config.getoption("--stress", default=False) else 2
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": str(root)}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        command = [sys.executable, SCRIPT, folder, str(every)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"printed": done.stderr}


@pytest.mark.parametrize("kind", ["new", "append", "replace"])
def test_a_kill_at_each_operation_loses_nothing(found, kind):
    assert found[kind]["wrong"] == [], found["printed"]
    assert found[kind]["points"] >= 10
