"""A summary as a table: a row for each label of all rows, of each group and of each period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch.data.readers.header_names import make_distinct

if TYPE_CHECKING:
    from sentiment_batch.shares.result import ShareSummary

_FIGURES = ("share", "low", "high", "corrected", "corrected_low", "corrected_high", "mean_score")
"""The fields of `LabelShare` that are columns, all of float64."""


def make_share_schema(columns: Sequence[str]) -> pa.Schema:
    """The columns of the table.

    Args:
        columns: the columns that make groups. They are empty in the rows about all groups. One with the name of
            another column of the table gets a number.
    """
    rest = {"period": pa.string(), "label": pa.string(), "rows": pa.int64()} | dict.fromkeys(_FIGURES, pa.float64())
    # The columns of the user give way: a column `label` of the user becomes the second one of that name.
    names = make_distinct([*rest, *columns])[len(rest) :]
    return pa.schema([("part", pa.string()), *((name, pa.string()) for name in names), *rest.items()])


def make_share_table(summary: ShareSummary) -> pa.RecordBatch:
    """The rows of the table. The column `part` tells what a row is about: `all`, `period`, `group` or both."""
    schema = make_share_schema(summary.columns)
    cells = []
    for one, is_period in summary.list_parts():
        parts = ["group"] * bool(one.group) + ["period"] * is_period
        head = [" and ".join(parts) or "all", *(one.group.get(name) for name in summary.columns), one.period]
        for label, share in one.shares.items():
            cells.append([*head, label, share.rows, *(getattr(share, name) for name in _FIGURES)])
    arrays = [pa.array([row[place] for row in cells], field.type) for place, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
