"""`sentiment-batch explain`: texts in, the words that weigh in their labels out: for people, as JSON, as a page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from sentiment_batch.cli import highlight
from sentiment_batch.cli.highlight import highlight_text
from sentiment_batch.explanation.words import Explanation, Word
from sentiment_batch.report.words import render_explanation_page
from tests.cli.helpers import CPU, command, failed


@pytest.fixture
def explain(cli, tiny_model):
    """Runs `explain` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("explain", "-m", tiny_model, *CPU, *arguments, **options)


def objects(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.removesuffix("\n").split("\n")]


def explanation(*words, label="positive", score=0.75):
    words = tuple(Word(*word) for word in words)
    return Explanation(
        text="".join(word.text for word in words), label=label, score=score, probabilities={}, words=words
    )


def test_a_text_gives_its_label_itself_and_the_words_that_weigh(explain, tiny_model):
    result = explain("the film was great")
    head, text, supporting, opposing, end = result.stdout.split("\n")[:5]
    score, label = head.split()
    assert label in {"negative", "positive"}
    assert 0.5 <= float(score) <= 1
    assert re.sub(r"[+-]", "", text) == "the film was great"
    assert supporting.startswith("     for: ")
    assert opposing.startswith(" against: ")
    assert re.search(r" [+-]1\.00", supporting + opposing)
    assert end == ""
    assert f"model: {tiny_model} (as named)" in result.stderr
    assert "\x1b" not in result.stdout


TEXTS = ["the film was great", "", "bad\nfilm <br /> 電影 😀 [SEP]", "the film was great", "great " * 300]


def test_json_gives_what_predict_gives_and_the_words(explain, cli, tiny_model):
    found = objects(explain("--json", "--top", 2, *TEXTS))
    predicted = objects(cli("predict", "-m", tiny_model, *CPU, "--json", *TEXTS))
    for one, other in zip(found, predicted, strict=True):
        assert {name: one[name] for name in other} == other
        assert "".join(text for text, _ in one["words"]) == one["text"]
        assert max(len(one["for"]), len(one["against"])) <= 2
        weights = [abs(weight) for _, weight in one["words"] if weight is not None]
        assert max(weights, default=None) == (1.0 if one["text"] else None)
    assert found[0] == found[3]
    assert any(weight is None for _, weight in found[4]["words"])


def test_lines_of_standard_input_come_out_in_order(explain):
    data = "great\r\nawful\x85still awful\u2028more\n\nslow\nno line feed at the end".encode()
    texts = [one["text"] for one in objects(explain("--json", input=data))]
    assert texts == ["great", "awful\x85still awful\u2028more", "", "slow", "no line feed at the end"]
    many = [f"film {n}" for n in range(100)]
    assert [one["text"] for one in objects(explain("--json", "--quiet", input="\n".join(many)))] == many


def test_what_was_cut_is_named_and_elided(explain):
    shown = explain("the film was great " * 500).stdout
    assert "[not seen: " in shown
    assert "characters …]" in shown
    assert len(shown) < 3_000


def test_control_characters_do_not_reach_the_terminal(explain):
    result = explain("great \x1b[31mred\x07\x9b31m \u202edlrow", "\x1b[0m")
    assert result.exit_code == 0
    assert {"\x1b", "\x07", "\x9b", "\u202e"} & set(result.stdout) == set()
    assert "\\x1b" in result.stdout


@pytest.mark.parametrize("text", ["", "  \n ", "N/A", "None"])
def test_a_text_that_gets_no_score_has_no_label_and_no_weights(explain, text):
    assert "(no text)" in explain(text).stdout
    (one,) = objects(explain("--json", "--", text))
    assert (one["sentiment"], one["for"], one["against"]) == (None, [], [])
    assert all(weight is None for _, weight in one["words"])
    assert "".join(piece for piece, _ in one["words"]) == text


def test_marks_show_strength_and_sign_without_colours():
    one = explanation(("great", 1.0), (" ", 0.0), ("fine", 0.2), (" \n", 0.0), ("dull", -0.5), (" rest", None))
    text = highlight_text(one, 5, colours=False)
    assert "+++great+++ +fine+ --dull-- [not seen: rest]" in text
    assert "     for: great +1.00, fine +0.20\n against: dull -0.50\n" in text
    assert " against: nothing\n" in highlight_text(explanation(("great", 1.0)), 5, colours=False)


def test_where_no_words_are_asked_for_none_are_named():
    one = explanation(("great", 1.0))
    assert highlight_text(one, 0, colours=False) == "  0.7500  positive\n+++great+++\n"
    article = render_explanation_page([one], "a model", 0).partition("<article>")[2].partition("</article>")[0]
    assert "great" in article
    assert "<dl>" not in article
    assert "nothing" not in article


