"""Which tests there are depends on nothing that changes: else processes that share the tests would disagree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from tests.conftest import COLLECTED, COLLECTED_AT, IN_ORDER


def collected_elsewhere(config, folder):
    """The names of the tests, collected by a process that differs in hash seed, time, zone, locale and folders."""
    time.sleep(max(0.0, config.stash[COLLECTED_AT] + 1.1 - time.time()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    environment |= {"TMPDIR": str(folder), "HOME": str(folder), "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    places = [config.invocation_params.dir / place for place in config.args]
    options = ["--rootdir", config.rootpath, "-c", config.inipath, "-p", "no:cacheprovider", "--collect-only", "-q"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *places], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-2_000:] + run.stderr[-2_000:]
    return [line for line in run.stdout.splitlines() if "::" in line and not line.startswith("SKIPPED")]


@pytest.mark.slow
def test_another_process_collects_the_same_tests(pytestconfig, tmp_path):
    others = collected_elsewhere(pytestconfig, tmp_path)
    assert sorted(set(pytestconfig.stash[COLLECTED]) ^ set(others)) == []
    mine = pytestconfig.stash[IN_ORDER]  # without those that `-k` and its like leave out
    chosen = set(mine)
    assert [name for name in others if name in chosen] == mine


def test_no_name_holds_an_address_or_a_path(pytestconfig):
    names = "\n".join(pytestconfig.stash[COLLECTED])
    assert re.findall(r".*(?:0x[0-9a-f]{8,}| object at |/tmp/|/home/).*", names) == []
    assert str(pytestconfig.rootpath) not in names
