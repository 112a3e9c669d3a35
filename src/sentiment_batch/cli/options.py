"""Options that several commands share. This module imports nothing heavy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import click

from sentiment_batch.cli.help import COLUMNS, MESSAGES, MODEL, READING, SPEED, TEXTS, option
from sentiment_batch.cli.messages import BadRowWarnings
from sentiment_batch.records import ReadOptions
from sentiment_batch.settings import DTYPES, LONG_TEXT, ON_BAD_ROW, ScoreSettings

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]
SCORING = ("batch_tokens", "max_length", "long_text", "labels", "device", "dtype", "deterministic", "compile_model")
"""The options of `scoring` that become `ScoreSettings`."""


def _apply(command: Any, options: Sequence[Decorator]) -> Any:
    """`command` with `options`, which the help shows in this order."""
    for one in reversed(options):
        command = one(command)
    return command


label_column = option(
    "--label-column",
    metavar="NAME",
    heading=COLUMNS,
    help="Column of the label. By default, a column with a usual name is found, such as label, sentiment or stars.",
)
stars = option(
    "--stars",
    metavar="CUTS",
    heading=COLUMNS,
    help="How stars become labels. 2,4 makes up to 2 stars negative, and 4 and more positive. "
    "negative=1-2,neutral=3,positive=4-5 names every label.",
)
text_column = option(
    "--text-column",
    "text_columns",
    multiple=True,
    metavar="NAME",
    heading=COLUMNS,
    help="Column of the text. By default, a column with a usual name is found, such as text or review. If you give the "
    "option several times, the columns are joined by a blank line.",
)
neutral_band = option(
    "--neutral-band",
    type=float,
    metavar="P",
    heading=MODEL,
    help="For a model of two labels: call a row neutral if neither label has this probability, such as 0.65.",
)
dtype = option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="auto",
    show_default=True,
    heading=SPEED,
    help="Number format of the computation. auto takes what suits the device and the model.",
)
device = option(
    "--device", default="auto", show_default=True, heading=SPEED, help="Where to compute: auto, cpu, cuda or cuda:N."
)
_READING: tuple[Decorator, ...] = (
    option(
        "--input-format",
        metavar="FORMAT",
        heading=READING,
        help="Input format, if the file name does not show it. `sentiment-batch formats` lists the formats.",
    ),
    option(
        "--encoding",
        metavar="NAME",
        heading=READING,
        help="Encoding of CSV and JSON lines, such as cp1252. The default is that of the byte order mark, else UTF-8.",
    ),
    option(
        "--delimiter",
        metavar="CHAR",
        heading=READING,
        help="Character between the fields of a CSV file. By default, it is found from the first lines.",
    ),
    option("--no-quotes", is_flag=True, heading=READING, help="Read quotes in a CSV file as plain text."),
    option(
        "--query",
        metavar="SQL",
        heading=READING,
        help="For a database: read the rows of this query instead of a table.",
    ),
    option(
        "--key",
        metavar="COLUMN",
        heading=READING,
        help="For a database: a column without nulls that has another value in each row. It makes the run resumable.",
    ),
    option(
        "--on-bad-row",
        type=click.Choice(ON_BAD_ROW),
        default="fail",
        show_default=True,
        heading=READING,
        help="What to do with a malformed row. fail stops the run. mark reads what it can and reports the row.",
    ),
)
_SCORING: tuple[Decorator, ...] = (
    option(
        "-m",
        "--model",
        metavar="MODEL",
        heading=MODEL,
        help="Model folder or Hub id. The default is $SENTIMENT_BATCH_MODEL, else ./sentiment-model, else the SST-2 "
        "model of the Hub.",
    ),
    option(
        "--labels",
        metavar="A,B,...",
        heading=MODEL,
        help="Names for the labels of a model that only knows LABEL_0 and LABEL_1, such as negative,positive.",
    ),
    option(
        "--max-length",
        type=int,
        metavar="N",
        heading=TEXTS,
        help="Most tokens of a text that are read. The default is the length of the training.",
    ),
    option(
        "--long-text",
        type=click.Choice(LONG_TEXT),
        heading=TEXTS,
        help="What to read of a longer text: its head, its tail, both, or all of it in windows. The default is the "
        "choice of the training.",
    ),
    option(
        "--device",
        default="auto",
        show_default=True,
        heading=SPEED,
        help="Where to compute: auto, cpu, cuda, cuda:N, or several devices, as in cuda:0,cuda:1.",
    ),
    dtype,
    option(
        "--batch-tokens",
        default="auto",
        show_default=True,
        metavar="N",
        heading=SPEED,
        help="Most tokens in a batch. auto takes what suits the device.",
    ),
    option(
        "--deterministic",
        is_flag=True,
        heading=SPEED,
        help="Give the same bits whatever the batches and threads are. Scoring becomes slower.",
    ),
    option(
        "--compile/--no-compile",
        "compile_model",
        default=None,
        heading=SPEED,
        help="Compile the model first, on CUDA only. By default, it is compiled if a job is long enough.",
    ),
)
_MESSAGES: tuple[Decorator, ...] = (
    option("--quiet", is_flag=True, heading=MESSAGES, help="Print only warnings and errors."),
    option("--verbose", is_flag=True, heading=MESSAGES, help="Print more details."),
    option("--json", "as_json", is_flag=True, heading=MESSAGES, help="Print the result as JSON on standard output."),
)


def reading(command: Command) -> Command:
    """How the input is read: `input_format`, and the rest as `read`, a `ReadOptions`."""

    @functools.wraps(command)
    def with_read(no_quotes: bool, on_bad_row: str, **given: Any) -> Any:
        named = {name: given.pop(name) for name in ("encoding", "delimiter", "query", "key")}
        on_bad = BadRowWarnings() if on_bad_row == "mark" else None
        return command(read=ReadOptions(quotes=not no_quotes, on_bad_row=on_bad, **named), **given)

    return cast("Command", _apply(with_read, _READING))


def scoring(command: Command) -> Command:
    """Which model scores, where, and what it reads of a text: `model`, and the rest as the dictionary `settings`."""

    @functools.wraps(command)
    def with_settings(**given: Any) -> Any:
        named = {name: given.pop(name) for name in SCORING}
        return command(settings=_check_score_settings(**named), **given)

    return cast("Command", _apply(with_settings, _SCORING))


def messages(command: Command) -> Command:
    """How much is printed, and in which form: `quiet`, `verbose` and `as_json`."""
    return cast("Command", _apply(command, _MESSAGES))


def _check_score_settings(
    batch_tokens: str, labels: str | None, compile_model: bool | None, **others: Any
) -> dict[str, Any]:
    """The fields of `ScoreSettings` that the options of `scoring` give.

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
