"""The suites of sentiment-batch for readers and writers, on Delta Lake tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import sentiment_batch_delta
from deltalake import write_deltalake

from sentiment_batch.testing import ReaderSuite, WriterSuite

NATIVE = (
    *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.binary()),
    *(pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.decimal128(9, 2), pa.decimal128(38, 10)),
    *(pa.list_(pa.int64()), pa.struct([("city", pa.string()), ("visits", pa.int64())])),
    *(pa.list_(pa.struct([("name", pa.string())])), pa.map_(pa.string(), pa.int64())),
)
"""The types that Delta Lake has itself."""


def path_of(location):
    return Path(location.removeprefix("delta://"))


class TestDeltaReader(ReaderSuite):
    plugin = sentiment_batch_delta
    types = NATIVE
    many_rows = 5_000

    def location(self, table, folder):
        # One commit replaces the other, and adds files to it.
        half = table.num_rows // 2
        write_deltalake(folder / "reviews", table.slice(0, half), mode="overwrite", schema_mode="overwrite")
        write_deltalake(folder / "reviews", table.slice(half), mode="append")
        return f"delta://{folder / 'reviews'}"

    def missing(self, location):
        return location.replace("/reviews", "/nowhere")


class TestDeltaWriter(WriterSuite):
    plugin = sentiment_batch_delta
    types = NATIVE
    many_rows = 5_000

    def location(self, folder):
        return f"delta://{folder / 'scored'}"

    def is_there(self, location):
        return path_of(location).exists()

    def unwritable(self, folder):
        return f"delta://{folder / 'not-there' / 'scored'}"
