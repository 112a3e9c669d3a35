"""Frames of Spark: its Python workers score a stream of record batches for each partition."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.columns import find_text_columns

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate_spark(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores, computed when they are asked for; labels are strings: Spark has no categories."""
    given = frame.limit(0).toArrow().schema
    texts = find_text_columns(given, chosen)
    schema = type(frame.schema)(list(frame.schema.fields))
    for field in list(scorer.output_schema(given, text_column=texts))[len(given) :]:
        schema.add(field.name, "float" if pa.types.is_floating(field.type) else "string")
    return frame.mapInArrow(partial(scorer.annotate_batches, text_column=texts), schema)
