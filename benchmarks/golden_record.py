"""What is recorded of a result, and how two records are compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIES = "(varies)"
"""Stands for a value that differs between two runs of the same code."""
VARYING_KEYS = re.compile(
    r"seconds|.*_per_second|model_busy|version|versions|sentiment-batch|torch|transformers|tokenizers|python|run"
    r"|transformers_version|modified|sha256"
)
"""Names of values that depend on the time, on versions, or on values that do. Digests of files are recorded apart."""
WORDING = re.compile(r"(^|.*[/_])(reason|message)$|.*/findings/\d+/text$|verify/.*/input$")
"""Names of values that are sentences for people. Their difference is printed and is no failure."""
MAX_LISTED = 12
"""A longer list of plain values is recorded as its digest."""

Results = dict[str, Any]
"""The plain values of a record by name."""


def compare(earlier: Results, now: Results) -> int:
    """Print each difference between two sets of results; gives 1 if one is more than new or other wording, else 0."""
    worst = 0
    for name in dict.fromkeys([*earlier, *now]):
        if name not in now:
            print(f"missing  {name}: it was {_short(earlier[name])}")
            worst = 1
        elif name not in earlier:
            print(f"new      {name}: {_short(now[name])}")
        elif earlier[name] != now[name]:
            is_wording = WORDING.fullmatch(name) is not None
            print(f"{'wording' if is_wording else 'differs':8} {name}: {_short(earlier[name])} -> {_short(now[name])}")
            worst = worst if is_wording else 1
    if not worst:
        print("every earlier result is unchanged")
    return worst


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each plain value of a JSON document under its path; a long list of plain values as its digest."""
    key = name.rpartition("/")[2]
    if VARYING_KEYS.fullmatch(key):
        yield name, VARIES
    elif isinstance(value, dict):
        for part, inner in value.items():
            yield from leaves(f"{name}/{part}", inner)
    elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        for number, one in enumerate(value):
            yield from leaves(f"{name}/{number}", one)
    elif isinstance(value, list) and len(value) > MAX_LISTED:
        yield name, sha256(json.dumps(value).encode())
    elif isinstance(value, str) and Path(value).is_absolute():
        yield name, Path(value).name
    else:
        yield name, value


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}..."
