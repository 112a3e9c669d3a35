"""Splits the lines of a CSV into records, without skipped lines and comments."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

COMMENT: list[str] = []
"""Stands for a comment among the records. A blank line is an equal list, but another one."""


def read_records(
    lines: Iterable[str], dialect: dict[str, Any], *, skip_rows: int = 0, comment: str | None = None
) -> Any:
    """An iterator over the records of a CSV. Its `line_num` is the number of the last line that was read, from 1.

    Args:
        lines: the lines from the first one, with their line ends.
        dialect: the arguments of `csv.reader`.
        skip_rows: number of lines to skip.
        comment: the first character of comments. Each one becomes a record that is `COMMENT`.
    """
    stream = iter(lines)
    skipped = ["\n" for _ in itertools.islice(stream, skip_rows)]  # so that the reader counts them
    stream = itertools.chain(skipped, stream)
    if dialect.get("escapechar"):
        stream = (protect_escapes(line, dialect) for line in stream)
    records = csv.reader(stream, **dialect) if comment is None else _CommentedRecords(stream, dialect, comment)
    for _ in skipped:
        next(records)
    return records


def protect_escapes(line: str, dialect: dict[str, Any]) -> str:
    r"""Double each escape character that escapes nothing, because `csv.reader` would drop it.

    >>> protect_escapes("\\N,C:\\new,\\,", {"escapechar": "\\", "delimiter": ","})
    '\\\\N,C:\\\\new,\\,'
    """
    escape, delimiter = dialect["escapechar"], dialect["delimiter"]
    if escape not in line:
        return line
    special = re.escape(f'{escape}{delimiter}"\r\n')
    return re.sub(f"{re.escape(escape)}([{special}]?)", lambda found: found[0] if found[1] else escape * 2, line)


class _CommentedRecords:
    """The records of a CSV with comments. A line inside a quoted cell is no comment, whatever it begins with."""

    def __init__(self, lines: Iterator[str], dialect: dict[str, Any], comment: str) -> None:
        self.line_num = 0
        self._lines = lines
        self._comment = comment
        self._first: list[str] = []  # the line with which the next record begins
        self._records = csv.reader(self._feed(), **dialect)

    def __iter__(self) -> _CommentedRecords:
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines)
        self.line_num += 1
        if line.startswith(self._comment):
            return COMMENT
        self._first.append(line)
        return next(self._records)

    def _feed(self) -> Iterator[str]:
        while True:
            if self._first:
                yield self._first.pop()
            else:
                line = next(self._lines, None)
                if line is None:
                    return
                self.line_num += 1
                yield line
