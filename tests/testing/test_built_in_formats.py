"""The built-in formats follow the rules for plugins: the suites of `sentiment_batch.testing` run on them."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.testing import ReaderSuite, WriterSuite, sample_types

JSON_TYPES = [pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.list_(pa.int64())]
JSON_TYPES += [pa.struct([("city", pa.string()), ("visits", pa.int64())]), pa.list_(pa.struct([("name", pa.string())]))]
BINARY = {pa.binary(), pa.large_binary(), pa.binary(3)}
AS_TEXT = [kind for kind in sample_types() if kind not in BINARY]
CHANGED = {pa.date64(), pa.time32("s"), pa.timestamp("s"), pa.run_end_encoded(pa.int32(), pa.string())}
PARQUET_TYPES = [kind for kind in sample_types() if kind not in CHANGED]


class TestCsvReader(ReaderSuite):
    types = ()
    null_is_empty = True
    keeps_types = False

    def location(self, table, folder):
        path = folder / "reviews.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, quoting=csv.QUOTE_ALL)
            rows.writerow(table.schema.names)
            rows.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
        return path

    def malformed(self, folder):
        path = folder / "reviews.csv"
        path.write_text("id,review\n1,fine\n2,too,many\n3,fine\n")
        return path


class TestJsonLinesReader(ReaderSuite):
    types = JSON_TYPES

    def location(self, table, folder):
        path = folder / "reviews.jsonl"
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in table.to_pylist())
        return path

    def malformed(self, folder):
        path = folder / "reviews.jsonl"
        path.write_text('{"id": 1}\n{"id": 2\n{"id": 3}\n')
        return path


class TestParquetReader(ReaderSuite):
    types = PARQUET_TYPES
    repeated_names = True

    def location(self, table, folder):
        pq.write_table(table, folder / "reviews.parquet", row_group_size=4_096, write_page_checksum=True)
        return folder / "reviews.parquet"


class TestReaderOfAFolderOfParquetFiles(ReaderSuite):
    types = ()

    def location(self, table, folder):
        half = table.num_rows // 2
        pq.write_table(table.slice(0, half), folder / "part-9.parquet", row_group_size=4_096)
        pq.write_table(table.slice(half), folder / "part-10.parquet", row_group_size=4_096)
        return folder


class TestArrowReader(ReaderSuite):
    repeated_names = True

    def location(self, table, folder):
        with pa.ipc.new_file(folder / "reviews.arrow", table.schema) as file:
            file.write_table(table, 4_096)
        return folder / "reviews.arrow"


class TestReaderOfArrowStreams(ReaderSuite):
    repeated_names = True

    def location(self, table, folder):
        with pa.ipc.new_stream(folder / "reviews.arrows", table.schema) as stream:
            stream.write_table(table, 4_096)
        return folder / "reviews.arrows"


class TestCsvWriter(WriterSuite):
    types = AS_TEXT
    keeps_types = False
    null_is_empty = True

    def location(self, folder):
        return folder / "scored.csv"


class TestJsonLinesWriter(WriterSuite):
    types = AS_TEXT
    keeps_types = False

    def location(self, folder):
        return folder / "scored.jsonl"

    def read(self, location):
        with open(location, encoding="utf-8", newline="\n") as file:
            rows = [
                json.loads(line, parse_float=str, parse_int=str) for line in file
            ]  # as they stand, to the last digit
        return pa.Table.from_pylist(rows) if rows else super().read(location)


class TestParquetWriter(WriterSuite):
    types = PARQUET_TYPES

    def location(self, folder):
        return folder / "scored.parquet"


class TestArrowWriter(WriterSuite):
    def location(self, folder):
        return folder / "scored.arrow"


class TestWriterOfArrowStreams(WriterSuite):
    def location(self, folder):
        return folder / "scored.arrows"
