"""Tables on standard output that fit the width of the terminal."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

from sentiment_batch.cli.messages import running_command, terminal_text

GAP = 2
"""Blanks between two columns."""
MIN_COLUMN_WIDTH = 8
"""Characters of a column on a very narrow terminal."""
_BREAKS = re.compile(r"\s+|(?<=-)")
"""Where a cell may be wrapped."""


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in columns. On a terminal, wide columns are wrapped; elsewhere, each row is one line."""
    shown = [[terminal_text(cell, running_command()) for cell in row] for row in rows]
    columns = list(zip(*shown, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if sys.stdout.isatty():
        _narrow(widths, columns, shutil.get_terminal_size((100, 24)).columns)
    for row in shown:
        wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in itertools.zip_longest(*wrapped, fillvalue=""):
            cells = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
            click.echo((" " * GAP).join(cells).rstrip())


def _wrap(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)


def _narrow(widths: list[int], columns: Sequence[Sequence[str]], terminal_width: int) -> None:
    """Make the widest columns narrower until the table fits. Words are broken only if it cannot fit otherwise."""
    # Two rounds: down to the longest word of each column, then to the least width
    words = [[word for cell in column for word in _BREAKS.split(cell)] for column in columns]
    for least in ([max(map(len, column)) for column in words], [MIN_COLUMN_WIDTH] * len(widths)):
        while sum(widths) + GAP * (len(widths) - 1) > terminal_width:
            wide = [number for number, width in enumerate(widths) if width > least[number]]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
