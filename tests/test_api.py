"""`score`, `train` and `evaluate` from Python: frames and paths, and the cached model."""

from __future__ import annotations

import json
import os
import shutil

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sentiment_batch import Scorer, clear_cache, compare, evaluate, score, train
from sentiment_batch.errors import InputError, ModelError, OutputError, UsageError
from sentiment_batch.scoring import scorer as scorer_module
from sentiment_batch.scoring import scorer_cache
from tests.conftest import BAD, GOOD

CPU = {"device": "cpu", "dtype": "float32"}
FRAME = pd.DataFrame({"text": ["the film was great", None, "boring"]})


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch):
    clear_cache()
    yield
    clear_cache()


@pytest.fixture
def loads(monkeypatch):
    """The models that are loaded, in order."""
    names = []
    real = scorer_module._load_backend
    monkeypatch.setattr(scorer_module, "_load_backend", lambda model, *rest: names.append(model) or real(model, *rest))
    return names


def reviews(rows=60):
    """Labelled reviews that a tiny model can tell apart by one word."""
    return pd.DataFrame(
        {
            "review": [f"the film {n} was {(GOOD if n % 2 else BAD)[n // 2 % 8]}" for n in range(rows)],
            "label": ["positive" if n % 2 else "negative" for n in range(rows)],
        }
    )


FAST = {"epochs": 1, "folds": 0, "batch_size": 8, "device": "cpu", "dtype": "float32", "max_length": 16, "quiet": True}


@pytest.fixture(scope="module")
def trained(tiny_base, tmp_path_factory):
    """The result of `train` on a frame, and the folder of the model."""
    output = tmp_path_factory.mktemp("trained") / "model"
    return train(reviews(), output, base=str(tiny_base), **FAST), output


def test_a_frame_is_annotated_in_a_pipe(tiny_model):
    out = FRAME.pipe(score, model=tiny_model, text_column="text", **CPU)
    assert list(out.columns) == ["text", "sentiment", "sentiment_score"]
    labels = pl.DataFrame({"text": ["the film was great", None, "boring"]}).pipe(score, str(tiny_model), **CPU)[
        "sentiment"
    ]
    assert labels.to_list() == out["sentiment"].astype(object).where(out["sentiment"].notna(), None).tolist()


def test_settings_are_those_of_the_command_line(tiny_model):
    out = score(FRAME, tiny_model, prefix="p", probabilities=True, decimals=2, labels=["bad", "good"], **CPU)
    assert list(out.columns) == ["text", "p", "p_score", "p_bad", "p_good"]
    assert out["p_bad"][0] == round(float(out["p_bad"][0]), 2)
    with pytest.raises(UsageError, match="The settings of scoring are device"):
        score(FRAME, tiny_model, colour="red")


def test_the_model_is_cached_between_calls(tiny_model, loads):
    first = score(FRAME, tiny_model, **CPU)
    pd.testing.assert_frame_equal(score(FRAME, str(tiny_model), **CPU), first)
    assert len(loads) == 1
    assert len(scorer_cache._cached) == 1


def test_only_the_last_model_is_cached(tiny_model, make_model, loads):
    other = make_model("a", "b", seed=6)
    score(FRAME, tiny_model, **CPU)
    (first,) = scorer_cache._cached.values()
    score(FRAME, other, **CPU)
    assert first._backend is None
    assert len(scorer_cache._cached) == 1
    score(FRAME, other, prefix="p", **CPU)
    assert loads == [str(tiny_model), str(other), str(other)]


def test_clearing_the_cache_frees_the_model(tiny_model, loads):
    score(FRAME, tiny_model, **CPU)
    (first,) = scorer_cache._cached.values()
    clear_cache()
    assert (first._backend, scorer_cache._cached) == (None, {})
    clear_cache()
    score(FRAME, tiny_model, **CPU)
    assert len(loads) == 2


