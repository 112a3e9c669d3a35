"""Frames of dask and Spark: each partition is scored in the process that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.frames.base import find_texts
from sentiment_batch.frames.pandas import PandasFrame

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer


def annotate_dask(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The same partitions with their scores. A score is computed when its partition is requested.

    The columns of the text are found here, because a partition alone might find others.
    """
    meta = frame._meta  # a pandas frame without rows, which shows the types of the partitions
    texts = find_texts(scorer, PandasFrame(meta).table().schema, chosen, frame)
    # A pickled scorer loads its model once in each process, so partitions share it
    scored = partial(scorer, text_column=texts)
    return frame.map_partitions(scored, meta=scored(meta))


def annotate_spark(frame: Any, scorer: Scorer, chosen: Sequence[str]) -> Any:
    """The rows with their scores. The scores are computed when the rows are requested.

    Labels are strings, because Spark has no categories. Its Python workers score a stream of record batches for each
    partition.
    """
    # A limit of 0 gives the schema without the rows, which may take hours to compute
    given = frame.limit(0).toArrow().schema
    texts = find_texts(scorer, given, chosen, frame)
    schema = type(frame.schema)(list(frame.schema.fields))
    for field in list(scorer.output_schema(given, text_column=texts))[len(given) :]:
        schema.add(field.name, "float" if pa.types.is_floating(field.type) else "string")
    return frame.mapInArrow(partial(scorer.annotate_batches, text_column=texts), schema)
