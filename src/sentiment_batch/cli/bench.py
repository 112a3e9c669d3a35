"""`sentiment-batch bench`: measures how fast a model runs on this machine, and estimates the time of a job."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import INPUT, command, option
from sentiment_batch.cli.messages import fit_lines, print_block, print_json, running_command, terminal_text

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@command(
    short_help="Measure how fast a model runs on this machine.",
    examples=(
        ("Estimate how long it takes to score a table:", "sentiment-batch bench reviews.parquet"),
        (
            "Estimate ten million texts of about 250 tokens:",
            "sentiment-batch bench --tokens 250 --for-rows 10000000",
        ),
    ),
)
@click.argument("table", required=False)
@options.scoring
@options.text_column
@option(INPUT, "--tokens", "Measure on generated texts of about N tokens instead of a TABLE.", int, "N")
@option(INPUT, "--rows", "Rows to measure on. By default, as many as --seconds allows.", int, "N")
@option(INPUT, "--seconds", "About how long each measurement takes, in seconds.", float, "SECONDS", default=5.0)
@option(INPUT, "--for-rows", "Rows of the job to estimate. The default is all rows of TABLE, else 1,000,000.", int, "N")
@options.reading
@options.messages
def bench(
    table: str | None,
    tokens: int | None,
    model: str | None,
    settings: dict[str, Any],
    text_columns: tuple[str, ...],
    rows: int | None,
    seconds: float,
    for_rows: int | None,
    input_format: str | None,
    read: ReadOptions,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure how fast a model runs on this machine, on rows of your TABLE or on generated texts.

    The command measures the tokenizer alone, the model alone, and both together, in each dtype that works here. Then it
    estimates how long the whole job would take. TABLE is only read, and nothing is left behind.
    """
    from sentiment_batch.scoring.bench.measure import BenchPlan, measure_speed
    from sentiment_batch.scoring.default_model import choose_model

    plan = BenchPlan(
        source=table,
        tokens=tokens,
        text_columns=text_columns,
        rows=rows,
        seconds=seconds,
        for_rows=for_rows,
        input_format=input_format,
        read=read,
    )
    chosen = choose_model(model)
    logger.info("model: %s", chosen)
    measured = measure_speed(plan, chosen.value, settings)
    if as_json:
        print_json(measured.to_json())
    else:
        print_block(fit_lines(terminal_text(str(measured), running_command(), is_block=True), sys.stdout))
