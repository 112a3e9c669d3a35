"""`--neutral-band`: a model of two labels calls rows neutral that neither label has the probability for, everywhere."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentiment_batch
from sentiment_batch.errors import OutputError, UsageError
from sentiment_batch.scoring.added_columns import AddedColumns
from sentiment_batch.scoring.job import ScoreJob
from sentiment_batch.scoring.output.manifest import read_manifest
from sentiment_batch.scoring.output.verify import verify_output
from sentiment_batch.scoring.pipeline import score_table
from sentiment_batch.scoring.scorer import Scorer
from tests.cli.helpers import CPU, failed
from tests.conftest import WORDS
from tests.scoring.cut_off import cut_off_after

BAND = 0.65
TEXTS = [None if n % 9 == 4 else f"the {WORDS[n % 40]} film {n} was {WORDS[n % 47]}" for n in range(90)]


def columns(band=None, labels=("negative", "positive"), decimals=4) -> AddedColumns:
    return AddedColumns(labels=labels, prefix="sentiment", probabilities=True, decimals=decimals, neutral_band=band)


def called(probabilities, **chosen) -> list[str | None]:
    return columns(**chosen).arrays(np.array(probabilities, dtype=np.float32).reshape(-1, 2))[0].to_pylist()


# What is called neutral

PROBABILITIES = st.lists(st.floats(0, 1, width=32) | st.just(float("nan")), max_size=20).map(
    lambda values: np.array([[1 - value, value] for value in values], dtype=np.float32).reshape(-1, 2)
)
EDGES = st.floats(0.5, 1, exclude_min=True)


@given(PROBABILITIES, EDGES)
def test_labels_are_neutral_in_the_band_and_unchanged_outside(probabilities, band):
    plain, banded = called(probabilities), called(probabilities, band=band)
    for row, before, after in zip(probabilities, plain, banded, strict=True):
        inside = before is not None and row.max() < np.float32(band)
        assert after == ("neutral" if inside else before)


@given(PROBABILITIES, EDGES)
def test_the_band_changes_no_score_and_the_decimals_no_label(probabilities, band):
    without, with_band = columns().arrays(probabilities), columns(band=band).arrays(probabilities)
    assert with_band[1:] == without[1:]
    labels = [called(probabilities, band=band, decimals=decimals) for decimals in range(8)]
    assert labels == labels[:1] * 8


@given(PROBABILITIES, EDGES, EDGES)
def test_a_wider_band_only_adds_neutral_rows(probabilities, one, other):
    narrow, wide = sorted((one, other))
    for inner, outer in zip(called(probabilities, band=narrow), called(probabilities, band=wide), strict=True):
        assert outer in {inner, "neutral"}


def test_a_label_that_has_just_the_probability_counts():
    edge = np.float32(0.65)
    below = np.nextafter(edge, np.float32(0))
    rows = [[1 - edge, edge], [1 - below, below], [edge, 1 - edge], [below, 1 - below], [0.5, 0.5]]
    assert called(rows, band=0.65) == ["positive", "neutral", "negative", "neutral", "neutral"]
    assert called([[0.0, 1.0], [1e-7, 1.0 - 1e-7]], band=1.0) == ["positive", "neutral"]


def test_rounding_does_not_move_a_row_over_the_edge():
    added = columns(band=0.65, decimals=2)
    arrays = added.arrays(np.array([[0.3504, 0.6496]], dtype=np.float32))
    assert arrays[0].to_pylist() == ["neutral"]
    assert arrays[1].to_pylist() == [np.float32(0.65)]


def test_neutral_stands_between_the_labels_of_the_dictionary():
    added = columns(band=0.65)
    assert added.sentiments == ("negative", "neutral", "positive")
    for rows in (np.empty((0, 2), np.float32), np.array([[0.1, 0.9]], np.float32)):
        assert added.arrays(rows)[0].dictionary.to_pylist() == ["negative", "neutral", "positive"]
    assert added.names == ["sentiment", "sentiment_score", "sentiment_negative", "sentiment_positive"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("negative", "mixed", "positive"), "for a model of two labels; this one has 'negative', 'mixed', 'positive'"),
        (("Neutral", "positive"), "has a label neutral itself"),
        (("negative", "neutral", "positive"), "has a label neutral itself"),
    ],
)
def test_a_model_of_other_labels_is_refused_in_one_line(labels, words, make_model):
    folder = str(make_model(*labels))
    with pytest.raises(UsageError, match=words) as error:
        Scorer.load(folder, device="cpu", neutral_band=0.65)
    assert "\n" not in str(error.value)
    Scorer.load(folder, device="cpu").close()


@pytest.mark.parametrize("wrong", [0.5, 0.35, 0.0, -1, 1.01, float("nan")])
def test_an_impossible_band_is_refused_before_loading(cli, tmp_path, wrong):
    for command in (["predict", "fine"], ["score", tmp_path / "in.csv", tmp_path / "out.csv"]):
        failed(cli(*command, "--neutral-band", wrong), "Error: --neutral-band is", "such as 0.65", code=2)


# The same by every door


@pytest.fixture(scope="module")
def banded(tiny_model):
    with Scorer.load(str(tiny_model), device="cpu", dtype="float32", neutral_band=BAND) as scorer:
        yield scorer


@pytest.fixture(scope="module")
def expected(scorer):
    """The labels of the texts by their probabilities."""
    table = scorer(pa.table({"text": TEXTS}))
    scores = zip(table["sentiment"].to_pylist(), table["sentiment_score"].to_pylist(), strict=True)
    labels = [label if label is None or score >= BAND else "neutral" for label, score in scores]
    assert min(labels.count(label) for label in ("negative", "neutral", "positive", None)) > 5, labels
    return labels


def test_a_frame_has_the_labels_and_their_order(banded, expected, tiny_model):
    frame = pd.DataFrame({"text": TEXTS})
    scored = banded(frame)
    assert [None if pd.isna(label) else label for label in scored["sentiment"]] == expected
    assert list(scored["sentiment"].cat.categories) == ["negative", "neutral", "positive"]
    piped = frame.pipe(sentiment_batch.score, tiny_model, device="cpu", dtype="float32", neutral_band=BAND)
    sentiment_batch.clear_cache()
    pd.testing.assert_frame_equal(piped, scored)
    assert banded(frame.head(0))["sentiment"].cat.categories.tolist() == ["negative", "neutral", "positive"]


def test_a_scorer_out_of_a_pickle_has_its_band(banded, expected):
    with pickle.loads(pickle.dumps(banded)) as again:
        assert again(pa.table({"text": TEXTS}))["sentiment"].to_pylist() == expected


@pytest.mark.usefixtures("warm_processes")
def test_several_devices_have_it_too(tiny_model, expected):
    with Scorer.load(str(tiny_model), device="cpu,cpu", dtype="float32", neutral_band=BAND) as pair:
        assert pair(pa.table({"text": TEXTS}))["sentiment"].to_pylist() == expected


@pytest.mark.parametrize("out", ["out.parquet", "out.csv", "out.jsonl", "out.arrow"])
def test_score_writes_it_counts_it_and_its_output_is_verified(cli, tiny_model, tmp_path, expected, out):
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")
    words = ["score", tmp_path / "in.parquet", tmp_path / out, "-m", tiny_model, *CPU, "--json"]
    done = cli(*words, "--neutral-band", BAND, "--decimals", 1)
    assert done.exit_code == 0, done.output
    labels = json.loads(done.stdout)["labels"]
    assert labels == {label: expected.count(label) for label in ("negative", "neutral", "positive")}
    assert verify_output(str(tmp_path / out)).rows == 90
    assert read_manifest(f"{tmp_path / out}.manifest.json")["settings"]["neutral_band"] == BAND


def test_predict_calls_rows_neutral_and_shows_all_probabilities(cli, tiny_model, expected):
    texts = [text for text in TEXTS if text]
    done = cli("predict", "-m", tiny_model, *CPU, "--neutral-band", BAND, "--json", *texts)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["sentiment"] for one in found] == [label for label in expected if label]
    assert all(set(one["probabilities"]) == {"negative", "positive"} for one in found)
    assert all(one["sentiment_score"] == max(one["probabilities"].values()) for one in found)
    shown = cli("predict", "-m", tiny_model, *CPU, "--neutral-band", 1.0, texts[0])
    assert " neutral " in shown.stdout


def test_a_model_is_not_evaluated_with_it(tiny_model):
    with pytest.raises(UsageError, match="`neutral_band` is for scoring"):
        sentiment_batch.evaluate(pd.DataFrame({"text": ["a"], "label": ["positive"]}), tiny_model, neutral_band=0.7)


# An interrupted run


@pytest.mark.parametrize("out", ["out.parquet", "out.csv", "out/"])
def test_an_interrupted_run_resumes_with_the_same_band_only(banded, scorer, tmp_path, expected, out):
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")

    def run(name, by=banded):
        job = ScoreJob(source=f"{tmp_path}/in.parquet", destination=f"{tmp_path}/{name}", quiet=True, part_rows=20)
        return score_table(job, lambda: by)

    run(out.replace("out", "whole"))
    with cut_off_after(2):
        run(out)
    with pytest.raises(OutputError, match=r"`neutral_band` was 0\.65 and is not given"):
        run(out, by=scorer)
    again = run(out)
    assert again.rows_resumed == 40
    assert again.labels["neutral"] == expected.count("neutral")
    names = sorted(path.relative_to(tmp_path / out) for path in (tmp_path / out).rglob("*")) if out == "out/" else [""]
    whole = tmp_path / out.replace("out", "whole")
    for name in names:
        assert (tmp_path / out / name).read_bytes() == (whole / name).read_bytes()
    verify_output(f"{tmp_path}/{out}")
