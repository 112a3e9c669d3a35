"""SHA-256 digests of files, and JSON files that hold their own digest, so that damage is always detected."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_json(content: dict[str, Any]) -> bytes:
    """JSON text with the plain values of `content` and their digest."""
    text = json.dumps({"content": content, "sha256": _digest(content)}, indent=1)
    return f"{text}\n".encode()


def read_checked_json(path: Path) -> dict[str, Any] | None:
    """The content of a file that `checked_json` made; None if the file is missing or damaged."""
    try:
        return parse_checked_json(path.read_bytes())
    except OSError:
        return None


def parse_checked_json(data: bytes) -> dict[str, Any] | None:
    """The content of bytes that `checked_json` made; None if they are damaged."""
    try:
        read = json.loads(data)
        content: dict[str, Any] = read["content"]
        return content if _digest(content) == read["sha256"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
