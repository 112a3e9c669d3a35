import errno
import json
import os
import sys
from pathlib import Path

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.training.checkpoint.output_checks import check_replaceable
from sentiment_batch.training.checkpoint.work_folder import WorkFolder

HISTORY = [{"epoch": 1, "best": True}]
META = {
    "version": "1",
    "base": "minilm",
    "labels": {"labels": ["a", "b"]},
    "text": {"max_length": 8, "long_text": "head"},
    "settings": {},
    "data": {"training_rows": 2, "classes": {"a": 1, "b": 1}, "mapping": "a, b"},
    "best": {"step": 1, "epoch": 1.0},
    "metrics": {},
}


def fill(weights: str):
    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text(weights)

    return write


def content(folder: Path) -> dict[str, str]:
    """What is in a folder beside the description."""
    described = {"sentiment_batch.json", "README.md", "training_log.csv"}
    return {path.name: path.read_text() for path in folder.iterdir() if path.name not in described}


@pytest.fixture
def begun():
    """Makes a work_folder that may be saved to; all are closed at the end, as their locks are."""
    made = []

    def begun(output: Path, *, overwrite: bool = False, resume: bool = False, restart: bool = False) -> WorkFolder:
        made.append(WorkFolder(output, overwrite=overwrite, resume=resume, restart=restart))
        made[-1].begin({})
        return made[-1]

    yield begun
    for work_folder in made:
        work_folder.close()


@pytest.fixture
def model(tmp_path) -> Path:
    """A model that is there already."""
    folder = tmp_path / "model"
    folder.mkdir()
    fill("old")(folder)
    return folder


def test_the_best_state_becomes_the_model_and_nothing_remains(begun, tmp_path):
    work_folder = begun(tmp_path / "deep" / "model")
    work_folder.save_best(fill("first"), META, HISTORY)
    work_folder.save_best(fill("second"), META, HISTORY)
    assert content(work_folder.best)["model.safetensors"] == "second"
    assert not work_folder.output.exists()
    assert work_folder.publish() == tmp_path / "deep" / "model"
    assert content(work_folder.output) == {"config.json": "{}", "model.safetensors": "second"}
    assert list(work_folder.output.parent.iterdir()) == [work_folder.output]


def test_a_model_is_described_beside_its_weights(begun, tmp_path):
    work_folder = begun(tmp_path / "model")
    work_folder.save_best(fill("x"), {**META, "metrics": {"validation": None}}, HISTORY)
    work_folder.save_best(fill("y"), META, HISTORY, lambda folder: {"page": " ".join(sorted(content(folder)))})
    assert content(work_folder.best) == {
        "config.json": "{}",
        "model.safetensors": "y",
        "page": "config.json model.safetensors",
    }
    meta = json.loads((work_folder.best / "sentiment_batch.json").read_text())
    assert {name: value for name, value in meta.items() if name not in {"files", "sha256"}} == META
    assert sorted(meta["files"]) == ["config.json", "model.safetensors"]
    assert (work_folder.best / "README.md").read_text().startswith("---\n")
    assert (work_folder.best / "training_log.csv").read_text() == "epoch,best\n1,True\n"


def test_a_model_is_never_replaced_without_overwrite(begun, model):
    with pytest.raises(OutputError, match="overwrite=True"):
        begun(model)
    assert content(model)["model.safetensors"] == "old"
    assert list(model.parent.iterdir()) == [model]


def test_overwrite_keeps_the_old_model_until_the_new_is_there(begun, model):
    work_folder = begun(model, overwrite=True)
    (model / "vocab.txt").write_text("only in the old one")
    work_folder.save_best(fill("new"), META, HISTORY)
    assert content(model)["model.safetensors"] == "old"
    work_folder.publish()
    assert content(model) == {"config.json": "{}", "model.safetensors": "new"}
    assert list(model.parent.iterdir()) == [model]


@pytest.mark.parametrize("files", [["thesis.tex"], ["config.json", "index.js"], ["model.safetensors"]])
def test_a_folder_without_a_model_is_not_replaced_with_overwrite(begun, tmp_path, files):
    folder = tmp_path / "work"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("precious")
    with pytest.raises(OutputError, match="other things than a model"):
        begun(folder, overwrite=True)
    assert content(folder) == dict.fromkeys(files, "precious")


