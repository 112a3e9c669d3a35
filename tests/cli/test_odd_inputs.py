"""Inputs that are easily misread: JSON that is not lines, archives, texts in objects, and words for nothing."""

from __future__ import annotations

import csv
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.helpers import CPU, failed

TEXTS = ["the film was great", "boring and dull"]


@pytest.fixture
def score(cli, tiny_model):
    """Runs `score` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("score", "-m", tiny_model, *CPU, *arguments, **options)


@pytest.fixture
def labels(score, tmp_path):
    """The labels that `score` gives to the rows of a file, None for none, and what it prints on standard error."""

    def labels(name: str, data: bytes, *options: str) -> tuple[list[str | None], str]:
        (tmp_path / name).write_bytes(data)
        result = score(tmp_path / name, tmp_path / "out.csv", "--overwrite", *options)
        assert result.exit_code == 0, result.stderr
        with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
            return [row["sentiment"] or None for row in csv.DictReader(file)], result.stderr

    return labels


def as_lines(values: list) -> bytes:
    return "".join(json.dumps({"text": value}) + "\n" for value in values).encode()


def test_the_same_rows_have_the_same_labels_in_every_layout(labels, tmp_path):
    expected, _ = labels("a.jsonl", as_lines(TEXTS))
    rows = [{"text": text} for text in TEXTS]
    layouts = {
        "array.json": json.dumps(rows).encode(),
        "pretty.json": json.dumps(rows, indent=2).encode("utf-16"),
        "objects.json": "\n".join(json.dumps(row, indent=2) for row in rows).encode(),
    }
    for name, data in layouts.items():
        assert labels(name, data)[0] == expected
    with zipfile.ZipFile(tmp_path / "reviews.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reviews.csv", "id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(TEXTS)))
    assert labels("reviews.zip", (tmp_path / "reviews.zip").read_bytes())[0] == expected
    nested = "".join(json.dumps({"n": 1, "review": {"text": text}}) + "\n" for text in TEXTS).encode()
    assert labels("nested.jsonl", nested, "--text-column", "review.text")[0] == expected


def test_nan_and_words_for_nothing_get_no_label(labels):
    found, errors = labels("a.jsonl", b'{"text": "great"}\n{"text": NaN}\n{"text": "NULL"}\n{"text": "\\u200b"}\n')
    assert [label is None for label in found] == [False, True, True, True]
    assert "words for a missing value count as no text: 'NULL' (1)" in " ".join(errors.split())


def test_the_question_for_a_text_in_an_object_names_the_option(score, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"n": 1, "review": {"text": "great"}}\n')
    message = failed(score(tmp_path / "a.jsonl", tmp_path / "out.csv"))
    assert "Name it with --text-column review.text; the columns are 'n', 'review'." in message
    assert not (tmp_path / "out.csv").exists()


def test_mixed_values_with_nan_stay_valid_json(score, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good", "v": 1}\n{"text": "bad", "v": [NaN, -Infinity]}\n')
    assert score(tmp_path / "a.jsonl", tmp_path / "out.jsonl").exit_code == 0
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["v"] for row in rows] == [1, [None, None]]


def test_an_archive_is_never_written(score, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,good\n")
    message = failed(score(tmp_path / "a.csv", tmp_path / "out.csv.zip"), code=2)
    assert "ZIP archives are only read. Use .gz in place of .zip." in message


def test_bad_values_in_columns_that_are_not_needed_stop_no_run(score, tmp_path):
    bad = pa.array([b"caf\xe9", b"x"]).view(pa.string())
    pq.write_table(pa.table({"id": [1, 2], "text": TEXTS, "other": bad}), tmp_path / "a.parquet")
    assert "column 'other', row 0" in failed(score(tmp_path / "a.parquet", tmp_path / "out.csv"))
    assert score(tmp_path / "a.parquet", tmp_path / "out.csv", "--columns", "id").exit_code == 0
    assert (tmp_path / "out.csv").read_text().startswith("id,sentiment,sentiment_score\n1,")
