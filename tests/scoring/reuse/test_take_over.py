"""`score(frame, reuse=previous)` takes a path or a frame, and checks that the same model made it."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from sentiment_batch import clear_cache
from sentiment_batch import score as score_frame
from sentiment_batch.errors import InputError, UsageError
from tests.scoring.reuse.conftest import ROWS

FAST = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def frames(score, tmp_path):
    """The second input and the first one as pandas frames."""
    yield pd.read_parquet(tmp_path / "new.parquet"), pd.read_parquet(tmp_path / "old.parquet")
    clear_cache()


def reused(caplog):
    """The rows that the last call took over, by its message."""
    return int(next(line for line in caplog.messages[::-1] if "took over earlier scores" in line).split()[0])


@pytest.mark.parametrize("settings", [{}, {"probabilities": True}, {"neutral_band": 0.7}], ids=str)
def test_an_earlier_frame_gives_the_same_frame(frames, tiny_model, caplog, settings):
    caplog.set_level("INFO")
    new, old = frames
    settings = FAST | settings
    whole = score_frame(new, tiny_model, **settings)
    previous = score_frame(old, tiny_model, **settings)
    found = score_frame(new, tiny_model, reuse=previous, **settings)
    pd.testing.assert_frame_equal(found, whole, rtol=0, atol=2e-4)
    assert reused(caplog) == old.text.notna().sum()
    assert found.sentiment.dtype == whole.sentiment.dtype


def test_frames_of_other_libraries_are_reused(frames, tiny_model, tmp_path, caplog):
    caplog.set_level("INFO")
    new, old = frames
    previous = score_frame(pl.from_pandas(old), tiny_model, **FAST)
    assert len(score_frame(pq.read_table(tmp_path / "new.parquet"), tiny_model, reuse=previous, **FAST)) == len(new)
    assert reused(caplog) == old.text.notna().sum()
    assert len(score_frame(new.text.dropna().tolist(), tiny_model, reuse=previous, **FAST)) > ROWS / 2
    assert reused(caplog) == old.text.notna().sum()


def test_an_earlier_output_is_reused_by_its_path(score, frames, tiny_model, tmp_path, caplog):
    caplog.set_level("INFO")
    score("old.parquet", "old/")
    settings = FAST | {"deterministic": True}
    found = score_frame(frames[0], tiny_model, reuse=tmp_path / "old", **settings)
    pd.testing.assert_frame_equal(found, score_frame(frames[0], tiny_model, **settings))
    assert reused(caplog) > ROWS / 2


@pytest.mark.parametrize("blank", ["", " \u200b"], ids=ascii)
def test_a_text_that_was_emptied_takes_over_no_score(frames, tiny_model, blank):
    previous = score_frame(frames[1], tiny_model, **FAST)
    previous.loc[previous.text.first_valid_index(), "text"] = blank
    found = score_frame(previous[["text"]], tiny_model, reuse=previous, **FAST)
    assert found.sentiment[found.text == blank].isna().all()


def test_a_frame_of_another_model_is_refused(frames, tiny_model, make_model):
    previous = score_frame(frames[1], make_model("negative", "positive", seed=8), **FAST)
    with pytest.raises(UsageError, match=r"`reuse` is a frame with the score .* another model or other settings"):
        score_frame(frames[0], tiny_model, reuse=previous, **FAST)
    three = score_frame(frames[1], make_model("bad", "mixed", "good"), **FAST)
    with pytest.raises(InputError, match="`reuse` is a frame whose column 'sentiment' holds"):
        score_frame(frames[0], tiny_model, reuse=three, **FAST)


def test_a_frame_without_scores_or_for_exact_runs_is_refused(frames, tiny_model):
    new, old = frames
    with pytest.raises(InputError, match=r"no column 'sentiment'"):
        score_frame(new, tiny_model, reuse=old, **FAST)
    twice = pd.concat([score_frame(old, tiny_model, **FAST)] * 2, axis=1)
    with pytest.raises(InputError, match="`reuse` is a frame with several columns 'sentiment'"):
        score_frame(new, tiny_model, reuse=twice, **FAST)
    with pytest.raises(UsageError, match="A deterministic run reuses only files with a manifest"):
        score_frame(new, tiny_model, reuse=old, deterministic=True, **FAST)
    with pytest.raises(UsageError, match="this LazyFrame has no rows yet"):
        score_frame(pl.from_pandas(new).lazy(), tiny_model, reuse=old, **FAST)


def test_an_earlier_frame_without_rows_changes_nothing(frames, tiny_model):
    new, old = frames
    previous = score_frame(old.head(0), tiny_model, **FAST)
    found = score_frame(new, tiny_model, reuse=previous, **FAST)
    pd.testing.assert_frame_equal(found, score_frame(new, tiny_model, **FAST))


@pytest.mark.parametrize("number", [float("nan"), 7.0])
def test_a_frame_of_impossible_scores_is_reported(frames, tiny_model, caplog, number):
    previous = score_frame(frames[1], tiny_model, **FAST).assign(sentiment_score=number)
    score_frame(frames[1], tiny_model, reuse=previous, **FAST)
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "can be reused, because none has a text, a label, and scores that the model can give" in line
