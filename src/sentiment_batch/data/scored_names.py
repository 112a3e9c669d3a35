"""The names that scoring gives to the columns it adds, and to the files beside its output."""

from __future__ import annotations

import hashlib
import os
from typing import Any

MANIFEST_ENDING = ".manifest.json"
PROBLEMS_ENDING = ".problems.jsonl"
"""The ending of the list of bad rows."""
WORK_ENDING = ".scoring"
"""The ending of the hidden folder for unfinished work."""
MAX_NAME_BYTES = 200
"""Bytes of a file name that leave room for an ending, because file systems allow 255."""


def shorten_name(name: str) -> str:
    """How the names of the files beside an output begin: its name. One over `MAX_NAME_BYTES` is cut, with a digest."""
    if len(os.fsencode(name)) <= MAX_NAME_BYTES:
        return name
    return f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"


def name_score_column(label: str) -> str:
    """The name of the column of scores beside the column of labels called `label`."""
    return f"{label}_score"


def find_added_columns(output_columns: Any) -> tuple[str, ...]:
    """The names of the columns that scoring added, that of the labels first; none if there are none.

    Args:
        output_columns: that entry of a manifest, in which the added columns come last. Each is a name and a type, such
            as `sentiment_score: float`.
    """
    if not isinstance(output_columns, list):
        return ()
    columns = [str(column).rpartition(": ") for column in output_columns]
    names = tuple(name for name, _, _ in columns)
    # The added columns come last, so the last pair of a label and its score is that of this scoring.
    for index in reversed(range(len(names) - 1)):
        is_dictionary = "dictionary" in columns[index][2]
        if is_dictionary and names[index + 1] == name_score_column(names[index]):
            return names[index:]
    return ()
