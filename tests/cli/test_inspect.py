"""`sentiment-batch inspect`: the table on standard output, questions last, and no model."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text('id,review,stars\n1,"Good\nfilm",5\n2,A\x1b[31m bad film,1\n3,,3\n')
    return path


def test_the_reading_the_rows_and_the_check_are_shown(cli, table, monkeypatch):
    monkeypatch.chdir(table.parent)
    result = cli("inspect", table.name)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "in.csv is read as",
        "  text       review (assumed)",
        "  label      stars (assumed): 1-2 -> negative, 4-5 -> positive (assumed)",
    ]
    assert "first rows" in lines
    assert any("Good\\nfilm" in line for line in lines)
    assert "\x1b" not in result.stdout
    assert "  rows      3" in lines
    assert "  left out  1 row without a text" in lines
    assert "Check --text-column." in " ".join(result.stdout.split())
    assert max(map(len, lines)) <= 80


def test_json_is_one_object(cli, table):
    found = json.loads(cli("inspect", table, "--json", "--stars", "2,4").stdout)
    assert (found["rows"], found["input"]["text_columns"], found["question"]) == (3, ["review"], None)
    assert found["first_rows"][0] == ["1", "Good\nfilm", "5"]
    assert "label_mapping" not in found["input"]["assumed"]


def test_the_question_in_json_names_options(cli, tmp_path):
    (tmp_path / "in.csv").write_text("text,label\na good film,0.2\na bad film,0.9\n")
    result = cli("inspect", tmp_path / "in.csv", "--json")
    question = json.loads(result.stdout)["question"]
    assert "--stars" in question
    assert "`" not in question
    assert question in result.stderr


def test_a_question_comes_last_in_the_words_of_the_command(cli, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("review,label\n" + "good,3\nbad,17\nfine,40\n" * 9)
    result = cli("inspect", path)
    assert result.exit_code == 2
    assert "first rows" in result.stdout
    assert "--stars" in result.stderr.splitlines()[-1]
    assert cli("inspect", path, "--json").exit_code == 2


def test_what_the_check_advises_is_an_option_of_train(cli, tmp_path):
    path = tmp_path / "rare.csv"
    path.write_text("review,label\n" + "fine,good\n" * 40 + "poor,bad\n" * 2)
    assert "try --class-weights auto" in " ".join(cli("inspect", path).stdout.split())


def test_columns_of_a_wide_table_are_cut(cli, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(["text", *(f"c{n}" for n in range(60))]) + "\n" + ",".join(["fine", *["1"] * 60]) + "\n")
    assert "  and 21 more columns" in cli("inspect", path).stdout
