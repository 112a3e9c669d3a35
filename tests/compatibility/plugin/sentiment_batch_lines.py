"""A plugin as the documentation of version 0.1.0 shows it: reviews in lines, and tables in Markdown."""

# ruff: noqa: I001, B905 - as it was published

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
from sentiment_batch import FileWriter, InputError, OutputError, ReadOptions, Registry, Split, WriteOptions, hookimpl

SPECIAL = str.maketrans({"&": "&amp;", "<": "&lt;", "|": "&#124;", "\n": "&#10;", "\r": "&#13;"})


class LinesReader:
    """One review a line, in a column named text."""

    schema = pa.schema([("text", pa.string())])
    num_rows = None  # not known before the end

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._location, self._encoding = location, options.encoding or "utf-8"
        try:
            open(location).close()  # what is not there shows at once
        except OSError as error:
            raise InputError(f"{location} cannot be read: {error.strerror}. Check the path.") from error

    def splits(self) -> Sequence[Split]:
        return [Split(index=0, label=self._location)]

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        with open(self._location, encoding=self._encoding) as file:
            try:
                while lines := file.readlines(1_000_000):  # a megabyte at a time
                    yield pa.record_batch({"text": [line.rstrip("\n") for line in lines]}, schema=self.schema)
            except UnicodeDecodeError as error:
                raise InputError(f"{self._location} is not {self._encoding}. Name its --encoding.") from error

    def close(self) -> None:
        pass  # each iterator closes its own file


class MarkdownEncoder:
    """A table that can be pasted into an issue, one row a line."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        for field in schema:
            if "binary" in str(field.type):
                raise OutputError(f"Markdown cannot hold the column {field.name!r}. Leave it out with --columns.")
        self._stream = stream
        self._line(schema.names)
        self._line(["---"] * len(schema))

    def write(self, batch: pa.RecordBatch) -> None:
        for row in zip(*map(self._values, batch.columns)):
            self._line(row)

    def close(self) -> None:
        pass  # a table has no end mark

    def _values(self, column: pa.Array) -> list[object]:
        if pa.types.is_floating(column.type):
            column = column.cast(pa.string())  # 0.9876, where Python would say 0.9876000285148621
        return column.to_pylist()

    def _line(self, cells: Sequence[object]) -> None:
        texts = ["" if cell is None else str(cell).translate(SPECIAL) for cell in cells]
        self._stream.write(f"| {' | '.join(texts)} |\n".encode())


def open_markdown(location: str, schema: pa.Schema, options: WriteOptions) -> FileWriter:
    return FileWriter(location, schema, options, MarkdownEncoder)


@hookimpl
def register_readers(registry: Registry) -> None:
    registry.add("lines", LinesReader, suffixes=(".txt",), description="one review a line")


@hookimpl
def register_writers(registry: Registry) -> None:
    registry.add("markdown", open_markdown, suffixes=(".md",), description="tables for people")
