"""Frames of Spark: scored in its Python workers, a stream of record batches for each partition."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.columns import find_text

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores, once somebody asks for them; the labels are strings, as Spark has no categories."""
    types = importlib.import_module("pyspark.sql.pandas.types")
    given = types.to_arrow_schema(frame.schema)
    texts = find_text(given, chosen)
    added = list(scorer.output_schema(given, text_column=texts))[len(given) :]
    fields = [*frame.schema.fields, *types.from_arrow_schema(pa.schema(added)).fields]
    return frame.mapInArrow(partial(scorer.annotate_batches, text_column=texts), type(frame.schema)(fields))
