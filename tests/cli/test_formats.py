"""`sentiment-batch formats` and `plugins`: what can be read and written, who brings it, and why one failed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sentiment_batch.cli.tables import print_table
from sentiment_batch.data import formats, readers, writers
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins


@hookimpl
def register_readers(registry):
    registry.add("sheet", print, suffixes=(".sheet",), schemes=("table",), description="sheets of paper")


GOOD = SimpleNamespace(register_readers=register_readers)


@pytest.fixture
def install(monkeypatch):
    """Installs plugins: one that reads sheets, and one that fails."""

    def fail():
        raise ImportError("no module\nnamed heavy")

    def install(*names):
        entries = {
            "sheets": SimpleNamespace(
                name="sheets", dist=SimpleNamespace(name="sentiment-batch-sheets", version="1.2"), load=lambda: GOOD
            ),
            "broken": SimpleNamespace(name="broken", dist=None, load=fail),
        }
        plugins = Plugins((readers, writers), lambda: [entries[name] for name in names])
        monkeypatch.setattr(formats, "get_plugins", lambda: plugins)

    return install


def test_every_format_is_a_line_with_what_it_reads_and_writes(cli, install):
    install("sheets")
    result = cli("formats")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines()[1:] if line}
    for name in ("csv", "jsonl", "parquet", "arrow"):
        assert rows[name][1:4] == ["yes", "yes", "sentiment-batch"]
    assert rows["sheet"][1:6] == ["yes", "no", "sheets", ".sheet", "table://"]
    assert ".gz" in result.stdout.splitlines()[-1]


@hookimpl
def register_writers(registry):
    registry.add("sheet", print, suffixes=(".sheet", ".out"), description="sheets of glass")


def test_a_reader_and_a_writer_of_one_name_share_a_line(cli, install, monkeypatch):
    monkeypatch.setattr(GOOD, "register_writers", register_writers, raising=False)
    install("sheets")
    (line,) = [line for line in cli("formats").stdout.splitlines() if line.startswith("sheet ")]
    assert line.split()[1:7] == ["yes", "yes", "sheets", ".sheet", ".out", "table://"]
    assert line.endswith("sheets of paper; as output: sheets of glass")


def test_a_plugin_that_fails_is_warned_of_beside_the_formats(cli, install):
    install("broken", "sheets")
    result = cli("formats")
    assert result.exit_code == 0
    assert result.stderr == "warning: plugin broken (unknown) is not used: ImportError: no module named heavy\n"
    assert "\nsheet " in result.stdout


def test_plugins_are_listed_with_version_hooks_and_failures(cli, install):
    install("sheets", "broken")
    lines = cli("plugins").stdout.splitlines()
    assert lines[0].split() == ["broken", "unknown", "FAILED:", "ImportError:", "no", "module", "named", "heavy"]
    assert lines[1].split() == ["sheets", "sentiment-batch-sheets", "1.2", "register_readers"]


def test_no_plugins_are_said_to_be_none(cli, install):
    install()
    lines = cli("plugins").stdout.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("No plugins are installed")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_on_a_terminal_fits_its_width(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    words = "postgresql:// postgres:// sqlite:// duckdb://"
    print_table([("sql", "yes", "sentiment-batch", words, "a table or a query of PostgreSQL, SQLite or DuckDB")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert set(words.split()) <= set(" ".join(lines).split())
