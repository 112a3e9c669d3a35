"""`sentiment-batch summary`: the shares of a scored table, as text, JSON and tables, and its gates."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from tests.cli.helpers import failed


@pytest.fixture
def summary(cli, scored):
    """Runs `summary` on the scored table."""
    return lambda *arguments: cli("summary", scored / "out.csv", *arguments)


def printed(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_text_shows_shares_groups_periods_and_the_assumption(summary):
    result = summary("--by", "product", "--over", "date", "--every", "quarter")
    assert result.exit_code == 0, result.stderr
    for part in (
        "out.csv: 120 rows, 0 of them without a text",
        "the model is unsure of",
        "below 0.7",
        "Corrected shares are right if texts of each true label are mistaken as often as in the rows that the model",
        "(from the manifest)",
        "quarters of date, by the time as it is written",
        "2026-Q1",
        "by product",
        "product 2",
    ):
        assert part in result.stdout


def test_quiet_prints_the_shares_and_nothing_else(summary):
    quiet = summary("--quiet")
    assert quiet.stdout == summary().stdout
    assert "positive" in quiet.stdout
    assert quiet.stderr == ""


def test_the_manifest_gives_what_the_model_gives(summary, scored):
    by_manifest, by_model = printed(summary("--json")), printed(summary("--json", "-m", scored / "model"))
    assert by_manifest.pop("model") == "the manifest"
    assert by_model.pop("model").startswith("the model ")
    assert by_manifest["input"]["assumed"] == ["delimiter", "encoding", "header"]
    assert by_manifest == by_model
    assert by_manifest["shares"]["negative"]["corrected"] is not None
    meta = json.loads((scored / "model" / "sentiment_batch.json").read_text())
    manifest = json.loads((scored / "out.csv.manifest.json").read_text())["content"]
    assert manifest["confusion"] == meta["metrics"]["validation"]["confusion"]
    assert manifest["sentiment_column"] == "sentiment"


def test_a_table_without_a_manifest_has_plain_shares(cli, scored, tmp_path):
    shutil.copy(scored / "out.csv", tmp_path / "copy.csv")
    result = cli("summary", tmp_path / "copy.csv")
    assert "No corrected shares: the errors of the model are not known. Name the model with --model." in result.stdout
    assert printed(cli("summary", tmp_path / "copy.csv", "--json"))["shares"]["negative"]["corrected"] is None


def test_a_folder_of_parts_finds_its_manifest(cli, scored, tmp_path):
    job = ("--device", "cpu", "--dtype", "float32", "--part-rows", 50, "--prefix", "mood", "--quiet")
    assert cli("score", scored / "in.csv", f"{tmp_path}/out.parquet/", "-m", scored / "model", *job).exit_code == 0
    found = printed(cli("summary", tmp_path / "out.parquet", "--json"))
    assert (found["rows"], found["label_column"], found["model"]) == (120, "mood", "the manifest")


def test_the_table_has_a_row_for_each_part_and_label(summary, tmp_path):
    found = printed(summary("--by", "product", "--over", "date", "--json", "--output", tmp_path / "shares.csv"))
    with (tmp_path / "shares.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows].count("all") == 2
    assert len(rows) == 2 * (1 + 4 + 3 + 12)
    for row, label in zip(rows[:2], ("negative", "positive"), strict=True):
        assert row["label"] == label
        for name, value in found["shares"][label].items():
            assert float(row[name]) == pytest.approx(value)
    one = next(row for row in rows if row["part"] == "group and period" and row["product"] == "product 1")
    assert one["period"] == "2026-01"


def test_the_report_is_a_page_and_replaces_nothing_else(summary, scored, tmp_path):
    page = tmp_path / "shares.html"
    assert summary("--by", "product", "--over", "date", "--report", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!")
    assert "Share of each label over time" in text
    assert f"--report {page}" in text
    failed(summary("--report", page), "exists already")
    failed(summary("--report", scored / "out.csv", "--overwrite"), "is not a page of this program")
    failed(summary("--report", "-"), "Name a file with --report", code=2)


def test_the_table_never_replaces_the_scored_one(summary, scored):
    before = (scored / "out.csv").read_bytes()
    failed(summary("--output", scored / "out.csv", "--overwrite"), "need a file of their own", code=2)
    assert (scored / "out.csv").read_bytes() == before


def test_a_table_of_no_known_format_is_refused_with_its_cure(summary, tmp_path):
    result = summary("--output", tmp_path / "s.xyz")
    failed(result, "does not show the format of the table. Let it end as `sentiment-batch formats` shows", code=2)
    assert "output_format" not in result.stderr


def test_a_gate_that_holds_ends_with_3_after_all_is_written(summary, tmp_path):
    result = summary(
        "--json", "--quiet", "--output", tmp_path / "s.csv", "--fail-if", "rows > 100", "--fail-if", "rows>1e6"
    )
    assert result.exit_code == 3
    assert result.stderr == "Error: 'rows > 100' holds: it is 120. All results were written.\n"
    gates = json.loads(result.stdout)["gates"]
    assert gates == [
        {"condition": "rows > 100", "value": 120, "failed": True},
        {"condition": "rows>1e6", "value": 120, "failed": False},
    ]
    assert (tmp_path / "s.csv").exists()


@pytest.mark.parametrize(
    "figure", ["share(negative)", "corrected(positive)", "mean_score", "no_text", "unsure", "unlike"]
)
def test_each_figure_can_be_a_gate(summary, figure):
    assert summary("--quiet", "--fail-if", f"{figure} >= 0").exit_code == 3
    assert summary("--quiet", "--fail-if", f"{figure} > 1").exit_code == 0


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("share(negativ) > 0.3", "no label is called 'negativ'"),
        ("unlik > 0.3", "Did you mean 'unlike'?"),
        ("share > 0.3", "needs a label"),
    ],
)
def test_a_gate_that_cannot_be_computed_ends_with_2(summary, condition, part):
    failed(summary("--fail-if", condition), "--fail-if", part, code=2)


def test_gates_of_a_manifest_need_one(cli, scored, tmp_path):
    shutil.copy(scored / "out.csv", tmp_path / "copy.csv")
    for figure in ("unlike", "expected_accuracy", "corrected(negative)"):
        result = cli("summary", tmp_path / "copy.csv", "--fail-if", f"{figure} > 0")
        failed(result, "--fail-if", "cannot be computed", code=2)


def test_a_table_that_was_changed_since_says_so(cli, scored, tmp_path):
    for name in ("out.csv", "out.csv.manifest.json"):
        shutil.copy(scored / name, tmp_path / name)
    lines = (tmp_path / "out.csv").read_text().splitlines(keepends=True)
    (tmp_path / "out.csv").write_text("".join(lines[:50]))
    result = cli("summary", tmp_path / "out.csv")
    assert "the manifest is about 120 rows, so the table was changed since" in result.stdout
    result = cli("summary", tmp_path / "out.csv", "--quiet", "--fail-if", "unlike > 0.1")
    failed(result, "changed since it was scored", code=2)


def copy_scored(scored, folder, change):
    """The scored table with its manifest, changed as in another program."""
    for name in ("out.csv", "out.csv.manifest.json"):
        shutil.copy(scored / name, folder / name)
    text = (folder / "out.csv").read_text()
    (folder / "out.csv").write_text(change(text))
    return folder / "out.csv"


def test_an_edited_table_of_the_same_length_says_so(cli, scored, tmp_path):
    edited = copy_scored(
        scored, tmp_path, lambda text: text.replace("positive", "negative", 1).replace("the ", "a ", 5)
    )
    result = cli("summary", edited)
    assert "another size than the manifest says, so the table was changed since it was scored" in result.stdout
    assert "look unlike" not in result.stdout
    assert printed(cli("summary", edited, "--json", "--quiet"))["unlike"] is None


def test_labels_in_another_case_are_those_of_the_model(cli, scored, tmp_path):
    plain = printed(cli("summary", scored / "out.csv", "--json", "--quiet"))["shares"]
    capital = copy_scored(scored, tmp_path, lambda text: text.replace(",positive,", ",Positive,"))
    result = cli("summary", capital, "--json", "--quiet")
    assert printed(result)["shares"] == plain
    assert (
        result.stderr == "warning: the label 'Positive' in the table is counted as the label 'positive' of the model\n"
    )


def test_a_column_that_is_missing_is_one_line(summary):
    failed(summary("--by", "products"), "no column 'products'; did you mean 'product'?", "--by")
    failed(summary("--over", "product"), "is no date in a known form", "--date-format")


def test_a_period_needs_its_column_only_where_it_is_typed(summary, monkeypatch):
    failed(summary("--every", "week"), "--every is for the column of dates", "--over", code=2)
    monkeypatch.setenv("SENTIMENT_BATCH_SUMMARY_EVERY", "week")
    assert summary().exit_code == 0
