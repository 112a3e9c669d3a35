"""The folder for what may be made again: converted bases and the outcome of dtype probes; plain files, no torch."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """`$SENTIMENT_BATCH_CACHE`, else the platform's own place for caches; it need not exist yet."""
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
    """A folder to fill that becomes `target` when the block ends well, and vanishes when it does not.

    If somebody else made `target` meanwhile, theirs stays: both hold the same.
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
    """Write a small file so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # not tempfile's: its files are for the owner alone
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
