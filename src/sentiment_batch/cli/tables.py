"""Tables on standard output that fit the width of the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

from sentiment_batch.cli.messages import running_command, terminal_text

MIN_LAST_COLUMN_WIDTH = 24
"""On a narrower terminal the lines become longer than the terminal."""


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in columns. On a terminal the last column is wrapped, elsewhere each row is one line."""
    shown = [[terminal_text(cell, running_command()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in list(zip(*shown, strict=True))[:-1]]
    room = shutil.get_terminal_size((100, 24)).columns - sum(widths) - 2 * len(widths)
    for *cells, last in shown:
        lines = textwrap.wrap(last, max(room, MIN_LAST_COLUMN_WIDTH)) if sys.stdout.isatty() else [last]
        front = "".join(f"{cell:{width}}  " for cell, width in zip(cells, widths, strict=True))
        for number, line in enumerate(lines or [""]):
            click.echo(f"{front if number == 0 else ' ' * len(front)}{line}".rstrip())
