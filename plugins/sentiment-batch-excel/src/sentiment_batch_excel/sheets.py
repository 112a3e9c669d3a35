"""Chooses the sheet of a workbook that is read."""

from __future__ import annotations

import logging
from typing import Any

from sentiment_batch import InputError, UsageError, without_password
from sentiment_batch.reading import rate_table
from sentiment_batch_excel.cells import read_cell, to_text

logger = logging.getLogger("sentiment_batch.excel")

MAX_RATED_ROWS = 20
"""Number of rows at the beginning of a sheet that show whether it holds a table."""

NAMES_A_TEXT_COLUMN = 2
"""What `rate_table` gives for a table in which a cell is a usual name of a text column."""


def choose_sheet(book: Any, location: str, chosen: str | None) -> Any:
    """The sheet of a workbook that is read.

    Args:
        book: an open `openpyxl.Workbook`.
        location: what messages call it.
        chosen: the name of a sheet, or its number among the visible ones from 1. None: the first visible sheet.

    Raises:
        InputError: no sheet is visible, several hold tables of texts, or the first one is a cover and another holds
            the table.
        UsageError: there is no such sheet.
    """
    visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if chosen is not None:
        return _find_sheet(book, visible, location, chosen)
    if not visible:
        raise InputError(f"{location} has no visible sheet. Name a hidden one with `sheet`.")
    rates = [_rate(sheet) for sheet in visible] if len(visible) > 1 else [0]
    if rates[0] < max(rates):
        better = visible[rates.index(max(rates))].title
        raise InputError(
            f"{location}: the first sheet, {visible[0].title!r}, looks like no table of texts, but {better!r} does. "
            f"Name the one to read: `sheet={better!r}` or `sheet={visible[0].title!r}`. {_list_sheets(visible)}"
        )
    tables = [sheet.title for sheet, rate in zip(visible, rates, strict=True) if rate == NAMES_A_TEXT_COLUMN]
    if len(tables) > 1:
        cures = " or ".join(f"`sheet={title!r}`" for title in tables[:2])
        raise InputError(
            f"{location}: the sheets {', '.join(map(repr, tables))} all look like tables of texts. Name the one to "
            f"read, such as {cures}."
        )
    if len(visible) > 1:
        others = ", ".join(repr(sheet.title) for sheet in visible[1:])
        logger.warning("%s: reading the sheet %r and not %s", without_password(location), visible[0].title, others)
    return visible[0]


def _find_sheet(book: Any, visible: list[Any], location: str, chosen: str) -> Any:
    named = next((sheet for sheet in book.worksheets if sheet.title == chosen), None)
    if named is not None:
        return named
    if chosen.isdecimal() and 1 <= int(chosen) <= len(visible):
        return visible[int(chosen) - 1]
    raise UsageError(f"{location} has no sheet {chosen!r}; `sheet` takes a name or a number. {_list_sheets(visible)}")


def _list_sheets(sheets: list[Any]) -> str:
    return f"The sheets are {', '.join(repr(sheet.title) for sheet in sheets)}."


def _rate(sheet: Any) -> int:
    sheet.reset_dimensions()
    rows = [[to_text(read_cell(cell)) for cell in row] for row in sheet.iter_rows(max_row=MAX_RATED_ROWS)]
    return rate_table(rows)
