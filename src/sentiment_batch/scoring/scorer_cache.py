"""The scorer that this process keeps: that of the model and settings last asked for, by name or in a pickle."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.scoring.scorer import Scorer

if TYPE_CHECKING:
    from sentiment_batch.settings import ScoreSettings

_kept: dict[tuple[Any, ...], Scorer] = {}
"""One entry, by the state of the model's folder and the settings: a second model would take memory from the first."""
_one_at_a_time = threading.Lock()
"""Two threads that ask for the first time get one scorer."""


def kept(model: str, settings: ScoreSettings) -> Scorer:
    """The kept scorer if files and settings are those of the last call, else a new one, with no model loaded yet."""
    key = (model, _state(Path(model).expanduser()), repr(settings))
    with _one_at_a_time:
        if key not in _kept:
            forget()
            _kept[key] = Scorer(model=model, settings=settings)
        return _kept[key]


def forget() -> None:
    """Keep none, and free the memory of the one that was kept."""
    for scorer in _kept.values():
        scorer.close()
    _kept.clear()


def _state(folder: Path) -> tuple[Any, ...]:
    """What changes when a folder's files do, without reading them: a model retrained in place is seen."""
    if not folder.is_dir():
        return ()
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
