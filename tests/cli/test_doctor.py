"""`sentiment-batch doctor`: what this machine has, what would be chosen, and why."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.plugins.manager import Plugins


@pytest.fixture
def broken(monkeypatch):
    """A plugin that fails to load."""

    def load():
        raise ImportError("no module named heavy")

    plugins = Plugins((readers, writers), lambda: [SimpleNamespace(name="broken", dist=None, load=load)])
    monkeypatch.setattr(formats, "get_plugins", lambda: plugins)


def test_every_choice_is_shown_with_its_reason(cli, tmp_path, monkeypatch, broken):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTIMENT_BATCH_MODEL", "my/model")
    result = cli("doctor", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["python"].startswith(platform.python_version())
    assert (found["torch"], found["sentiment-batch"]) == (version("torch"), version("sentiment-batch"))
    for what in ("device", "training dtype", "scoring dtype"):
        assert found[what].endswith(")"), "a choice without a reason"
    assert found["hub"] == "not reachable (HF_HUB_OFFLINE is set)"
    assert found["model"] == "my/model ($SENTIMENT_BATCH_MODEL)"
    assert found["offline base"] == "minilm is there" or "pip install" in found["offline base"]
    assert found["failed plugins"] == ["broken: ImportError: no module named heavy"]


def test_the_table_shows_the_same(cli, tmp_path, monkeypatch, broken):
    monkeypatch.chdir(tmp_path)
    found = json.loads(cli("doctor", "--json").stdout)
    lines = cli("doctor").stdout.splitlines()
    assert len(lines) == len(found)
    for line, (what, value) in zip(lines, found.items(), strict=True):
        assert line.startswith(what)
        assert line.endswith((value or ["none"])[0] if isinstance(value, list) else value)


def test_it_shows_that_no_plugin_failed(cli, monkeypatch):
    monkeypatch.setattr(formats, "get_plugins", lambda: Plugins((readers, writers), list))
    assert cli("doctor").stdout.splitlines()[-1].split() == ["failed", "plugins", "none"]
