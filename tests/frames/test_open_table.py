"""Tables that are opened from a file or a frame, and files that change while they are read."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from sentiment_batch import summarize
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.errors import InputError
from sentiment_batch.frames.open_table import open_table
from sentiment_batch.shares import run

ROWS = pd.DataFrame({"text": ["good", "bad"] * 40, "sentiment": ["positive", "negative"] * 40})
CHANGED = r"was changed while it was read\. Run this again when nobody writes to it\.$"


def append(path):
    with open(path, "ab") as file:
        file.write(b"fine,positive\n")


def replace(path):
    other = path.with_name("other")
    ROWS[::-1].to_csv(other, index=False)
    os.replace(other, path)


@pytest.mark.parametrize("change", [append, replace])
@pytest.mark.parametrize("place", ["reviews.csv", "folder/a.csv"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, place, change):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    ROWS.to_csv(path, index=False)
    source = path.parent if "/" in place else path

    def read_and_change():
        with open_table(source) as table:
            assert sum(batch.num_rows for batch in stream_batches(table.reader)) == len(ROWS)
            change(path)

    with pytest.raises(InputError, match=CHANGED):
        read_and_change()


def test_an_error_in_the_block_is_not_hidden_by_a_change(tmp_path):
    ROWS.to_csv(path := tmp_path / "reviews.csv", index=False)

    def change_and_fail():
        with open_table(path):
            append(path)
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        change_and_fail()


def test_a_summary_mixes_no_two_states_of_a_file(tmp_path, monkeypatch):
    ROWS.to_csv(path := tmp_path / "scored.csv", index=False)
    assert summarize(path).rows == len(ROWS)

    def change(reader):
        yield from stream_batches(reader)
        replace(path)

    monkeypatch.setattr(run, "stream_batches", change)
    with pytest.raises(InputError, match=CHANGED):
        summarize(path)
