"""`sentiment-batch predict`: texts from arguments or standard input, one line of sentiment for each."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from unicodedata import east_asian_width

import pytest

from tests.cli.helpers import CPU, command, failed


@pytest.fixture
def predict(cli, tiny_model):
    """Runs `predict` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("predict", "-m", tiny_model, *CPU, *arguments, **options)


def objects(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.removesuffix("\n").split("\n")]  # U+0085 ends no line


def test_a_text_gives_its_score_label_and_itself(predict, tiny_model):
    result = predict("the film was great")
    score, label, text = result.stdout.split(maxsplit=2)
    assert label in {"negative", "positive"}
    assert 0.5 <= float(score) <= 1
    assert text == "the film was great\n"
    assert f"model: {tiny_model} (as named)" in result.stderr


def test_json_gives_an_object_a_line_with_all_probabilities(predict):
    (one,) = objects(predict("the film was great", "--json"))
    assert set(one) == {"text", "sentiment", "sentiment_score", "probabilities"}
    assert set(one["probabilities"]) == {"negative", "positive"}
    assert one["sentiment_score"] == one["probabilities"][one["sentiment"]] == max(one["probabilities"].values())
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=2e-4)


def test_arguments_come_out_in_order_repeated_and_blank_ones_too(predict):
    texts = ["great", "", "awful", "great", "  "]
    found = objects(predict(*texts, "--json"))
    assert [one["text"] for one in found] == texts
    assert found[0] == found[3]
    assert [one["sentiment"] is None for one in found] == [False, True, False, False, True]
    assert found[1] == {"text": "", "sentiment": None, "sentiment_score": None, "probabilities": None}
    assert "(no text)" in predict("").stdout


def test_a_text_that_looks_like_an_option_comes_after_two_dashes(predict):
    assert objects(predict("--json", "--", "--great"))[0]["text"] == "--great"


def test_only_a_line_feed_ends_a_text_of_standard_input(predict):
    data = "great\r\nawful\x85still awful\u2028more\n\n\fslow\nno line feed at the end".encode()
    texts = [one["text"] for one in objects(predict("--json", input=data))]
    assert texts == ["great", "awful\x85still awful\u2028more", "", "\fslow", "no line feed at the end"]


def test_no_lines_give_no_output(predict):
    assert predict("--json", input=b"").stdout == ""


def test_more_lines_than_fit_at_once_come_out_in_order(predict):
    texts = [f"film {n}" for n in range(2_500)]
    assert [one["text"] for one in objects(predict("--json", "--quiet", input="\n".join(texts)))] == texts


def test_a_dash_reads_standard_input(predict):
    assert [one["text"] for one in objects(predict("--json", "-", input=b"great\nreviews.csv\n"))] == [
        "great",
        "reviews.csv",
    ]


@pytest.mark.parametrize("word", ["reviews.csv", "data/2024.PARQUET", "*.jsonl.gz", "shop.db", "notes.txt"])
def test_a_word_that_ends_like_a_table_is_a_question(predict, word):
    result = predict("great", word)
    quoted = shlex.quote(word)
    assert result.exit_code == 2
    message = result.stderr.splitlines()[-1]
    assert f"{word} looks like the name of a file, not a text" in message
    for way in (
        f"sentiment-batch score {quoted} OUT",
        f"predict - < {quoted}",
        f"echo {quoted} | sentiment-batch predict -",
    ):
        assert way in message
    assert result.stdout == ""


def test_a_file_is_a_question_and_a_sentence_is_not(predict, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("notes.log", "great", "a.b c"):
        (tmp_path / name).write_text("great\n")
    assert predict("notes.log").stderr.startswith("Error: notes.log is a file, not a text")
    texts = ["great", "I read reviews.csv", "so good...", "wow.cool", "3.5/5"]
    assert [one["text"] for one in objects(predict(*texts, "--json"))] == texts


def test_a_line_that_is_not_utf8_is_named(predict):
    result = predict("--json", input=b"great\n\xff\xfe\n")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: line 2 of standard input is not UTF-8")
    assert "Traceback" not in result.stderr


def test_an_argument_that_is_not_utf8_is_named(predict):
    failed(predict("great", "film \udcff"), "text 2 is not UTF-8")


def test_a_byte_order_mark_is_no_part_of_the_first_line(predict):
    found = objects(predict("--json", input=b"\xef\xbb\xbfgreat\n\xef\xbb\xbfgreat\n"))
    assert [one["text"] for one in found] == ["great", "\ufeffgreat"]


MANY_RUNS = """
import sys
from sentiment_batch.cli import main

for encoding in (None, "ascii", "utf-8"):
    for form in ([], ["--json"]):
        if encoding:
            sys.stdout = open(encoding + "".join(form), "w", encoding=encoding)
        sys.argv = ["sentiment-batch", *sys.argv[1:9], *form]
        try:
            main()
        except SystemExit as end:
            assert not end.code
        sys.stdout.flush()
"""


def test_what_goes_into_a_file_is_utf_8_whatever_the_code_page(tiny_model, tmp_path):
    assert len(CPU) == 4
    run = subprocess.run(
        [sys.executable, "-c", MANY_RUNS, "predict", "great 😀 é", "-m", str(tiny_model), *CPU],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        cwd=tmp_path,
        capture_output=True,
    )
    assert run.returncode == 0, run.stderr.decode("utf-8")
    assert run.stdout.decode("utf-8").count("great 😀 é") == 2
    for name in ("ascii", "ascii--json", "utf-8", "utf-8--json"):
        assert "great 😀 é" in (tmp_path / name).read_text(encoding="utf-8"), name


def test_wide_characters_take_two_columns(predict, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    for text in ("电影" * 50, "film " * 50):
        (line,) = predict(text, "--labels", "坏,很好").stdout.splitlines()
        assert 45 < sum(2 if east_asian_width(one) == "W" else 1 for one in line) <= 50


def test_a_long_text_is_shortened_for_people_only(predict):
    text = "great " * 200
    assert predict(text).stdout.endswith("…\n")
    assert objects(predict(text, "--json"))[0]["text"] == text


def test_line_breaks_do_not_break_the_table(predict):
    assert predict("great\nfilm\r\nof all").stdout.count("\n") == 1


def test_labels_can_be_named(predict):
    assert objects(predict("great", "--json", "--labels", "bad, good"))[0]["sentiment"] in {"bad", "good"}


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["-m", "./nowhere"], 1, "no model folder is at"),
        (["--batch-tokens", "x"], 2, "--batch-tokens"),
        (["--max-length", "1"], 2, "--max-length is 1"),
        (["--labels", "a"], 2, "needs 2 different ones"),
        (["--dtype", "int4"], 2, "--dtype"),
    ],
)
def test_a_mistake_is_one_line(predict, arguments, code, part):
    failed(predict("great", *arguments), part, code=code)


def test_no_text_on_a_terminal_is_wrong_usage(predict, monkeypatch):
    from click import testing

    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda self: True, raising=False)
    failed(predict(), "there is no text", code=2)


def test_a_reader_that_leaves_early_is_no_error(tiny_model):
    run = command("predict", "-m", tiny_model, *CPU, "--quiet", "--json")
    run.stdout.close()
    _, err = run.communicate(b"great film\n" * 20_000, timeout=120)
    assert (run.returncode, err) == (141, b"")


@pytest.mark.parametrize("command_name", ["predict", "explain"])
def test_a_full_standard_output_is_one_line(tiny_model, command_name):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "sentiment_batch", command_name, "a good film", "-m", str(tiny_model), *CPU],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("Error: standard output cannot be written: the disk is full")
    assert "Traceback" not in run.stderr