@pytest.mark.parametrize("place", ["path", "home"])
def test_a_model_retrained_in_place_is_seen(make_model, tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path))
    one, other = make_model("a", "b", seed=1), make_model("a", "b", seed=2)
    folder = shutil.copytree(one, tmp_path / "model")
    name = str(folder) if place == "path" else "~/model"
    before = score(FRAME, name, decimals=7, **CPU)
    for path in other.iterdir():  # of the same size, as a model trained anew would be
        shutil.copyfile(path, folder / path.name)
    after = score(FRAME, name, decimals=7, **CPU)
    assert not after["sentiment_score"].equals(before["sentiment_score"])
    pd.testing.assert_frame_equal(after, score(FRAME, other, decimals=7, **CPU))


def test_the_model_is_looked_for_where_the_command_line_looks(tiny_model, tmp_path, monkeypatch, loads):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"distilbert-base-uncased-finetuned-sst-2-english.*HF_HUB_OFFLINE"):
        score(FRAME)
    shutil.copytree(tiny_model, tmp_path / "sentiment-model")
    score(FRAME, **CPU)
    monkeypatch.setenv("SENTIMENT_BATCH_MODEL", str(tiny_model))
    score(FRAME, **CPU)
    assert loads[1:] == ["sentiment-model", str(tiny_model)]


@pytest.mark.parametrize("wrong", ["a text", 3, None])
def test_what_is_no_frame_is_refused(tiny_model, wrong):
    with pytest.raises(InputError, match="is no frame"):
        score(wrong, tiny_model, **CPU)


def test_a_model_in_the_home_of_nobody_is_one_line():
    with pytest.raises(ModelError, match="no model folder is at ~nosuchuser/model"):
        score(pd.DataFrame({"text": ["a film"]}), "~nosuchuser/model", device="cpu")


def test_training_tells_what_was_learned_and_where_it_lies(trained):
    result, output = trained
    assert result.path == str(output)
    assert result.labels == ("negative", "positive")
    assert result.validation.rows + len(result.history) > 0
    assert result.best in result.history
    assert {path.name for path in output.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "README.md",
        "sentiment_batch.json",
    }
    assert not output.with_name("model.training").exists()
    json.dumps(result.to_json())
    assert list(score(FRAME, output, **CPU).columns) == ["text", "sentiment", "sentiment_score"]


def test_frames_and_files_of_equal_reviews_train_equal_models(trained, tiny_base, tmp_path):
    _, output = trained
    reviews().to_csv(tmp_path / "all.csv", index=False)
    reviews().iloc[:30].to_parquet(tmp_path / "first.parquet")
    reviews().iloc[30:].to_json(tmp_path / "second.jsonl", orient="records", lines=True)
    sources = {
        "one": tmp_path / "all.csv",
        "many": [str(tmp_path / "second.jsonl"), tmp_path / "first.parquet"],
        "polars": pl.from_pandas(reviews()),
        "arrow": pa.Table.from_pandas(reviews()),
    }
    expected = (output / "model.safetensors").read_bytes()
    for name, source in sources.items():
        train(source, tmp_path / name, base=str(tiny_base), **FAST)
        assert (tmp_path / name / "model.safetensors").read_bytes() == expected, name


def test_validation_and_test_rows_may_be_given(tiny_base, tmp_path):
    result = train(reviews(), tmp_path / "m", val=reviews(10), test=reviews(6), base=str(tiny_base), **FAST)
    assert (result.validation.rows, result.test.rows) == (10, 6)


def test_training_never_changes_the_frame(tiny_base, tmp_path):
    frame = reviews()
    train(frame, tmp_path / "m", base=str(tiny_base), text_column="review", label_column="label", **FAST)
    pd.testing.assert_frame_equal(frame, reviews())


