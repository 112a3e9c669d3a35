"""Gathers the rows that something is wrong with, from the thread that reads and the one that scores, in row order."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from sentiment_batch.records import Problem


class Problems:
    """The bad rows of a run that marks them.

    A reader numbers rows within a split, and may read before the run begins, to look at the columns: what it tells
    then is not kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: list[Problem] = []
        self._first: int | None = None

    def begin_split(self, first: int) -> None:
        """From here on a reader's rows are numbered from `first`."""
        self._first = first

    def in_split(self, problem: Problem) -> None:
        """Take a problem that a reader tells, numbered within its split."""
        if self._first is not None:
            self.add(replace(problem, row=self._first + problem.row))

    def add(self, problem: Problem) -> None:
        """Take a problem, numbered within the input."""
        with self._lock:
            self._found.append(problem)

    def take(self, before: int) -> list[Problem]:
        """The problems of all rows before that number, one for each row and in order; they are forgotten here."""
        with self._lock:
            taken = [problem for problem in self._found if problem.row < before]
            self._found = [problem for problem in self._found if problem.row >= before]
        merged: dict[int, Problem] = {}
        for problem in taken:  # the first to tell of a row is the reader, who knows its line and all its bytes
            known = merged.get(problem.row)
            both = problem if known is None else replace(known, reason=f"{known.reason}; {problem.reason}")
            merged[problem.row] = both
        return [merged[row] for row in sorted(merged)]


def lines(problems: list[Problem]) -> bytes:
    """The problems as JSON lines, as OUT.problems.jsonl holds them."""
    return b"".join(_line(problem) for problem in problems)


def _line(problem: Problem) -> bytes:
    entry = {
        "row": problem.row,
        "where": without_password(problem.where),
        "reason": without_password(problem.reason),
        "original_base64": base64.b64encode(problem.original).decode(),
    }
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
