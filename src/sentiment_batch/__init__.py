"""Train a sentiment classifier on your own reviews and annotate tables of any size with it.

Reviews flow through rooms in one direction, as Arrow record batches; imports only go down this ladder, which
tests/test_house.py holds:

    5 doors    cli/  api  __init__  __main__  testing/  Click on top, everything heavy inside function bodies
    4 wiring   scoring/  training/  evaluation  attribution  formats  inputs  frames/
    3 torch    device  attention  attention_gradients  linear  packed  gradients
               bases  model_folder  model  classifier   these alone know transformers
    2 tables   readers/  writers/  writing  columns     pyarrow, numpy, tokenizers, scikit-learn; never torch
               labels  label_inference  label_match  tokens  pieces  tokenise  batching  assemble  metrics  report
               guards  calibration  curves  intervals  suspects  subsets  terminal  values  spans  words  html/
               training/{split,other_columns}
    1 plugins  registry  hookspecs  plugins             pluggy
    0 plain    errors  settings  records  locations  cache  disk  checked  signals  visible     standard library only

    score:  readers -> columns -> tokenise -> batching -> model -> assemble -> writers, in parts of the journal
    train:  readers -> columns -> labels -> training/split -> training/data -> classifier -> training/loop
            -> calibration -> checkpoint

Nothing is imported before it is used: `import sentiment_batch` costs no torch, pandas or pyarrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.api import clear_cache, evaluate, explain, score, train
    from sentiment_batch.errors import (
        DeviceError,
        InputError,
        ModelError,
        OutputError,
        PluginError,
        SentimentBatchError,
        UsageError,
    )
    from sentiment_batch.hookspecs import hookimpl
    from sentiment_batch.locations import without_password
    from sentiment_batch.readers.base import Reader
    from sentiment_batch.records import Problem, ReadOptions, Sealed, Split, WriteOptions
    from sentiment_batch.registry import Registry
    from sentiment_batch.scoring.distributed import Engine
    from sentiment_batch.scoring.scorer import Scorer
    from sentiment_batch.scoring.worker import Worker
    from sentiment_batch.settings import ScoreSettings
    from sentiment_batch.writers.base import FileWriter, Writer

__all__ = [
    "DeviceError",
    "Engine",
    "FileWriter",
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
    "UsageError",
    "Worker",
    "WriteOptions",
    "Writer",
    "__version__",
    "clear_cache",
    "evaluate",
    "explain",
    "hookimpl",
    "score",
    "train",
    "without_password",
]

_HOMES = {
    "errors": (
        "DeviceError",
        "InputError",
        "ModelError",
        "OutputError",
        "PluginError",
        "SentimentBatchError",
        "UsageError",
    ),
    "api": ("clear_cache", "evaluate", "explain", "score", "train"),
    "hookspecs": ("hookimpl",),
    "locations": ("without_password",),
    "registry": ("Registry",),
    "readers.base": ("Reader",),
    "records": ("Problem", "ReadOptions", "Sealed", "Split", "WriteOptions"),
    "scoring.distributed": ("Engine",),
    "scoring.scorer": ("Scorer",),
    "scoring.worker": ("Worker",),
    "settings": ("ScoreSettings",),
    "writers.base": ("FileWriter", "Writer"),
}
"""The submodule that each exported name comes from."""


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("sentiment-batch")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f"sentiment_batch.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'sentiment_batch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
