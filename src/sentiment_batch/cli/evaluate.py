"""`sentiment-batch evaluate`: labelled reviews in, how well a model predicts them out."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@click.command(short_help="Measure a model on labelled reviews.")
@click.argument("labelled", metavar="LABELLED")
@options.scoring
@options.columns
@options.label_column
@options.stars
@options.reading
@options.talking
def evaluate(
    labelled: str,
    model: str | None,
    settings: dict[str, Any],
    text_columns: tuple[str, ...],
    label_column: str | None,
    stars: str | None,
    input_format: str | None,
    read: ReadOptions,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Measure a model on the LABELLED reviews: accuracy, macro F1, loss, a table per class and the confusion matrix."""
    options.show_messages(quiet, verbose)
    from contextlib import closing

    from sentiment_batch import formats, inputs
    from sentiment_batch.scoring.choice import choose_model

    with closing(formats.open_reader(labelled, format=input_format, options=read)) as reader:
        rows = inputs.read(reader, labelled, text_columns=text_columns, label_column=label_column)
    from sentiment_batch.evaluation import evaluate_labelled
    from sentiment_batch.scoring.scorer import Scorer

    chosen = choose_model(model)
    logger.info("model: %s", chosen)
    with Scorer.load(chosen.value, **settings) as scorer:
        measured = evaluate_labelled(scorer, rows, stars=stars)
    click.echo(json.dumps(measured.to_json(), ensure_ascii=False) if as_json else f"{measured}\n\n{measured.table()}")
