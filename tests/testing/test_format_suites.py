"""The suites of `sentiment_batch.testing` notice each broken rule: the right check fails with a clear message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sentiment_batch.testing import ReaderSuite, WriterSuite
from tests.testing import broken_readers, broken_writers

ROOT = Path(__file__).parents[2]
GOOD = ("broken_readers.py::TestGoodReader", "broken_writers.py::TestGoodWriter")
CASES = [*broken_readers.CASES, *broken_writers.CASES]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The failure message of each check, which is empty if it passed."""
    report = tmp_path_factory.mktemp("kit") / "report.xml"
    wanted = [f"tests/testing/{suite}" for suite in GOOD]
    wanted += [f"{module.replace('.', '/')}.py::{suite}::{check}" for module, suite, check, _ in CASES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *wanted]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout + run.stderr
    found = {}
    for one in ElementTree.parse(report).iter("testcase"):
        suite = one.get("classname").rpartition(".")[2]
        found[suite, one.get("name")] = "".join(f"{end.tag}: {end.text}" for end in one)
    return found


@pytest.mark.parametrize("suite", ["TestGoodReader", "TestGoodWriter"])
def test_a_good_plugin_passes_every_check(outcomes, suite):
    messages = {name: message for (of, name), message in outcomes.items() if of == suite}
    assert len(messages) > 30
    assert {name for name in messages if messages[name]} <= {
        "test_texts_that_the_format_cannot_store"
    }  # it stores every text


CASE_NAMES = [f"{suite}-{check}" for _, suite, check, _ in CASES]


@pytest.mark.parametrize(("module", "suite", "check", "message"), CASES, ids=CASE_NAMES)
def test_the_right_check_notices_a_broken_rule(outcomes, module, suite, check, message):
    failure = outcomes[suite, check]
    assert failure.startswith(("failure: ", "error: "))
    assert message in failure


def test_every_check_has_a_plugin_that_it_catches():
    """Every check can fail."""
    for suite in (ReaderSuite, WriterSuite):
        checks = {name for name in dir(suite) if name.startswith("test_")}
        caught = {check.partition("[")[0] for module, of, check, _ in CASES if issubclass(class_of(module, of), suite)}
        assert checks - caught == set()


def class_of(module, name):
    return getattr(sys.modules[module], name)


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_the_suites_load_nothing_heavy():
    heavy = {"torch", "transformers", "pandas", "pyarrow", "numpy"}
    run = python(f"import sys, sentiment_batch.testing\nprint(sorted({heavy!r} & set(sys.modules)))")
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_without_pytest_the_suites_name_what_is_missing():
    run = python("import sys\nsys.modules['pytest'] = None\nimport sentiment_batch.testing")
    message = "ImportError: sentiment_batch.testing needs pytest. Install it with: pip install pytest"
    assert run.stderr.splitlines()[-1] == message
