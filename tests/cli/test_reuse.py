"""`score --reuse OLD` says what it took over, and its messages speak of options."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.helpers import CPU, failed


@pytest.fixture
def place(scored, tmp_path):
    """A folder with a table, its output and the manifest of that."""
    for name in ("in.csv", "out.csv", "out.csv.manifest.json"):
        shutil.copy(scored / name, tmp_path / name)
    return tmp_path


def test_a_table_with_new_rows_takes_over_the_others(cli, place, scored):
    with (place / "in.csv").open("a") as file:
        file.write("a film that nobody saw before,positive,product 1,2026-05-15\n")
    given = (place / "in.csv", place / "new.csv", "-m", scored / "model", *CPU)
    result = cli("score", *given, "--reuse", place / "out.csv", "--json")
    assert result.exit_code == 0, result.output
    counts = json.loads(result.stdout)
    assert (counts["rows"], counts["rows_reused"], counts["rows_resumed"]) == (121, 120, 0)
    assert "out.csv: 120 rows with 120 different texts can be reused" in result.stderr.replace("\n", " ")
    assert "120 took over the scores of an earlier output" in result.stderr


def test_another_setting_is_named_as_its_option(cli, place, scored):
    given = (place / "in.csv", place / "new.csv", "-m", scored / "model", *CPU, "--reuse", place / "out.csv")
    failed(cli("score", *given, "--decimals", 3), "--reuse names", "--decimals was 4 and is 3", code=2)
    failed(cli("score", *given, "--deterministic"), "--deterministic was not given and is given", code=2)
    assert not (place / "new.csv").exists()


@pytest.mark.parametrize("condition", ["unlike > 20%", "expected_accuracy < 0.8"])
def test_a_condition_on_all_texts_is_refused_at_once(cli, place, scored, condition):
    given = (place / "in.csv", place / "new.csv", "-m", scored / "model", *CPU, "--reuse", place / "out.csv")
    failed(cli("score", *given, "--fail-if", condition), "with --reuse only new texts are compared", code=2)


def test_an_output_without_its_manifest_is_refused(cli, place, scored):
    (place / "out.csv.manifest.json").unlink()
    given = (place / "in.csv", place / "new.csv", "-m", scored / "model", *CPU, "--reuse", place / "out.csv")
    failed(cli("score", *given), "out.csv.manifest.json", "Without a manifest nothing can be checked")
