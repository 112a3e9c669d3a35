"""`sentiment-batch compare`: measures two models on the same labelled reviews."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import AT_LEAST_ZERO, OUTPUT, command, option
from sentiment_batch.cli.messages import print_block, print_json
from sentiment_batch.cli.side_tables import publish_table
from sentiment_batch.display import fit_text, terminal_width

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")

FIGURES = ("difference", "difference_low", "difference_high", "accuracy_a", "accuracy_b", "rows")
"""The figures that conditions may name. `difference` is the accuracy of B minus the accuracy of A."""


@command(
    short_help="Compare two models on the same labelled reviews.",
    examples=(
        ("See whether a new model is better:", "sentiment-batch compare old new test.csv"),
        (
            "Fail in a script if the new model is clearly worse:",
            "sentiment-batch compare old new test.csv --fail-if 'difference_high<0'",
        ),
    ),
)
@click.argument("model_a", metavar="MODEL_A")
@click.argument("model_b", metavar="MODEL_B")
@click.argument("labelled", metavar="LABELLED")
@options.loading
@options.labelled_columns
@options.reading
@option(OUTPUT, "--changes", "How many rows to show whose label changes.", AT_LEAST_ZERO, "N", default=20)
@option(OUTPUT, "--output", "Also write all rows whose label changes, such as changes.csv.", metavar="FILE")
@option(OUTPUT, "--overwrite", "Replace FILE if it exists.", bool)
@options.fail_if("'difference_high < 0'")
@options.messages
def compare(
    model_a: str,
    model_b: str,
    labelled: str,
    changes: int,
    output: str | None,
    overwrite: bool,
    fail_if: tuple[str, ...],
    settings: dict[str, Any],
    columns: dict[str, Any],
    input_format: str | None,
    read: ReadOptions,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure MODEL_A and MODEL_B on the same LABELLED reviews, which neither should have been trained on.

    The command prints the accuracy of both, the difference with its 95 % interval, and the rows whose label changes.
    The interval is that of paired rows, which is narrower than that of two separate measurements.

    The conditions of --fail-if take rows, accuracy_a, accuracy_b, difference, difference_low and difference_high. The
    difference is the accuracy of B minus that of A. Its low and high end are those of the interval.
    """
    from sentiment_batch.gates.conditions import apply_gates, parse_gates, raise_failed

    gates = parse_gates(fail_if, FIGURES)
    with publish_table(output, [labelled], _make_schema, "the rows that change need", overwrite=overwrite) as writer:
        from sentiment_batch.evaluation.reviews import read_measured_rows

        rows = read_measured_rows(labelled, lambda: model_a, input_format=input_format, read_options=read, **columns)
        # Imported after the table was read, because it loads torch.
        from sentiment_batch.evaluation.compare_models import compare_models
        from sentiment_batch.scoring.scorer import Scorer

        # Each model is loaded when it is its turn, so that only one is in memory
        loads = [functools.partial(Scorer.load, model, **settings) for model in (model_a, model_b)]
        found = compare_models(loads, rows, columns["label_settings"], quiet=quiet)
        low, high = found.difference_interval
        values = (found.difference, low, high, found.a.accuracy, found.b.accuracy, found.rows)
        results = apply_gates(gates, dict(zip(FIGURES, values, strict=True)))
        if as_json:
            print_json(found.to_json() | {"gates": [one.to_json() for one in results]})
        else:
            print_block("\n\n".join([str(found), *_format_changes(found.changed[:changes])]))
        if writer is not None:
            import pyarrow as pa

            writer.write(pa.RecordBatch.from_pylist([dict(one) for one in found.changed], schema=_make_schema()))
    if output is not None:
        logger.info("changes: %s", output)
    raise_failed(results)


def _format_changes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows as text for a terminal; an empty list if there are no rows."""
    from sentiment_batch.report.formatting import ROWS, format_row_location

    width = terminal_width(sys.stdout)
    lines = [f"The rows whose label changes. {ROWS}"]
    for one in rows:
        labels = f"A {one['label_a']} {one['score_a']:.4f}, B {one['label_b']} {one['score_b']:.4f}"
        head = f"{format_row_location(one, with_file=False)}: {labels}, labelled {one['label']}"
        lines += [f"  {fit_text(head, width - 2)}", f"    {fit_text(one['text'], width - 4)}"]
    return ["\n".join(lines)] if rows else []


def _make_schema() -> Any:
    """`row` counts the rows of `file` from 0; each score is the probability of the label before it."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    first = [("file", text), ("row", pa.int64()), ("id_column", text), ("id", text), ("text", text), ("label", text)]
    return pa.schema([*first, ("label_a", text), ("score_a", number), ("label_b", text), ("score_b", number)])
