"""Figures fit a terminal of 80 columns, and nothing in a table steers it."""

from __future__ import annotations

import numpy as np
import pytest

from sentiment_batch.evaluation import terminal
from sentiment_batch.evaluation.metrics import measure
from tests.terminal_lines import check_lines, width

ODD = ["\x1b[31mred", "line\nbreak", "<b>&", "\u202eevil", "評価が高い" * 10, "x" * 300, "e\u0301" * 60]


def measured(labels, rows: int = 500, scale: int = 1):
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.ones(len(labels)), rows)
    return measure(
        np.repeat(probabilities, scale, 0), np.repeat(generator.integers(len(labels), size=rows), scale), labels
    )


@pytest.mark.parametrize("columns", [60, 80, 130])
@pytest.mark.parametrize("classes", [2, 3, 5, 8, 28, 120])
def test_tables_of_any_number_of_classes_fit(classes, columns):
    table = terminal.format_metrics(measured([f"a class of the number {k}" for k in range(classes)], 2_000), columns)
    check_lines(table, columns)
    assert ("true / predicted" in table) == (classes <= {60: 5, 80: 8, 130: 8}[columns])


def test_long_labels_are_numbered_above_the_matrix():
    lines = terminal.format_confusion(
        measured([f"a class of the number {k} of all that there are" for k in range(4)])
    ).split("\n")
    assert lines[0].split() == ["true", "/", "predicted", "1", "2", "3", "4"]
    assert lines[3].startswith("3 a class of the number 2 of")


def test_odd_labels_stand_in_their_columns():
    one = measured(ODD)
    check_lines(terminal.format_metrics(one))
    lines = terminal.format_classes(one).split("\n")
    assert len({width(line) for line in lines}) == 1
    assert len({width(line) for line in terminal.format_confusion(one).split("\n")}) == 1


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    codes = np.repeat(np.arange(20), 10)
    taken = codes.copy()
    taken[30:37] = 5
    one = measure(np.eye(20)[taken], codes, [f"l{k}" for k in range(20)])
    head, line = terminal.format_confusion(one).split("\n")
    assert " ".join(head.split()) == "true most often taken for rows of its class"
    assert line.split() == ["l3", "l5", "7", "70.0", "%"]
    assert len(head) == len(line)
    right = measure(np.eye(20)[codes], codes, [f"l{k}" for k in range(20)])
    assert terminal.format_confusion(right) == "no row is taken for another class"


def test_of_very_many_classes_those_of_most_rows_are_shown():
    codes = np.concatenate([np.arange(200), np.full(9, 150)])
    one = measure(np.eye(200)[codes], codes, [f"l{k}" for k in range(200)])
    lines = terminal.format_classes(one).split("\n")
    assert len(lines) == 1 + terminal.MAX_TABLE_CLASSES + 1
    assert any(line.startswith("l150 ") for line in lines)
    assert lines[-1] == "and 150 classes of fewer rows"


def test_a_count_is_never_cut():
    table = terminal.format_confusion(measured(["a", "b", "c", "d", "e", "f"], 400, 5_000))
    check_lines(table)
    numbers = [int(word.replace(",", "")) for word in table.split() if word[0].isdigit()]
    assert sum(numbers) == 2_000_000


@pytest.mark.parametrize("columns", [60, 72, 80, 130])
def test_groups_and_cases_fit(columns):
    group = {"rows": 12_345, "accuracy": 0.5, "interval": [0.4, 0.6], "macro_f1": 0.5, "calibration_error": 0.1}
    for more in ({}, {"cut": 3}):
        groups = [group | {"group": name} | more for name in (*ODD, "over 512 tokens")]
        table = terminal.format_slices("a \x1bcolumn", groups, columns)
        check_lines(table, columns)
        assert "95 % interval" in table
        assert ("ECE" in table) == (columns >= 80 - 9 * (not more))
    case = {"row": 1_234_567, "label": ODD[0], "predicted": ODD[4], "suggested": ODD[5], "score": 0.5}
    for text in (*ODD, "a\r\n\x07b" * 50, "\ud800"):
        check_lines(terminal.format_errors([case | {"text": text}], columns), columns)
        check_lines(terminal.format_likely_wrong_labels([case | {"text": text}], columns), columns)
    assert "row" not in terminal.format_errors([case | {"text": "good", "row": None}])


def test_a_figure_that_there_is_not_is_a_dash():
    names = dict.fromkeys(terminal.METRICS, 0.5)
    intervals = {name: None if name == "roc_auc" else [0.4, 0.6] for name in names}
    lines = terminal.format_figures(names | {"roc_auc": None}, intervals).split("\n")
    assert lines[3].split() == ["ROC", "AUC", "-", "-"]
    assert lines[0].split() == ["accuracy", "0.5000", "[0.4000,", "0.6000]"]