def test_a_file_is_not_replaced_an_empty_folder_may_be_filled(begun, tmp_path):
    (tmp_path / "file").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is a file"):
            check_replaceable(tmp_path / "file", overwrite)
    (tmp_path / "empty").mkdir()
    work_folder = begun(tmp_path / "empty")
    work_folder.save_best(fill("x"), META, HISTORY)
    assert content(work_folder.publish())["model.safetensors"] == "x"


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_current_folder_cannot_be_a_model(begun, tmp_path, monkeypatch, overwrite):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="`output`"):
        begun(".", overwrite=overwrite)


def test_a_model_that_appeared_during_training_is_not_replaced(begun, tmp_path):
    work_folder = begun(tmp_path / "model")
    work_folder.save_best(fill("mine"), META, HISTORY)
    (tmp_path / "model").mkdir()
    fill("theirs")(tmp_path / "model")
    with pytest.raises(OutputError, match="overwrite=True"):
        work_folder.publish()
    assert content(tmp_path / "model")["model.safetensors"] == "theirs"
    assert content(work_folder.best)["model.safetensors"] == "mine"


def test_what_a_killed_run_left_is_cleared_and_nothing_else(begun, tmp_path):
    killed = begun(tmp_path / "model")
    killed.save_best(fill("killed"), META, HISTORY)
    killed.close()
    for name in ("new", "state-7.safetensors", ".state.json.12.part"):
        (killed.path / name).mkdir() if name == "new" else (killed.path / name).touch()
    again = begun(tmp_path / "model", restart=True)
    assert sorted(path.name for path in again.path.iterdir()) == ["lock", "lock.holder"]
    (again.path / "notes.txt").write_text("precious")
    again.close()
    for choice in ({}, {"restart": True}, {"resume": True}):
        with pytest.raises(OutputError, match="holds other things"):
            begun(tmp_path / "model", **choice)
    assert (again.path / "notes.txt").read_text() == "precious"


def test_a_best_model_without_a_state_stays_until_the_next_best(begun, tmp_path):
    killed = begun(tmp_path / "model")
    killed.save_best(fill("killed"), META, HISTORY)
    killed.close()
    with pytest.raises(
        OutputError, match=r"before its first state was saved\. Continue it with `resume=True`, or .*`restart=True`"
    ):
        begun(tmp_path / "model")
    again = begun(tmp_path / "model", resume=True)
    assert content(again.best)["model.safetensors"] == "killed"
    again.save_best(fill("again"), META, HISTORY)
    assert content(again.best)["model.safetensors"] == "again"


@pytest.mark.parametrize("renamed", [True, False], ids=["both renames done", "killed between them"])
def test_the_state_decides_which_best_model_a_resumed_run_has(begun, tmp_path, renamed):
    killed = begun(tmp_path / "model")
    killed.save_best(fill("first"), META, HISTORY)
    killed.save_state({"step": 1, "steps": 3, "fingerprint": {}}, {})
    assert not killed.old.exists()
    killed.save_best(fill("second"), META, HISTORY)
    if not renamed:
        killed.best.rename(killed.path / "new")
    killed.close()
    again = begun(tmp_path / "model", resume=True)
    assert content(again.best)["model.safetensors"] == "first"
    assert not again.old.exists()
    assert not (again.path / "new").exists()
    again.save_best(fill("second"), META, HISTORY)
    again.save_state({"step": 2, "steps": 3, "fingerprint": {}}, {})
    assert not again.old.exists(), "it is kept no longer than it may be needed"
    again.close()
    assert content(begun(tmp_path / "model", resume=True).best)["model.safetensors"] == "second"


@pytest.mark.parametrize("renamed", [True, False], ids=["both renames done", "killed between them"])
def test_a_run_killed_after_finishing_has_its_states_model(begun, tmp_path, renamed):
    killed = begun(tmp_path / "model")
    killed.save_best(fill("best"), META, HISTORY)
    killed.save_state({"step": 3, "steps": 3, "fingerprint": {}}, {})
    killed.save_best(fill("calibrated"), META, HISTORY)
    assert content(killed.best)["model.safetensors"] == "calibrated"
    if not renamed:
        killed.best.rename(killed.path / "new")
    killed.close()
    again = begun(tmp_path / "model", resume=True)
    assert content(again.best)["model.safetensors"] == "best"
    again.save_best(fill("calibrated"), META, HISTORY)
    assert content(again.publish())["model.safetensors"] == "calibrated"
    assert list(tmp_path.iterdir()) == [again.output]


