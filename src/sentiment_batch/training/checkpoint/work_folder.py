"""The work folder of a run: keeps its best model and its state while it trains, and publishes the model at the end."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files import atomic, lock
from sentiment_batch.files.cache import write_text
from sentiment_batch.model.card import model_card
from sentiment_batch.settings import META
from sentiment_batch.training.checkpoint import folders, state_file
from sentiment_batch.training.checkpoint.fingerprint import Fingerprint, check_same, digest
from sentiment_batch.training.checkpoint.history import training_log
from sentiment_batch.training.checkpoint.output_checks import (
    check_replaceable,
    check_work,
    model_digest,
    output_folder,
    run_of,
)

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("sentiment_batch")


class Checkpoint:
    """The work folder `OUTPUT.training` of one run, with a lock on it.

    `best/` in it is a complete model folder that can be scored with. It is replaced by renames, and the one before
    stays as `old/` until a state is saved that names the new one: so the state decides which of them a resumed run has.
    No state names the finished model that replaces it at the end, so a resumed run finishes the one before once more.
    `replaced/` is the earlier model at the output, between the two renames that publish.

    Args:
        output: the model folder to publish.
        overwrite: replace a model that is there.
        resume: go on with the run that the folder holds.
        restart: delete that run when training begins.

    Raises:
        OutputError: something is at `output` that may not be replaced, the folder holds a run and neither `resume` nor
            `restart` is set, or another process trains in it.
        UsageError: both are set.
    """

    def __init__(self, output: str | Path, *, overwrite: bool, resume: bool = False, restart: bool = False) -> None:
        if resume and restart:
            raise UsageError("--resume goes on with a run and --restart deletes it. Give one of them.")
        self.output = output_folder(output)
        self.work = self.output.with_name(self.output.name + ".training")
        self.best, self.old = self.work / "best", self.work / "old"
        self._new, self._replaced = self.work / "new", self.work / "replaced"
        self.finished = False
        """Whether the run turned out to be published already."""
        self._overwrite, self._resume, self._restart = overwrite, resume, restart
        self._lock: lock.Lock | None = None
        self._best_digest: str | None = None
        self._begun = False
        check_work(self.work)
        self._check_output()
        if self.work.exists():
            self._take()

    def begin(self, fingerprint: Fingerprint) -> dict[str, Any] | None:
        """Make the folder ready to train in; only now is an earlier run deleted, as all else is known to be well.

        Returns:
            The values of the state to go on from, None to train from the beginning, or if `finished` became true.

        Raises:
            OutputError: as the class has them, or the state is damaged, or that of another run.
        """
        self._take()
        with folders.failures_named(self.work):
            found = state_file.read(self.work) if self._resume else None
            if found:
                check_same(self.work, found["fingerprint"], fingerprint)
            self.finished = self._resume and self._is_published(found, digest(fingerprint))
            if not self.finished:
                check_replaceable(self.output, self._overwrite)
                self._settle(found)
            self._begun = True
        return None if self.finished else found

    def save(self, fill: Callable[[Path], None], meta: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Replace `best/` by the weights that `fill` writes into an empty folder, and their description."""
        self._best_digest = self._replace_best(fill, meta, history)

    def save_state(self, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Make this the state to go on from; it names the best model of now."""
        with folders.failures_named(self.work):
            state_file.write(self.work, values | {"best": self._best_digest}, tensors)
            folders.throw_away(self.old, under=self._new)

    def read_tensors(self, values: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The tensors of the state that `begin` gave."""
        with folders.failures_named(self.work):
            return state_file.read_tensors(self.work, values)

    def finish(
        self,
        fill: Callable[[Path], None],
        meta: dict[str, Any],
        history: list[dict[str, Any]],
        more: Callable[[Path], Mapping[str, str]] = lambda folder: {},
    ) -> None:
        """Replace `best/` by the model as it is to be published; the state goes on naming the one before.

        Args:
            fill: as for `save`.
            meta: likewise.
            history: likewise.
            more: makes further files of text, by their names, out of the folder with all the others.
        """
        self._replace_best(fill, meta, history, more)

    def publish(self) -> Path:
        """Move `best/` to the output in one rename, and remove the work folder.

        Raises:
            OutputError: something that may not be replaced came to the output while the run trained, or the disk fails.
        """
        if not self.finished:
            check_replaceable(self.output, self._overwrite)
            with folders.failures_named(self.output):
                folders.put(self.best, self.output, aside=self._replaced)
                atomic.sync_folder(self.output.parent)
                atomic.sync_folder(self.work)
        self.remove()
        return self.output

    def close(self) -> None:
        """Let others work; a folder with nothing to go on from or to score with is removed."""
        try:
            if self._lock and not self._holds_a_run():
                self.remove()
        finally:
            self._release()

    def tell_what_is_kept(self) -> None:
        """After a failure: say what there is to go on with."""
        if not self._begun or self.finished:
            return
        if self.best.exists():
            logger.warning("the best state so far is kept in %s; it can be scored with", self.best)
        with contextlib.suppress(OutputError):
            if values := state_file.read(self.work):
                logger.warning(
                    "the run is kept in %s; the same command with --resume goes on from step %s of %s",
                    self.work,
                    f"{values['step']:,}",
                    f"{values['steps']:,}",
                )

    def remove(self) -> None:
        """Delete the work folder, in an order that leaves no half of a run to be taken for a whole one."""
        if self._lock is None:
            return
        try:
            with contextlib.suppress(OSError):
                folders.throw_away(self.old, self._replaced, under=self._new)
                state_file.remove(self.work)
                folders.throw_away(self.best, under=self._new)
                atomic.remove(self.work / "lock")
                self.work.rmdir()  # fails if the next run has put its lock there already, as it should
        finally:
            self._release()

    def _release(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None

    def _take(self) -> None:
        """Lock the work folder and look at what it holds, if that was not done before."""
        if self._lock:
            return
        with folders.failures_named(self.work):
            self._lock = folders.lock(self.work, self.output)
        try:
            with folders.failures_named(self.output):
                if self._replaced.exists() and not self.output.exists():
                    self._replaced.rename(self.output)  # a run was killed between the two renames that publish
            self._check_output()
            if not self._resume and not self._restart:
                self._refuse_a_run()
        except BaseException:
            self.close()
            raise

    def _check_output(self) -> None:
        """Of a model that may be this very run's, only `begin` can tell whether it is in the way."""
        if not (self._resume and run_of(self.output) is not None):
            check_replaceable(self.output, self._overwrite)

    def _holds_a_run(self) -> bool:
        """Whether there is anything to go on from or to score with."""
        try:
            values = state_file.read(self.work)
        except OutputError:  # damaged; that is for the user to decide about
            return True
        if values is None:
            return self.best.exists() or self.old.exists()
        return not self._is_published(values, digest(values["fingerprint"]))

    def _refuse_a_run(self) -> None:
        if not self._holds_a_run():
            return
        reached = "cannot be read"
        with contextlib.suppress(OutputError):
            values = state_file.read(self.work)
            reached = "was interrupted before its first state was saved"
            if values:
                reached = f"was interrupted at step {values['step']:,} of {values['steps']:,}"
        raise OutputError(
            f"{self.work} holds a run that {reached}. Go on with it by --resume, or delete it and start over by "
            "--restart."
        )

    def _is_published(self, values: Mapping[str, Any] | None, run: str) -> bool:
        """Whether the output is the model of this very run, and the run was killed while it cleared up, or later."""
        no_more_to_do = values is None or values["best"] is not None
        being_replaced = self.old.exists() and self._new.exists()
        return no_more_to_do and not self.best.exists() and not being_replaced and run_of(self.output) == run

    def _settle(self, found: dict[str, Any] | None) -> None:
        """Leave in the folder what belongs to the state to go on from, or nothing."""
        if found is None:
            if self._resume:
                logger.info("there is no state to resume from, so training starts from the beginning")
            self._clear(keep_best=self._resume)
            return
        self._best_digest = found["best"]
        if found["best"] is not None and model_digest(self.best) != found["best"]:
            # Killed between the save of a later best model and that of its state.
            if model_digest(self.old) != found["best"]:
                raise state_file.damaged(self.best, "it is not the best model of the run's state")
            folders.throw_away(self.best, under=self._new)
            self.old.rename(self.best)
        self._clear(keep_best=True, keep_state=True)

    def _clear(self, *, keep_best: bool, keep_state: bool = False) -> None:
        if keep_best and self.old.exists() and not self.best.exists():
            self.old.rename(self.best)
        folders.throw_away(self.old, self._replaced, under=self._new)
        (state_file.sweep if keep_state else state_file.remove)(self.work)
        if not keep_best:
            folders.throw_away(self.best, under=self._new)

    def _replace_best(
        self,
        fill: Callable[[Path], None],
        meta: dict[str, Any],
        history: list[dict[str, Any]],
        more: Callable[[Path], Mapping[str, str]] = lambda folder: {},
    ) -> str | None:
        """Make a new folder, wait until it is on disk, and put it where `best/` is; gives its digest."""
        described = {
            META: json.dumps(meta, indent=2, ensure_ascii=False) + "\n",
            "README.md": model_card(meta, self.output.name),
            "training_log.csv": training_log(history),
        }
        with folders.failures_named(self.work):
            atomic.remove(self._new)
            self._new.mkdir()
            fill(self._new)
            found = model_digest(self._new)
            for name, text in described.items():
                write_text(self._new / name, text)
        texts = more(self._new)
        with folders.failures_named(self.work):
            for name, text in texts.items():
                write_text(self._new / name, text)
            folders.sync(self._new)
            folders.put(self._new, self.best, aside=self.old)
            atomic.sync_folder(self.work)
        return found
