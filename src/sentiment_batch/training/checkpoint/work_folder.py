"""The work folder of a run: holds its best model and its state while it trains, and publishes the model at the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.files import atomic
from sentiment_batch.files.lock import LOCK_FILES, FolderLock
from sentiment_batch.settings import WORK_FOLDER_ENDING
from sentiment_batch.training.checkpoint import state_file
from sentiment_batch.training.checkpoint.fingerprint import Fingerprint, check_unchanged, hash_fingerprint
from sentiment_batch.training.checkpoint.model_folders import (
    WriteWeights,
    delete_folders,
    hash_stock_files,
    read_run_digest,
    replace_folder,
    sync_files,
    write_model,
)
from sentiment_batch.training.checkpoint.output_checks import (
    UNLABELLED_FILES,
    UNLABELLED_NAME,
    check_replaceable,
    check_work_folder,
    resolve_output,
)
from sentiment_batch.training.checkpoint.state import describe_progress

if TYPE_CHECKING:
    import torch


class WorkFolder:
    """The work folder `OUTPUT.training` of one run, with a lock on it.

    `best/` in it is a complete model folder that can score. A new best model replaces it by renames, and the previous
    one stays as `old/` until a state is saved that names the new one. So the state decides which of the two a resumed
    run has. The state is not updated when the finished model replaces `best/`, so a resumed run repeats this last step
    from `old/`. `replaced/` is the earlier model at the output, between the two renames that publish. `teacher/` is a
    copy of a best model that a later training of the run may turn out not to be better than.

    Args:
        output: the model folder to publish.
        overwrite: replace a model at `output`.
        resume: continue the run that the work folder holds.
        restart: delete that run when training begins.

    Raises:
        OutputError: something is at `output` that may not be replaced; the folder holds a run and neither `resume` nor
            `restart` is set; or another process trains in it.
        UsageError: both are set.
    """

    def __init__(
        self, output: str | Path, *, overwrite: bool = False, resume: bool = False, restart: bool = False
    ) -> None:
        if resume and restart:
            raise UsageError("`resume=True` continues a run and `restart=True` deletes it. Use one of them.")
        self.output = resolve_output(output)
        self.path = self.output.with_name(self.output.name + WORK_FOLDER_ENDING)
        self.best, self.old, self.teacher = self.path / "best", self.path / "old", self.path / "teacher"
        self.unlabelled_path = self.path / UNLABELLED_NAME
        """Where the unlabelled texts of the run are kept."""
        self._new, self._replaced = self.path / "new", self.path / "replaced"
        self.finished = False
        """True if `begin` found that the run was published before."""
        self.resume = resume
        """True to continue the run that the work folder holds."""
        self._overwrite, self._restart = overwrite, restart
        self._lock: FolderLock | None = None
        self._best_digest: str | None = None
        self._teacher_digest: str | None = None
        self._begun = False
        with translate_write_errors(str(self.path)):  # this user may not be allowed to look into a folder
            check_work_folder(self.path)
            self._check_output()
        # A new folder is made by `begin`, so that a run which is refused earlier leaves nothing
        if self.path.exists():
            self._take_lock()

    def begin(self, fingerprint: Fingerprint) -> dict[str, Any] | None:
        """Make the folder ready to train in. An earlier run is deleted only now, when all other checks have passed.

        Returns:
            The values of the state to resume from; None to train from the beginning, or if `finished` became true.

        Raises:
            OutputError: see the class; or the state is damaged, or belongs to another run.
        """
        self._take_lock()
        with translate_write_errors(str(self.path)):
            state = state_file.read_state(self.path) if self.resume else None
            if state:
                check_unchanged(self.path, state["fingerprint"], fingerprint)
            self.finished = self.resume and self._is_published(state, hash_fingerprint(fingerprint))
            # Refuse what cannot be resumed or replaced. Then leave nothing but the state and the models that it names.
            if not self.finished:
                self._refuse_finished_by_another(state)
                check_replaceable(self.output, self._overwrite)
                self._restore_best(state)
                self._check_teacher(state)
                self._clear(keep_best=self.resume, keep_state=state is not None)
            self._begun = True
        return None if self.finished else state

    def save_best(
        self,
        write_weights: WriteWeights,
        meta: dict[str, Any],
        history: list[dict[str, Any]],
        make_pages: Callable[[Path], Mapping[str, str]] = lambda folder: {},
    ) -> None:
        """Write a model beside `best/`, then put it in its place. The next state that is saved names it.

        Args:
            write_weights: writes the stock files into an empty folder.
            meta: the content of sentiment_batch.json.
            history: the rows of training_log.csv.
            make_pages: gives further text files by name; it sees the folder with all the others.

        Raises:
            OutputError: the model cannot be written.
        """
        with translate_write_errors(str(self.path)):
            atomic.remove(self._new)
            self._new.mkdir()
        name = self.output.name
        digest = write_model(self._new, write_weights, meta, history, name=name, make_pages=make_pages)
        with translate_write_errors(str(self.path)):
            replace_folder(self._new, self.best, aside=self.old)
            atomic.sync_folder(self.path)
        self._best_digest = digest

    def copy_best_to_teacher(self) -> None:
        """Keep a copy of the present best model as `teacher/`. The next state that is saved names it.

        Raises:
            OutputError: the copy cannot be written.
        """
        with translate_write_errors(str(self.path)):
            for folder in (self._new, self.teacher):  # no state names what may be in them
                atomic.remove(folder)
            shutil.copytree(self.best, self._new)
            sync_files(self._new)
            self._new.rename(self.teacher)
            atomic.sync_folder(self.path)
        self._teacher_digest = hash_stock_files(self.teacher)

    def save_state(self, values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Make this the state to resume from; it names the present best model.

        Args:
            values: what JSON can hold, with `step` among it.
            tensors: tensors on the CPU, by name.

        Raises:
            OutputError: the state cannot be written; the previous one is still there.
        """
        with translate_write_errors(str(self.path)):
            models = {"best": self._best_digest}
            if self._teacher_digest is not None:
                models["teacher"] = self._teacher_digest
            state_file.write_state(self.path, values | models, tensors)
            # Only now: until the new state was on disk, the old one named this model
            delete_folders(self.old, under=self._new)

    def read_tensors(self, values: dict[str, Any]) -> dict[str, torch.Tensor]:
        """The tensors of the state whose values `begin` gave, on the CPU by name.

        Raises:
            OutputError: they are damaged or missing.
        """
        with translate_write_errors(str(self.path)):
            return state_file.read_state_tensors(self.path, values)

    def publish(self) -> Path:
        """Move `best/` to the output in one rename, and remove the work folder.

        Raises:
            OutputError: something that may not be replaced came to the output during the training, or the disk fails.
        """
        if not self.finished:
            # Again, because others may have put something there while the run trained
            check_replaceable(self.output, self._overwrite)
            with translate_write_errors(str(self.output)):
                replace_folder(self.best, self.output, aside=self._replaced)
                atomic.sync_folder(self.output.parent)
                atomic.sync_folder(self.path)
        self.remove()
        return self.output

    def close(self) -> None:
        """Release the lock. The folder is removed if it holds neither a run to resume nor a model."""
        try:
            if self._lock and not self._holds_a_run():
                self.remove()
        finally:
            self._release_lock()

    def describe_remains(self) -> list[str]:
        """After a failure: sentences about the model and the state in the folder, and how to resume."""
        if not self._begun or self.finished:
            return []
        lines = []
        if self.best.exists():
            lines.append(f"the best model so far is in {self.best}. It can score texts already")
        with contextlib.suppress(OutputError):
            if state := state_file.read_state(self.path):
                lines.append(
                    f"the run is saved in {self.path}. Repeat it with `resume=True` to continue from "
                    f"{describe_progress(state)}"
                )
        return lines or ["nothing of this run was saved yet, so that it must begin again"]

    def remove(self) -> None:
        """Delete the work folder, in an order that leaves no half of a run that looks like a whole one."""
        self._begun = False
        if self._lock is None:
            return
        try:
            with contextlib.suppress(OSError):
                # The state before the best model: a state without its model could not be resumed
                delete_folders(self.old, self._replaced, under=self._new)
                state_file.remove_state(self.path)
                delete_folders(self.best, under=self._new)
                self._remove_teacher_files()
                for name in sorted(LOCK_FILES, reverse=True):  # the lock itself last
                    atomic.remove(self.path / name)
                self.path.rmdir()  # fails if the next run has put its lock there already, as it should
        finally:
            self._release_lock()

    def _take_lock(self) -> None:
        """Lock the work folder and look at what it holds, unless that was done before."""
        if self._lock:
            return
        with translate_write_errors(str(self.path)):
            self._lock = FolderLock(self.path, str(self.output))
        try:
            with translate_write_errors(str(self.output)):
                if self._replaced.exists() and not self.output.exists():
                    self._replaced.rename(self.output)  # a run was killed between the two renames that publish
            self._check_output()
            if not self.resume and not self._restart:
                self._refuse_unfinished_run()
        except BaseException:
            self.close()
            raise

    def _release_lock(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None

    def _check_output(self) -> None:
        """Refuse what may not be replaced; a model that may be this very run's is for `begin` to judge."""
        if not (self.resume and read_run_digest(self.output) is not None):
            check_replaceable(self.output, self._overwrite)

    def _holds_a_run(self) -> bool:
        """True if the folder holds a run to resume, or a model."""
        try:
            state = state_file.read_state(self.path)
        except OutputError:  # damaged: the user decides about it
            return True
        if state is None:
            return self.best.exists() or self.old.exists()
        return not self._is_published(state, hash_fingerprint(state["fingerprint"]))

    def _refuse_unfinished_run(self) -> None:
        if not self._holds_a_run():
            return
        condition = "cannot be read"
        with contextlib.suppress(OutputError):
            state = state_file.read_state(self.path)
            condition = "was interrupted before its first state was saved"
            if state:
                condition = f"was interrupted at {describe_progress(state)}"
        raise OutputError(
            f"{self.path} holds a run that {condition}. Continue it with `resume=True`, or delete it and start over "
            "with `restart=True`."
        )

    def _is_published(self, state: Mapping[str, Any] | None, run: str) -> bool:
        """True if the output is the model of this very run, which was killed while it cleared up, or later.

        The last act of a run moves `best/` to the output. While `best/` is replaced it is missing, too, but then `old/`
        and `new/` are both there.
        """
        no_more_to_do = state is None or state["best"] is not None
        being_replaced = self.old.exists() and self._new.exists()
        return no_more_to_do and not self.best.exists() and not being_replaced and read_run_digest(self.output) == run

    def _refuse_finished_by_another(self, state: Mapping[str, Any] | None) -> None:
        """Refuse to resume where a run with other settings or rows is finished, and none is interrupted."""
        if self.resume and state is None and not self._overwrite and read_run_digest(self.output) is not None:
            raise OutputError(
                f"{self.output} was finished with other settings, rows or versions, so there is no run to resume. "
                "Replace it with `overwrite=True`, or choose another `output`."
            )

    def _restore_best(self, state: Mapping[str, Any] | None) -> None:
        """Make `best/` the model that the state names."""
        if state is None or state["best"] is None:
            return
        self._best_digest = state["best"]
        # A run that was killed after a later best model, but before its state, has the model of its state in `old/`
        if hash_stock_files(self.best) != self._best_digest:
            if hash_stock_files(self.old) != self._best_digest:
                raise state_file.make_state_error(self.best, "it is not the best model of the run's state")
            delete_folders(self.best, under=self._new)
            self.old.rename(self.best)

    def _check_teacher(self, state: Mapping[str, Any] | None) -> None:
        """Make sure that `teacher/` is the model that the state names, if it names one."""
        self._teacher_digest = state.get("teacher") if state is not None else None
        if self._teacher_digest is not None and hash_stock_files(self.teacher) != self._teacher_digest:
            raise state_file.make_state_error(self.teacher, "it is not the teacher of the run's state")

    def _remove_teacher_files(self) -> None:
        """Delete the copy of a teacher and the unlabelled texts."""
        if self.teacher.exists():
            delete_folders(self.teacher, under=self._new)
        for path in self.path.iterdir():
            if UNLABELLED_FILES.fullmatch(path.name):
                atomic.remove(path)

    def _clear(self, *, keep_best: bool, keep_state: bool) -> None:
        """Delete what does not belong to the run that begins."""
        # Killed between the two renames that replace `best/`
        if keep_best and self.old.exists() and not self.best.exists():
            self.old.rename(self.best)
        delete_folders(self.old, self._replaced, under=self._new)
        if keep_state:
            state_file.remove_waste(self.path)
        else:
            state_file.remove_state(self.path)
        if not keep_best:
            delete_folders(self.best, under=self._new)
            self._remove_teacher_files()
