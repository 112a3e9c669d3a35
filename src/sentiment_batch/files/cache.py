"""The folder for files that can be made again, such as the answers of parity checks."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

from sentiment_batch.errors import UsageError
from sentiment_batch.files.atomic import write_whole
from sentiment_batch.files.checksums import checked_json, read_checked_json

logger = logging.getLogger("sentiment_batch")

CACHE_VARIABLE = "SENTIMENT_BATCH_CACHE"
"""The environment variable that names the folder."""


def cache_folder() -> Path:
    """`$SENTIMENT_BATCH_CACHE`, or the platform's folder for caches. It may not exist yet.

    A user who has no home folder, or may not enter the folder, gets a private folder among the temporary files. This is
    logged once.

    Raises:
        UsageError: the variable names the home folder of a user who has none.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        expanded = os.path.expanduser(chosen)
        # `expanduser` leaves the name of an unknown user as it is
        if expanded.startswith("~"):
            raise UsageError(f"{CACHE_VARIABLE} is {chosen!r}, but that user has no home folder. Name a full path.")
        return _choose_reachable(Path(expanded))
    home = _find_home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        place = Path(local) if local else home
    elif sys.platform == "darwin":
        place = home and home / "Library" / "Caches"
    else:
        # The XDG Base Directory Specification says that a relative path is to be ignored
        named = os.environ.get("XDG_CACHE_HOME", "")
        place = Path(named) if os.path.isabs(named) else home and home / ".cache"
    return _choose_reachable(None if place is None else place / "sentiment-batch")


def _choose_reachable(folder: Path | None) -> Path:
    """The folder, or another one if there is none or this user may not enter it."""
    if folder is None:
        return _make_temporary_cache("this user has no home folder")
    try:
        folder.stat()
    except PermissionError:  # such as /root, if another user runs with the HOME of root
        return _make_temporary_cache(f"this user may not enter {folder}")
    except OSError:  # it does not exist yet, or cannot be made, which the writers of the cache endure
        pass
    return folder


def _find_home() -> Path | None:
    """The home folder of this user; None if the system knows none, or if it is no full path."""
    home = os.path.expanduser("~")
    return Path(home) if os.path.isabs(home) else None


def _make_temporary_cache(why: str) -> Path:
    """A folder that only this user can write, or a path where nothing can be written; `why` is the reason for it."""
    owner = getattr(os, "getuid", lambda: None)()
    cure = f"Name a folder in {CACHE_VARIABLE}"
    try:
        folder = Path(tempfile.gettempdir()) / f"sentiment-batch-{owner}"
        folder.mkdir(mode=0o700, exist_ok=True)
        # Every user may write among the temporary files. A folder of another user could hold false records.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022 or owner not in (None, found.st_uid):
            raise PermissionError(f"{folder} belongs to somebody else")
    except OSError as error:
        _log_once(f"{why}, so nothing is cached ({error.strerror or error}). {cure}")
        return Path(os.devnull) / "sentiment-batch"  # below a device, every attempt to write fails at once
    _log_once(f"{why}, so the cache is {folder}. {cure} to choose another")
    return folder


@functools.cache
def _log_once(message: str) -> None:
    logger.info("%s", message)


def locate_record(folder: str, model_digest: str, holds_for: Any) -> Path:
    """The file for a record about a model.

    Args:
        folder: the folder in the cache for records of this kind.
        model_digest: the hash of the model's folder.
        holds_for: as for `read_record`.
    """
    key = hashlib.sha256(json.dumps(holds_for, sort_keys=True).encode()).hexdigest()
    # A short key suffices, because `read_record` compares `holds_for` in full
    return cache_folder() / folder / model_digest[:32] / f"{key[:16]}.json"


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


def try_write_record(path: Path, holds_for: Any, values: dict[str, Any]) -> None:
    """`write_record`; if it fails, the values are found again the next time."""
    try:
        write_record(path, holds_for, values)
    except OSError as error:
        logger.debug("%s is not cached: %s", path, error)


def write_text(path: Path, text: str) -> None:
    """Write a small text file as UTF-8, and create its folder if needed. No reader ever sees half of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
