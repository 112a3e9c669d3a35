"""dask: frames are scored partition by partition, lazily, with the right types known before."""

from __future__ import annotations

import pandas as pd
import pytest

from sentiment_batch.errors import InputError, UsageError

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")

FRAME = pd.DataFrame(
    {
        "n": range(10),
        "text": pd.array(["the film was great", None, "boring and dull", " ", "best"] * 2, dtype="string[pyarrow]"),
        "when": pd.date_range("2024-01-01", periods=10, tz="Europe/Oslo"),
        "kind": pd.Categorical(["x", "y"] * 5),
    },
    index=pd.Index(range(100, 110), name="key"),
)


@pytest.fixture
def seen(scorer):
    """How many rows the scorer has looked at since the test began."""
    before = scorer.counts.rows
    return lambda: scorer.counts.rows - before


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("partitions", [1, 4])
def test_a_frame_is_scored_when_it_is_computed(scorer, seen, scheduler, partitions):
    out = scorer(dd.from_pandas(FRAME, npartitions=partitions))
    assert isinstance(out, dd.DataFrame)
    assert seen() == 0
    expected = scorer(FRAME)
    assert out.dtypes.to_dict() == expected.dtypes.to_dict()
    with dask.config.set(scheduler=scheduler):
        pd.testing.assert_frame_equal(out.compute(), expected)
        counts = out.groupby("sentiment", observed=True)["n"].sum().compute()
    pd.testing.assert_series_equal(counts.sort_index(), expected.groupby("sentiment", observed=True)["n"].sum())


def test_a_scorer_is_a_function_for_partitions(scorer):
    frame = dd.from_pandas(FRAME, npartitions=3)
    out = frame.map_partitions(scorer, meta=scorer(FRAME.head(0)))
    pd.testing.assert_frame_equal(out.compute(scheduler="threads"), scorer(FRAME))


def test_a_series_becomes_a_frame(scorer):
    out = scorer(dd.from_pandas(FRAME["text"], npartitions=2))
    pd.testing.assert_frame_equal(out.compute(scheduler="threads"), scorer(FRAME["text"]))


def test_partitions_without_rows_or_texts_fit_to_the_others(scorer):
    frame = dd.from_pandas(FRAME, npartitions=4)
    pd.testing.assert_frame_equal(
        scorer(frame[frame["n"] > 7]).compute(scheduler="threads"), scorer(FRAME[FRAME["n"] > 7])
    )


def test_the_column_named_is_the_text(scorer):
    frame = FRAME.rename(columns={"text": "words"})
    out = scorer(dd.from_pandas(frame, npartitions=2), text_column="words")
    pd.testing.assert_frame_equal(out.compute(scheduler="threads"), scorer(frame, text_column="words"))


def test_wrong_columns_are_refused_at_once(scorer, seen):
    with pytest.raises(InputError, match="no column 'words'"):
        scorer(dd.from_pandas(FRAME, npartitions=2), text_column="words")
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
        scorer(dd.from_pandas(FRAME.assign(sentiment=1), npartitions=2))
    assert seen() == 0


@pytest.mark.slow
def test_other_processes_score_the_partitions(scorer):
    out = scorer(dd.from_pandas(FRAME, npartitions=4)).compute(scheduler="processes", num_workers=1)
    pd.testing.assert_frame_equal(out, scorer(FRAME))
