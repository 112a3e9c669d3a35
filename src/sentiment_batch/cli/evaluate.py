"""`sentiment-batch evaluate`: labelled reviews in, how well a model predicts them out."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options, pages
from sentiment_batch.cli.messages import configure_logging
from sentiment_batch.errors import UsageError

if TYPE_CHECKING:
    from sentiment_batch.evaluation.evaluate_model import Evaluation
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@click.command(short_help="Measure a model on labelled reviews.")
@click.argument("labelled", metavar="LABELLED")
@click.option("--by", metavar="COLUMN", help="Measure the rows of each value of this column apart, too.")
@click.option(
    "--errors",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Errors, and likely wrong labels, to show.",
)
@click.option("--report", metavar="FILE", help="Write a page for a browser there as well.")
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@options.scoring
@options.columns
@options.label_column
@options.stars
@options.reading
@options.messages
def evaluate(
    labelled: str,
    by: str | None,
    errors: int,
    report: str | None,
    overwrite: bool,
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
    """Measure a model on the LABELLED reviews, such as those it was not trained on.

    Accuracy, macro F1, log loss, ROC AUC and the expected calibration error with 95 % intervals; a table per class, the
    confusion matrix, figures by length; the errors that the model is surest of, and labels that are likely wrong. Any
    stock model can be measured.
    """
    configure_logging(quiet, verbose)
    if report == "-":
        raise UsageError("the report does not go to standard output, where the figures are. Name a file with --report.")
    with pages.published(report, overwrite) as publication:
        from contextlib import closing

        from sentiment_batch.data import formats, labelled_rows
        from sentiment_batch.scoring.default_model import choose_model

        with closing(formats.open_reader(labelled, format=input_format, options=read)) as reader:
            rows = labelled_rows.read_labelled_rows(
                reader, labelled, text_columns=text_columns, label_column=label_column, by_column=by
            )
        from sentiment_batch.evaluation.evaluate_model import evaluate_labelled, report_of
        from sentiment_batch.scoring.scorer import Scorer

        chosen = choose_model(model)
        logger.info("model: %s", chosen)
        with Scorer.load(chosen.value, **settings) as scorer:
            measured = evaluate_labelled(scorer, rows, stars=stars, most_errors=errors, quiet=quiet)
            found = measured.to_json()
            report_data = None if publication is None else report_of(found, rows, scorer)
        # Before the page is written, which may fail.
        click.echo(json.dumps(found, ensure_ascii=False) if as_json else _for_people(measured))
        if publication is not None and report_data is not None:
            from sentiment_batch.report.page import render_report_page

            pages.write(publication, render_report_page(report_data))
    if report is not None:
        logger.info("report: %s", report)


def _for_people(measured: Evaluation) -> str:
    from sentiment_batch.evaluation import terminal

    parts = [str(measured), measured.table()]
    if measured.errors:
        parts.append(f"The errors that the model is surest of; rows count from 0:\n{terminal.errors(measured.errors)}")
    if measured.likely_wrong_labels:
        head = "Labels that are likely wrong; rows that the model was trained on hide theirs:"
        parts.append(f"{head}\n{terminal.likely_wrong(measured.likely_wrong_labels)}")
    return "\n\n".join(parts)
