"""Train a sentiment classifier on your own reviews and annotate tables of any size with it.

Tables flow through the packages as Arrow record batches. Imports only go down these layers, and no two packages
import each other. `tests/test_architecture.py` reads this drawing and checks both.

    5 entry    cli/  api  testing/  __init__  __main__           Click; heavy imports only inside functions
    4 jobs     training/  evaluation/  explanation/  selection/  scoring/  shares/  sklearn/  frames/
    3 model    model/                                            torch and transformers
    2 tables   data/  labels/  tokenization/  report/  reading  writing  progress   numpy, pyarrow, tokenizers; no torch
    1 plugins  plugins/                                          pluggy
    0 basics   errors  settings  keywords  records  locations  display  memory  files/  gates/

    score:  data/readers -> data/columns -> tokenization -> model/forward -> scoring/annotate -> data/writers
    train:  data/readers -> labels -> training/split -> training/batches -> model/classifier -> training/loop
            -> training/checkpoint -> report

Nothing is imported before it is used: `import sentiment_batch` loads no torch, pandas or pyarrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.api import clear_cache, evaluate, explain, score, summarize, train
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.data.writers.publish import FileWriter
    from sentiment_batch.errors import (
        DeviceError,
        GateError,
        InputError,
        ModelError,
        OutputError,
        PluginError,
        SentimentBatchError,
        UsageError,
    )
    from sentiment_batch.evaluation.entry import compare
    from sentiment_batch.locations import SplitUrl, hide_secrets, split_url, without_password
    from sentiment_batch.plugins.hookspecs import hookimpl
    from sentiment_batch.plugins.registry import Registry
    from sentiment_batch.records import Dialect, FinishedFile, Problem, ReadOptions, Sealed, Split, WriteOptions
    from sentiment_batch.scoring.backends.distributed import Engine
    from sentiment_batch.scoring.engine_worker import Worker
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.selection.entry import select
    from sentiment_batch.settings import ScoreSettings

__all__ = [
    "DeviceError",
    "Dialect",
    "Engine",
    "FileWriter",
    "FinishedFile",
    "GateError",
    "InputError",
    "ModelError",
    "OutputError",
    "PluginError",
    "Problem",
    "ReadOptions",
    "Reader",
    "Registry",
    "ScoreSettings",
    "Scorer",
    "Sealed",
    "SentimentBatchError",
    "Split",
    "SplitUrl",
    "UsageError",
    "Worker",
    "WriteOptions",
    "Writer",
    "__version__",
    "clear_cache",
    "compare",
    "evaluate",
    "explain",
    "hide_secrets",
    "hookimpl",
    "score",
    "select",
    "split_url",
    "summarize",
    "train",
    "without_password",
]

_HOMES = {
    "errors": (
        "DeviceError",
        "GateError",
        "InputError",
        "ModelError",
        "OutputError",
        "PluginError",
        "SentimentBatchError",
        "UsageError",
    ),
    "api": ("clear_cache", "evaluate", "explain", "score", "summarize", "train"),
    "evaluation.entry": ("compare",),
    "plugins.hookspecs": ("hookimpl",),
    "locations": ("SplitUrl", "hide_secrets", "split_url", "without_password"),
    "plugins.registry": ("Registry",),
    "data.readers.base": ("Reader",),
    "records": ("Dialect", "FinishedFile", "Problem", "ReadOptions", "Sealed", "Split", "WriteOptions"),
    "scoring.backends.distributed": ("Engine",),
    "scoring.scorer": ("Scorer",),
    "scoring.engine_worker": ("Worker",),
    "selection.entry": ("select",),
    "settings": ("ScoreSettings",),
    "data.writers.base": ("Writer",),
    "data.writers.publish": ("FileWriter",),
}
"""The submodule that each exported name comes from."""


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("sentiment-batch")
    for home, names in _HOMES.items():
        if name in names:
            with importlib.import_module("sentiment_batch.model.openmp").wait_passively():
                value = getattr(importlib.import_module(f"sentiment_batch.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'sentiment_batch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
