"""Relations of DuckDB: read as a stream, and back as a relation of the same connection."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.labelled_rows import detect_text_columns
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.frames.base import SAMPLE_ROWS

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer

NAME = "sentiment_batch_rows_8f3c1e"
"""No table of the connection may have it, for tables come before variables."""


def annotate(relation: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores, held in memory as Arrow, as a relation that joins with its connection's tables.

    DuckDB runs one query of a connection at a time, so a relation cannot be scored while another one reads from it. For
    tables that memory does not hold there is `Scorer.annotations_of` as a function in SQL.
    """
    empty = _same_connection(relation, pa.RecordBatchReader.from_stream(relation.limit(0)).read_all())
    # What Arrow gives back with another type, such as UUID, travels as text.
    kinds = zip(empty.columns, relation.types, empty.types, strict=True)
    changed = {name: str(kind) for name, kind, other in kinds if kind != other}
    source = _cast(relation, dict.fromkeys(changed, "VARCHAR"))
    texts = detect_text_columns(TableReader(pa.table(source.limit(SAMPLE_ROWS))), chosen)
    rows = pa.RecordBatchReader.from_stream(source)
    schema = scorer.output_schema(rows.schema, text_column=texts)
    table = pa.Table.from_batches(scorer.annotate_batches(rows, text_column=texts), schema)
    named = table.rename_columns([*empty.columns, *scorer.added.names])  # a name that stands twice is numbered
    return _cast(_same_connection(relation, named), changed)


def _cast(relation: Any, kinds: dict[str, str]) -> Any:
    if not kinds:
        return relation
    casts = ", ".join(f"CAST({_quoted(name)} AS {kind}) AS {_quoted(name)}" for name, kind in kinds.items())
    return relation.project(f"* REPLACE ({casts})")


def _same_connection(relation: Any, sentiment_batch_rows_8f3c1e: pa.Table) -> Any:
    """The rows as a relation of the connection that `relation` has; DuckDB looks for a variable called `NAME`."""
    view = f"{NAME}_view"
    try:
        rows = relation.query(view, f"SELECT * FROM {NAME}")
    except sys.modules["duckdb"].CatalogException as error:
        raise InputError(
            "the relation's connection does not look at variables of Python, so nothing can be given back to it. Allow "
            "it with SET python_enable_replacements = true."
        ) from error
    relation.query(view, f"DROP VIEW IF EXISTS {view}")  # before 2.0 DuckDB makes one for each query, which stays
    return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
