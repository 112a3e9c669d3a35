"""Helpers for the tests of all readers: they read whole tables."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.records import ReadOptions


def read(reader_class, location, **options) -> pa.Table:
    """All rows of `location`. Checks that every batch has exactly the reader's schema."""
    reader = reader_class(str(location), ReadOptions(**options))
    try:
        return read_splits(reader)
    finally:
        reader.close()


def read_or_refuse(reader_class, location) -> pa.Table | None:
    """All rows of `location`, or None if it is refused by an `InputError` in one line that names it."""
    try:
        return read(reader_class, location)
    except InputError as error:
        message = str(error)
    assert os.path.basename(location) in message
    assert "\n" not in message
    return None


def read_splits(reader) -> pa.Table:
    """All rows of an open reader."""
    batches = []
    for split in reader.splits():
        of_split = list(reader.batches(split))
        assert split.num_rows in (None, sum(batch.num_rows for batch in of_split))
        batches += of_split
    assert all(batch.schema.equals(reader.schema, check_metadata=True) for batch in batches)
    table = pa.Table.from_batches(batches, reader.schema)
    assert reader.num_rows in (None, table.num_rows)
    return table


def real_data(*names: str) -> Path:
    """A path in the folder of real data. Skips the test if there is no such folder."""
    folder = os.environ.get("SENTIMENT_BATCH_DATA")
    if not folder:
        pytest.skip("SENTIMENT_BATCH_DATA is not set")
    return Path(folder).joinpath(*names)
