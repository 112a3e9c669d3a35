"""Writes a table of the rows whose labels are likely wrong. The table appears complete or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sentiment_batch.cli.side_tables import publish_table

if TYPE_CHECKING:
    from sentiment_batch.data.writers.base import Writer

logger = logging.getLogger("sentiment_batch")


def publish_label_issues(
    location: str | None, sources: Sequence[str], *, overwrite: bool
) -> AbstractContextManager[Writer | None]:
    """The writer of the table for a `with` block; arguments and errors are those of `publish_table`."""
    return publish_table(location, sources, _schema, "the rows with likely wrong labels need", overwrite=overwrite)


def write_label_issues(writer: Writer, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows, as `Evaluation.likely_wrong_labels` lists them, and log their number."""
    import pyarrow as pa

    from sentiment_batch.report.formatting import format_quantity

    writer.write(pa.RecordBatch.from_pylist([dict(row) for row in rows], schema=_schema()))
    logger.info("likely wrong labels: %s", format_quantity(len(rows), "row"))


def _schema() -> Any:
    """`row` counts the rows of `file` from 0; `score` is the probability of the label `suggested`."""
    import pyarrow as pa

    text = dict.fromkeys(("file", "id_column", "id", "text", "label", "suggested"), pa.string())
    columns = text | {"row": pa.int64(), "score": pa.float64()}
    order = ("file", "row", "id_column", "id", "text", "label", "suggested", "score")
    return pa.schema([(name, columns[name]) for name in order])
