"""The folder for files that can be made again, such as the answers of parity checks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from sentiment_batch.errors import UsageError
from sentiment_batch.files.atomic import write_whole
from sentiment_batch.files.checksums import checked_json, read_checked_json
from sentiment_batch.files.home import CACHE_VARIABLE, find_home, make_temporary_cache


def cache_folder() -> Path:
    """`$SENTIMENT_BATCH_CACHE`, or the platform's folder for caches. It may not exist yet.

    A user without a home folder gets a private folder among the temporary files, which is logged once.

    Raises:
        UsageError: the variable names the home folder of a user who has none.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        expanded = os.path.expanduser(chosen)
        if expanded.startswith("~"):
            raise UsageError(f"{CACHE_VARIABLE} is {chosen!r}, but that user has no home folder. Name a full path.")
        return Path(expanded)
    home = find_home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        place = Path(local) if local else home
    elif sys.platform == "darwin":
        place = home and home / "Library" / "Caches"
    else:
        named = os.environ.get("XDG_CACHE_HOME", "")
        place = Path(named) if os.path.isabs(named) else home and home / ".cache"
    return make_temporary_cache() if place is None else place / "sentiment-batch"


def read_record(path: Path, holds_for: Any) -> dict[str, Any] | None:
    """The values that `write_record` stored; None if there are none, they are damaged, or hold for something else.

    Args:
        path: the file in the cache.
        holds_for: what the values hold for, in plain values. The name of the file alone would not show that it was
            mixed up with another one.
    """
    record = read_checked_json(path)
    return record if record is not None and record.get("holds_for") == holds_for else None


def write_record(path: Path, holds_for: Any, values: dict[str, Any]) -> None:
    """Store plain values with their digest and with what they hold for.

    Raises:
        OSError: they cannot be stored.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, checked_json({"holds_for": holds_for} | values))


def write_text(path: Path, text: str) -> None:
    """Write a small text file as UTF-8, and create its folder if needed. No reader ever sees half of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
