"""A state on disk: state.json, and beside it the tensors in a safetensors file; whole or not at all, and never pickle.

state.json is what counts. It checks itself, and carries the SHA-256 of the one tensor file that it belongs to, whose
name it knows by the step. A new state is a new tensor file first, then a new state.json in one rename, so a crash at
any moment leaves a state that can be read; what no state.json speaks of is waste.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import OutputError, first_line
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import checked_json, file_sha256, parse_checked_json

if TYPE_CHECKING:
    import torch

NAME = "state.json"
FORMAT = 1
OURS = re.compile(r"state\.json|state-\d+\.safetensors|\.state\.json\.\d+\.part")
"""Names of files that this room makes; the last one only a killed process leaves."""


def write(folder: Path, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Make this the state in `folder`.

    Args:
        folder: the work folder.
        values: what JSON can hold; `step` among them.
        tensors: on the CPU.

    Raises:
        OSError: it could not be written; the state before is still there.
        SafetensorError: likewise.
    """
    from safetensors.torch import save_file

    path = _tensor_file(folder, values["step"])
    try:
        save_file(tensors, path)
        with path.open("rb+") as file:
            atomic.sync(file.fileno())
        atomic.sync_folder(folder)
        atomic.write_whole(folder / NAME, checked_json(values | {"format": FORMAT, "tensors": file_sha256(path)}))
    finally:
        # After a failure too: a half-written file would keep the disk full.
        with contextlib.suppress(OutputError):
            sweep(folder)


def read(folder: Path) -> dict[str, Any] | None:
    """The values of the state in `folder`, None where there is none.

    Raises:
        OutputError: it is damaged.
    """
    path = folder / NAME
    try:
        state = parse_checked_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}. Make it readable, or use --restart.") from error
    if state is None or state.get("format") != FORMAT or not isinstance(state.get("step"), int):
        raise damaged(path, "it does not hold what was written")
    return state


def read_tensors(folder: Path, values: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors that belong to the values that `read` gave.

    Raises:
        OutputError: they are damaged or not there.
    """
    from safetensors.torch import load_file

    path = _tensor_file(folder, values["step"])
    try:
        found = file_sha256(path)
    except OSError as error:
        raise damaged(path, error.strerror or first_line(error)) from error
    if found != values["tensors"]:
        raise damaged(path, "its SHA-256 is not the one it was written with")
    # Copied: what is loaded lies in the mapped file, which is removed when the next state is written.
    return {name: one.clone() for name, one in load_file(path).items()}


def sweep(folder: Path) -> None:
    """Remove the tensor files and temporary files that do not belong to the state in `folder`.

    Raises:
        OutputError: the state is damaged; nothing was removed.
    """
    values = read(folder)
    kept = {folder / NAME} if values is None else {folder / NAME, _tensor_file(folder, values["step"])}
    for path in folder.iterdir():
        if OURS.fullmatch(path.name) and path not in kept:
            atomic.remove(path)


def remove(folder: Path) -> None:
    """Remove the state, and whatever is left of others."""
    atomic.remove(folder / NAME)  # the first to go: without it the others are waste
    for path in folder.iterdir():
        if OURS.fullmatch(path.name):
            atomic.remove(path)


def damaged(path: Path, why: str) -> OutputError:
    """The error for what cannot be gone on with."""
    return OutputError(
        f"{path} is damaged ({why.rstrip('.')}), so the run cannot go on. Delete it and start over with --restart."
    )


def _tensor_file(folder: Path, step: int) -> Path:
    return folder / f"state-{step}.safetensors"
