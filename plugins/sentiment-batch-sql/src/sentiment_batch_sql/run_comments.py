"""The comment of a table that names the run that has written it. It appears with the table, in one transaction."""

from __future__ import annotations

import re

from sentiment_batch import OutputError

_COMMENT = "written by sentiment-batch, run {}"
# In SQLite, the comment is the last thing in the statement that has made the table.
_FOUND = re.compile(rf"(?:^|/\* ){_COMMENT.format('([0-9A-Za-z]+)')}(?: \*/\))?\Z")


def write_comment(run_id: str) -> str:
    """The comment for a run.

    Raises:
        OutputError: the ID has other signs than letters and digits.

    >>> write_comment("3f2a")
    'written by sentiment-batch, run 3f2a'
    """
    comment = _COMMENT.format(run_id)
    if read_comment(comment) != run_id:
        raise OutputError(f"the `run_id` {run_id!r} must consist of letters and digits. Choose another.")
    return comment


def read_comment(text: str | None) -> str | None:
    """The ID of the run in the comment of a table, or in the statement that has made it; None if there is none."""
    found = _FOUND.search(text or "")
    return found[1] if found else None
