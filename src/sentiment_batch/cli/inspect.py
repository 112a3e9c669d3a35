"""`sentiment-batch inspect`: shows how a table is read, its first rows, and what the data check finds."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import print_block, print_json, terminal_text
from sentiment_batch.display import fit_text, pad_text, terminal_width

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.training.inspection import Inspection

MAX_COLUMNS_SHOWN = 40
MAX_ROWS_SHOWN = 3
NAME_WIDTH = 20
"""Width of the name of a column, in characters of the terminal."""
_ESCAPES = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


@command(
    short_help="Show how a table is read, without training.",
    examples=(
        ("See what `train` would read:", "sentiment-batch inspect reviews.csv"),
        ("See whether an option reads the table:", "sentiment-batch inspect export.csv --skip-rows 2 --delimiter ';'"),
    ),
)
@click.argument("table", metavar="FILE")
@options.labelled_columns
@options.reading
@options.messages
def inspect(
    table: str,
    columns: dict[str, Any],
    input_format: str | None,
    read: ReadOptions,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show how FILE is read: its columns, the meaning of its labels, its first rows, and what the data check finds.

    Nothing is trained or scored, and no model is needed. FILE may be of any size. If something must be answered before
    `train` can read FILE, the question comes last, and the exit code is the one that `train` would end with. FILE need
    not have labels, because `score` needs none. Then a note says what `train` would ask.
    """
    from sentiment_batch.cli.train import train
    from sentiment_batch.data.formats import open_reader
    from sentiment_batch.locations import without_password
    from sentiment_batch.training.inspection import inspect_table

    with contextlib.closing(open_reader(table, format=input_format, options=read)) as reader:
        found = inspect_table(reader, name=without_password(table), **columns)
    if as_json:
        question = found.question and terminal_text(str(found.question), train)
        print_json(found.to_json() | {"question": question})
    else:
        print_block("\n".join(_format(table, found, terminal_width(sys.stdout))))
    if found.question is not None:
        raise found.question


def _format(name: str, found: Inspection, width: int) -> list[str]:
    from sentiment_batch.cli.train import train
    from sentiment_batch.data.input_description import format_description
    from sentiment_batch.training.data_check.wording import format_finding, format_inspection

    findings = [f"{one.level}: {format_finding(one.to_json(), width)}" for one in found.findings]
    checked = [*format_inspection(found.counts, found.all_compared, width), *findings]
    return [
        format_description([name], found.input.to_json()),
        *_format_rows(found, width),
        "data check",
        *(terminal_text(line, train, is_block=True) for line in checked),  # its advice names settings of `train`
    ]


def _format_rows(found: Inspection, width: int) -> list[str]:
    """A line for each column of the table: its name, and its values in the first rows."""
    rows = found.first_rows[:MAX_ROWS_SHOWN]
    if not rows:
        return ["there are no rows"]
    room = (width - NAME_WIDTH - 2) // len(rows) - 2
    lines = ["first rows"]
    for place, (name, _) in enumerate(found.columns[:MAX_COLUMNS_SHOWN]):
        values = ["-" if (value := row[place]) is None else value.translate(_ESCAPES) for row in rows]
        cells = (pad_text(fit_text(value, room), room) for value in values)
        lines.append(f"  {pad_text(fit_text(name, NAME_WIDTH), NAME_WIDTH)}  {'  '.join(cells)}".rstrip())
    more = len(found.columns) - MAX_COLUMNS_SHOWN
    return lines + [f"  and {more:,} more columns"] * (more > 0)
