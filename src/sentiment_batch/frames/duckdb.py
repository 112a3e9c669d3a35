"""Relations of DuckDB: read as a stream, and back as a relation of the same connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.frames.base import SAMPLE_ROWS
from sentiment_batch.inputs import text_columns_of
from sentiment_batch.readers.table import TableReader

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate(relation: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores, held in memory as Arrow, as a relation that joins with its connection's tables.

    DuckDB runs one query of a connection at a time, so a relation cannot be scored while another one reads from it. For
    tables that memory does not hold there is `Scorer.annotations_of` as a function in SQL.
    """
    changed = _changed_by_arrow(relation)
    source = _cast(relation, dict.fromkeys(changed, "VARCHAR"))
    texts = text_columns_of(TableReader(pa.table(source.limit(SAMPLE_ROWS))), chosen)
    rows = pa.RecordBatchReader.from_stream(source)
    schema = scorer.output_schema(rows.schema, text_column=texts)
    table = pa.Table.from_batches(scorer.annotate_batches(rows, text_column=texts), schema)
    return _cast(_same_connection(relation, table), changed)


def _changed_by_arrow(relation: Any) -> dict[str, str]:
    """The columns that Arrow gives back with another type, such as UUID, by name; they travel as text."""
    empty = pa.RecordBatchReader.from_stream(relation.limit(0)).read_all()
    back = _same_connection(relation, empty)
    kinds = zip(back.columns, relation.types, back.types, strict=True)
    return {name: str(kind) for name, kind, other in kinds if kind != other}


def _cast(relation: Any, kinds: dict[str, str]) -> Any:
    if not kinds:
        return relation
    casts = ", ".join(f"CAST({_quoted(name)} AS {kind}) AS {_quoted(name)}" for name, kind in kinds.items())
    return relation.query("scored_rows", f"SELECT * REPLACE ({casts}) FROM scored_rows")


def _same_connection(relation: Any, rows: pa.Table) -> Any:
    """`rows` as a relation of the connection that `relation` has; DuckDB finds the variable by its name."""
    return relation.query("any_rows", "SELECT * FROM rows")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
