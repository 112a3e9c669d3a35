"""What is compared of two runs, and what shows that a folder was touched."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path


def result(trained):
    folder = Path(trained.path)
    history = [dataclasses.replace(entry, seconds=0.0) for entry in trained.history]
    return sha256_of(folder), history, trained.validation, trained.test, trained.calibration, page(folder)


def page(folder: Path) -> str | None:
    """The report without the model's name; None where there is none."""
    file = folder / "report.html"
    if not file.exists():
        return None
    text = file.read_text(encoding="utf-8")
    for before, after in ((">", "<"), ("\u2068", "\u2069"), ("model ", " ")):
        text = text.replace(before + folder.name + after, before + after)
    return text


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
