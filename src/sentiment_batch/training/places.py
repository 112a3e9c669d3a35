"""What may lie at the output and in the work folder of a run, and which model lies there; changes nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sentiment_batch.checked import file_sha256
from sentiment_batch.errors import OutputError
from sentiment_batch.settings import META
from sentiment_batch.training import statefile

FOLDERS = {"best", "new", "old", "replaced"}
"""Names of the folders in a work folder."""


def check_replaceable(folder: str | Path, overwrite: bool) -> None:
    """Make sure that a model may be put at `folder`.

    Raises:
        OutputError: a file is there, a model without `overwrite`, or a folder that holds other things.
    """
    output = Path(folder).expanduser()
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file; a model is a folder. Name another with --output.")
    if not any(output.iterdir()):
        return
    if not (output / "config.json").exists() or not any(output.glob("*.safetensors")):
        raise OutputError(f"{output} holds other things than a model, so it is not replaced. Name another --output.")
    if not overwrite:
        raise OutputError.exists(str(output))


def check_work(work: Path) -> None:
    """Make sure that nothing but what runs leave is in the work folder, for it will be deleted.

    Raises:
        OutputError: something else is there.
    """
    if not work.exists():
        return
    if work.is_dir():
        names = {path.name for path in work.iterdir()} - FOLDERS - {"lock"}
        if all(statefile.OURS.fullmatch(name) for name in names):
            return
    raise OutputError(f"{work} is needed to train in, but holds other things. Move it, or change --output.")


def run_of(folder: Path) -> str | None:
    """The run that the model in `folder` is the outcome of (see `fingerprint.digest`), None if it is nobody's."""
    try:
        run = json.loads((folder / META).read_bytes())["run"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return run if isinstance(run, str) else None


def model_digest(folder: Path) -> str | None:
    """The SHA-256 of all in a model folder but what describes it, which is written anew; None if it is not there."""
    if not folder.is_dir():
        return None
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in {".json", ".safetensors"} and path.name != META:
            total.update(f"{path.name}\0{file_sha256(path)}\0".encode())
    return total.hexdigest()
