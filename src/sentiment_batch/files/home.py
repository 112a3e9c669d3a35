"""The home folder of this user, and what stands for it if there is none, as in containers."""

from __future__ import annotations

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

logger = logging.getLogger("sentiment_batch")

CACHE_VARIABLE = "SENTIMENT_BATCH_CACHE"
"""The environment variable that names the folder."""


def find_home() -> Path | None:
    """The home folder of this user; None if the system knows none, or if it is no full path."""
    home = os.path.expanduser("~")
    return Path(home) if os.path.isabs(home) else None


def make_temporary_cache() -> Path:
    """A folder that only this user can write, or a path where nothing can be written."""
    owner = getattr(os, "getuid", lambda: None)()
    cure = f"Name a folder in {CACHE_VARIABLE}"
    try:
        folder = Path(tempfile.gettempdir()) / f"sentiment-batch-{owner}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022 or owner not in (None, found.st_uid):
            raise PermissionError(f"{folder} belongs to somebody else")
    except OSError as error:
        _log_once(f"this user has no home folder, so nothing is cached ({error.strerror or error}). {cure}")
        return Path(os.devnull) / "sentiment-batch"  # below a device, every attempt to write fails at once
    _log_once(f"this user has no home folder, so the cache is {folder}. {cure} to choose another")
    return folder


@functools.cache
def _log_once(message: str) -> None:
    logger.info("%s", message)
