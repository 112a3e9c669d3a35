"""The folder for files that can be made again: converted bases and the answers of parity checks."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sentiment_batch.files.atomic import write_whole


def cache_folder() -> Path:
    """`$SENTIMENT_BATCH_CACHE`, or the platform's folder for caches. It may not exist yet."""
    chosen = os.environ.get("SENTIMENT_BATCH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "sentiment-batch"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sentiment-batch"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sentiment-batch"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill. It becomes `target` when the block ends without an error, and is removed otherwise.

    If another process has made `target` meanwhile, that one stays, because both hold the same files.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        filling = Path(scratch) / target.name
        filling.mkdir()
        yield filling
        if not target.exists():
            try:
                filling.rename(target)
            except OSError:
                if not target.exists():
                    raise


def write_text(path: Path, text: str) -> None:
    """Write a small text file as UTF-8, and create its folder if needed. No reader ever sees half of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
