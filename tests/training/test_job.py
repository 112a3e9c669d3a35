"""The command line and the Python function build the same job, which reads the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import sentiment_batch
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.training import run
from sentiment_batch.training.job import TrainJob


@pytest.fixture
def jobs(monkeypatch) -> list[TrainJob]:
    """The jobs that were to be run; none is."""
    taken = []

    def take(job):
        taken.append(job)
        raise InputError("enough")

    monkeypatch.setattr(run, "run_training", take)
    return taken


@pytest.fixture
def tables(tmp_path) -> dict[str, str]:
    """Three tables with different columns beside text and label."""
    paths = {name: str(tmp_path / f"{name}.csv") for name in ("train", "val", "test")}
    for name, columns in (("train", ["film", "user"]), ("val", ["user"]), ("test", ["film"])):
        lines = [f"text {n},pos," + ",".join(f"{column[0]}{n % 3}" for column in columns) for n in range(6)]
        Path(paths[name]).write_text("\n".join([f"text,label,{','.join(columns)}", *lines, ""]))
    return paths


def build_by_command(cli, tables, output):
    given = ["--val-file", tables["val"], "--test-file", tables["test"], "--group-column", "film", "-o", output]
    given += ["--unlabelled", tables["test"], "--ensemble", "3", "--unlabelled-weight", "0.25"]
    assert "enough" in cli("train", tables["train"], *given).output


def build_by_function(tables, output):
    train, val, test = tables.values()
    taught = {"unlabelled": test, "ensemble": 3, "unlabelled_weight": 0.25}
    with pytest.raises(InputError, match="enough"):
        sentiment_batch.train(train, output, val=val, test=test, group_column="film", **taught)


def test_command_and_function_build_the_same_job(cli, jobs, tables, tmp_path):
    output = str(tmp_path / "model")
    build_by_command(cli, tables, output)
    build_by_function(tables, output)
    by_command, by_function = ({name: getattr(job, name) for name in TrainJob.__dataclass_fields__} for job in jobs)
    assert list(by_command.pop("reviews")) == list(by_function.pop("reviews")) == [tables["train"]]
    assert tuple(by_command.pop("text_columns")) == tuple(by_function.pop("text_columns")) == ()
    assert by_command.pop("read_options") is not None
    assert by_function.pop("read_options") is None
    assert by_command.pop("command").startswith(f"sentiment-batch train {tables['train']} --val-file ")
    assert by_function.pop("command") is None
    assert by_command == by_function


@pytest.mark.parametrize("entry", ["command", "function"])
def test_both_read_the_groups_a_file_has_and_other_columns(entry, cli, jobs, tables, tmp_path):
    output = str(tmp_path / "model")
    if entry == "command":
        build_by_command(cli, tables, output)
    else:
        build_by_function(tables, output)
    (reviews,), val, test = jobs[0].read_tables()
    assert (reviews.group_column, reviews.groups[:2], list(reviews.others)) == ("film", ["f0", "f1"], ["user"])
    assert (val.groups, list(val.others)) == (None, ["user"])
    assert (test.group_column, len(test.groups)) == ("film", 6)


def test_a_flag_that_is_no_truth_value_is_refused():
    with pytest.raises(UsageError, match="`resume` is 'false'; it must be True or False"):
        TrainJob(reviews=["a.csv"], resume="false")


def test_no_table_to_train_on_is_refused():
    with pytest.raises(InputError, match="there are no reviews to train on"):
        TrainJob(reviews=[]).read_tables()


def test_an_input_format_is_for_the_names_that_show_none(tmp_path):
    (tmp_path / "plain").write_text("text,label\n" + "a good film,pos\na bad film,neg\n" * 20)
    (tmp_path / "test.jsonl").write_text('{"text": "fine", "label": "pos"}\n')
    mixed = TrainJob(reviews=[tmp_path / "plain"], test=tmp_path / "test.jsonl", input_format="csv")
    (reviews,), _, test = mixed.read_tables()
    assert (len(reviews.texts), test.texts) == (40, ["fine"])
    folder = TrainJob(reviews=["s3://bucket/days/", tmp_path], val="val.txt", test="t.parquet", input_format="csv")
    assert [folder.choose_format(one) for one in (*folder.reviews, "val.txt", "t.parquet")] == ["csv"] * 3 + [None]
    alike = TrainJob(reviews=["a.txt.csv"], val="b.csv", input_format="jsonl")
    assert [alike.choose_format(name) for name in ("a.txt.csv", "b.csv")] == ["jsonl", "jsonl"]
