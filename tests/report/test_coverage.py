"""The figure of coverage against accuracy: what is left if a row is labelled only from some score on."""

from __future__ import annotations

import pytest

from sentiment_batch.report.coverage import build_coverage_figure

EDGES = [0.0, 0.25, 0.5, 0.75, 1.0]


def figure(correct, wrong):
    return build_coverage_figure("x", {"histogram": {"edges": EDGES, "correct": correct, "wrong": wrong}})


def test_rows_and_accuracy_are_counted_from_each_score_on():
    found = figure([0, 0, 30, 60], [0, 0, 8, 2])
    assert [list(row) for row in found.table.rows] == [
        ["50 %", "100", "100.0 %", "90.0 %"],
        ["75 %", "62", "62.0 %", "96.8 %"],
    ]


def test_the_finding_names_the_limit_that_halves_the_errors():
    finding = figure([0, 10, 30, 50], [0, 6, 3, 1]).finding
    assert finding.startswith("90.0 % of all rows are right. If only scores of at least 50 % give a label, 84.0 %")
    assert "95.2 % of these are right" in finding
    assert (
        "at least 75 % give a label, 50.0 % of the rows have one, and 80.0 %"
        in figure([0, 0, 40, 40], [0, 0, 10, 10]).finding
    )


@pytest.mark.parametrize(
    "histogram",
    [
        None,
        {},
        {"edges": EDGES, "correct": [0, 0, 0, 9], "wrong": [0, 0, 0, 1]},
        {"edges": EDGES, "correct": [0] * 4, "wrong": [0] * 4},
        {"edges": EDGES, "correct": [1, 2], "wrong": [0] * 4},
        {"edges": [0.0, None, 0.5, 0.75, 1.0], "correct": [1] * 4, "wrong": [0] * 4},
    ],
)
def test_there_is_no_figure_without_a_choice(histogram):
    assert build_coverage_figure("x", {"histogram": histogram}) is None


def test_a_model_that_is_always_right_loses_nothing():
    found = figure([0, 0, 50, 50], [0] * 4)
    assert "100.0 % of all rows are right" in found.finding
