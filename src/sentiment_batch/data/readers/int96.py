"""Chooses the unit in which timestamps of 96 bits are read, as Spark and Impala store them in Parquet.

Arrow reads them as 64 bits. In nanoseconds these hold the years 1677 to 2262 only, and other dates would come out as
wrong ones without an error. The date 9999-12-31, which many tables have for "never", is one of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentiment_batch.data.readers.read_errors import translate_read_errors
from sentiment_batch.locations import without_password

logger = logging.getLogger("sentiment_batch")

INT96_UNITS = {"ns": 10**9, "us": 10**6, "ms": 10**3, "s": 1}
"""Ticks per second of the units in which Arrow stores timestamps, the finest first."""
MAX_TICKS = 2**63 - 10**9
"""Most ticks that a signed 64-bit integer holds, less a second of nanoseconds for the fraction of a second."""
_NAMES = {"us": "microseconds", "ms": "milliseconds", "s": "seconds"}
_ROWS = 1 << 16


class Open(Protocol):
    """Opens a Parquet file, with its timestamps of 96 bits in a unit such as `us`."""

    def __call__(self, *, int96_unit: str) -> AbstractContextManager[pq.ParquetFile]: ...  # noqa: D102


def find_int96_columns(file: pq.ParquetFile) -> list[str]:
    """The paths of the columns of timestamps in 96 bits."""
    schema = file.schema
    return [one.path for one in map(schema.column, range(len(schema))) if one.physical_type == "INT96"]


def choose_int96_unit(open_file: Open, name: str) -> str:
    """The finest unit that holds all such timestamps of a file: `ns`, `us`, `ms` or `s`.

    Only the columns of such timestamps are read. Their seconds always fit.

    Args:
        open_file: opens the file.
        name: what messages call the file.
    """
    # In seconds no timestamp overflows, so the largest one shows which finer units would
    with open_file(int96_unit="s") as file, translate_read_errors(name):
        columns = find_int96_columns(file)
        if not columns:
            return "ns"
        largest = max(
            (
                max(abs(end) for end in pc.min_max(seconds).as_py().values())
                for batch in file.iter_batches(batch_size=_ROWS, columns=columns)
                for seconds in _list_numbers(batch)
                if seconds.null_count < len(seconds)  # nulls alone have no largest value
            ),
            default=0,
        )
    unit = next(one for one, ticks in INT96_UNITS.items() if largest * ticks <= MAX_TICKS)
    if unit != "ns":
        logger.warning(
            "%s: the timestamps of %s are read in %s, and smaller fractions of a second are cut off, because "
            "nanoseconds hold the years 1677 to 2262 only",
            without_password(name),
            ", ".join(columns),
            _NAMES[unit],
        )
    return unit


def _list_numbers(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    """The timestamps of a batch as numbers, also those in structs and lists."""
    waiting: list[pa.Array] = list(batch.columns)
    while waiting:
        array = waiting.pop()
        if pa.types.is_timestamp(array.type):
            yield array.cast(pa.int64())
        elif pa.types.is_struct(array.type) or pa.types.is_list(array.type) or pa.types.is_map(array.type):
            inner = array.flatten()
            waiting += inner if isinstance(inner, list) else [inner]
