"""`sentiment-batch select`: selects the rows of a scored table to label next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import COLUMNS, INPUT, MODEL, OUTPUT, command, option
from sentiment_batch.cli.messages import print_json
from sentiment_batch.display import BLOCK
from sentiment_batch.errors import UsageError
from sentiment_batch.selection.job import CANDIDATES_PER_ROW, DEFAULT_LABEL_COLUMN, DEFAULT_ROWS, SelectJob
from sentiment_batch.settings import ScoreSettings

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@command(
    short_help="Select the rows of a scored table to label next.",
    examples=(
        (
            "Select 200 rows for people to label:",
            "sentiment-batch select scored.parquet --rows 200 --output to_label.csv",
        ),
        (
            "Leave out the texts that are labelled already:",
            "sentiment-batch select scored.parquet --rows 200 --labelled reviews.csv",
        ),
    ),
)
@click.argument("scored", metavar="SCORED")
@option(
    MODEL,
    "-m --model",
    "Model folder or Hub id. The default is the model that scored the table, by its manifest, else "
    "$SENTIMENT_BATCH_MODEL, else ./sentiment-model, else the SST-2 model of the Hub.",
    metavar="MODEL",
)
@options.loading
@options.text_column
@option(
    COLUMNS,
    "--prefix",
    "Column of the labels that scoring added. The default is that of the manifest, else sentiment, else the only "
    "column with a _score column beside it.",
    metavar="NAME",
)
@option(
    COLUMNS, "--label-column", "Name of the empty column that is added.", metavar="NAME", default=DEFAULT_LABEL_COLUMN
)
@option(
    INPUT,
    "--labelled",
    "Leave out the texts of this table, such as the reviews of the training. It may be given several times.",
    metavar="FILE",
    several=True,
)
@options.reading
@option(OUTPUT, "-o --output", "The file to write.", metavar="OUT", default="to_label.csv")
@option(OUTPUT, "--rows", "How many rows to select.", int, "N", default=DEFAULT_ROWS)
@option(
    OUTPUT,
    "--candidates",
    f"Choose among the N most uncertain rows. The default is {CANDIDATES_PER_ROW} for each row to select.",
    int,
    "N",
)
@option(OUTPUT, "--seed", "Seed of the random choices. The same seed selects the same rows.", int, "N", default=0)
@options.output_format
@option(OUTPUT, "--overwrite", "Replace OUT if it exists.", bool)
@option(OUTPUT, "--escape-formulas", "In CSV, put an apostrophe before text that looks like a formula.", bool)
@options.messages
def select(
    scored: str,
    model: str | None,
    settings: dict[str, Any],
    text_columns: tuple[str, ...],
    prefix: str | None,
    label_column: str,
    labelled: tuple[str, ...],
    input_format: str | None,
    read: ReadOptions,
    output: str,
    rows: int,
    candidates: int | None,
    seed: int,
    output_format: str | None,
    overwrite: bool,
    escape_formulas: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Select the rows of the table SCORED that are worth most to label, and write them to OUT with an empty label.

    SCORED is an output of `score`. Among its most uncertain rows, those are selected that differ most from each other.
    OUT has their columns without those that `score` added. Each text occurs once. The rows are in the order in which
    they were chosen, so the first ones are a good selection by themselves.

    Fill in the labels, and train on OUT together with the reviews that you have.
    """
    if as_json and output == "-":
        raise UsageError("--json and the table cannot both go to standard output. Name a file with --output.")
    from sentiment_batch.records import WriteOptions

    job = SelectJob(
        source=scored,
        destination=output,
        rows=rows,
        model=model,
        settings=ScoreSettings(**settings),
        text_columns=text_columns,
        label_column=label_column,
        prefix=prefix,
        labelled=labelled,
        candidates=candidates,
        seed=seed,
        input_format=input_format,
        output_format=output_format,
        read=read,
        write=WriteOptions(overwrite=overwrite, escape_formulas=escape_formulas),
        quiet=quiet,
    )

    from sentiment_batch.selection.run import select_rows  # after the checks, because it imports torch

    selection = select_rows(job)
    logger.info("%s", selection, extra=BLOCK)
    if as_json:
        print_json(selection.to_json())
