"""`sentiment-batch evaluate`: how well a model does, as tables or as JSON, on standard output."""

from __future__ import annotations

import gzip
import json
import shutil

import pyarrow as pa
import pytest

from tests.cli.helpers import CPU, failed


@pytest.fixture
def evaluate(cli, tiny_model):
    """Runs `evaluate` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("evaluate", "-m", tiny_model, *CPU, *arguments, **options)


def test_the_figures_are_tables_on_standard_output(evaluate, reviews_csv, tiny_model):
    result = evaluate(reviews_csv)
    assert result.exit_code == 0, result.stderr
    for part in (
        "60 rows",
        "accuracy",
        "macro F1",
        "loss",
        "ROC AUC",
        "calibration error",
        "precision",
        "true / predicted",
        "length",
        "1-16 tokens",
        "The errors with the highest probability. Rows count from 0, without the header.",
        "row ",
    ):
        assert part in result.stdout
    assert f"model: {tiny_model} (as named)" in result.stderr
    assert "\n  label      label (assumed): negative, positive\n" in result.stderr


def test_json_is_one_object_of_the_same_numbers(evaluate, reviews_csv):
    result = evaluate(reviews_csv, "--json", "--quiet")
    assert result.stderr == ""
    measured = json.loads(result.stdout)
    assert {"rows", "accuracy", "intervals", "by_length", "errors", "likely_wrong_labels", "roc"} <= set(measured)
    assert measured["rows"] == sum(map(sum, measured["confusion"])) == 60
    hits = sum(row[place] for place, row in enumerate(measured["confusion"]))
    assert measured["accuracy"] == pytest.approx(hits / 60)
    assert f"{measured['accuracy']:.4f}" in evaluate(reviews_csv).stdout


def test_rows_are_counted_and_no_text_steers_the_terminal(evaluate, tmp_path):
    table = tmp_path / "odd.csv"
    table.write_text('text,label,shop\n,positive,a\n"a \x1b[31mgood film",negative,a\n"bad\nfilm",positive,\n')
    result = evaluate(table, "--by", "shop", "--json")
    measured = json.loads(result.stdout)
    cases = measured["errors"] + measured["likely_wrong_labels"]
    assert {case["row"] for case in cases} <= {1, 2}
    assert [(one["group"], one["rows"]) for one in measured["by"]["groups"]] == [("(empty)", 1), ("a", 1)]
    shown = evaluate(table, "--by", "shop").stdout
    assert "\x1b" not in shown
    assert "shop" in shown


def test_errors_are_as_many_as_asked_for(evaluate, reviews_csv):
    assert len(json.loads(evaluate(reviews_csv, "--json", "--errors", "3").stdout)["errors"]) <= 3
    none = evaluate(reviews_csv, "--errors", "0").stdout
    assert "surest" not in none


def test_a_report_is_one_page_with_the_errors_words(evaluate, reviews_csv, tmp_path):
    page = tmp_path / "report.html"
    result = evaluate(reviews_csv, "--report", page)
    assert result.exit_code == 0, result.stderr
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!")
    assert "reviews.csv" in text
    assert "<mark" in text
    assert "https:" not in text
    assert "http:" not in text
    failed(evaluate(reviews_csv, "--report", page), "--overwrite", code=1)
    assert evaluate(reviews_csv, "--report", page, "--overwrite").exit_code == 0
    assert page.read_text(encoding="utf-8") == text
    assert [one.name for one in tmp_path.glob("*report*")] == ["report.html"]


def test_a_report_never_takes_the_place_of_the_reviews(evaluate, reviews_csv, tmp_path):
    before = reviews_csv.read_bytes()
    copy = tmp_path / "copy.htm"
    copy.write_bytes(before)
    packed = tmp_path / "packed.html.gz"
    packed.write_bytes(gzip.compress(before))
    links = [tmp_path / "link", tmp_path / "link.html"]
    for link in links:
        link.symlink_to(reviews_csv)
    for report in (reviews_csv, copy, packed, *links, links[1].as_uri()):
        failed(evaluate(reviews_csv, "--report", report, "--overwrite"), "is not a page of this program", code=1)
    assert reviews_csv.read_bytes() == copy.read_bytes() == gzip.decompress(packed.read_bytes()) == before
    assert all(link.is_symlink() for link in links)


def test_a_report_takes_the_place_of_a_page_or_of_nothing(evaluate, reviews_csv, tmp_path):
    empty, other, packed = (tmp_path / name for name in ("page", "page.html", "page.html.gz"))
    empty.touch()
    other.write_text("\n\n <!DocType HTML><title>mine</title>")
    assert evaluate(reviews_csv, "--report", other, "--overwrite").exit_code == 0
    for _ in range(2):
        assert evaluate(reviews_csv, "--report", packed, "--overwrite").exit_code == 0
    assert gzip.decompress(packed.read_bytes()) == other.read_bytes()
    for _ in range(2):
        assert evaluate(reviews_csv, "--report", empty, "--overwrite").exit_code == 0
    assert empty.read_text(encoding="utf-8").startswith("<!")


def test_a_model_without_gradients_is_reported_without_words(evaluate, reviews_csv, tmp_path, monkeypatch):
    from sentiment_batch.errors import ModelError
    from sentiment_batch.explanation import attribution

    def refuse(*_):
        raise ModelError("it has no embeddings of words.")

    monkeypatch.setattr(attribution, "IntegratedGradients", refuse)
    page = tmp_path / "report.html"
    result = evaluate(reviews_csv, "--report", page, "--json")
    assert result.exit_code == 0, result.stderr
    assert "no weights of words, or not all of them: it has no embeddings" in result.stderr
    assert all(error["words"] is None for error in json.loads(result.stdout)["errors"])
    assert page.exists()


def test_the_json_has_words_only_with_a_report(evaluate, reviews_csv, tmp_path):
    for arguments, expected in ((["--report", tmp_path / "r.html"], True), ([], False)):
        errors = json.loads(evaluate(reviews_csv, "--json", *arguments).stdout)["errors"]
        assert errors
        for error in errors:
            assert (error["words"] is not None) == expected
            if expected:
                assert "".join(piece for piece, _ in error["words"]) == error["text"]


def test_what_is_printed_fits_80_columns(evaluate, tmp_path):
    rows = [f'"{"a long film " * (n + 1)}",{("positive", "negative")[n % 2]},{"shop " * 20}{n}' for n in range(40)]
    table = tmp_path / "long.csv"
    table.write_text("\n".join(["text,label,shop", *rows]))
    result = evaluate(table, "--by", "shop", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.split("\n"))) <= 80
    assert "20 other values" in result.stdout


def test_a_column_of_any_type_divides_the_rows(evaluate, tmp_path):
    days = pa.array([2**31 - 1, 5, None] * 2, pa.date32())
    lists = pa.array([[1], None, [1]] * 2)
    texts, labels = ["good film", "bad film"] * 3, ["positive", "negative"] * 3
    table = pa.table({"text": texts, "label": labels, "day": days, "tags": lists})
    path = tmp_path / "t.arrow"
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    for column, rows in (("day", [2, 2, 2]), ("tags", [4, 2]), ("label", [3, 3]), ("text", [3, 3])):
        measured = json.loads(evaluate(path, "--by", column, "--json").stdout)
        assert measured["by"]["column"] == column
        assert [group["rows"] for group in measured["by"]["groups"]] == rows


def test_a_report_that_cannot_be_written_fails_before_reading(evaluate, tmp_path):
    failed(evaluate(tmp_path / "nowhere.csv", "--report", tmp_path / "no" / "r.html"), "no", code=1)
    failed(evaluate(tmp_path / "nowhere.csv", "--report", "-"), "standard output", code=2)
    failed(evaluate(tmp_path / "nowhere.csv", "--report", ""), "an empty name", code=2)


def test_figures_outlive_a_page_that_cannot_be_written(evaluate, reviews_csv, tmp_path, monkeypatch):
    from sentiment_batch.cli import pages
    from sentiment_batch.errors import OutputError

    def full(publication, page):
        raise OutputError("the disk is full.")

    monkeypatch.setattr(pages, "write_page", full)
    result = evaluate(reviews_csv, "--report", tmp_path / "report.html", "--json")
    assert (result.exit_code, json.loads(result.stdout)["rows"]) == (1, 60)
    assert list(tmp_path.glob("*report*")) == []


def test_a_folder_of_csv_is_read_by_the_endings_of_its_files(evaluate, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\ngood,positive\nbad,negative\n")
    assert evaluate(folder).exit_code == 0
    failed(evaluate(folder, "--input-format", "parquet"), "a.csv is text, such as CSV; give --input-format csv.")


def test_mostly_unknown_labels_are_warned_of_even_when_quiet(evaluate, tmp_path):
    table = tmp_path / "odd.csv"
    table.write_text("text,label\na film,positive\n" + "a plot,bad\na scene,good\n" * 20)
    result = evaluate(table, "--quiet", "--json")
    counts = "40 with a label of no class ('bad' 20, 'good' 20)"
    assert result.stderr == f"warning: of 41 rows, the figures leave out {counts}\n"
    assert json.loads(result.stdout)["left_out"]["label_unknown_rows"] == 40
    assert "rows left out: 40 with a label of no class" in evaluate(table).stdout


def test_standard_input_is_a_dash(evaluate, reviews_csv):
    piped = evaluate("-", "--input-format", "csv", "--json", input=reviews_csv.read_text())
    assert piped.stdout == evaluate(reviews_csv, "--json").stdout.replace(json.dumps(str(reviews_csv)), '"-"')


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{in}", "--text-column", "x"], 1, "no column 'x'"),
        (["{in}", "--label-column", "x"], 1, "no column 'x'"),
        (["{in}", "--by", "x"], 1, "no column 'x'"),
        (["{in}", "--stars", "five"], 2, "--stars"),
        (["{in}", "--batch-tokens", "1.5"], 2, "--batch-tokens"),
        (["{in}", "-m", "./nowhere"], 1, "no model folder"),
        (["{in}", "--max-length", "3"], 2, "--max-length is 3"),
        (["{in}", "--input-format", "xml"], 2, "no format is called 'xml'"),
        (["{in}", "--label-column", "id"], 2, "--label-column"),
    ],
)
def test_a_mistake_is_one_line(evaluate, reviews_csv, tmp_path, arguments, code, part):
    failed(evaluate(*[word.format(**{"tmp": tmp_path, "in": reviews_csv}) for word in arguments]), part, code=code)


def test_a_setting_out_of_range_is_found_before_reading(evaluate, tmp_path):
    failed(evaluate(tmp_path / "nowhere.csv", "--max-length", "3"), "--max-length is 3", code=2)


def test_a_model_without_a_label_mapping_is_measured(cli, tiny_model, tmp_path, reviews_csv):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "sentiment_batch.json").write_text('{"labels": {}, "text": {"max_length": 32, "long_text": "head"}}')
    result = cli("evaluate", reviews_csv, "-m", folder, *CPU, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows"] == 60
