"""What decides the bytes of a scoring run's output, in plain values: two runs that agree in it may share parts."""

from __future__ import annotations

import importlib.metadata
import os
from typing import TYPE_CHECKING, Any

import torch

from sentiment_batch.data.readers.input_state import identity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.scoring.scorer import Scorer


def input_identity(reader: Reader, location: str, *, built_in: bool) -> Any:
    """What the input is now, in plain values; None where nothing can tell, as with a pipe.

    A plugin's reader says so itself, with `identity()`; for one that has none, a file's size and time of change do.

    Raises:
        InputError: the input is gone.
    """
    told = own_identity(reader)
    if told is not None:
        return told
    if not built_in and not os.path.isfile(location):
        return None
    locations: Sequence[str] = getattr(reader, "locations", [location])
    found = [identity_of(one) for one in locations]
    return None if None in found else found


def own_identity(reader: Reader) -> Any:
    """What a plugin's reader says itself of the state of its input; None where files tell it."""
    own = getattr(reader, "identity", None)
    return None if own is None else own()


def reading_of(options: ReadOptions, limit: int | None) -> dict[str, Any]:
    """How the input is read, by the options that say so."""
    return {
        "--encoding": options.encoding,
        "--delimiter": options.delimiter,
        "--no-quotes": not options.quotes,
        "--query": options.query,
        "--key": options.key,
        "--on-bad-row": "fail" if options.on_bad_row is None else "mark",
        "--limit": limit,
    }


def scoring_of(scorer: Scorer, schema: pa.Schema) -> dict[str, Any]:
    """What decides the scores and the columns, beside the input."""
    about, settings = scorer.about, scorer.settings
    return {
        "sentiment-batch": importlib.metadata.version("sentiment-batch"),
        "torch": torch.__version__,
        "tokenizers": importlib.metadata.version("tokenizers"),
        "model": about.digest,
        "labels": list(about.labels),
        "device": about.hardware,
        "dtype": about.dtype.value,
        "--batch-tokens": about.batch_tokens,
        "--max-length": about.policy.max_length,
        "--long-text": about.policy.long_text,
        "--deterministic": settings.deterministic,
        "--compile": settings.compile,
        "--decimals": settings.decimals,
        "--neutral-band": settings.neutral_band,
        "columns": [f"{field.name}: {field.type}" for field in schema],
    }


def differences(known: dict[str, Any], given: dict[str, Any]) -> list[str]:
    """What has changed, each in some words.

    >>> differences({"dtype": "float32", "--limit": None}, {"dtype": "bfloat16", "--limit": None})
    ['dtype was float32 and is bfloat16']
    """
    changed = []
    for name in dict.fromkeys([*known, *given]):
        old, new = known.get(name), given.get(name)
        if old == new:
            continue
        if name == "input":
            changed.append(_input_difference(old, new))
        else:
            changed.append(f"{name} was {_short(old)} and is {_short(new)}")
    return changed


def _input_difference(old: Any, new: Any) -> str:
    """Which file of the input is another one now."""
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return f"the input was {_short(old)} and is {_short(new)}"
    for before, now in zip(old, new, strict=True):
        if before != now and isinstance(before, dict) and isinstance(now, dict):
            if before.get("path") != now.get("path"):
                return f"the input was {before.get('path')} and is {now.get('path')}"
            if before.get("bytes") != now.get("bytes"):
                return f"the input {now['path']} had {before.get('bytes'):,} bytes and has {now.get('bytes'):,}"
    return f"the input {new[0].get('path') if isinstance(new[0], dict) else ''} has been changed since"


def _short(value: Any) -> str:
    """A value as a person would say it, at most a line."""
    if value is None:
        return "not given"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
