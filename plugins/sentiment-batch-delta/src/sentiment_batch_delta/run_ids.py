"""Finds out whether a run has written a table, by the transaction that its commit stores.

Delta Lake keeps the newest version that each application has written. The ID of the run is the application, and the
number of the table's version is the version.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from sentiment_batch import OutputError
from sentiment_batch_delta.delta_errors import translate_errors
from sentiment_batch_delta.tables import LOG, find_table
from sentiment_batch_delta.url import parse_url

if TYPE_CHECKING:
    from sentiment_batch_delta.url import TableUrl


def has_run_id(location: str, run_id: str) -> bool:
    """True if a table holds the rows of a run.

    If the run added rows, its commit alone decides, because others may have rewritten its files. If it made or replaced
    the table, no later commit may have replaced or removed rows.

    Args:
        location: the URL of the table, with the mode of the run.
        run_id: the ID of the run.

    Raises:
        UsageError: the URL is invalid.
        OutputError: the log of the table is damaged.
    """
    url = parse_url(location)
    table = find_table(url, OutputError)
    version = None if table is None else table.transaction_version(run_id)
    if table is None or version is None:
        return False
    return url.appends or not any(_removes_rows(url, later) for later in range(version + 1, table.version() + 1))


def _removes_rows(url: TableUrl, version: int) -> bool:
    """True if a commit has removed rows, or if this is unknown because the file of the commit was deleted."""
    path = os.path.join(url.path, LOG, f"{version:020}.json")
    with translate_errors(url, OutputError):
        try:
            with open(path, encoding="utf-8") as file:
                actions = [json.loads(line) for line in file if line.strip()]
        except FileNotFoundError:
            return True
    for action in actions:
        if action.get("remove", {}).get("dataChange"):
            return True
        if action.get("commitInfo", {}).get("operationParameters", {}).get("mode") == "Overwrite":
            return True
    return False
