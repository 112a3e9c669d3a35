"""Explains the errors of quoting in a CSV."""

from __future__ import annotations

import csv
import itertools

from sentiment_batch.data.readers.text import MAX_ROW_CHARACTERS, TextFile
from sentiment_batch.errors import InputError

TEXT_AFTER_QUOTE = "a cell goes on after its closing quote"
"""What is wrong with most records that break the rules of quoting."""
READ_ESCAPED = 'read the file with `escape="\\\\"`'
"""What to do about backslashes, as part of a sentence."""
_MAX_REREAD_LINES = 100
"""Number of lines of a malformed record that are read again to explain it."""


def explain_malformed(
    error: csv.Error, name: str, begin: int, last: int, text: TextFile, *, header: bool = False
) -> InputError:
    """The error for a record that breaks the rules of quoting.

    Args:
        error: the error of `csv.reader`.
        name: what messages call the file.
        begin: the number of the record's first line.
        last: the number of the line where the reader stopped.
        text: the file, whose record is read again.
        header: True if the record is the header, which cannot be kept as a bad row.
    """
    # The lines are read again only now, because the reader keeps no lines of the file.
    why = describe_error(error)
    with text.lines() as lines:
        escaped = any(
            '\\"' in line for line in itertools.islice(lines, begin - 1, min(last, begin + _MAX_REREAD_LINES))
        )
    if escaped:
        cure = f"If a backslash before a quote makes it part of the cell, {READ_ESCAPED}."
    elif "never closes" in why:
        cure = "Close it, or read quotes as text with `quotes=False`."
    elif TEXT_AFTER_QUOTE not in why:
        cure = "Is there a quote that never closes?"
    else:
        cure = (
            "Double the quotes that are part of a cell, or, if no cell of the file is quoted, read them as text with "
            "`quotes=False`"
        )
        cure += ', or keep such rows with `on_bad_row="mark"`.' if last == begin and not header else "."
    if TEXT_AFTER_QUOTE in why and last > begin:
        why += f" in line {last:,}"
    return InputError(f"{name}, line {begin:,}: {why}. {cure}")


def describe_error(error: csv.Error) -> str:
    """What is wrong, as part of a sentence."""
    # The csv module has one class for all its errors, so its messages tell them apart.
    if "unexpected end" in str(error):
        return "a quote opens in this record and never closes"
    if "limit" in str(error):
        return f"a cell of over {MAX_ROW_CHARACTERS:,} characters"
    return TEXT_AFTER_QUOTE
