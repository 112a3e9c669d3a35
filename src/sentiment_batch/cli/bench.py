"""`sentiment-batch bench`: how fast a model runs on this machine, and how long a job would take."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.messages import configure_logging

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@click.command(short_help="Measure how fast a model runs on this machine.")
@click.argument("table", required=False)
@click.option("--tokens", type=int, metavar="N", help="Generate texts of about N tokens, instead of a TABLE.")
@options.scoring
@options.columns
@click.option("--rows", type=int, metavar="N", help="Rows to measure on; default: what fits --seconds.")
@click.option("--seconds", type=float, default=5.0, show_default=True, help="About as long as each measurement takes.")
@click.option(
    "--for-rows", type=int, metavar="N", help="The job to estimate; default: all of TABLE, else 1,000,000 rows."
)
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
    verbose: bool,
    as_json: bool,
) -> None:
    """Measure how fast a model runs on this machine, on rows of your TABLE or on generated texts.

    Says the speed of the tokeniser alone, of the model alone and of the whole, how near the model comes to the device's
    limit, and how long a job of that kind would take. TABLE is only read, and nothing is left behind.
    """
    configure_logging(quiet, verbose)
    from sentiment_batch.scoring.bench.measure import Plan, measure
    from sentiment_batch.scoring.default_model import choose_model

    plan = Plan(
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
    measured = measure(plan, chosen.value, settings)
    click.echo(json.dumps(measured.to_json(), ensure_ascii=False) if as_json else str(measured))