def test_worthless_leftovers_are_cleared_away_unasked(begun, tmp_path):
    work = tmp_path / "model.training"
    for name in ("new", "replaced"):
        (work / name).mkdir(parents=True)
    for name in ("lock", "state-7.safetensors", ".state.json.12.part"):
        (work / name).write_text("{")
    (tmp_path / "model").mkdir()
    begun(tmp_path / "model")
    assert sorted(path.name for path in work.iterdir()) == ["lock", "lock.holder"]


def test_a_model_put_aside_when_the_run_was_killed_comes_back(begun, tmp_path):
    (tmp_path / "model.training" / "replaced").mkdir(parents=True)
    fill("old")(tmp_path / "model.training" / "replaced")
    with pytest.raises(OutputError, match="overwrite=True"):
        begun(tmp_path / "model")
    assert content(tmp_path / "model")["model.safetensors"] == "old"
    assert not (tmp_path / "model.training").exists()


@pytest.mark.parametrize("choice", [{}, {"resume": True}, {"restart": True}])
def test_two_runs_on_one_output_do_not_meet(begun, tmp_path, choice):
    first = begun(tmp_path / "model")
    with pytest.raises(OutputError, match=rf"model is being written by process {os.getpid()} on .*Wait for it"):
        begun(tmp_path / "model", **choice)
    first.save_best(fill("first"), META, HISTORY)
    first.publish()
    begun(tmp_path / "model", overwrite=True)


