"""`sentiment-batch summary`: shows the shares of the labels in a scored table."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from sentiment_batch.cli import options, pages
from sentiment_batch.cli.help import AT_LEAST_ZERO, COLUMNS, MODEL, OUTPUT, command, option
from sentiment_batch.cli.messages import command_line, print_block, print_json, running_command, terminal_text
from sentiment_batch.cli.side_tables import publish_table
from sentiment_batch.errors import UsageError
from sentiment_batch.shares.request import DEFAULT_PERIOD, MAX_WORDS, PERIODS, UNSURE_BELOW, SummaryRequest

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@command(
    short_help="Show the shares of the labels in a scored table.",
    examples=(
        (
            "Show the shares of the labels, by product and by month:",
            "sentiment-batch summary scored.csv --by product --over date",
        ),
        (
            "Let a scheduler stop if many reviews are negative:",
            "sentiment-batch summary scored.csv --fail-if 'share(negative)>0.3'",
        ),
    ),
)
@click.argument("scored", metavar="SCORED")
@option(
    MODEL,
    "-m --model",
    "Model folder or Hub id that scored the table. Its known errors correct the shares. By default, they are read from "
    "SCORED.manifest.json.",
    metavar="MODEL",
)
@option(
    COLUMNS,
    "--prefix",
    "Column of the labels. The default is that of the manifest, else sentiment, else the only column with a _score "
    "column beside it.",
    metavar="NAME",
)
@option(
    COLUMNS,
    "--by",
    "Also show each value of this column, such as product. If given twice, each pair of values.",
    metavar="COLUMN",
    several=True,
)
@option(COLUMNS, "--over", "Also show the shares over time, by this column of dates.", metavar="COLUMN")
@option(
    COLUMNS,
    "--every",
    "The length of a period. A week begins on Monday.",
    click.Choice(PERIODS),
    default=DEFAULT_PERIOD,
)
@option(
    COLUMNS,
    "--date-format",
    "How the dates are written, such as %d.%m.%Y, if the first rows do not show it.",
    metavar="FORMAT",
)
@options.text_column
@option(
    COLUMNS,
    "--words",
    "How many words to show that mark the texts of a label, in all rows and in each group.",
    AT_LEAST_ZERO,
    "N",
    default=MAX_WORDS,
)
@option(
    MODEL,
    "--unsure-below",
    "The model is unsure of a row if its score is below this.",
    float,
    "P",
    default=UNSURE_BELOW,
)
@options.reading
@option(OUTPUT, "--output", "Also write the shares as a table, such as shares.csv.", metavar="FILE")
@option(OUTPUT, "--report", "Also write a page with charts for a browser, such as shares.html.", metavar="FILE")
@option(OUTPUT, "--overwrite", "Replace FILE if it exists.", bool)
@options.fail_if("'share(negative) > 0.3' or 'no_text > 5%'")
@options.messages
def summary(
    scored: str,
    model: str | None,
    prefix: str | None,
    by: tuple[str, ...],
    over: str | None,
    every: str,
    date_format: str | None,
    text_columns: tuple[str, ...],
    words: int,
    unsure_below: float,
    input_format: str | None,
    read: ReadOptions,
    output: str | None,
    report: str | None,
    overwrite: bool,
    fail_if: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what the scored table SCORED says: the share of each label, its mean score, and rows to be unsure of.

    SCORED is an output of `score` in any format that `sentiment-batch formats` lists, or a URL. It is read once, in
    little memory. Each share has a 95 % interval. The corrected share removes the effect of the known errors of the
    model.

    The conditions of --fail-if take rows, share(LABEL), corrected(LABEL), mean_score, no_text, unsure, unlike and
    expected_accuracy. no_text is a share of the rows, unsure of the rows with a label, unlike of the texts.
    """
    from sentiment_batch.frames.open_table import open_table
    from sentiment_batch.gates.conditions import apply_gates, parse_gates, raise_failed
    from sentiment_batch.shares.figures import FIGURES, list_figures, refuse_unknown_figures, refuse_unknown_labels
    from sentiment_batch.shares.known_model import read_known_model
    from sentiment_batch.shares.run import summarize_shares
    from sentiment_batch.shares.table import make_share_schema

    request = SummaryRequest(
        by=by,
        over=over,
        every=every,
        date_format=date_format,
        prefix=prefix,
        text_columns=text_columns,
        unsure_below=unsure_below,
        words=words,
    )
    # A default in sentiment-batch.toml may stay without effect, but not what the user has just typed
    source = click.get_current_context().get_parameter_source("every")
    if over is None and source is click.core.ParameterSource.COMMANDLINE:
        raise UsageError("`every` is for the column of dates. Name that with `over`.")
    gates = parse_gates(fail_if, FIGURES)
    if report == "-":
        raise UsageError("the shares go to standard output, so the report cannot. Name a file with --report.")
    with (
        pages.publish_page(report, overwrite) as publication,
        publish_table(
            output, [scored], lambda: make_share_schema(by), "the shares need", overwrite=overwrite
        ) as writer,
    ):
        # The model is asked first, because its labels decide which conditions make sense
        known = read_known_model(scored, model)
        refuse_unknown_figures(gates, known)
        with open_table(scored, input_format=input_format, read_options=read) as table:
            found = summarize_shares(table.reader, table.name, request, known, quiet=quiet)
        refuse_unknown_labels(gates, found)
        results = apply_gates(gates, list_figures(found))
        if as_json:
            print_json(found.to_json() | {"gates": [one.to_json() for one in results]})
        else:
            print_block(terminal_text(str(found), running_command(), is_block=True))
        if writer is not None:
            from sentiment_batch.shares.table import make_share_table

            writer.write(make_share_table(found))
        if publication is not None:
            from sentiment_batch.report.shares import render_share_page

            page = render_share_page(found.to_json(), version=version("sentiment-batch"), command=command_line())
            pages.write_page(publication, page)
    for name, location in (("shares", output), ("report", report)):
        if location is not None:
            logger.info("%s: %s", name, location)
    raise_failed(results)
