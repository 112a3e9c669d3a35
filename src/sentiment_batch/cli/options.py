"""Options that several commands share; it imports nothing heavy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from sentiment_batch.cli.messages import BadRowWarnings
from sentiment_batch.records import ReadOptions
from sentiment_batch.settings import DTYPES, LONG_TEXT, ON_BAD_ROW, ScoreSettings

Command = TypeVar("Command", bound=Callable[..., Any])
SCORING = ("batch_tokens", "max_length", "long_text", "labels", "device", "dtype", "deterministic", "compile_model")
"""The options of `scoring` that become `ScoreSettings`."""

label_column = click.option(
    "--label-column", metavar="NAME", help="Column of the labels; found by itself where its name is usual."
)
stars = click.option(
    "--stars", metavar="CUTS", help="2,4: up to 2 negative, 4 and more positive. Or negative=1-2,neutral=3,..."
)


def columns(command: Command) -> Command:
    """`--text-column`."""
    return click.option(
        "--text-column",
        "text_columns",
        multiple=True,
        metavar="NAME",
        help="Column of the text; found by itself where its name is usual. Twice: joined by a blank line.",
    )(command)


def reading(command: Command) -> Command:
    """How the input is read: `input_format`, and the rest as `read`, a `ReadOptions`."""

    @functools.wraps(command)
    def with_read(no_quotes: bool, on_bad_row: str, **given: Any) -> Any:
        named = {name: given.pop(name) for name in ("encoding", "delimiter", "query", "key")}
        on_bad = BadRowWarnings() if on_bad_row == "mark" else None
        return command(read=ReadOptions(quotes=not no_quotes, on_bad_row=on_bad, **named), **given)

    for option in (
        click.option(
            "--on-bad-row",
            type=click.Choice(ON_BAD_ROW),
            default="fail",
            show_default=True,
            help="mark: go on with malformed rows as far as they can be read, and tell of them.",
        ),
        click.option(
            "--key",
            metavar="COLUMN",
            help="Of a database: is another in each row, so that a run that was cut off can go on.",
        ),
        click.option("--query", metavar="SQL", help="Of a database: read the rows of this query, not of a table."),
        click.option("--no-quotes", is_flag=True, help="Read quotes in a CSV as text; none encloses a cell."),
        click.option("--delimiter", metavar="CHAR", help="Between the fields of a CSV; found by itself."),
        click.option(
            "--encoding", metavar="NAME", help="Of CSV and JSON lines; default: by byte order mark, else UTF-8."
        ),
        click.option("--input-format", metavar="FORMAT", help="Where the name does not tell; see `formats`."),
    ):
        with_read = option(with_read)
    return cast("Command", with_read)


def device(command: Command) -> Command:
    """Where and how to train."""
    for option in (
        click.option(
            "--dtype", type=click.Choice(DTYPES), default="auto", show_default=True, help="Of the computation."
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    ):
        command = option(command)
    return command


def scoring(command: Command) -> Command:
    """Which model scores, where, and how it looks at a text: `model`, and the rest as the dictionary `settings`."""

    @functools.wraps(command)
    def with_settings(**given: Any) -> Any:
        named = {name: given.pop(name) for name in SCORING}
        return command(settings=_score_settings(**named), **given)

    options = (
        click.option(
            "--compile/--no-compile",
            "compile_model",
            default=None,
            help="Fuse the model's kernels first, on CUDA; default: where a job is long enough for it to pay.",
        ),
        click.option("--deterministic", is_flag=True, help="The same bits whatever the batches and threads."),
        click.option(
            "--dtype", type=click.Choice(DTYPES), default="auto", show_default=True, help="Of the computation."
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda, cuda:N; or several, as in cuda:0,cuda:1.",
        ),
        click.option("--labels", metavar="A,B,...", help="Names for a model that only knows LABEL_0, LABEL_1."),
        click.option(
            "--long-text", type=click.Choice(LONG_TEXT), help="Of texts that do not fit; default: as trained."
        ),
        click.option("--max-length", type=int, metavar="N", help="Tokens per text; default: as trained."),
        click.option("--batch-tokens", default="auto", show_default=True, metavar="N", help="Tokens per batch."),
        click.option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Folder or Hub id; default: $SENTIMENT_BATCH_MODEL, ./sentiment-model, the Hub's SST-2 model.",
        ),
    )
    for option in options:
        with_settings = option(with_settings)
    return cast("Command", with_settings)


def neutral_band(command: Command) -> Command:
    """`--neutral-band`."""
    return click.option(
        "--neutral-band",
        type=float,
        metavar="P",
        help="Of a model of two labels: call rows neutral where neither has this probability, such as 0.65.",
    )(command)


def messages(command: Command) -> Command:
    """How much is printed, and in which form: `quiet`, `verbose` and `as_json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."),
        click.option("--verbose", is_flag=True, help="Say more."),
        click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors."),
    ):
        command = option(command)
    return command


def _score_settings(batch_tokens: str, labels: str | None, compile_model: bool | None, **others: Any) -> dict[str, Any]:
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
    ScoreSettings(**settings)  # what is wrong shows before anything is opened
    return settings
