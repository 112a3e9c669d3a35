"""How a table is read is described in plain values and in lines, with what nobody named."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from sentiment_batch.data.input_description import (
    InputDescription,
    describe_reading,
    format_description,
    list_items,
)
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import TextColumns
from sentiment_batch.records import Dialect

KEYS = {
    *("text_columns", "label_column", "label_mapping", "group_column", "delimiter"),
    *("format", "encoding", "header", "skip_rows", "sheet", "assumed"),
}


def reader(dialect=None):
    made = TableReader(pa.table({"review": ["good"], "stars": [5]}))
    if dialect is not None:
        made.dialect = dialect
    return made


def test_plain_values_have_all_keys_of_every_table():
    found = describe_reading(reader(), text=TextColumns(names=("review",), assumed=True)).to_json()
    assert set(found) == KEYS
    assert (found["text_columns"], found["assumed"], found["delimiter"]) == (["review"], ["text_columns"], None)
    assert json.loads(json.dumps(found)) == found


def test_the_dialect_of_a_reader_is_part_of_the_description():
    dialect = Dialect(delimiter=";", encoding="cp1252", header=True, skip_rows=2, assumed=("delimiter", "header"))
    found = describe_reading(
        reader(dialect), text=TextColumns(names=("review",), assumed=False), label_column="stars", group_column="film"
    )
    assert (found.delimiter, found.encoding, found.header, found.skip_rows) == (";", "cp1252", True, 2)
    assert (found.label_column, found.group_column) == ("stars", "film")
    assert found.assumed == ("delimiter", "header")


def test_the_meaning_of_labels_is_added_to_what_is_known():
    found = InputDescription(text_columns=("review",), label_column="stars", assumed=("label_column",))
    assumed = found.with_mapping({"1-2": "negative"}, assumed=True)
    assert assumed.to_json()["label_mapping"] == {"1-2": "negative"}
    assert assumed.assumed == ("label_column", "label_mapping")
    assert found.with_mapping({"1-2": "negative"}, assumed=False).assumed == ("label_column",)
    assert found.with_mapping({"Negative": "negative"}, assumed=True).assumed == ("label_column",)


def test_people_see_an_aligned_block():
    description = InputDescription(
        text_columns=("title", "body"),
        label_column="stars",
        label_mapping={"1-2": "negative", "4-5": "positive"},
        group_column="film",
        format="csv",
        delimiter="\t",
        encoding="utf-8",
        header=True,
        skip_rows=2,
        assumed=("text_columns", "label_mapping", "delimiter"),
    )
    assert format_description(["sql://ann:secret@host/reviews"], description.to_json()) == "\n".join(
        [
            "sql://ann:***@host/reviews is read as",
            "  text       title and body (assumed)",
            "  label      stars: 1-2 -> negative, 4-5 -> positive (assumed)",
            "  group      film",
            "  format     csv",
            "  delimiter  tab (assumed)",
            "  encoding   utf-8",
            "  header     the first row, after 2 skipped lines",
        ]
    )


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"header": False, "skip_rows": 0}, "none, so the columns are column_1, column_2 and so on"),
        ({"header": True, "skip_rows": 1, "sheet": "Data"}, "the first row, after 1 skipped row"),
        ({"header": True, "assumed": ["header"]}, "the first row (assumed)"),
    ],
)
def test_the_header_is_put_into_words(known, words):
    assert dict(list_items({"text_columns": ["a"]} | known))["header"] == words


def test_words_that_name_their_class_are_listed_once():
    mapping = {"negative": "negative", "NEGATİVE": "negative", "pos": "positive"}
    items = dict(list_items({"text_columns": [], "label_column": "label", "label_mapping": mapping}))
    assert items == {"text": "not found", "label": "label: negative, pos -> positive"}


def test_tables_that_are_read_alike_share_a_block():
    assert format_description(["a.csv", "b.csv"], {"text_columns": ["x"]}).startswith("a.csv, b.csv are read as\n")
    assert format_description(["-"], {"text_columns": ["x"]}).startswith("standard input is read as\n")


def test_a_column_without_a_name_is_shown():
    assert list_items({"text_columns": [""]}) == [("text", "''")]


def test_a_name_cannot_break_the_block():
    items = list_items({"text_columns": ["a\nb\x1b[31m"], "label_column": "x" * 1_000})
    assert all("\n" not in text and "\x1b" not in text and len(text) < 300 for _, text in items)
