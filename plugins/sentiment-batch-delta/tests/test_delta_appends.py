"""Adds rows to, or replaces, tables of other programs that have columns, rules and features of their own."""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa
import pytest
from conftest import ROWS, read, refuse, with_protocol, write


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS.drop(["id"]), "also has the columns 'id'"),
        (ROWS.append_column("more", ROWS["id"]), "lacks the columns 'more'"),
        (ROWS.set_column(0, "id", ROWS["review"]), "has the type long in the column 'id', but the rows have string"),
    ],
)
def test_rows_with_other_columns_are_not_added(table, rows, message):
    assert message in refuse(table.make().url("?mode=append"), rows)
    assert table.version() == 0


def test_a_null_is_not_added_where_none_may_be(table):
    fields = [pa.field("id", pa.int64(), nullable=False), pa.field("review", pa.string(), nullable=False)]
    table.make(ROWS.slice(0, 1).cast(pa.schema(fields)))
    assert "takes no null in the column 'review'" in refuse(table.url("?mode=append"), ROWS)
    write(table.url("?mode=append"), ROWS.slice(2))
    assert read(table.url())["review"].to_pylist() == ["good", "bad"]
    assert table.list_orphans() == []


def partition(table):
    table.make(partition_by=["id"])


def constrain(table):
    table.make().open().alter.add_constraint({"positive": "id > 0"})


def generate(table):
    def add(action):
        if "metaData" in action:
            schema = json.loads(action["metaData"]["schemaString"])
            schema["fields"][0]["metadata"] = {"delta.generationExpression": "1"}
            action["metaData"]["schemaString"] = json.dumps(schema)

    table.make().change_commit(0, add)


def track_rows(table):
    table.make().change_commit(0, with_protocol(1, 7, "rowTracking", "domainMetadata"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partition, "partitions by 'id'"),
        (constrain, "the constraint 'positive'"),
        (generate, "the rule delta.generationExpression of the column 'id'"),
        (track_rows, "the feature domainMetadata"),
    ],
)
def test_rows_are_not_added_to_tables_with_rules(table, make, message):
    make(table)
    version = table.version()
    assert message in refuse(table.url("?mode=append"), ROWS)
    if make is not generate:  # whose rule goes with its column
        assert message in refuse(table.url(), ROWS, overwrite=True)
    assert (table.version(), table.list_orphans()) == (version, [])


def test_a_table_that_only_grows_is_not_replaced(table):
    table.make(configuration={"delta.appendOnly": "true"})
    assert "only takes more rows" in refuse(table.url(), ROWS, overwrite=True)
    write(table.url("?mode=append"), ROWS)
    assert read(table.url()).num_rows == 6


def test_a_feature_that_a_table_does_not_use_does_no_harm(table):
    table.make(configuration={"delta.enableDeletionVectors": "true", "delta.enableChangeDataFeed": "true"})
    write(table.url("?mode=append"), ROWS)
    write(table.url(), ROWS.slice(1), overwrite=True)
    assert read(table.url()).equals(ROWS.slice(1))
    assert pl.read_delta(str(table.path)).height == 2
