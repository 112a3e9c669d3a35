"""Files that know their own digest, so that a flipped bit is found and never believed; their use is unknown here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_json(content: dict[str, Any]) -> bytes:
    """JSON of plain values together with their digest."""
    text = json.dumps({"content": content, "sha256": _digest(content)}, indent=1)
    return f"{text}\n".encode()


def read_checked_json(path: Path) -> dict[str, Any] | None:
    """What `checked_json` made and a file holds; None where it is missing or is not what was written."""
    try:
        return parse_checked_json(path.read_bytes())
    except OSError:
        return None


def parse_checked_json(data: bytes) -> dict[str, Any] | None:
    """What `checked_json` made, None where it is not that any more."""
    try:
        read = json.loads(data)
        content: dict[str, Any] = read["content"]
        return content if _digest(content) == read["sha256"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
