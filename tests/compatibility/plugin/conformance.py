"""The tests of the plugin, as the documentation of version 0.1.0 shows them."""

# ruff: noqa: I001 - as it was published

import html

import pyarrow as pa
from sentiment_batch.testing import ReaderSuite, WriterSuite


class TestLinesReader(ReaderSuite):
    schema = pa.schema([("text", pa.string())])
    null_is_empty = True

    def holds(self, text):
        return "\n" not in text and "\r" not in text

    def location(self, table, folder):
        path = folder / "reviews.txt"
        path.write_text("".join(f"{text or ''}\n" for text in table["text"].to_pylist()), encoding="utf-8")
        return path


class TestMarkdownWriter(WriterSuite):
    types = (pa.int64(), pa.float32(), pa.string())
    keeps_types = False
    null_is_empty = True

    def location(self, folder):
        return folder / "scored.md"

    def read(self, location):
        with open(location, encoding="utf-8", newline="\n") as file:
            names, _, *rows = [[html.unescape(cell) for cell in line[2:-3].split(" | ")] for line in file]
        columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(names))]
        return pa.table(columns, names=names)
