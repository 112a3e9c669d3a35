"""The benchmarks of training run with a tiny model; how good or fast anything is, no test says."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

import sentiment_batch
from benchmarks import accuracy, intervals, reference, rows, train
from benchmarks.contestants import OURS, REFERENCE
from benchmarks.rows import Rows
from benchmarks.stopwatch import Stopwatch
from tests.conftest import BAD, GOOD, WORDS

needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed"
)


@pytest.fixture
def holdout_csv(tmp_path):
    path = tmp_path / "holdout.csv"
    lines = [f"a {WORDS[n]} story that was {(GOOD if n % 3 else BAD)[n % 8]},{1 if n % 3 else 0}" for n in range(20)]
    path.write_text("\n".join(["review,label", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def compared(tmp_path, tiny_base, reviews_csv, holdout_csv, capsys):
    """Runs the comparison with the tiny base; gives its JSON and what it printed."""

    def run(*arguments):
        path = tmp_path / "figures.json"
        given = ["--base", tiny_base, "--table", reviews_csv, "--test", holdout_csv, "--batch-size", "8"]
        given += ["--device", "cpu", "--dtype", "float32", "--folder", tmp_path, "--json", path, *arguments]
        train.main([str(argument) for argument in given])
        return json.loads(path.read_text(encoding="utf-8")), capsys.readouterr().out

    return run


@needs_accelerate
def test_both_take_their_steps_on_the_same_tokens(compared):
    found, printed = compared("--steps", "4", "--rounds", "2", "--warm-up", "1")
    assert found["data"]["training"]["rows"] == 32
    ours, theirs = (found["results"][name] for name in (OURS, REFERENCE))
    tokens = [one["tokens"] for side in (ours, theirs) for one in side["rounds"]]
    assert tokens == [found["tokens"]["all"]] * 4  # 4 steps of 8 are every row once, and padding counts for none
    for number, ratio in enumerate(zip(ours["rates"], theirs["rates"], strict=True)):
        assert ours["rounds"][number]["seconds"] > 0
        assert theirs["ratio"]["least"] <= ratio[0] / ratio[1] <= theirs["ratio"]["greatest"]
    assert found["plan"]["learning_rate"] == pytest.approx(0.0384 / 32)
    assert OURS in printed
    assert REFERENCE in printed


@needs_accelerate
def test_more_steps_than_batches_go_through_the_rows_again(compared):
    found, _ = compared("--steps", "5", "--rounds", "1", "--rows", "24")
    for side in (OURS, REFERENCE):
        (block,) = found["results"][side]["rounds"]
        assert found["tokens"]["all"] < block["tokens"] < 2 * found["tokens"]["all"]


@pytest.mark.slow
@needs_accelerate
def test_of_an_epoch_of_one_step_no_speed_is_told(compared):
    found, printed = compared("--seeds", "1", "--epochs", "1", "--rows", "40", "--batch-size", "40")
    assert found["results"][OURS]["rates"] == found["results"][REFERENCE]["rates"] == []
    assert found["results"]["difference"]["interval"] is None
    assert printed.count("too few steps") == 2


def test_without_accelerate_the_reference_is_left_out(compared, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found, printed = compared("--steps", "1", "--rounds", "1", "--rows", "40")
    assert list(found["results"]) == [OURS]
    assert "left out: transformers Trainer (not installed: accelerate" in printed
    with pytest.raises(SystemExit, match="not installed: accelerate"):
        compared("--steps", "1", "--only", "reference")


@pytest.mark.slow
@needs_accelerate
def test_both_train_and_are_measured_on_the_same_rows(compared, tmp_path, holdout_csv):
    found, printed = compared(
        "--seeds", "1", "2", "--epochs", "2", "--rows", "40", "--reference-long-text", "head-tail"
    )
    truth = rows.read(str(holdout_csv)).drawn(None).codes(["negative", "positive"])
    assert found["data"]["test"]["rows"] == len(truth) == 20
    assert found["data"]["validation"]["rows"] == 4
    for side in (OURS, REFERENCE):
        one = found["results"][side]
        for seed in one["seeds"]:
            assert seed["accuracy"] == (np.array([int(digit) for digit in seed["predicted"]]) == truth).mean()
            assert (seed["steps"], seed["counted_steps"]) == (10, 8)  # two epochs of five, the first of each left out
            assert 0 < seed["training_seconds"] < seed["seconds"]
            assert seed["peak_bytes"] > 2**26
        assert one["accuracy"] == pytest.approx(np.mean([seed["accuracy"] for seed in one["seeds"]]))
    gaps = [
        ours["accuracy"] - theirs["accuracy"]
        for ours, theirs in zip(*(found["results"][side]["seeds"] for side in (OURS, REFERENCE)), strict=True)
    ]
    difference = found["results"]["difference"]
    assert difference["mean"] == pytest.approx(np.mean(gaps))
    low, high = difference["interval_over_rows"]
    assert low <= difference["mean"] <= high
    assert "accuracy, ours less theirs" in printed
    assert not list(tmp_path.glob("tmp*"))  # the models are gone


@needs_accelerate
def test_the_reference_learns_and_keeps_its_best_state(tmp_path, tiny_base, reviews_csv):
    from benchmarks.contestants import Plan

    found = rows.read(str(reviews_csv)).drawn(None)
    plan = Plan(
        base=str(tiny_base),
        names=("negative", "positive"),
        epochs=20,
        batch_size=8,
        learning_rate=1e-2,
        weight_decay=0.01,
        warmup=0.1,
        max_length=32,
        seed=1,
        device="cpu",
        dtype="float32",
        long_text="head-tail",
        reference_long_text="head",
    )
    validation = found.take(range(44, 60))
    with train.common.quietly():
        reference.train(plan, found.take(range(44)), validation, tmp_path / "model", [3])
    scores = rows.predicted(str(tmp_path / "model"), validation, plan.names, device="cpu", dtype="float32")
    truth = validation.codes(plan.names)
    (state,) = (tmp_path / "model.trainer").glob("*/trainer_state.json")
    log = [one for one in json.loads(state.read_text())["log_history"] if "eval_loss" in one]
    assert [one["step"] for one in log[:3]] == [3, 6, 12]  # where an epoch is validated within, and at its end
    best = min(one["eval_loss"] for one in log)
    assert -np.log(scores[np.arange(16), truth]).mean() == pytest.approx(best, abs=1e-4)
    assert (scores.argmax(axis=1) == truth).mean() > 0.8


def test_the_reference_can_be_given_our_cut_of_long_texts(tiny_base):
    from types import SimpleNamespace

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base, model_max_length=12)
    long = Rows(table="", texts=["good " * 10 + "bad " * 10], labels=["negative"])
    good, bad = tokenizer.convert_tokens_to_ids(["good", "bad"])
    kept = {}
    for policy in ("head", "head-tail"):
        plan = SimpleNamespace(names=("negative",), max_length=12, reference_long_text=policy)
        (kept[policy],) = reference._encoded(long, tokenizer, plan)
    assert kept["head"]["input_ids"][1:-1] == [good] * 10
    assert {good, bad} == set(kept["head-tail"]["input_ids"][1:-1])
    assert len(kept["head-tail"]["input_ids"]) == len(kept["head-tail"]["attention_mask"]) == 12


def test_the_stopwatch_leaves_out_what_follows_a_validation():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight])
    with Stopwatch({3, 5, 6}, "cpu") as watch:
        for _ in range(6):
            weight.grad = torch.ones(2)
            optimizer.step()
    seconds = watch.seconds
    optimizer.step()
    assert (watch.steps, watch.counted) == (6, 3)  # 2 and 3; 5; none
    assert watch.seconds == seconds > 0


def test_rows_are_different_and_split_by_their_text():
    texts = ["a", "b", "a", "c", "d", "d"]
    found = rows.different(Rows(table="", texts=texts, labels=["x", "x", "x", "y", "x", "y"], groups=list("123456")))
    assert (found.texts, found.labels, found.groups) == (["a", "b", "c"], ["x", "x", "y"], ["1", "2", "4"])
    many = Rows(table="", texts=[f"Text {n % 900}" for n in range(1_000)], labels=["x"] * 1_000)
    kept, held = rows.split_by_text(many, 0.2, 0)
    assert len(kept) + len(held) == 1_000
    assert 150 < len(held) < 250
    assert not set(kept.texts) & set(held.texts)
    assert rows.split_by_text(many, 0.2, 1)[1].texts != held.texts
    assert len(kept.without(held)) == len(kept)
    assert len(many.without(held)) == len(kept)


def test_intervals_hold_the_mean_and_narrow_with_the_rows():
    assert intervals.over_seeds([0.25]) == {"mean": 0.25, "interval": None}
    found = intervals.over_seeds([0.1, 0.2, 0.3])
    assert found["mean"] == pytest.approx(0.2)
    assert found["interval"] == pytest.approx([0.2 - 4.302653 * 0.1 / 3**0.5, 0.2 + 4.302653 * 0.1 / 3**0.5])
    few, many = (intervals.over_rows(np.tile([0.0, 0.0, 1.0, -1.0, 1.0], n)) for n in (20, 500))
    assert few[0] < many[0] < 0.2 < many[1] < few[1]
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.748 / 2_500**0.5, rel=0.1)
    assert intervals.over_rows(np.full(7, 0.5)) == [0.5, 0.5]


def test_a_temperature_is_undone():
    logits = np.random.default_rng(0).normal(size=(50, 3)) * 4

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    found = accuracy._heated(softmax(logits / 1.7).astype(np.float32), 1.7)
    assert found == pytest.approx(softmax(logits), abs=1e-5)


@pytest.fixture
def measured(tmp_path, tiny_base, reviews_csv, holdout_csv, capsys):
    """Runs the benchmark of accuracy on data of the usual layout; gives its JSON and what it printed."""
    import pandas as pd

    data = tmp_path / "data"
    frame = pd.read_csv(reviews_csv).rename(columns={"review": "text"})
    tables = {"sst2_glue/train": frame, "sst2_glue/dev": pd.read_csv(holdout_csv).rename(columns={"review": "text"})}
    tables["imdb/train"] = frame.assign(title_id=[n // 3 for n in range(len(frame))])
    tables["imdb/test"] = tables["sst2_glue/dev"]
    tables["airline_tweets/all"] = frame.assign(label=[("negative", "neutral", "positive")[n % 3] for n in range(60)])
    for name, table in tables.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(data / f"{name}.parquet")

    def run(task, *arguments):
        path = tmp_path / "figures.json"
        given = [
            task,
            "--data",
            data,
            "--base",
            tiny_base,
            "--device",
            "cpu",
            "--epochs",
            "1",
            "--set",
            "dtype=float32",
            "--set",
            "folds=0",
        ]
        given += ["--folder", tmp_path / "models", "--json", path, *arguments]
        accuracy.main([str(argument) for argument in given])
        return json.loads(path.read_text(encoding="utf-8")), capsys.readouterr().out

    return run


@pytest.mark.parametrize(("task", "classes"), [("imdb", 2), ("sst2", 2), ("airline", 3)])
def test_each_task_is_measured_on_its_test_rows(measured, tmp_path, task, classes):
    found, printed = measured(task, "--seeds", "1")
    (one,) = found["results"]
    assert len(found["test"]["labels"]) == classes
    assert found["training"]["rows"] == (60 if classes == 2 else 60 - found["test"]["rows"])
    for name in accuracy.MEASURES:
        assert one[name] >= 0
    assert one["data"]["training_rows"] + one["data"]["validation_rows"] == found["training"]["rows"]
    assert f"{one['accuracy']:.4f}" in printed
    assert not list((tmp_path / "models").glob("*"))


def test_recipes_are_compared_in_turn_and_never_repeated(measured, monkeypatch):
    trained = []
    real = sentiment_batch.train

    def noting(*given, **settings):
        trained.append((settings["seed"], settings["learning_rate"], len(given[0]), sorted(given[0]["text"])[0]))
        return real(*given, **settings)

    monkeypatch.setattr(sentiment_batch, "train", noting)
    recipe = ["--rows", "40", "--vary", "learning_rate=1e-3,5e-3", "--set", "long_text=head", "--floor"]
    measured("sst2", *recipe, "--seeds", "1")
    found, printed = measured("sst2", *recipe, "--seeds", "1", "2")
    assert [one[:3] for one in trained] == [(1, 1e-3, 40), (1, 5e-3, 40), (2, 1e-3, 40), (2, 5e-3, 40)]
    assert trained[0][3] == trained[1][3]  # the same rows for one seed
    assert {one["settings"]["long_text"] for one in found["results"] if "settings" in one} == {"head"}
    assert sum(one["setting"] == accuracy.FLOOR for one in found["results"]) == 2
    first, second = (
        [line for line in printed.splitlines() if f"learning_rate={rate}" in line] for rate in (0.001, 0.005)
    )
    assert len(first) == len(second) == 1
    assert " to +" in second[0]
    with pytest.raises(SystemExit, match="figures of another rows"):
        measured("sst2", "--rows", "30")


def test_further_rows_are_given_without_labels(measured, monkeypatch):
    given = []
    real = sentiment_batch.train

    def noting(table, *further, **settings):
        given.append((list(table["text"]), settings["unlabelled"]))
        return real(table, *further, **settings)

    monkeypatch.setattr(sentiment_batch, "train", noting)
    recipe = ["--rows", "40", "--unlabelled", "15", "--seeds", "1", "--set", "unlabelled_confidence=0.5"]
    found, _ = measured("sst2", *recipe)
    ((labelled, unlabelled),) = given
    assert (len(labelled), len(unlabelled), set(labelled) & set(unlabelled)) == (40, 15, set())
    assert found["unlabelled"] == 15
    assert found["results"][0]["self_training"]["unlabelled"]["texts"] == 15
    with pytest.raises(SystemExit):
        accuracy.main(["sst2", "--data", ".", "--unlabelled", "15"])


def test_a_run_that_was_interrupted_goes_on(measured, monkeypatch, tmp_path):
    real = rows.predicted

    def stopped(*given, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "predicted", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured("sst2", "--seeds", "1")
    monkeypatch.setattr(rows, "predicted", real)
    with Stopwatch((), "cpu") as watch:
        found, _ = measured("sst2", "--seeds", "1")
    (one,) = found["results"]
    assert watch.steps == 0  # it was trained to the end before
    assert one["minutes"] == one["history"][-1]["seconds"] / 60
    assert not list((tmp_path / "models").glob("*"))


def test_wrong_settings_are_named_before_anything_is_read(capsys):
    for wrong, said in (
        (["--set", "no_such=1"], "'no_such=1' sets nothing"),
        (["--vary", "warmup"], "'warmup' sets nothing"),
        (["--vary", "warmup=0.1,7"], "`warmup` is 7"),
        (["--set", "seed=3"], "'seed=3' sets nothing"),
    ):
        with pytest.raises(SystemExit) as caught:
            accuracy.main(["sst2", "--data", "nowhere", *wrong])
        assert caught.value.code == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"nowhere/sst2_glue/train\.parquet is not there"):
        accuracy.main(["sst2", "--data", "nowhere"])
