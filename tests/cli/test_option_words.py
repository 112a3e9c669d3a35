"""Settings in messages: Python in the library, options on the command line."""

from __future__ import annotations

import ast
import shlex

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment_batch.cli import group
from sentiment_batch.cli.messages import terminal_text
from sentiment_batch.cli.option_words import format_as_options

SCORE, TRAIN, PREDICT = (group.commands[name] for name in ("score", "train", "predict"))
NAMES = ["text_column", "prefix", "model", "labels", "device", "no_such_option"]


@pytest.mark.parametrize(
    ("python", "option"),
    [
        ("decimals", "--decimals"),
        ("overwrite=True", "--overwrite"),
        ("restart = True", "--restart"),
        ('text_column="review"', "--text-column review"),
        ("text_column='my review'", "--text-column 'my review'"),
        ('text_column=["title", "body"]', "--text-column title --text-column body"),
        ('text_columns=("title",)', "--text-column title"),
        ('labels=("bad", "good")', "--labels bad,good"),
        ('labels="bad,good"', "--labels bad,good"),
        ("max_length=128", "--max-length 128"),
        ("neutral_band=0.65", "--neutral-band 0.65"),
        ('on_bad_row="mark"', "--on-bad-row mark"),
        ("compile=True", "--compile"),
        ("compile=False", "--no-compile"),
        ("quotes=False", "--no-quotes"),
        ("quotes", "--no-quotes"),
        ("no_quotes=True", "--no-quotes"),
        ("json", "--json"),
        ("as_json", "--json"),
        ('engine_option="actors=8"', "--engine-option actors=8"),
        ('engine_options={"address": "auto", "actors": 8}', "--engine-option address=auto --engine-option actors=8"),
        ('text_column="; rm -rf *"', "--text-column '; rm -rf *'"),
        ("source", "IN"),
        ("destination", "OUT"),
        ('destination="a b.csv"', "'a b.csv'"),
    ],
)
def test_a_setting_becomes_the_option_of_score(python, option):
    assert format_as_options(f"Use `{python}`, or not.", SCORE) == f"Use {option}, or not."


@pytest.mark.parametrize(
    "text",
    [
        "epochs",
        "epochs=3",
        "overwrite=False",
        "overwrite=1",
        "quotes=True",
        "max_length=None",
        "max_length=N",
        'prefix="a\\nb"',
        "text_column=[]",
        "text_column=",
        "decimals=9, prefix='x'",
        "**decimals",
        "decimals) or (x",
        "Overwrite=True",
        "a review",
        "🙂",
        "",
    ],
)
def test_what_is_no_setting_of_the_command_stays_as_it_is(text):
    message = f"Use `{text}`."
    assert format_as_options(message, SCORE) == message


def test_switches_and_arguments_of_other_commands():
    found = format_as_options("`calibrate=False`, `calibrate=True`, `report=False`, `output`, `reviews`", TRAIN)
    assert found == "--no-calibrate, --calibrate, --no-report, --output, REVIEWS"
    assert format_as_options("`arguments`", PREDICT) == "TEXT"


def test_several_settings_in_one_message_and_an_odd_backquote():
    found = format_as_options("`decimals` is 9 and `prefix` is '`'; see `nothing` and `overwrite=True`", SCORE)
    assert found == "--decimals is 9 and --prefix is '`'; see `nothing` and --overwrite"


@given(st.text(), st.sampled_from([SCORE, TRAIN]))
@example("`" * 9, SCORE)
@example("`" + "(" * 500 + "`", SCORE)
def test_any_text_is_worded_and_without_backquotes_unchanged(text, command):
    worded = format_as_options(text, command)
    if "`" not in text:
        assert worded == text
    assert terminal_text(text, command) is not None


@given(st.sampled_from(NAMES), st.text())
def test_a_shell_reads_the_value_of_a_worded_setting(name, value):
    python = f"{name}={value!r}"
    worded = format_as_options(f"`{python}`", SCORE)
    if name == "no_such_option" or not value.isprintable() or "`" in value:
        assert ast.literal_eval(value.__repr__()) == value
        assert worded.startswith("`")
    else:
        assert shlex.split(worded) == [f"--{name.replace('_', '-')}", value]


def test_every_option_of_every_command_is_worded_by_its_name():
    for command in group.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                flag = max(option.opts, key=len)
                assert format_as_options(f"`{flag.lstrip('-').replace('-', '_')}`", command) == flag


def test_the_terminal_shows_no_password_and_no_control_character():
    message = "\x1b[2J `source` is s3://ann:tea4two@host/x?token=y - `overwrite=True`"
    assert terminal_text(message, SCORE) == "\\x1b[2J IN is s3://ann:***@host/x?token=*** - --overwrite"
    assert terminal_text("`overwrite=True`", None) == "`overwrite=True`"


def test_errors_and_log_records_name_options(cli, reviews_csv, tmp_path, monkeypatch):
    from sentiment_batch.errors import InputError

    def fail(*arguments, **options):
        import logging

        logging.getLogger("sentiment_batch").warning("`decimals` is %s", "9\x07")
        raise InputError("Replace it with `overwrite=True`.")

    monkeypatch.setattr("sentiment_batch.scoring.pipeline.score_table", fail)
    result = cli("score", reviews_csv, tmp_path / "out.csv")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["warning: --decimals is 9\\x07", "Error: Replace it with --overwrite."]


def test_what_the_user_typed_cannot_steer_the_terminal(cli):
    result = cli("score\x1b[2J")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
