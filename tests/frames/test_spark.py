"""Spark: frames are scored in its Python workers. Skipped where pyspark or Java is missing."""

from __future__ import annotations

import datetime
import decimal
import shutil
import sys

import pyarrow as pa
import pytest

from sentiment_batch.errors import InputError, UsageError

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java, which is not on the path", allow_module_level=True)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]
TEXTS = ["the film was great", None, "boring and dull", " ", "best"]
COLUMNS = "n bigint, text string, lists array<int>, price decimal(10,2), moment timestamp, pair struct<a:int,b:string>"


@pytest.fixture(scope="module")
def spark():
    """Two threads on this machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        yield session
        session.stop()


def rows(count):
    when = datetime.datetime(2024, 1, 1, 12)
    return [
        (n, TEXTS[n % 5], [n, None], decimal.Decimal(n), when, {"a": n, "b": None if n % 2 else "x"})
        for n in range(count)
    ]


def test_a_frame_comes_back_as_one_with_the_scores_of_each_row(scorer, spark):
    frame = spark.createDataFrame(rows(40), COLUMNS).repartition(4)
    out = scorer(frame)
    assert type(out) is type(frame)
    assert out.schema.fields[:-2] == frame.schema.fields
    assert [(field.name, field.dataType.simpleString()) for field in out.schema.fields[-2:]] == [
        ("sentiment", "string"),
        ("sentiment_score", "float"),
    ]
    found = out.orderBy("n").collect()
    assert [tuple(row)[:6] for row in found] == [tuple(row) for row in frame.orderBy("n").collect()]
    expected = scorer(pa.table({"text": [TEXTS[n % 5] for n in range(40)]}))
    assert [row.sentiment for row in found] == expected["sentiment"].to_pylist()
    assert [row.sentiment_score for row in found] == expected["sentiment_score"].to_pylist()
    assert scorer(frame.where("n < 0")).collect() == []
    with pytest.raises(InputError, match="no column 'words'"):
        scorer(frame, text_column="words")
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
        scorer(frame.withColumnRenamed("n", "sentiment"))
