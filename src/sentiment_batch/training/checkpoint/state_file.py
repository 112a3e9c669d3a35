"""The state of a run on disk: state.json with the plain values, and a safetensors file with the tensors; no pickle.

state.json decides. It holds its own checksum, and the name and the SHA-256 of the one tensor file that belongs to it.
A new state is first a tensor file of another name, then a new state.json in one rename. So a crash at any moment leaves
a state that can be read. Files that no state.json names are waste.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import OutputError, first_line
from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import checked_json, hash_file, parse_checked_json, read_regular

if TYPE_CHECKING:
    import torch

STATE_NAME = "state.json"
STATE_FORMAT = 2
"""It rises when the state holds something else, or when the steps after it would come out otherwise."""
STATE_FILES = re.compile(r"state\.json|state-\d+b?\.safetensors|\.state\.json\.[0-9a-f]+\.part|\.tmp[0-9A-Za-z]{6}")
"""Names of the files that this module makes. Only a killed process leaves the last two: safetensors writes a file under
the name of the fourth first."""


def write_state(folder: Path, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Make this the state in `folder`.

    Args:
        folder: the work folder.
        values: what JSON can hold, with `step` among it.
        tensors: tensors on the CPU, by name.

    Raises:
        OSError: the state could not be written; the previous state is still there.
        SafetensorError: the same.
    """
    from safetensors.torch import save_file

    path = _choose_tensor_file(folder, values["step"])
    try:
        # The tensors must be on disk before state.json names them
        save_file(tensors, path)
        atomic.sync_file(path)
        atomic.sync_folder(folder)
        content = values | {"format": STATE_FORMAT, "file": path.name, "tensors": hash_file(path)}
        atomic.write_whole(folder / STATE_NAME, checked_json(content))
    finally:
        # After a failure, too, because a half-written file would keep the disk full
        with contextlib.suppress(OutputError):
            remove_waste(folder)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The values of the state in `folder`, None if there is no state.

    Raises:
        OutputError: the state is damaged or cannot be read.
    """
    path = folder / STATE_NAME
    try:
        state = parse_checked_json(read_regular(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or start over with `restart=True`."
        ) from error
    if state is not None and state.get("format") == 1:
        raise OutputError(
            f"{path} was written by version 0.2.0 or an older one, whose steps drew other numbers. Finish it with that "
            "version, or start over with `restart=True`."
        )
    if state is None or state.get("format") != STATE_FORMAT or not isinstance(state.get("step"), int):
        raise make_state_error(path, "it does not hold what was written")
    return state


def read_state_tensors(folder: Path, values: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors that belong to the values that `read_state` gave, on the CPU by name.

    Raises:
        OutputError: they are damaged or missing.
    """
    from safetensors.torch import load_file

    path = folder / values["file"]
    try:
        digest = hash_file(path)
    except OSError as error:
        raise make_state_error(path, error.strerror or first_line(error)) from error
    if digest != values["tensors"]:
        raise make_state_error(path, "its SHA-256 is not the one it was written with")
    # Copied, because loaded tensors lie in the mapped file, which is removed when the next state is written
    return {name: one.clone() for name, one in load_file(path).items()}


def remove_waste(folder: Path) -> None:
    """Remove the tensor files and temporary files that do not belong to the state in `folder`.

    Raises:
        OutputError: the state is damaged; nothing was removed.
    """
    values = read_state(folder)
    in_use = set() if values is None else {STATE_NAME, values["file"]}
    _remove_files(folder, except_for=in_use)


def remove_state(folder: Path) -> None:
    """Remove the state in `folder` and whatever is left of others.

    Raises:
        OSError: a file cannot be removed.
    """
    atomic.remove(folder / STATE_NAME)  # first, because without it the other files are waste
    _remove_files(folder)


def make_state_error(path: Path, why: str) -> OutputError:
    """The error for a file without which the run cannot be resumed."""
    return OutputError(
        f"{path} is damaged ({why.rstrip('.')}), so the run cannot be resumed. Delete it and start over with "
        "`restart=True`."
    )


def _remove_files(folder: Path, *, except_for: Collection[str] = ()) -> None:
    """Remove the files that this module makes, except for some names."""
    for path in folder.iterdir():
        if STATE_FILES.fullmatch(path.name) and path.name not in except_for:
            atomic.remove(path)


def _choose_tensor_file(folder: Path, step: int) -> Path:
    """A file for new tensors. It is never that of the state in `folder`, which may be of the same step.

    Each training of a run counts its steps from 0, so two states can have the same step.
    """
    name = f"state-{step}.safetensors"
    with contextlib.suppress(OutputError):
        before = read_state(folder)
        if before is not None and before["file"] == name:
            return folder / f"state-{step}b.safetensors"
    return folder / name