class Stop(Exception):
    """Not one of the operating system's."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stop(), KeyboardInterrupt()])
def test_an_error_while_saving_leaves_the_earlier_best(begun, tmp_path, error):
    work_folder = begun(tmp_path / "model")
    work_folder.save_best(fill("earlier"), META, HISTORY)

    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("half of it")
        raise error

    with pytest.raises((OutputError, Stop, KeyboardInterrupt)):
        work_folder.save_best(fail, META, HISTORY)
    work_folder.close()
    assert content(work_folder.best) == {"config.json": "{}", "model.safetensors": "earlier"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_error_at_any_rename_leaves_best_and_old_model_whole(begun, tmp_path, monkeypatch, overwrite):
    output = tmp_path / "model"
    if overwrite:
        output.mkdir()
        fill("old")(output)
    rename, failures = Path.rename, 0
    for nth in range(1, 8):
        work_folder = begun(output, overwrite=overwrite, restart=True)
        work_folder.save_best(fill("first"), META, HISTORY)
        calls = 0

        def failing(path, target, nth=nth):
            nonlocal calls
            calls += 1
            if calls == nth:
                raise OSError(errno.EIO, "Input/output error")
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", failing)
            try:
                work_folder.save_best(fill("second"), META, HISTORY)
                work_folder.publish()
            except OutputError:
                failures += 1
            else:
                break
        work_folder.close()
        assert content(work_folder.best)["model.safetensors"] in {"first", "second"}
        assert not overwrite or content(output)["model.safetensors"] == "old"
    assert failures == 3 + overwrite
    assert content(output)["model.safetensors"] == "second"


def test_a_full_disk_is_an_output_error_that_names_the_folder(begun, tmp_path):
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    work_folder = begun(tmp_path / "model")
    with pytest.raises(OutputError, match=r"model\.training cannot be written: the disk is full\. Free some space"):
        work_folder.save_best(full, META, HISTORY)


def test_a_full_disk_is_also_known_in_the_wording_of_safetensors(begun, tmp_path):
    from safetensors import SafetensorError

    def full(folder: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    work_folder = begun(tmp_path / "model")
    with pytest.raises(OutputError, match="the disk is full"):
        work_folder.save_best(full, META, HISTORY)


def test_a_place_that_cannot_be_written_is_an_output_error(begun, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"is a file, so .* cannot be inside it"):
        begun(tmp_path / "file" / "model")


def test_closing_removes_a_work_folder_without_a_model(begun, tmp_path):
    work_folder = begun(tmp_path / "model")
    work_folder.close()
    assert not work_folder.path.exists()
    work_folder = begun(tmp_path / "model")
    work_folder.save_best(fill("x"), META, HISTORY)
    work_folder.close()
    assert work_folder.best.exists()


def test_a_file_that_safetensors_was_writing_is_removed(begun, tmp_path):
    work_folder = begun(tmp_path / "model")
    work_folder.save_state({"step": 1, "steps": 3, "fingerprint": {}}, {})
    begun_file = work_folder.path / ".tmpa1B2c3"  # the name under which safetensors writes
    begun_file.write_text("half")
    work_folder.close()
    assert begun(tmp_path / "model", resume=True).path.exists()
    assert not begun_file.exists()


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a model"])
def test_a_link_stays_and_what_it_points_to_becomes_the_model(begun, tmp_path, there):
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    if there != "nothing":
        (tmp_path / "disk").mkdir()
    if there == "a model":
        fill("old")(tmp_path / "disk")
    work_folder = begun(tmp_path / "link", overwrite=True)
    work_folder.save_best(fill("new"), META, HISTORY)
    work_folder.publish()
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "disk")["model.safetensors"] == "new"


def test_overwriting_is_not_offered_for_what_is_no_model(begun, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds other things.*Choose another `output`\.$"):
        begun(tmp_path / "notes")


@pytest.mark.parametrize("name", ["reviews.csv", "data", "pytorch_model.bin"])
def test_what_is_no_part_of_a_model_is_not_lost_with_it(begun, model, name):
    if name == "data":
        (model / name).mkdir()
    else:
        (model / name).write_text("precious")
    with pytest.raises(OutputError, match=rf"holds more than a model \('{name}'\), which would be lost"):
        begun(model, overwrite=True)
    assert (model / name).exists()


def test_what_reaches_a_model_during_training_is_not_lost(begun, model):
    work_folder = begun(model, overwrite=True)
    work_folder.save_best(fill("new"), META, HISTORY)
    (model / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds more than a model \('notes\.txt'\)"):
        work_folder.publish()
    assert content(model)["model.safetensors"] == "old"
    assert content(work_folder.best)["model.safetensors"] == "new"


@pytest.mark.parametrize(
    "name", ["~nobody-of-this-name/model", "x" * 250, 5, None, b"model", "a\0b", "\ud800", "\udce9t\udce9", ""]
)
def test_what_no_folder_can_be_called_is_refused_in_one_line(name):
    with pytest.raises(OutputError, match=r"cannot be the name of a model folder\. Name a new folder with `output`\.$"):
        WorkFolder(name, overwrite=False)


@pytest.mark.parametrize("name", ["s3://bucket/model", "https://ann:secret@host/model", "-"])
def test_a_url_is_no_folder_to_train_into(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"is no folder on this machine.*Name a folder with `output`") as refused:
        WorkFolder(name, overwrite=False)
    assert "secret" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_between_the_renames_leaves_the_old_model(begun, model, monkeypatch, when):
    work_folder = begun(model, overwrite=True)
    work_folder.save_best(fill("new"), META, HISTORY)
    real = Path.rename

    def rename(self, target):
        if self == model and when == "after":
            real(self, target)
        if self == (model if when == "after" else work_folder.best):
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        work_folder.publish()
    assert content(model)["model.safetensors"] == "old"


def test_a_full_disk_is_known_in_the_wording_of_rust_libraries(begun, tmp_path):
    def full(folder):
        raise Exception("No space left on device (os error 28)")

    work_folder = begun(tmp_path / "model")
    with pytest.raises(OutputError, match=r"model\.training cannot be written: the disk is full"):
        work_folder.save_best(full, META, HISTORY)


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("place", ["model", "deep/model"])
def test_a_folder_that_a_user_may_not_enter_is_one_line(tmp_path, place):
    closed = tmp_path / "closed"
    (closed / "deep").mkdir(parents=True)
    closed.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match=rf"^{closed / place}[\w.]* cannot be written: permission denied"):
            WorkFolder(closed / place)
    finally:
        os.seteuid(0)
