"""Reads relations of DuckDB as a stream, and returns the scored rows as a relation of the same connection."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.errors import InputError
from sentiment_batch.frames.base import SAMPLE_ROWS, find_texts, warn_of_unlike_texts

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer

VARIABLE_NAME = "sentiment_batch_rows_8f3c1e"
"""The Python variable that DuckDB reads the rows from. No table may have this name: DuckDB looks at tables first."""


def annotate_duckdb(relation: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores, in memory as Arrow, as a relation that can be joined with the connection's tables.

    DuckDB runs one query of a connection at a time, so a relation cannot be scored while another one reads from it. A
    table that does not fit into memory can be scored with `Scorer.annotations_of` as a function in SQL.
    """
    # Send the columns to Arrow and back without rows, to see which types change on the way
    empty = _same_connection(relation, pa.RecordBatchReader.from_stream(relation.limit(0)).read_all())
    # Columns that Arrow would return with another type, such as UUID, are read as text.
    kinds = zip(empty.columns, relation.types, empty.types, strict=True)
    changed = {name: str(kind) for name, kind, other in kinds if kind != other}
    source = _cast(relation, dict.fromkeys(changed, "VARCHAR"))
    texts = find_texts(scorer, pa.table(source.limit(SAMPLE_ROWS)), chosen, relation)
    rows = pa.RecordBatchReader.from_stream(source)
    schema = scorer.output_schema(rows.schema, text_column=texts)
    with warn_of_unlike_texts(scorer):
        table = pa.Table.from_batches(scorer.annotate_batches(rows, text_column=texts), schema)
    named = table.rename_columns([*empty.columns, *scorer.added.names])  # DuckDB numbers repeated names
    return _cast(_same_connection(relation, named), changed)


def _cast(relation: Any, kinds: dict[str, str]) -> Any:
    if not kinds:
        return relation
    # REPLACE keeps the order and the names of all columns
    casts = ", ".join(f"CAST({_quote(name)} AS {kind}) AS {_quote(name)}" for name, kind in kinds.items())
    return relation.project(f"* REPLACE ({casts})")


def _same_connection(relation: Any, sentiment_batch_rows_8f3c1e: pa.Table) -> Any:
    """The rows as a relation of the connection of `relation`; DuckDB finds the argument by its name."""
    view = f"{VARIABLE_NAME}_view"
    try:
        rows = relation.query(view, f"SELECT * FROM {VARIABLE_NAME}")
    except sys.modules["duckdb"].CatalogException as error:
        raise InputError(
            "the connection of the relation does not read Python variables, so it cannot take the scores. Allow this "
            "with SET python_enable_replacements = true."
        ) from error
    relation.query(view, f"DROP VIEW IF EXISTS {view}")  # DuckDB before 2.0 makes a view for each query and keeps it
    return rows


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