def test_colours_come_with_underlines_for_the_sign_and_bold():
    one = explanation(("great", 1.0), (" ", 0.0), ("dull", -0.2), (" rest", None), label="\x1b[1mbad\n")
    text = highlight_text(one, 5, colours=True)
    assert "\x1b[1;30;46mgreat\x1b[0m \x1b[4;33mdull\x1b[0m \x1b[2m[rest]\x1b[0m" in text
    assert all("4" in codes.split(";") for codes in highlight.STYLES_AGAINST)
    assert not any("4" in codes.split(";") for codes in highlight.STYLES_FOR)
    assert text.startswith("  0.7500  \\x1b[1mbad\n")


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_does_not_mind(terminal, environment, expected, monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert highlight.wants_colours() == expected


def test_on_a_terminal_words_are_coloured(tiny_model):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "sentiment_batch", "explain", "-m", str(tiny_model), *CPU, "--quiet", "great film"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": ""},
    )
    os.close(theirs)
    assert run.communicate(timeout=120)[1] == b""
    shown = os.read(ours, 10_000)
    os.close(ours)
    assert re.search(rb"\x1b\[[\d;]+m(great|film)\x1b\[0m", shown)


def test_a_page_is_written_whole_beside_the_text(explain, tmp_path):
    page = tmp_path / "page.html"
    result = explain("the film was great", "<script>", "--html", page)
    assert result.exit_code == 0
    assert "great" in result.stdout
    assert f"page: {page}" in result.stderr
    written = page.read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>")
    assert written.count("<article>") == 2
    assert "<script>" not in written
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_on_standard_output_is_nothing_but_the_page(explain):
    result = explain("great", "--html", "-")
    assert result.stdout.startswith("<!DOCTYPE html>")
    assert result.stdout.rstrip().endswith("</html>")
    failed(explain("great", "--html", "-", "--json"), "would both go to standard output", code=2)


def test_a_page_is_never_written_over_another_file_unasked(explain, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    failed(explain("great", "--html", page), "exists already", "--overwrite")
    failed(explain("great", "--html", page, "--overwrite"), "is not a page of this program")
    assert page.read_text() == "mine"
    page.write_text("<!doctype html>mine")
    assert explain("great", "--html", page, "--overwrite").exit_code == 0
    assert "great" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["-m", "./nowhere"], 1, "no model folder is at"),
        (["--html", "/nowhere/page.html"], 1, "there is no folder /nowhere"),
        (["--html", "/"], 1, "is a folder"),
        (["--top", "-1"], 2, "--top"),
        (["--max-length", "1"], 2, "--max-length is 1"),
        (["--labels", "a"], 2, "needs 2 different ones"),
    ],
)
def test_a_mistake_is_one_line(explain, arguments, code, part):
    failed(explain("great", *arguments), part, code=code)


def test_what_fails_in_the_middle_leaves_no_page(explain, tmp_path):
    result = explain("--html", tmp_path / "page.html", "--json", input=b"great\n\xff\xfe\n")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: line 2 of standard input is not UTF-8")
    assert list(tmp_path.iterdir()) == []


def test_a_page_shows_only_so_many_texts(explain, tmp_path, monkeypatch):
    from sentiment_batch.cli import explain as door

    module = sys.modules["sentiment_batch.cli.explain"]
    assert door is not module
    monkeypatch.setattr(module, "MAX_TEXTS_ON_PAGE", 3)
    result = explain(*["great"] * 5, "--html", tmp_path / "page.html", "--json")
    assert len(objects(result)) == 5
    assert "warning: the page shows the first 3 texts" in result.stderr
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<article>") == 3


def test_no_text_on_a_terminal_is_wrong_usage(explain, monkeypatch):
    from click import testing

    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda self: True, raising=False)
    failed(explain(), "there is no text", code=2)


def test_empty_standard_input_fails_before_a_model_is_sought(cli, tmp_path):
    result = cli("explain", "--model", tmp_path / "none", input="")
    failed(result, "standard input holds no text. Pipe one text per line into it")


def test_a_reader_that_leaves_early_is_no_error(tiny_model, tmp_path):
    page = tmp_path / "page.html"
    run = command("explain", "-m", tiny_model, *CPU, "--quiet", "--json", "--html", page)
    run.stdout.close()
    _, err = run.communicate(b"great film\n" * 2_000, timeout=120)
    assert (run.returncode, err) == (141, b"")
    assert list(tmp_path.iterdir()) == []
