"""What may lie at the output and in the work folder of a run, and which model lies there; changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

from sentiment_batch.errors import OutputError, listed
from sentiment_batch.files.checksums import file_sha256
from sentiment_batch.settings import META
from sentiment_batch.training.checkpoint import state_file

FOLDERS = {"best", "new", "old", "replaced"}
"""Names of the folders in a work folder."""
OF_A_MODEL = re.compile(
    r"config\.json|generation_config\.json|.*\.safetensors|model\.safetensors\.index\.json|tokenizer\.json"
    r"|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt"
    rf"|README\.md|{re.escape(META)}|training_log\.csv|report\.html|\.DS_Store|Thumbs\.db"
)
"""Names of the files that a model folder of ours or a stock one holds, and those that file managers leave."""


def output_folder(name: object) -> Path:
    """The path of a model folder that is to be made; of a link, the folder that it points to.

    Raises:
        OutputError: it is no name that a folder can have.
    """
    try:
        output = Path(name).expanduser()  # type: ignore[arg-type]
        if output.is_symlink():
            output = Path(os.path.realpath(output))
        str(output).encode("utf-8")  # as libraries take it that are written in other languages
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.lstat(output.with_name(output.name + ".training"))
    except (TypeError, ValueError, RuntimeError, OSError) as error:  # no text, no name, no such home, too long
        raise OutputError(f"{name!r} cannot be a model folder. Name a new folder with --output.") from error
    return output


def check_replaceable(output: Path, overwrite: bool) -> None:
    """Make sure that a model may be put at `output`.

    Raises:
        OutputError: a file is there, a model without `overwrite`, or a folder that holds other things.
    """
    if not output.exists():
        parent = next(one for one in output.absolute().parents if one.exists())
        if not parent.is_dir():
            raise OutputError(f"{parent} is a file, in which {output} cannot be. Name another with --output.")
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file; a model is a folder. Name another with --output.")
    if not any(output.iterdir()):
        return
    if not (output / "config.json").exists() or not any(output.glob("*.safetensors")):
        raise OutputError(f"{output} holds other things than a model, so it is not replaced. Name another --output.")
    if not overwrite:
        raise OutputError.exists(str(output))
    others = sorted(path.name for path in output.iterdir() if path.is_dir() or not OF_A_MODEL.fullmatch(path.name))
    if others:
        raise OutputError(
            f"{output} holds more than a model ({listed(others, 3)}), which would be lost. Move that, or name another "
            "--output."
        )


def check_work(work: Path) -> None:
    """Make sure that nothing but what runs leave is in the work folder, for it will be deleted.

    Raises:
        OutputError: something else is there.
    """
    if not work.exists():
        return
    if work.is_dir():
        names = {path.name for path in work.iterdir()} - FOLDERS - {"lock"}
        if all(state_file.OURS.fullmatch(name) for name in names):
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
