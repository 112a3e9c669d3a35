"""Keeps the best state of a run on disk while it trains, and publishes it as the model folder at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sentiment_batch.cache import write_text
from sentiment_batch.errors import OutputError, first_line
from sentiment_batch.report import model_card, training_log
from sentiment_batch.settings import META


class Checkpoint:
    """The work folder `OUTPUT.training` of one run.

    `best/` in it is a complete model folder that can be scored with; it is replaced by renames, so a run that is
    killed leaves the best state it had reached, in the blink between two renames as `old/`.

    Args:
        output: the model folder to publish.
        overwrite: replace a model that is there.

    Raises:
        OutputError: something is at `output` that may not be replaced, or the folder cannot be made.
    """

    def __init__(self, output: str | Path, *, overwrite: bool) -> None:
        self.output = Path(output).expanduser()
        if self.output.is_symlink():  # a link stays: what it points to is made or replaced
            self.output = Path(os.path.realpath(self.output))
        if not self.output.name:
            raise OutputError(f"{output} cannot be a model folder. Name a new folder with --output.")
        self.work = self.output.with_name(self.output.name + ".training")
        self.best = self.work / "best"
        self.old = self.work / "old"
        self._overwrite = overwrite
        check_replaceable(self.output, overwrite)
        self._check_work()
        with _failures_named(self.work):
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)

    def save(self, fill: Callable[[Path], None], meta: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Replace `best/` by the weights that `fill` writes into an empty folder, and their description."""
        new = self.work / "new"
        with _failures_named(self.work):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            fill(new)
            self._describe(new, meta, history)
            _sync(new)
            self._put(new, self.best)
            shutil.rmtree(self.old, ignore_errors=True)

    def describe(self, meta: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Say anew what `best/` is, when all is measured."""
        with _failures_named(self.best):
            self._describe(self.best, meta, history)
            _sync(self.best)

    def _describe(self, folder: Path, meta: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Write sentiment_batch.json, README.md and training_log.csv."""
        write_text(folder / META, json.dumps(meta, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "README.md", model_card(meta, self.output.name))
        write_text(folder / "training_log.csv", training_log(history))

    def publish(self) -> Path:
        """Move `best/` to the output in one rename, and remove the work folder.

        Raises:
            OutputError: something that may not be replaced came to the output while the run trained, or the disk fails.
        """
        check_replaceable(self.output, self._overwrite)
        with _failures_named(self.output):
            self._put(self.best, self.output)
            _sync_folder(self.output.parent)
            shutil.rmtree(self.work, ignore_errors=True)
        return self.output

    def discard(self) -> None:
        """Remove the work folder if no state was saved; a saved one stays for the user."""
        if not self.best.exists():
            shutil.rmtree(self.work, ignore_errors=True)

    def _put(self, new: Path, place: Path) -> None:
        """Rename `new` to `place`; what is there becomes `old/`, and comes back if that fails."""
        if place.exists():
            # Two renames: there is a moment without a model, but never a half-written one.
            place.rename(self.old)
        try:
            new.rename(place)
        except OSError:
            if self.old.exists():
                self.old.rename(place)
            raise

    def _check_work(self) -> None:
        """Nothing but what an earlier run left may be in the work folder, for it is deleted."""
        if self.work.exists() and not (
            self.work.is_dir() and {entry.name for entry in self.work.iterdir()} <= {"best", "new", "old"}
        ):
            raise OutputError(
                f"{self.work} is needed to train in, but holds other things. Move it, or change --output."
            )


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


@contextlib.contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or first_line(error)}. Make room or choose another --output."
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":  # safetensors wraps what the operating system said
            raise
        raise OutputError(
            f"{path} cannot be written: {first_line(error)}. Make room or choose another --output."
        ) from error


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb+") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
