"""Scoring and evaluation tell whether the texts are like those of the training, whichever way they are scored."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import Scorer, score
from sentiment_batch.scoring.backends.row_blocks import Counts
from sentiment_batch.scoring.likeness import TextCheck, judge_texts
from sentiment_batch.scoring.pipeline import ScoreJob, score_table
from sentiment_batch.settings import ScoreSettings
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.run import run_training
from tests.conftest import BAD, GOOD, WORDS

CHINESE = ["这部电影非常好看，值得推荐。", "酒店的服务很糟糕。", "快递太慢了，让人失望。"]
CPU = {"device": "cpu", "dtype": "float32"}


def reviews(count, first=0):
    """Labelled reviews that differ from each other, all of one kind."""
    rows = []
    for n in range(first, first + count):
        words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
        rows.append(
            (f"the {WORDS[n % 40]} film {WORDS[n % 37]} was {words[n % 8]} and {words[n * 3 % 7]} {n % 10}", label)
        )
    return pa.table({"review": [text for text, _ in rows], "label": [label for _, label in rows]})


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_base):
    """The folder of a model that was trained on 160 reviews, with its fingerprint."""
    from sentiment_batch.settings import TrainSettings

    folder = tmp_path_factory.mktemp("likeness") / "model"
    settings = TrainSettings(
        base=str(tiny_base), epochs=1, folds=0, val_size=0.3, max_length=32, device="cpu", batch_size=16
    )
    run_training(TrainJob(reviews=[reviews(200)], output=folder, settings=settings, quiet=True, report=False))
    return folder


@pytest.fixture(scope="module")
def scorer(trained):
    with Scorer.load(str(trained), **CPU) as scorer:
        yield scorer


@pytest.fixture
def run(scorer, tmp_path, caplog):
    """Scores texts into a file; gives the summary, the content of the manifest, and the warnings."""

    def run(texts, by=scorer, destination="out.csv", **options):
        source = tmp_path / "in.parquet"
        if not source.exists():
            pq.write_table(pa.table({"review": texts}), source)
        job = ScoreJob(source=str(source), destination=str(tmp_path / destination), quiet=True, **options)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "sentiment_batch"):
            summary = score_table(job, lambda: by)
        manifest = json.loads((tmp_path / f"{destination}.manifest.json").read_text("utf-8"))["content"]
        return summary, manifest, [record.getMessage() for record in caplog.records]

    return run


def test_the_model_holds_a_fingerprint_of_its_training_texts(trained):
    meta = json.loads((trained / "sentiment_batch.json").read_text("utf-8"))
    texts = meta["texts"]
    assert texts["texts"] == meta["data"]["training_rows"]
    assert sum(texts["labels"].values()) == pytest.approx(1, abs=1e-3)
    assert 0.5 <= texts["confidence"] <= 1
    assert len(json.dumps(texts, indent=2)) < 10_000
    assert not any(word in json.dumps(texts) for word in ("hated", "loved"))


def test_texts_of_the_same_kind_have_an_expected_accuracy(run):
    summary, manifest, warnings = run(reviews(60, first=500)["review"])
    assert (summary.unlike, summary.unlike_reasons, warnings) == (0.0, (), [])
    assert 0.5 <= summary.expected_accuracy <= 1
    percent = round(100 * summary.expected_accuracy)
    assert f"expected accuracy about {percent} % (an estimate from calibrated probabilities)" in str(summary)
    assert {name: manifest[name] for name in ("unlike", "unlike_reasons", "expected_accuracy")} == {
        "unlike": 0.0,
        "unlike_reasons": [],
        "expected_accuracy": summary.expected_accuracy,
    }


def test_texts_of_another_script_are_one_warning(run):
    summary, manifest, warnings = run([*reviews(39, first=500)["review"].to_pylist(), *CHINESE * 20, None, " "])
    assert len(warnings) == 1
    assert "of the texts look unlike those the model was trained on (other script" in warnings[0]
    assert summary.unlike == manifest["unlike"] == round(60 / 99, 4)
    assert summary.unlike_reasons[0] == manifest["unlike_reasons"][0] == "other script"
    assert summary.expected_accuracy is manifest["expected_accuracy"] is None
    assert "expected accuracy" not in str(summary)


@pytest.mark.parametrize("texts", [[], [None, " "]])
def test_without_a_text_nothing_is_known(run, texts):
    summary, _, warnings = run(pa.array(texts, pa.string()))
    assert (summary.unlike, summary.expected_accuracy, warnings) == (None, None, [])


def test_a_model_without_a_fingerprint_says_nothing(run, tiny_model):
    with Scorer.load(str(tiny_model), **CPU) as stock:
        summary, manifest, warnings = run(CHINESE, by=stock)
    assert (summary.unlike, summary.expected_accuracy, warnings) == (None, None, [])
    assert manifest["unlike"] is manifest["expected_accuracy"] is None


@pytest.mark.parametrize("texts", [{}, {"format": 9}])
def test_a_fingerprint_that_cannot_be_used_is_none(trained, tmp_path, texts):
    folder = tmp_path / "model"
    shutil.copytree(trained, folder)
    meta = json.loads((folder / "sentiment_batch.json").read_text("utf-8"))
    del meta["files"], meta["sha256"]  # as a model of an older version
    (folder / "sentiment_batch.json").write_text(json.dumps(meta | {"texts": texts}), "utf-8")
    with Scorer.load(str(folder), **CPU) as scorer:
        assert scorer.labels_of(pa.array(CHINESE)).null_count == 0
        assert judge_texts(scorer.description.meta, scorer.settings, scorer.counts).unlike is None


def test_a_neutral_band_or_no_calibration_expects_no_accuracy(scorer):
    before = dataclasses.replace(scorer.counts)
    list(scorer.probabilities(reviews(50, first=700).to_batches(), ["review"]))
    meta, counts = scorer.description.meta, scorer.counts.subtract(before)
    assert judge_texts(meta, scorer.settings, counts).expected_accuracy is not None
    band = judge_texts(meta, ScoreSettings(neutral_band=0.65), counts)
    assert (band.expected_accuracy, band.unlike) == (None, 0.0)
    too_few = {"temperature": 1.0, "is_determined": False}
    older = {"temperature": 1.0}
    for calibration in (None, too_few, older):
        unknown = judge_texts(meta | {"calibration": calibration}, scorer.settings, counts)
        assert (unknown.expected_accuracy, unknown.unlike) == (None, 0.0)
    kept = judge_texts(meta | {"calibration": too_few | {"is_determined": True}}, scorer.settings, counts)
    assert kept.expected_accuracy is not None
    assert judge_texts(None, scorer.settings, counts).unlike is None
    assert judge_texts(meta, scorer.settings, Counts()).unlike is None


def test_several_parts_and_a_resumed_run_are_judged_as_one_part(run, scorer, tmp_path, monkeypatch):
    texts = [*reviews(60, first=500)["review"].to_pylist(), *CHINESE * 10]
    whole, _, _ = run(texts, destination="whole.csv", part_rows=45)
    blocks, end = scorer.backend.score_blocks, KeyboardInterrupt

    def interrupted(*arguments):
        yield next(iter(blocks(*arguments)))
        raise end

    monkeypatch.setattr(scorer.backend, "score_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(texts, destination="resumed.csv", part_rows=45)
    monkeypatch.undo()
    resumed, manifest, _ = run(texts, destination="resumed.csv", part_rows=45)
    assert resumed.rows_resumed == 45
    assert resumed.unlike == whole.unlike == manifest["unlike"] > 0
    assert resumed.unlike_reasons == whole.unlike_reasons


def test_parts_of_an_older_version_lack_the_counts():
    from sentiment_batch.scoring.annotate import Tally

    old = {"tokens": 5, "null": 0, "repeated": 0, "cut": 0, "compiled": 0, "bad": 0, "labels": {"positive": 2}}
    total = Tally.sum_up([old, Tally(counts=Counts(scored=2, confidence=1.5)).to_json()])
    assert (total.counts.tokens, total.counts.scored, total.counts.confidence) == (5, 2, 1.5)


def test_a_frame_of_unlike_texts_is_a_warning_in_the_log(trained, caplog):
    pandas = pytest.importorskip("pandas")
    with caplog.at_level(logging.WARNING, "sentiment_batch"):
        score(pandas.DataFrame({"review": reviews(40, first=900)["review"].to_pylist()}), trained, **CPU)
        assert caplog.records == []
        score(pandas.DataFrame({"review": CHINESE}), trained, **CPU)
    (record,) = caplog.records
    assert "100 % of the texts look unlike those the model was trained on (other script" in record.getMessage()


@pytest.mark.parametrize(
    ("unlike", "reasons", "sentence"),
    [
        (0.61, ("other script",), "61 % of the texts look unlike those the model was trained on (other script). Its"),
        (0.02, ("other words",), "the texts look unlike those the model was trained on (other words). Its labels may"),
        (1.0, ("shorter", "other words"), "100 % of the texts look unlike those the model was trained on (shorter, ot"),
    ],
)
def test_the_warning_is_one_sentence_with_share_and_reasons(unlike, reasons, sentence):
    assert str(TextCheck(unlike=unlike, unlike_reasons=reasons)).startswith(sentence)


def evaluate_through_the_cli(cli, folder, table, model, *options):
    pq.write_table(table, folder / "holdout.parquet")
    return cli("evaluate", folder / "holdout.parquet", "--model", model, "--device", "cpu", "--quiet", *options)


def test_evaluating_on_rows_of_the_training_is_said(cli, trained, tmp_path):
    ran = evaluate_through_the_cli(cli, tmp_path, reviews(200), trained, "--json")
    assert 0.6 <= json.loads(ran.stdout)["trained_on"] <= 0.9
    assert ran.stderr.count("of these texts were trained on, so the figures are too good") == 1


def test_evaluating_on_other_rows_says_nothing(cli, trained, tmp_path):
    others = reviews(60, first=500)
    held_out = pa.table(
        {"review": [f"{text} again" for text in others["review"].to_pylist()], "label": others["label"]}
    )
    ran = evaluate_through_the_cli(cli, tmp_path, held_out, trained, "--json")
    values = json.loads(ran.stdout)
    assert (values["trained_on"], values["unlike"], values["unlike_reasons"]) == (None, 0.0, [])
    assert "trained on" not in ran.stderr


def test_evaluating_on_unlike_rows_warns(cli, trained, tmp_path):
    rows = pa.table({"review": CHINESE * 4, "label": ["positive", "negative", "negative"] * 4})
    ran = evaluate_through_the_cli(cli, tmp_path, rows, trained)
    assert "100 % of the texts look unlike those the model was trained on (other script" in ran.stderr


def test_scoring_unlike_rows_through_the_cli_warns_at_the_end(cli, trained, tmp_path):
    (tmp_path / "in.csv").write_text("review\n" + "\n".join(CHINESE * 4) + "\n", encoding="utf-8")
    arguments = ("score", tmp_path / "in.csv", tmp_path / "out.csv", "--model", trained, "--device", "cpu", "--json")
    ran = cli(*arguments)
    assert ran.exit_code == 0
    values = json.loads(ran.stdout)
    assert (values["unlike"], values["unlike_reasons"][0], values["expected_accuracy"]) == (1.0, "other script", None)
    assert ran.stderr.count("look unlike those the model was trained on") == 1


def test_counts_travel_between_processes(scorer):
    before = dataclasses.replace(scorer.counts)
    scorer.labels_of(pa.array(CHINESE))
    counts = scorer.counts.subtract(before)
    assert counts.sample["unlike"] == counts.scored == 3
    assert pickle.loads(pickle.dumps(counts)) == counts
