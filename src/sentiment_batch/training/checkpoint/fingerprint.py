"""What decides the weights of a run, as named plain values; two runs of one fingerprint end with the same model."""

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
    from sentiment_batch.training.prepare import Prepared, Rows

Fingerprint = dict[str, Any]
"""Names as a user knows them, such as `--epochs` and `the training rows`."""
VERSIONS = ("sentiment-batch", "torch", "transformers", "tokenizers")


def fingerprint(settings: TrainSettings, data: Prepared, base: str, device: str, dtype: str) -> Fingerprint:
    """The fingerprint of a run.

    Args:
        settings: as the user gave them.
        data: after labels were mapped and rows divided.
        base: the digest of the base's files; the folder's own name does not matter.
        device: as chosen; its number does not matter.
        dtype: as chosen.
    """
    given = dataclasses.asdict(settings) | {"base": base, "device": device.partition(":")[0], "dtype": dtype}
    return {
        **{f"--{name.replace('_', '-')}": value for name, value in given.items()},
        "the training rows": rows_digest(data.training),
        "the validation rows": rows_digest(data.validation),
        "the labels": ", ".join(data.mapping.labels),
        **{f"the version of {name}": importlib.metadata.version(name) for name in VERSIONS},
    }


def rows_digest(rows: Rows) -> str:
    """The SHA-256 over texts and classes in their order."""
    total = hashlib.sha256()
    for text, code in zip(rows.texts, rows.codes.tolist(), strict=True):
        coded = text.encode("utf-8", "surrogatepass")
        total.update(f"{code} {len(coded)} ".encode() + coded)
    return total.hexdigest()


def digest(found: Fingerprint) -> str:
    """One word for the whole fingerprint."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def check_same(work: Path, before: Mapping[str, Any], now: Fingerprint) -> None:
    """Make sure that a run may go on.

    Raises:
        OutputError: something that decides the weights is not as it was; the message names all that changed.
    """
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        changed = "; ".join(f"{name}: {_shown(before.get(name))} before, {_shown(now.get(name))} now" for name in names)
        raise OutputError(
            f"the run in {work} cannot go on, for something has changed ({changed}). Give the same again, or delete "
            "the run and start over with --restart."
        )


def _shown(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        return f"sha256 {value[:12]}..."
    return "not set" if value is None else str(value)
