"""What decides the weights of a run, as named plain values: two runs with one fingerprint end with the same model."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from sentiment_batch.settings import TrainSettings
    from sentiment_batch.training.dataset import ReviewSet
    from sentiment_batch.training.prepare import PreparedData
    from sentiment_batch.training.split import Folds

Fingerprint = dict[str, Any]
"""Values by name. The name of a setting is stored as its option, because format 1 of state.json has it so."""
VERSIONED_PACKAGES = ("sentiment-batch", "torch", "transformers", "tokenizers")


def compute_fingerprint(
    settings: TrainSettings, data: PreparedData, base_digest: str, device: str, dtype: str
) -> Fingerprint:
    """The fingerprint of a run.

    Args:
        settings: the settings as the user gave them, but with the crops that were chosen.
        data: the rows after labels were mapped and validation rows were held back.
        base_digest: the digest of the base's files; the path of its folder does not matter.
        device: the chosen device; its number does not matter.
        dtype: the chosen dtype.
    """
    given = dataclasses.asdict(settings) | {"base": base_digest, "device": device.partition(":")[0], "dtype": dtype}
    return {
        **{f"--{name.replace('_', '-')}": value for name, value in given.items()},
        "the training rows": hash_rows(data.training),
        "the validation rows": hash_rows(data.validation),
        **({} if data.folds is None else {"the folds": _hash_folds(data.folds)}),
        "the labels": ", ".join(data.mapping.labels),
        **{f"the version of {name}": importlib.metadata.version(name) for name in VERSIONED_PACKAGES},
    }


def hash_rows(rows: ReviewSet) -> str:
    """The SHA-256 over texts and class numbers in their order."""
    total = hashlib.sha256()
    for text, code in zip(rows.texts, rows.codes.tolist(), strict=True):
        # With its length, because two texts must not hash like one that is cut elsewhere
        content = text.encode("utf-8", "surrogatepass")
        total.update(f"{code} {len(content)} ".encode() + content)
    return total.hexdigest()


def _hash_folds(folds: Folds) -> str:
    """The SHA-256 over the fold of each row, which depends on the groups, too."""
    total = hashlib.sha256()
    for places in (folds.training_N, folds.validation_M):
        # One byte order, so that the digest is the same on every machine
        total.update(f"{len(places)} ".encode() + places.astype("<i8").tobytes())
    return total.hexdigest()


def hash_fingerprint(fingerprint: Mapping[str, Any]) -> str:
    """The SHA-256 of the whole fingerprint."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


def check_unchanged(work: Path, before: Mapping[str, Any], now: Fingerprint) -> None:
    """Make sure that the run in `work` can be resumed.

    Raises:
        OutputError: something that decides the weights has changed. The message names every change.
    """
    # A missing value equals None: a setting that came with a later version is None unless it is used
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        changed = "; ".join(
            f"{_display_name(name)}: {_display_value(before.get(name))} before, {_display_value(now.get(name))} now"
            for name in names
        )
        raise OutputError(
            f"the run in {work} cannot be resumed, because something has changed ({changed}). Use the same values "
            "again, or delete the run and start over with `restart=True`."
        )


def _display_name(name: str) -> str:
    """A setting in backquotes, as messages name settings; all else as it is stored."""
    return f"`{name[2:].replace('-', '_')}`" if name.startswith("--") else name


def _display_value(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        return f"sha256 {value[:12]}..."
    return "not set" if value is None else str(value)
