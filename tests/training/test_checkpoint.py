import errno
import json
from pathlib import Path

import pytest

from sentiment_batch.errors import OutputError
from sentiment_batch.training.checkpoint import Checkpoint, check_replaceable

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
def model(tmp_path) -> Path:
    """A model that is there already."""
    folder = tmp_path / "model"
    folder.mkdir()
    fill("old")(folder)
    return folder


def test_the_best_state_becomes_the_model_and_nothing_else_remains(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "model", overwrite=False)
    checkpoint.save(fill("first"), META, HISTORY)
    checkpoint.save(fill("second"), META, HISTORY)
    assert content(checkpoint.best)["model.safetensors"] == "second"
    assert not checkpoint.output.exists()
    assert checkpoint.publish() == tmp_path / "deep" / "model"
    assert content(checkpoint.output) == {"config.json": "{}", "model.safetensors": "second"}
    assert list(checkpoint.output.parent.iterdir()) == [checkpoint.output]


def test_a_model_is_described_beside_its_weights(tmp_path):
    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    checkpoint.save(fill("x"), META, HISTORY)
    checkpoint.describe(META, HISTORY)
    assert json.loads((checkpoint.best / "sentiment_batch.json").read_text()) == META
    assert (checkpoint.best / "README.md").read_text().startswith("---\n")
    assert (checkpoint.best / "training_log.csv").read_text() == "epoch,best\n1,True\n"


def test_a_model_is_never_replaced_without_overwrite(model):
    with pytest.raises(OutputError, match="--overwrite"):
        Checkpoint(model, overwrite=False)
    assert content(model)["model.safetensors"] == "old"
    assert list(model.parent.iterdir()) == [model]


def test_with_overwrite_the_old_model_stays_until_the_new_one_is_published(model):
    checkpoint = Checkpoint(model, overwrite=True)
    (model / "only in the old one").write_text("")
    checkpoint.save(fill("new"), META, HISTORY)
    assert content(model)["model.safetensors"] == "old"
    checkpoint.publish()
    assert content(model) == {"config.json": "{}", "model.safetensors": "new"}
    assert list(model.parent.iterdir()) == [model]


@pytest.mark.parametrize("files", [["thesis.tex"], ["config.json", "index.js"], ["model.safetensors"]])
def test_a_folder_that_is_no_model_is_not_replaced_even_with_overwrite(tmp_path, files):
    folder = tmp_path / "work"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("precious")
    with pytest.raises(OutputError, match="other things than a model"):
        Checkpoint(folder, overwrite=True)
    assert content(folder) == dict.fromkeys(files, "precious")


def test_a_file_is_not_replaced_and_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "file").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is a file"):
            check_replaceable(tmp_path / "file", overwrite)
    (tmp_path / "empty").mkdir()
    checkpoint = Checkpoint(tmp_path / "empty", overwrite=False)
    checkpoint.save(fill("x"), META, HISTORY)
    assert content(checkpoint.publish())["model.safetensors"] == "x"


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_current_folder_cannot_be_a_model(tmp_path, monkeypatch, overwrite):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="--output"):
        Checkpoint(".", overwrite=overwrite)


def test_what_came_to_the_output_while_training_is_not_replaced_and_the_new_model_is_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    checkpoint.save(fill("mine"), META, HISTORY)
    (tmp_path / "model").mkdir()
    fill("theirs")(tmp_path / "model")
    with pytest.raises(OutputError, match="--overwrite"):
        checkpoint.publish()
    assert content(tmp_path / "model")["model.safetensors"] == "theirs"
    assert content(checkpoint.best)["model.safetensors"] == "mine"


def test_what_a_killed_run_left_is_cleared_away_but_nothing_of_others(tmp_path):
    killed = Checkpoint(tmp_path / "model", overwrite=False)
    killed.save(fill("killed"), META, HISTORY)
    again = Checkpoint(tmp_path / "model", overwrite=False)
    assert not again.best.exists()
    (again.work / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match="holds other things"):
        Checkpoint(tmp_path / "model", overwrite=False)
    assert (again.work / "notes.txt").read_text() == "precious"


class Stop(Exception):
    """Not one of the operating system's."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stop(), KeyboardInterrupt()])
def test_an_error_while_saving_leaves_the_earlier_best(tmp_path, error):
    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    checkpoint.save(fill("earlier"), META, HISTORY)

    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("half of it")
        raise error

    with pytest.raises((OutputError, Stop, KeyboardInterrupt)):
        checkpoint.save(fail, META, HISTORY)
    checkpoint.discard()
    assert content(checkpoint.best) == {"config.json": "{}", "model.safetensors": "earlier"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_error_at_any_rename_leaves_a_whole_best_and_the_old_model(tmp_path, monkeypatch, overwrite):
    output = tmp_path / "model"
    if overwrite:
        output.mkdir()
        fill("old")(output)
    rename, failures = Path.rename, 0
    for nth in range(1, 8):
        checkpoint = Checkpoint(output, overwrite=overwrite)
        checkpoint.save(fill("first"), META, HISTORY)
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
                checkpoint.save(fill("second"), META, HISTORY)
                checkpoint.publish()
            except OutputError:
                failures += 1
            else:
                break
        checkpoint.discard()
        assert content(checkpoint.best)["model.safetensors"] in {"first", "second"}
        assert not overwrite or content(output)["model.safetensors"] == "old"
    assert failures == 3 + overwrite
    assert content(output)["model.safetensors"] == "second"


def test_a_full_disk_is_an_output_error_that_names_the_folder_and_the_cure(tmp_path):
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    with pytest.raises(OutputError, match=r"model\.training cannot be written: No space left on device\. Make room"):
        checkpoint.save(full, META, HISTORY)


def test_a_full_disk_is_also_known_in_the_wording_of_safetensors(tmp_path):
    from safetensors import SafetensorError

    def full(folder: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    with pytest.raises(OutputError, match="No space left on device"):
        checkpoint.save(full, META, HISTORY)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Checkpoint(tmp_path / "file" / "model", overwrite=False)


def test_discarding_removes_the_work_folder_only_if_no_state_was_saved(tmp_path):
    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    checkpoint.discard()
    assert not checkpoint.work.exists()
    checkpoint = Checkpoint(tmp_path / "model", overwrite=False)
    checkpoint.save(fill("x"), META, HISTORY)
    checkpoint.discard()
    assert checkpoint.best.exists()


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a model"])
def test_a_link_stays_and_what_it_points_to_becomes_the_model(tmp_path, there):
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    if there != "nothing":
        (tmp_path / "disk").mkdir()
    if there == "a model":
        fill("old")(tmp_path / "disk")
    checkpoint = Checkpoint(tmp_path / "link", overwrite=True)
    checkpoint.save(fill("new"), META, HISTORY)
    checkpoint.publish()
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "disk")["model.safetensors"] == "new"


def test_overwriting_is_not_offered_for_what_is_no_model(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds other things.*Name another --output\.$"):
        Checkpoint(tmp_path / "notes", overwrite=False)
