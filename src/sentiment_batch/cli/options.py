"""Options that several commands share. This module imports nothing heavy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import click

from sentiment_batch.cli.help import (
    AT_LEAST_ZERO,
    COLUMNS,
    INPUT,
    MESSAGES,
    MODEL,
    OUTPUT,
    SPEED,
    TEXTS,
    option,
    setting,
)
from sentiment_batch.cli.messages import BadRowWarnings, configure_logging
from sentiment_batch.memory import respect_address_limit
from sentiment_batch.records import ReadOptions
from sentiment_batch.settings import DTYPES, LONG_TEXT, ON_BAD_ROW, ScoreSettings

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]
SCORING = ("batch_tokens", "max_length", "long_text", "labels", "device", "dtype", "deterministic", "compile_model")
"""The options of `loading` that become `ScoreSettings`."""


def _apply(command: Any, options: Sequence[Decorator]) -> Any:
    """`command` with `options`, which the help shows in this order."""
    for one in reversed(options):  # decorators apply from the last to the first
        command = one(command)
    return command


_FORMATS = "if the file name does not show it. `sentiment-batch formats` lists the formats."
_FOUND = "if it has no usual name such as"
score_setting = functools.partial(setting, ScoreSettings())
"""The option for a field of `ScoreSettings`; see `help.setting`."""

_LABEL_OPTIONS: tuple[Decorator, ...] = (
    option(COLUMNS, "--label-column", f"Column of the label, {_FOUND} label or stars.", metavar="NAME"),
    option(
        COLUMNS,
        "--stars",
        "How stars and other numbers become labels. 2,4 makes up to 2 stars negative, and 4 and more positive. "
        "negative=1-2,neutral=3,positive=4-5 names every label.",
        metavar="CUTS",
    ),
    option(
        COLUMNS,
        "--labels-map",
        "Other words for labels, such as negativ=negative,positiv=positive.",
        metavar="VALUE=LABEL,...",
    ),
    option(COLUMNS, "--no-answer", "Values of rows without a label, such as 9,99.", metavar="VALUE,..."),
)
text_column = option(
    COLUMNS,
    "--text-column text_columns",
    f"Column of the text, {_FOUND} text or review. If given several times, the columns are joined by a blank line.",
    metavar="NAME",
    several=True,
)
neutral_band = score_setting(
    MODEL, "neutral_band", "Call a row neutral if neither label has this probability, such as 0.65.", "P"
)
output_format = option(OUTPUT, "--output-format", f"Output format, {_FORMATS}", metavar="FORMAT")
_READING_OPTIONS: tuple[Decorator, ...] = (
    option(INPUT, "--input-format", f"Input format, {_FORMATS}", metavar="FORMAT"),
    option(INPUT, "--encoding", "Encoding of text files that are not UTF-8, such as cp1252.", metavar="NAME"),
    option(INPUT, "--delimiter", "Character between the fields of a CSV file, if it is not found.", metavar="CHAR"),
    option(INPUT, "--no-quotes", "Read quotes in a CSV file as plain text.", bool),
    option(
        INPUT,
        "--header/--no-header",
        "Whether the first row names the columns. By default it does, unless it looks like data. Without a header, the "
        "columns are called column_1, column_2 and so on.",
        bool,
    ),
    option(
        INPUT,
        "--skip-rows",
        "Lines of a CSV file, or rows of a sheet, to skip before the header.",
        AT_LEAST_ZERO,
        "N",
        default=0,
    ),
    option(INPUT, "--comment", "Skip lines of a CSV file, or rows of a sheet, that begin with this.", metavar="CHAR"),
    option(INPUT, "--escape", "Character that escapes quotes and delimiters in a CSV file.", metavar="CHAR"),
    option(INPUT, "--sheet", "Sheet of a workbook: its name, or its number from 1.", metavar="NAME"),
    option(INPUT, "--query", "For a database: read the rows of this query instead of a table.", metavar="SQL"),
    option(
        INPUT, "--key", "For a database: a unique column without nulls. It makes the run resumable.", metavar="COLUMN"
    ),
    option(
        INPUT,
        "--on-bad-row",
        "What to do with a malformed row. fail stops the run. mark reads what it can and reports the row.",
        click.Choice(ON_BAD_ROW),
        default="fail",
    ),
)
_READ_OPTIONS = ("encoding", "delimiter", "header", "skip_rows", "comment", "escape", "sheet", "query", "key")
"""The options of `reading` that are fields of `ReadOptions` by the same name."""
_model = option(
    MODEL,
    "-m --model",
    "Model folder or Hub id. The default is $SENTIMENT_BATCH_MODEL, else ./sentiment-model, else the SST-2 model of "
    "the Hub.",
    metavar="MODEL",
)
_LOADING_OPTIONS: tuple[Decorator, ...] = (
    option(MODEL, "--labels", "Names of the labels, if the model only knows LABEL_0 and LABEL_1.", metavar="A,B,..."),
    score_setting(TEXTS, "max_length", "Most tokens of a text to read. The default is that of the training.", "N"),
    score_setting(
        TEXTS,
        "long_text",
        "What to read of a longer text: its head, its tail, both, or all of it in windows. The default is that of the "
        "training.",
        choices=LONG_TEXT,
    ),
    score_setting(
        SPEED, "device", "Where to compute: auto, cpu, cuda or cuda:N. Scoring takes several: cuda:0,cuda:1.", "DEVICE"
    ),
    score_setting(
        SPEED, "dtype", "Number format of the computation. auto suits the device and the model.", choices=DTYPES
    ),
    option(SPEED, "--batch-tokens", "Most tokens in a batch. auto suits the device.", metavar="N", default="auto"),
    score_setting(SPEED, "deterministic", "Slower, but gives the same bits whatever the batches and threads are."),
    option(
        SPEED,
        "--compile/--no-compile compile_model",
        "Compile the model first, on CUDA only. By default, it is compiled if the job is long enough.",
        bool,
    ),
)


def fail_if(example: str) -> Decorator:
    """The conditions under which a command ends with exit code 3; `example` is one of them."""
    return option(
        OUTPUT,
        "--fail-if",
        f"End with exit code 3 if this holds, such as {example}. It may be given several times. Everything is written "
        "before that.",
        metavar="CONDITION",
        several=True,
    )


as_json = option(MESSAGES, "--json as_json", "Print the result as JSON on standard output.", bool)
_MESSAGE_OPTIONS: tuple[Decorator, ...] = (
    option(MESSAGES, "--quiet", "Print no progress, and no messages but warnings and errors.", bool),
    option(MESSAGES, "--verbose", "Print more details.", bool),
    as_json,
)


def reading(command: Command) -> Command:
    """How the input is read: `input_format`, and the rest as `read`, a `ReadOptions`."""

    @functools.wraps(command)
    def with_read(no_quotes: bool, on_bad_row: str, **given: Any) -> Any:
        named = {name: given.pop(name) for name in _READ_OPTIONS}
        on_bad = BadRowWarnings() if on_bad_row == "mark" else None
        return command(read=ReadOptions(quotes=not no_quotes, on_bad_row=on_bad, **named), **given)

    return cast("Command", _apply(with_read, _READING_OPTIONS))


def labelled_columns(command: Command) -> Command:
    """Where the texts and labels are, and what the labels mean, as the dictionary `columns`.

    Its keys are the arguments `text_columns`, `label_column` and `label_settings` of `read_labelled_rows`.
    """

    @functools.wraps(command)
    def with_columns(text_columns: tuple[str, ...], label_column: str | None, **given: Any) -> Any:
        from sentiment_batch.labels.settings import LabelSettings

        settings = LabelSettings.parse(**{name: given.pop(name) for name in ("stars", "labels_map", "no_answer")})
        columns = {"text_columns": text_columns, "label_column": label_column, "label_settings": settings}
        return command(columns=columns, **given)

    return cast("Command", _apply(with_columns, (text_column, *_LABEL_OPTIONS)))


def scoring(command: Command) -> Command:
    """Which model scores, where, and what it reads of a text: `model`, and what `loading` gives."""
    return cast("Command", _model(loading(command)))


def loading(command: Command) -> Command:
    """Where a model scores, and what it reads of a text, as the dictionary `settings`."""

    @functools.wraps(command)
    def with_settings(**given: Any) -> Any:
        respect_address_limit()  # before the command imports torch
        named = {name: given.pop(name) for name in SCORING}
        return command(settings=_check_score_settings(**named), **given)

    return cast("Command", _apply(with_settings, _LOADING_OPTIONS))


def messages(command: Command) -> Command:
    """How much is printed, and in which form: `quiet` and `as_json`. Configures the log before the command begins."""

    @functools.wraps(command)
    def with_log(quiet: bool, verbose: bool, **given: Any) -> Any:
        configure_logging(quiet, verbose)
        return command(quiet=quiet, **given)

    return cast("Command", _apply(with_log, _MESSAGE_OPTIONS))


def _check_score_settings(
    batch_tokens: str, labels: str | None, compile_model: bool | None, **others: Any
) -> dict[str, Any]:
    """The fields of `ScoreSettings` that the options of `loading` give.

    Raises:
        click.BadParameter: --batch-tokens is neither `auto` nor a number.
        UsageError: a value is out of range.
    """
    if batch_tokens != "auto" and not batch_tokens.isdecimal():
        raise click.BadParameter("it must be auto or a number of tokens.", param_hint="--batch-tokens")
    settings = others | {
        "batch_tokens": None if batch_tokens == "auto" else int(batch_tokens),
        "labels": tuple(label.strip() for label in labels.split(",")) if labels else None,
        "compile": compile_model,
    }
    ScoreSettings(**settings)  # a wrong value is reported before anything is opened
    return settings
