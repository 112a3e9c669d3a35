"""Help: headings, examples that can be run as they stand, and completion by a shell."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from sentiment_batch.cli import EXAMPLES, group
from sentiment_batch.cli.help import CommandWithExamples, HelpContext, OptionWithHeading
from tests.cli.helpers import command as start

COMMANDS = group.commands.values()
LINES = [line for examples in [*(one.examples for one in COMMANDS), EXAMPLES] for _, line in examples]


@pytest.mark.parametrize("name", group.commands)
def test_every_option_has_help_in_full_sentences(name):
    for option in group.commands[name].params:
        if isinstance(option, click.Option):
            assert isinstance(option, OptionWithHeading), option.opts
            assert re.fullmatch(r"[A-Z\d].*[.]", option.help or "", re.S), option.opts


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        (
            "train",
            [
                "Model",
                "Columns and labels",
                "Input",
                "Output",
                "Training",
                "Long texts",
                "Device and speed",
                "Messages and help",
                "Examples",
            ],
        ),
        (
            "score",
            [
                "Model",
                "Columns and labels",
                "Input",
                "Output",
                "Long texts",
                "Device and speed",
                "Messages and help",
                "Examples",
            ],
        ),
        ("verify", ["Messages and help", "Examples"]),
    ],
)
def test_options_stand_under_headings(cli, name, headings):
    text = cli(name, "--help").stdout
    assert re.findall(r"^(\w[\w ]*):$", text, re.M) == headings
    listed = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M)
    flags = [max(one.opts, key=len) for one in group.commands[name].params if isinstance(one, click.Option)]
    assert sorted(listed) == sorted([*flags, "--help"])


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", group.commands)
def test_help_fits_the_terminal_and_breaks_no_word(name, width):
    command = group.commands[name]
    context = HelpContext(command, info_name=name, **command.context_settings | {"terminal_width": width})
    examples = {f"    {example}" for _, example in command.examples}
    lines = [line for line in command.get_help(context).splitlines() if line not in examples]
    assert [line for line in lines if len(line) > width or line.endswith("-")] == []


@pytest.mark.parametrize("line", LINES)
def test_an_example_fits_a_terminal_of_80_columns(line):
    assert len(f"    {line}") <= 80


@pytest.mark.parametrize("name", group.commands)
def test_the_help_names_what_an_option_takes(name):
    for option in group.commands[name].params:
        if isinstance(option, click.Option) and not option.is_flag:
            taken = option.make_metavar(click.Context(group.commands[name]))
            assert taken not in {"TEXT", "INTEGER", "FLOAT", "INTEGER RANGE"}, option.opts


def test_long_help_has_two_examples():
    for command in COMMANDS:
        assert isinstance(command, CommandWithExamples)
        assert len(command.examples) == 2 or not [one for one in command.params if isinstance(one, click.Option)]


@pytest.mark.parametrize("width", ["60", "200"])
def test_examples_can_be_copied_at_any_width(cli, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    for command in COMMANDS:
        lines = cli(command.name, "--help").stdout.splitlines()
        for _, example in command.examples:
            assert f"    {example}" in lines


@pytest.mark.parametrize(
    "example", [line for one in COMMANDS for _, line in one.examples] + [one for _, one in EXAMPLES]
)
def test_examples_use_options_that_exist(example):
    words = shlex.split(example.partition(" < ")[0].partition(" && ")[0])
    assert words[0] == "sentiment-batch"
    command = group.commands[words[1]]
    rest = [word for word in words[2:] if word != "--help"]
    if len(rest) == len(words) - 2:
        command.make_context(words[1], rest)


def test_the_help_of_all_commands_shows_how_to_begin(cli):
    text = cli("--help").stdout
    assert "sentiment-batch train reviews.csv" in text
    assert "SENTIMENT_BATCH_<COMMAND>_<OPTION>" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands_and_options(shell):
    current = "e" if shell == "fish" else "1"  # fish sends the word, the others its place
    variables = {"_SENTIMENT_BATCH_COMPLETE": f"{shell}_complete", "COMP_CWORD": current}
    variables["COMP_WORDS"] = "sentiment-batch e"
    run = start(**variables)
    out, err = run.communicate(timeout=60)
    assert err == b""
    assert {b"explain", b"evaluate"} <= set(re.findall(rb"\w+", out))
    run = start(_SENTIMENT_BATCH_COMPLETE=f"{shell}_source")
    assert b"_SENTIMENT_BATCH_COMPLETE" in run.communicate(timeout=60)[0]
