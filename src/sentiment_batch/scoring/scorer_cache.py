"""The cached scorer of this process: the one of the model and settings that were last used by name or from a pickle."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.scoring.scorer import Scorer

if TYPE_CHECKING:
    from sentiment_batch.settings import ScoreSettings

_cached: dict[tuple[Any, ...], Scorer] = {}
"""At most one scorer, by its model, the state of the model's folder, and the settings. Two models would
need memory twice."""
_lock = threading.Lock()
"""Held during a look-up, so that two threads get the same scorer."""


def get_cached_scorer(model: str, settings: ScoreSettings) -> Scorer:
    """The cached scorer if model, files and settings are those of the last call; else a new one, not loaded yet."""
    key = (model, _describe_files(Path(os.path.expanduser(model))), repr(settings))
    with _lock:
        if key not in _cached:
            # Free the old model before the new one is loaded, so that both are never in memory together
            clear_cached_scorer()
            _cached[key] = Scorer(model=model, settings=settings)
        return _cached[key]


def clear_cached_scorer() -> None:
    """Drop the cached scorer, and free its memory."""
    for scorer in _cached.values():
        scorer.close()
    _cached.clear()


def _describe_files(folder: Path) -> tuple[Any, ...]:
    """The state of a folder's files without their content; it changes when a model is trained again in its place."""
    found = []
    try:
        for path in sorted(folder.iterdir()):
            if path.exists():  # a link that points to nothing has no state, such as the lock of an editor
                stat = path.stat()
                found.append((path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino))
    except (OSError, ValueError):  # a Hub id, or a folder that cannot be read: loading reports what is wrong
        return ()
    return tuple(found)
