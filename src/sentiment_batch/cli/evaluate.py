"""`sentiment-batch evaluate`: measures how well a model predicts the labels of reviews."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options, pages
from sentiment_batch.cli.help import AT_LEAST_ZERO, COLUMNS, OUTPUT, command, option
from sentiment_batch.cli.label_issues import publish_label_issues, write_label_issues
from sentiment_batch.cli.messages import command_line, fit_lines, print_block, print_json
from sentiment_batch.display import terminal_width
from sentiment_batch.errors import UsageError
from sentiment_batch.settings import MAX_ERRORS

if TYPE_CHECKING:
    from sentiment_batch.evaluation.assess import Evaluation
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

FIGURES = ("accuracy", "macro_f1", "loss", "roc_auc", "calibration_error", "unlike", "rows")
"""The figures that conditions may name. Each is a key of the JSON output with a number."""


@command(
    short_help="Measure a model on labelled reviews.",
    examples=(
        ("Measure the model in ./sentiment-model:", "sentiment-batch evaluate test.csv"),
        (
            "Measure a model by product, and write a report for a browser:",
            "sentiment-batch evaluate test.csv --by product --report report.html",
        ),
    ),
)
@click.argument("labelled", metavar="LABELLED")
@options.scoring
@options.labelled_columns
@option(COLUMNS, "--by", "Also measure each value of this column by itself, such as product.", metavar="COLUMN")
@options.reading
@option(OUTPUT, "--errors", "How many errors and likely wrong labels to show.", AT_LEAST_ZERO, "N", default=MAX_ERRORS)
@option(OUTPUT, "--report", "Also write a page for a browser, such as report.html.", metavar="FILE")
@option(
    OUTPUT, "--label-issues", "Also write all rows whose labels are likely wrong, such as issues.csv.", metavar="FILE"
)
@option(OUTPUT, "--overwrite", "Replace FILE if it exists.", bool)
@options.fail_if("'accuracy < 0.9'")
@options.messages
def evaluate(
    labelled: str,
    by: str | None,
    errors: int,
    report: str | None,
    label_issues: str | None,
    overwrite: bool,
    fail_if: tuple[str, ...],
    model: str | None,
    settings: dict[str, Any],
    columns: dict[str, Any],
    input_format: str | None,
    read: ReadOptions,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure a model on the LABELLED reviews, which should not be those that it was trained on.

    The command prints accuracy, macro F1, log loss, ROC AUC and the expected calibration error with 95 % intervals, a
    table by class, the confusion matrix and figures by length. It also shows the errors with the highest probability,
    and labels that are likely wrong. Any stock model can be measured.

    The conditions of --fail-if take rows, accuracy, macro_f1, loss, roc_auc, calibration_error and unlike.
    """
    from sentiment_batch.gates.conditions import apply_gates, parse_gates, raise_failed

    # 1. Everything that can be refused without a model, because loading one takes seconds
    gates = parse_gates(fail_if, FIGURES)
    if report == "-":
        raise UsageError("the figures go to standard output, so the report cannot. Name a file with --report.")
    with (
        pages.publish_page(report, overwrite) as publication,
        publish_label_issues(label_issues, [labelled], overwrite=overwrite) as issue_writer,
    ):
        from sentiment_batch.evaluation.reviews import read_measured_rows
        from sentiment_batch.scoring.default_model import choose_model

        chosen = choose_model(model)
        rows = read_measured_rows(
            labelled, lambda: chosen.value, by_column=by, input_format=input_format, read_options=read, **columns
        )
        # 2. Measure the model. Imported after the table was read, because this loads torch
        from sentiment_batch.evaluation.evaluate_model import evaluate_labelled, make_report
        from sentiment_batch.scoring.figures import refuse_unknown_score_figures
        from sentiment_batch.scoring.scorer import Scorer

        logger.info("model: %s", chosen)
        with Scorer.load(chosen.value, **settings) as scorer:
            refuse_unknown_score_figures(gates, scorer)
            evaluation = evaluate_labelled(
                scorer,
                rows,
                label_settings=columns["label_settings"],
                max_errors=errors,
                max_label_issues=None if issue_writer is None else len(rows.texts),
                with_words=publication is not None,
                quiet=quiet,
            )
            if issue_writer is not None:
                write_label_issues(issue_writer, evaluation.likely_wrong_labels)
                evaluation = replace(evaluation, likely_wrong_labels=evaluation.likely_wrong_labels[:errors])
            values = evaluation.to_json()
            results = apply_gates(gates, {name: values[name] for name in FIGURES})
            values |= {"gates": [one.to_json() for one in results]}
            report_data = None if publication is None else make_report(values, rows, scorer, command=command_line())
        # 3. Show the result. It is printed before the page is written, because writing may fail
        if as_json:
            print_json(values)
        else:
            print_block(_format_evaluation(evaluation))
        if publication is not None and report_data is not None:
            from sentiment_batch.report.page import render_report_page

            pages.write_page(publication, render_report_page(report_data))
    if report is not None:
        logger.info("report: %s", report)
    if label_issues is not None:
        logger.info("label issues: %s", label_issues)
    # Last, because a gate that fails must not lose the page and the table
    raise_failed(results)


def _format_evaluation(evaluation: Evaluation) -> str:
    """Figures, tables, errors and likely wrong labels as text for a terminal."""
    from sentiment_batch.evaluation.terminal import format_errors, format_likely_wrong_labels
    from sentiment_batch.report.formatting import ROWS

    width = terminal_width(sys.stdout)
    parts = [str(evaluation), evaluation.table()]
    if evaluation.errors:
        title = fit_lines(f"The errors with the highest probability. {ROWS}", sys.stdout)
        parts.append(f"{title}\n{format_errors(evaluation.errors, width)}")
    if evaluation.likely_wrong_labels:
        title = fit_lines("Labels that are likely wrong. A model finds none in its own training rows:", sys.stdout)
        parts.append(f"{title}\n{format_likely_wrong_labels(evaluation.likely_wrong_labels, width)}")
    return "\n\n".join(parts)