def test_training_refuses_what_it_cannot_do_in_one_line(trained, tiny_base, tmp_path):
    _, output = trained
    with pytest.raises(OutputError, match="overwrite=True"):
        train(reviews(), output, base=str(tiny_base), **FAST)
    with pytest.raises(UsageError, match="The settings of training are base, epochs"):
        train(reviews(), tmp_path / "m", base=str(tiny_base), epoch=3)
    with pytest.raises(InputError, match="there are no reviews to train on"):
        train([], tmp_path / "m")
    with pytest.raises(InputError, match="an object of the type dict is no frame"):
        train({"text": ["a"]}, tmp_path / "m")
    with pytest.raises(InputError, match="is not there"):
        train(["nowhere.csv"], tmp_path / "m", base=str(tiny_base))
    with pytest.raises(InputError, match="cannot tell which column holds the labels"):
        train(reviews().drop(columns="label"), tmp_path / "m", base=str(tiny_base))
    with pytest.raises(ModelError, match="no model folder is at"):
        train(reviews(), tmp_path / "m", base="./nowhere", **FAST)
    assert os.listdir(tmp_path) == []


def test_evaluation_measures_frames_and_files_alike(trained, tmp_path):
    _, output = trained
    reviews(20).to_csv(tmp_path / "reviews.csv", index=False)

    def figures(rows, **columns):
        """All but where the rows come from."""
        found = evaluate(rows, output, **columns, **CPU).to_json()
        for case in found["errors"] + found["likely_wrong_labels"]:
            del case["file"]
        return {name: value for name, value in found.items() if name != "input"}

    from_frame = figures(reviews(20))
    assert from_frame == figures(tmp_path / "reviews.csv")
    assert from_frame == figures(pl.from_pandas(reviews(20)), text_column="review")
    assert from_frame["rows"] == 20


def test_evaluation_agrees_with_the_scores(trained):
    _, output = trained
    rows = reviews(20)
    scored = score(rows.rename(columns={"label": "truth"}), output, **CPU)
    hits = (scored["sentiment"].astype(str) == scored["truth"]).mean()
    assert evaluate(rows, output, **CPU).accuracy == pytest.approx(hits)
    assert len(scorer_cache._cached) == 1  # one model for both


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"label_column": ["label"]}, r"`label_column` is \['label'\]; it must be the name of one column"),
        ({"group_column": 1.5}, r"`group_column` is 1\.5"),
        ({"stars": (2, 4)}, r"`stars` is \(2, 4\); it must be text"),
        ({"overwrite": "false"}, r"`overwrite` is 'false'; it must be True or False"),
        ({"resume": 1}, r"`resume` is 1"),
    ],
)
def test_arguments_of_another_type_are_refused_in_one_line(tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        train(reviews(), tmp_path / "model", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_columns_may_be_named_by_numbers_and_a_base_by_its_path(tiny_base, tmp_path):
    frame = reviews().set_axis([0, 1], axis="columns")
    found = train(frame, tmp_path / "model", text_column=0, label_column=1, base=tiny_base, **FAST)
    assert found.labels == ("negative", "positive")


def test_what_train_returns_stands_for_its_model(trained):
    result, output = trained
    assert os.fspath(result) == str(output)
    expected = score(FRAME, str(output), **CPU)
    pd.testing.assert_frame_equal(score(FRAME, result, **CPU), expected)
    assert evaluate(reviews(), result, **CPU).rows == 60
    with Scorer.load(result, **CPU) as scorer:
        pd.testing.assert_frame_equal(scorer(FRAME), expected)
    assert repr(result).startswith(f"Trained(path={str(output)!r}, labels=('negative', 'positive'), accuracy=")


def test_two_models_are_compared_as_on_the_command_line(make_model, reviews_csv, cli):
    models = make_model("negative", "positive"), make_model("negative", "positive", seed=8)
    found = compare(pd.read_csv(reviews_csv), *models, device="cpu", dtype="float32")
    run = cli("compare", *models, reviews_csv, "--device", "cpu", "--dtype", "float32", "--quiet", "--json")
    expected = json.loads(run.stdout)
    values = found.to_json()
    assert values["changed"]
    for name in ("rows", "a", "b", "difference", "only_a", "only_b"):
        assert values[name] == expected[name]
    assert list(values["difference_interval"]) == expected["difference_interval"]
    with pytest.raises(UsageError, match="`neutral_band` is for scoring"):
        compare(pd.read_csv(reviews_csv), *models, neutral_band=0.7)
