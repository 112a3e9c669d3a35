"""Collects the bad rows of a run that marks them, from the thread that reads and the one that scores, in row order."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentiment_batch.records import Problem


KEYS = frozenset({"row", "where", "reason", "original_base64"})
"""The keys of each line of OUT.problems.jsonl."""


class BadRows:
    """The bad rows of a run that marks them.

    A reader numbers rows within a split. It may also read before the run begins, to look at the columns; bad rows that
    it reports then are ignored, because the run reads them again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[Problem] = []
        self._first: int | None = None

    def begin_split(self, first: int) -> None:
        """Number the rows of the next split from `first`."""
        self._first = first

    def add_from_split(self, problem: Problem) -> None:
        """Add a bad row that a reader reports, numbered within its split."""
        if self._first is not None:
            self.add(replace(problem, row=self._first + problem.row))

    def add(self, problem: Problem) -> None:
        """Add a bad row, numbered within the input."""
        with self._lock:
            self._found.append(problem)

    def take(self, before: int) -> list[Problem]:
        """Remove the bad rows before the row `before`, and give them in order, each row once."""
        with self._lock:
            # The thread that reads is ahead, so the list also holds bad rows of later parts
            taken = [problem for problem in self._found if problem.row < before]
            self._found = [problem for problem in self._found if problem.row >= before]
        merged: dict[int, Problem] = {}
        for problem in taken:  # the reader's report comes first; it knows the line and all bytes of the row
            known = merged.get(problem.row)
            both = problem if known is None else replace(known, reason=f"{known.reason}; {problem.reason}")
            merged[problem.row] = both
        return [merged[row] for row in sorted(merged)]


def is_problem_list(lines: Iterable[bytes]) -> bool:
    """True if there are lines, and all have the keys that `to_json_lines` writes."""
    found = False
    try:
        for line in lines:
            found = set(json.loads(line)) == KEYS
            if not found:
                break
    except (ValueError, TypeError, RecursionError):
        return False
    return found


def to_json_lines(problems: list[Problem]) -> bytes:
    """The bad rows as JSON lines, as OUT.problems.jsonl holds them."""
    return b"".join(_to_json_line(problem) for problem in problems)


def _to_json_line(problem: Problem) -> bytes:
    entry = {
        "row": problem.row,
        "where": without_password(problem.where),
        "reason": without_password(problem.reason),
        "original_base64": base64.b64encode(problem.original).decode(),
    }
    # UTF-8 has no half surrogate pairs. The backslash that replaces one makes it an escape of JSON.
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
