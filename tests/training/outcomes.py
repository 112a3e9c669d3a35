"""What is compared of two runs, and what shows that a folder was touched."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path


def result(trained):
    history = [dataclasses.replace(entry, seconds=0.0) for entry in trained.history]
    return sha256_of(Path(trained.path)), history, trained.validation, trained.test, trained.calibration


def files(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """What would show that anything in a folder was touched."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sha256_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
