"""The history of a run: the log of its validations, and their table on a terminal."""

from __future__ import annotations

import csv
import io

import pytest

from sentiment_batch.training.checkpoint.history import format_history_table, format_training_log

ENTRY = {
    "epoch": 1.0,
    "step": 1_000,
    "training_loss": 0.5,
    "validation_loss": 0.4,
    "accuracy": 0.8,
    "macro_f1": 0.75,
    "best": True,
}


def test_the_log_is_a_csv_with_a_row_per_validation():
    rows = list(csv.DictReader(io.StringIO(format_training_log([ENTRY, ENTRY | {"epoch": 2.0, "best": False}]))))
    assert [row["epoch"] for row in rows] == ["1.0", "2.0"]
    assert list(rows[0]) == list(ENTRY)


def test_a_star_in_the_table_marks_the_saved_state():
    assert "calibrated" not in format_history_table([ENTRY])
    above, header, row, legend = format_history_table([ENTRY | {"calibrated_loss": 0.123456}]).splitlines()
    assert above.split() == ["training", "validation", "calibrated"]
    assert "0.1235" in row
    assert legend.startswith("* the best state")
    assert len(header) == len(row.removesuffix(" *"))
    entries = [ENTRY, ENTRY | {"step": 2_000, "validation_loss": 0.3}, ENTRY | {"step": 3_000, "best": False}]
    lines = format_history_table(entries).splitlines()[1:-1]
    assert [line.endswith(" *") for line in lines] == [False, False, True, False]
    assert lines[2].split() == ["1", "2,000", "0.5000", "0.3000", "0.8000", "0.7500", "*"]
    assert {line.index(end) + len(end) for line, end in zip(lines[:2], ("macro F1", "0.7500"), strict=True)} == {
        len(lines[0])
    }


@pytest.mark.parametrize("width", [60, 72, 80])
def test_the_table_of_the_history_fits_the_terminal(width):
    entry = ENTRY | {"calibrated_loss": 0.5, "step": 999_999}
    lines = format_history_table([entry], width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert ("calibrated" in lines[0]) == (width >= 72)
