"""`score` and `evaluate` with conditions: everything is written, then the exit code is 3; or it is 2 at once."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import CPU, failed


@pytest.fixture
def score(cli, scored, tmp_path):
    """Runs `score` with the trained model into out.csv."""
    return lambda *arguments: cli(
        "score", scored / "in.csv", tmp_path / "out.csv", "-m", scored / "model", *CPU, "--quiet", *arguments
    )


@pytest.mark.parametrize(
    "condition", ["share(positive) >= 0", "no_text < 1", "bad_rows == 0", "unlike<=1", "rows > 119"]
)
def test_score_publishes_everything_and_ends_with_3(score, condition, tmp_path):
    condition = condition.replace("==", "<=")
    result = score("--fail-if", condition, "--json")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"Error: {condition!r} holds: it is ")
    assert json.loads(result.stdout)["gates"][0]["failed"]
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 121
    assert (tmp_path / "out.csv.manifest.json").exists()


def test_a_gate_that_does_not_hold_changes_nothing(score):
    result = score("--fail-if", "expected_accuracy < 0.01", "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)["expected_accuracy"]
    assert json.loads(result.stdout)["gates"] == [
        {"condition": "expected_accuracy < 0.01", "value": value, "failed": value is None}
    ]


@pytest.mark.parametrize(
    ("condition", "arguments", "part"),
    [
        ("share(neutral) > 0.1", (), "no label is called 'neutral'; the labels are 'negative', 'positive'"),
        ("expected_accuracy < 0.9", ("--neutral-band", 0.6), "with --neutral-band no accuracy is expected"),
        ("unsure > 0.9", (), "The figures are share, no_text"),
    ],
)
def test_score_refuses_a_gate_before_anything_is_scored(score, condition, arguments, part, tmp_path):
    failed(score("--fail-if", condition, *arguments), part, code=2)
    assert list(tmp_path.iterdir()) == []


def test_conditions_in_the_environment_stand_on_lines(score, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_FAIL_IF", "rows > 1e6\nshare(negative) >= 0%\n")
    gates = json.loads(score("--json").stdout)["gates"]
    expected = [("rows > 1e6", False), ("share(negative) >= 0%", True)]
    assert [(one["condition"], one["failed"]) for one in gates] == expected


def test_neutral_can_be_a_gate_with_a_band(score):
    assert score("--neutral-band", 0.6, "--fail-if", "share(neutral) >= 0").exit_code == 3


def test_a_model_without_a_fingerprint_has_no_such_gates(cli, reviews_csv, tiny_model, tmp_path):
    for figure in ("unlike", "expected_accuracy"):
        result = cli(
            "score", reviews_csv, tmp_path / "o.csv", "-m", tiny_model, *CPU, "--quiet", "--fail-if", f"{figure}>0"
        )
        failed(result, "the model has no fingerprint of its training texts", code=2)
    result = cli("evaluate", reviews_csv, "-m", tiny_model, *CPU, "--quiet", "--fail-if", "unlike > 0")
    failed(result, "the model has no fingerprint of its training texts", code=2)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("figure", ["accuracy", "macro_f1", "loss", "roc_auc", "calibration_error", "rows"])
def test_evaluate_writes_everything_and_ends_with_3(cli, reviews_csv, tiny_model, tmp_path, figure):
    page = tmp_path / "page.html"
    run = ("evaluate", reviews_csv, "-m", tiny_model, *CPU, "--quiet", "--json", "--report", page, "--overwrite")
    result = cli(*run, "--fail-if", f"{figure} >= 0")
    assert result.exit_code == 3, result.stderr
    found = json.loads(result.stdout)
    assert found["gates"] == [{"condition": f"{figure} >= 0", "value": found[figure], "failed": True}]
    assert page.exists()
    assert cli(*run, "--fail-if", f"{figure} < 0").exit_code == 0
