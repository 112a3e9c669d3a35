"""All text for the terminal goes through one function, so that no name in the data steers it or forges a line."""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from sentiment_batch import cli as command_line
from sentiment_batch.cli import messages
from sentiment_batch.display import BLOCK
from tests.cli.helpers import CPU, command

EVIL = "\x1b[2J\x9b31m\u202e\x07\nError: forged\r\nwarning: forged\u2028"
"""What steers a terminal, turns text around, and begins lines of its own."""


def check_text(text):
    """No character steers the terminal, and no line is forged."""
    assert not [sign for sign in text if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} and sign not in "\t\n"]
    assert "\u202e" not in text
    assert not [line for line in text.splitlines() if line.startswith(("Error: forged", "warning: forged"))]


def test_only_a_few_files_print_what_is_neither_json_nor_fixed():
    """`messages` makes text safe. Of the others `explain` and `tables` make each cell safe before they add colours."""
    printing = set()
    for path in Path(command_line.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"click.echo", "click.secho", "print"}:
                printed = ast.unparse(call.args[0]) if call.args else "''"
                if not printed.startswith(("json.dumps(", "'")):
                    printing.add(f"{path.name}: {ast.unparse(call.args[0])}")
    assert {one.partition(": ")[0] for one in printing} == {"__init__.py", "explain.py", "messages.py", "tables.py"}
    assert len(printing) == 6, printing


@pytest.fixture
def evil_table(tmp_path):
    """A table whose name, columns, labels and texts are hostile."""
    path = tmp_path / f"{EVIL.replace('/', '')}.jsonl"
    rows = [{"text": f"{EVIL} film {n}", f"label{EVIL}": f"{'good' if n % 2 else 'bad'}{EVIL}"} for n in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_no_name_of_a_file_column_or_label_steers_a_command(cli, evil_table, tmp_path, make_model):
    model = make_model(f"bad{EVIL}", f"good{EVIL}")
    out, label = tmp_path / f"out{EVIL}.csv", f"label{EVIL}"
    missing = f"{EVIL}/nothing.csv"
    results = [
        cli("inspect", evil_table, "--label-column", label),
        cli("score", evil_table, out, "--model", model),
        cli("verify", out),
        cli("evaluate", evil_table, "--model", model, "--label-column", label),
        cli("predict", "--model", model, f"{EVIL} film"),
        cli("explain", "--model", model, f"{EVIL} film"),
        cli("inspect", missing),
        cli("score", missing, EVIL),
        cli("score", evil_table, out, "--model", missing),
        cli("score", evil_table, out, "--text-column", EVIL),
        cli("score", evil_table, out, f"--{EVIL}"),
        cli("score", evil_table, out, "--decimals", EVIL),
        cli(EVIL),
        cli(f"--{EVIL}"),
        cli("train", evil_table, "--output", tmp_path / EVIL, "--base", missing, "--label-column", label),
    ]
    for result in results:
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        check_text(result.stdout + result.stderr)
    assert [result.exit_code for result in results[1:3]] == [0, 0], results[1].stderr


def test_a_model_type_and_a_dtype_cannot_steer_the_terminal(cli, evil_table, tmp_path, tiny_model):
    for key, value in (("model_type", EVIL), ("dtype", EVIL), ("id2label", {"0": EVIL, "1": f"b{EVIL}"})):
        model = tmp_path / key
        model.mkdir()
        for file in tiny_model.iterdir():
            (model / file.name).write_bytes(file.read_bytes())
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {key: value}))
        result = cli("score", evil_table, tmp_path / f"{key}.csv", "--model", model)
        check_text(result.stdout + result.stderr)


def test_json_keeps_every_character(cli, evil_table, make_model):
    model = make_model(f"bad{EVIL}", f"good{EVIL}")
    result = cli("predict", "--model", model, "--json", "--", EVIL)
    assert json.loads(result.stdout)["text"] == EVIL
    assert set(json.loads(result.stdout)["probabilities"]) == {f"bad{EVIL}", f"good{EVIL}"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only Unicode names")
def test_json_keeps_a_file_name_that_is_no_utf_8(cli, tiny_model, tmp_path):
    (tmp_path / "in.csv").write_text("text\ngreat\n", encoding="utf-8")
    out = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")
    assert cli("score", tmp_path / "in.csv", out, "-m", tiny_model, *CPU).exit_code == 0
    shown, errors = command("verify", out, "--json").communicate()
    assert json.loads(shown)["output"] == out, errors
    assert rb"/caf\udce9.csv" in shown


def test_only_a_record_that_is_a_block_has_several_lines(capsys):
    messages.configure_logging(False, False)
    logging.getLogger("sentiment_batch").info("%s is read", "a\nb")
    logging.getLogger("sentiment_batch").info("%s", "a\nb\x1b", extra=BLOCK)
    assert capsys.readouterr().err == "a\\nb is read\na\nb\\x1b\n"


def test_warnings_and_tracebacks_are_made_safe(tmp_path):
    code = (
        "import logging, warnings\n"
        "from sentiment_batch.cli.messages import guard_terminal\n"
        "guard_terminal()\n"
        "warnings.warn('\\x1b[2J of s3://ann:Qz7k@b/a')\n"
        "logging.getLogger('other').error('\\x1b[2J\\nof s3://ann:Qz7k@b/a')\n"
        "raise ValueError('\\x1b[2J of s3://ann:Qz7k@b/a: no Qz7k')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1
    assert "ValueError: \\x1b[2J of s3://ann:***@b/a: no ***" in done.stderr
    assert "UserWarning: \\x1b[2J of s3://ann:***@b/a" in done.stderr
    assert "warning: \\x1b[2J\\nof s3://ann:***@b/a" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Qz7k" not in done.stderr.replace("'Qz7k", "")
