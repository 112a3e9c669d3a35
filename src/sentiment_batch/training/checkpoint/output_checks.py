"""Checks what lies at the output and in the work folder before a run replaces it; changes nothing."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from sentiment_batch.data.writers.write_errors import make_write_error
from sentiment_batch.errors import OutputError, listed
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.files.lock import LOCK_FILES
from sentiment_batch.locations import without_password
from sentiment_batch.settings import META_FILE, WORK_FOLDER_ENDING
from sentiment_batch.training.checkpoint import state_file

WORK_FOLDERS = {"best", "new", "old", "replaced", "teacher"}
"""Names of the folders in a work folder."""
UNLABELLED_NAME = "unlabelled.parquet"
"""The file of a work folder with the unlabelled texts of the run."""
UNLABELLED_FILES = re.compile(rf"{re.escape(UNLABELLED_NAME)}|\.{re.escape(UNLABELLED_NAME)}\.[0-9a-f]+\.part")
"""Names of that file, and of what a killed process leaves of it."""
MODEL_FILES = re.compile(
    r"config\.json|generation_config\.json|.*\.safetensors|model\.safetensors\.index\.json|tokenizer\.json"
    r"|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt"
    rf"|README\.md|{re.escape(META_FILE)}|training_log\.csv|report\.html|\.DS_Store|Thumbs\.db"
)
"""Names of the files in our model folders and in stock ones, and of those that file managers leave."""


def resolve_output(name: object) -> Path:
    """The path of the model folder to make; of a link, the folder that it points to.

    Raises:
        OutputError: no folder can have this name, it is a URL or `-`, or this user may not enter a folder above it.
    """
    if isinstance(name, str):
        local = None if name == "-" else local_path(name)
        if local is None:
            raise OutputError(
                f"{without_password(name)} is no folder on this machine, and a model is trained into one. Name a "
                "folder with `output`, and copy it when it is finished."
            )
        name = local
    try:
        output = Path(name).expanduser()  # type: ignore[arg-type]
        if output.is_symlink():
            output = Path(os.path.realpath(output))
        str(output).encode("utf-8")  # libraries in other languages take paths as UTF-8
        # Names that are too long fail here, and not after an hour of training
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.lstat(output.with_name(output.name + WORK_FOLDER_ENDING))
    except PermissionError as error:
        raise make_write_error(str(name), error, error.errno) from error
    except (TypeError, ValueError, RuntimeError, OSError) as error:  # no text, no name, no such home, too long
        raise OutputError(f"{name!r} cannot be the name of a model folder. Name a new folder with `output`.") from error
    return output


def check_replaceable(output: Path, overwrite: bool) -> None:
    """Make sure that a model may be published at `output`.

    Raises:
        OutputError: `output` is a file, a model without `overwrite`, or a folder with other content.
    """
    # Nothing is there, but the nearest folder above it must be one
    if not output.exists():
        parent = next(one for one in output.absolute().parents if one.exists())
        if not parent.is_dir():
            raise OutputError(f"{parent} is a file, so {output} cannot be inside it. Choose another `output`.")
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file, but a model is a folder. Choose another `output`.")
    if not any(output.iterdir()):
        return
    # Only a model is replaced, and only by consent. What stands beside its files would be lost with it.
    if not (output / "config.json").exists() or not any(output.glob("*.safetensors")):
        raise OutputError(f"{output} holds other things than a model, so it is not replaced. Choose another `output`.")
    if not overwrite:
        raise OutputError.exists(str(output))
    others = sorted(path.name for path in output.iterdir() if path.is_dir() or not MODEL_FILES.fullmatch(path.name))
    if others:
        raise OutputError(
            f"{output} holds more than a model ({listed(others, 3)}), which would be lost. Move that, or choose "
            "another `output`."
        )


def check_work_folder(work: Path) -> None:
    """Make sure that the work folder holds nothing but what runs leave, because it will be deleted.

    Raises:
        OutputError: it holds something else.
    """
    if not work.exists():
        return
    if work.is_dir():
        names = {path.name for path in work.iterdir()} - WORK_FOLDERS - LOCK_FILES
        if all(state_file.STATE_FILES.fullmatch(name) or UNLABELLED_FILES.fullmatch(name) for name in names):
            return
    raise OutputError(f"{work} is needed as work folder, but holds other things. Move it, or change `output`.")
