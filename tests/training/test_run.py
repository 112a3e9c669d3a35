import csv
import dataclasses
import errno
import hashlib
import json
import logging
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.errors import DeviceError, InputError, ModelError, OutputError, UsageError
from sentiment_batch.evaluation.metrics import measure
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.model.probabilities import softmax
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.training import components, loop, run
from sentiment_batch.training.checkpoint import work_folder
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.run import run_training
from tests.conftest import BAD, GOOD

FIVE = {
    "very negative": ("hated", "awful"),
    "negative": ("boring", "dull"),
    "neutral": ("film", "plot"),
    "positive": ("fine", "warm"),
    "very positive": ("loved", "superb"),
}


@pytest.fixture
def train(tmp_path, settings):
    """Trains in a new folder; gives what `run_training` gives."""
    count = 0

    def train(reviews, *, output=None, val=None, test=None, stars=None, **chosen):
        nonlocal count
        how = {name: chosen.pop(name) for name in ("overwrite", "resume", "restart", "report") if name in chosen}
        count += 1
        job = TrainJob(
            reviews=reviews if isinstance(reviews, list) else [reviews],
            output=output or tmp_path / f"model{count}",
            settings=settings(**chosen),
            val=val,
            test=test,
            label_settings=LabelSettings(stars=stars),
            quiet=True,
            **how,
        )
        return run_training(job)

    return train


def weights_of(folder) -> str:
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


def meta_of(folder) -> dict:
    return json.loads((Path(folder) / "sentiment_batch.json").read_text(encoding="utf-8"))


def probabilities(folder, texts) -> np.ndarray:
    with Scorer.load(str(folder), device="cpu", dtype="float32") as scorer:
        table = pa.record_batch({"text": pa.array(texts)})
        return np.concatenate([scores for _, scores in scorer.probabilities([table], ["text"])])


def shuffled(reviews: LabelledRows, seed: int) -> LabelledRows:
    order = list(range(len(reviews.texts)))
    random.Random(seed).shuffle(order)
    texts, labels = [reviews.texts[n] for n in order], [reviews.labels[n] for n in order]
    return LabelledRows(
        name=reviews.name,
        texts=texts,
        labels=labels,
        groups=None,
        text_columns=("text",),
        label_column="label",
        num_blank=0,
    )


# The same again


def test_equal_commands_give_equal_weights_other_seeds_others(train, reviews):
    one, two, other = (train(reviews(), seed=seed) for seed in (1, 1, 2))
    assert weights_of(one.path) == weights_of(two.path)
    assert weights_of(one.path) != weights_of(other.path)
    assert [entry.validation_loss for entry in one.history] == [entry.validation_loss for entry in two.history]


def test_the_seed_decides_the_state_that_training_begins_with(train, reviews):
    heads = []
    for seed in (1, 1, 2):
        trained = train(reviews(), val=reviews(20), seed=seed, learning_rate=1e-30, epochs=1)  # so it stays there
        heads.append(load_file(Path(trained.path) / "model.safetensors")["pre_classifier.weight"])
    assert heads[0].equal(heads[1])
    assert (heads[0][:2] != heads[2][:2]).all()


def test_the_state_of_the_process_does_not_matter_and_stays(train, reviews):
    one = train(reviews())
    torch.manual_seed(99)
    np.random.seed(99)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert weights_of(train(reviews()).path) == weights_of(one.path)
    assert torch.get_rng_state().equal(states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_order_of_rows_and_files_does_not_change_the_weights(train, reviews):
    rows = reviews()
    rows.texts.extend([rows.texts[0].upper(), f" {rows.texts[0]}", rows.texts[1], rows.texts[1].replace("the", "ｔhe")])
    rows.labels.extend(["negative", "negative", "positive", "negative"])
    mixed = shuffled(rows, 1)
    halves = [shuffled(rows, 2), shuffled(rows, 2)]
    for half, part in zip(halves, (slice(0, 20), slice(20, None)), strict=True):
        half.texts[:], half.labels[:] = half.texts[part], half.labels[part]
    models = [train(one, epochs=1) for one in (rows, mixed, halves)]
    assert len({weights_of(one.path) for one in models}) == 1


def test_an_interruption_while_kernels_are_chosen_is_no_bug(train, reviews, monkeypatch):
    """As torch has it: the first call imports half of torch, and when that is interrupted a second call fails."""

    def half_imported(*arguments, **options):
        raise AttributeError("partially initialized module")

    def interrupted(*arguments, **options):
        monkeypatch.setattr(torch, "use_deterministic_algorithms", half_imported)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "use_deterministic_algorithms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(reviews())


# The best state is what remains


@pytest.mark.parametrize("best", [0, 1])
def test_the_best_state_is_what_remains_measured_anew(train, reviews, settings, monkeypatch, best):
    monkeypatch.setattr(loop, "is_best", lambda loss, history: len(history) <= best)
    trained = train(reviews(), epochs=3, patience=None)
    kept = trained.history[best]
    assert trained.best == kept
    held_back = prepare([reviews()], settings()).validation
    found = measure(probabilities(trained.path, held_back.texts), held_back.codes, trained.labels)
    assert found.loss == pytest.approx(kept.validation_loss, rel=1e-5)
    assert found.loss == pytest.approx(trained.validation.loss, rel=1e-5)
    assert found.accuracy == trained.validation.accuracy
    assert kept.validation_loss != pytest.approx(trained.history[-1].validation_loss, rel=1e-4)


def test_an_interrupted_run_leaves_its_best_model_ready_to_score(train, reviews, tmp_path, monkeypatch, caplog):
    saved = run.WorkFolder.save_best

    def interrupted(work_folder, fill, meta, history):
        saved(work_folder, fill, meta, history)
        raise KeyboardInterrupt

    monkeypatch.setattr(run.WorkFolder, "save_best", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(reviews(), output=tmp_path / "model")
    assert not (tmp_path / "model").exists()
    best = tmp_path / "model.training" / "best"
    assert f"the best model so far is in {best}. It can score texts already" in caplog.text
    assert probabilities(best, ["a good film"]).shape == (1, 2)
    assert meta_of(best)["best"]["step"] == 7
    monkeypatch.undo()
    with pytest.raises(OutputError, match="`restart=True`"):
        train(reviews(), output=tmp_path / "model")
    train(reviews(), output=tmp_path / "model", restart=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


# Calibration


@pytest.fixture
def sharp(train, reviews):
    """Trains a model that is surer than the labels it is validated on; gives its validation rows too."""

    def sharp(**chosen):
        val = reviews(120, start=500)
        val.labels[:60] = val.labels[1:61]
        return train(reviews(400), val=val, **{"epochs": 1, "learning_rate": 0.003} | chosen), val

    return sharp


def test_the_published_model_is_calibrated_and_predicts_the_same(sharp):
    (plain, val), (trained, _) = sharp(calibrate=False), sharp()
    temperature = trained.calibration.temperature
    assert temperature > 1.2
    assert plain.calibration is None
    raw, cool = (probabilities(one.path, val.texts) for one in (plain, trained))
    np.testing.assert_allclose(cool, softmax((np.log(raw) / temperature).astype(np.float32)), atol=1e-5)
    assert (raw.argmax(axis=1) == cool.argmax(axis=1)).all()
    codes = np.array([["negative", "positive"].index(label) for label in val.labels])
    found = measure(cool, codes, trained.labels)
    assert found.loss == pytest.approx(trained.validation.loss, rel=1e-5)
    assert trained.validation.accuracy == plain.validation.accuracy
    assert trained.validation.loss < plain.validation.loss == plain.best.validation_loss
    assert trained.history == tuple(
        dataclasses.replace(entry, seconds=own.seconds, calibrated_loss=own.calibrated_loss)
        for entry, own in zip(plain.history, trained.history, strict=True)
    )


def test_what_is_said_of_the_calibration_is_what_is_stored(sharp, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    trained, _ = sharp()
    meta = meta_of(trained.path)
    found = trained.calibration
    assert meta["calibration"] == found.to_json()
    assert set(meta["calibration"]["before"]) == {"calibration_error", "loss", "reliability"}
    assert found.rows == 120
    assert sum(one["rows"] for one in found.before["reliability"]) == 120
    assert found.before["loss"] == pytest.approx(trained.best.validation_loss, rel=1e-6)
    assert found.after["loss"] > trained.validation.loss - 1e-6, "these rows took part in the temperature of the model"
    assert meta["settings"]["calibrate"] is True
    assert f"calibration: temperature {found.temperature:g}, fitted on 120 validation rows" in caplog.text
    assert f"a temperature of {found.temperature:g}" in (Path(trained.path) / "README.md").read_text()
    assert meta["metrics"]["validation"]["loss"] == trained.validation.loss


def test_the_test_file_has_no_part_in_the_temperature(train, reviews):
    val, tests = (
        reviews(80, start=300),
        (None, reviews(90, start=500), reviews(90, {"negative": GOOD, "positive": BAD})),
    )
    found = [train(reviews(), val=val, test=test).calibration for test in tests]
    assert found[0].rows == 80
    assert found[0] == found[1] == found[2]


def test_a_temperature_is_folded_in_only_once(train, reviews, tmp_path):
    chosen = {"val": reviews(80, start=300), "test": reviews(20, start=500), "output": tmp_path / "model"}
    first = train(reviews(), **chosen)
    assert first.calibration.temperature != 1.0
    again = train(reviews(), resume=True, **chosen)
    assert again.validation == first.validation
    assert again.test == first.test
    assert again.calibration == first.calibration


def test_few_validation_rows_leave_scores_alone_which_is_logged(train, reviews, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    trained = train(reviews())
    assert trained.calibration.temperature == 1.0
    assert "calibration: temperature 1: 6 validation rows are too few" in caplog.text
    assert weights_of(trained.path) == weights_of(train(reviews(), calibrate=False).path)
    assert trained.validation.loss == trained.best.validation_loss


def test_to_calibrate_or_not_makes_another_run(train, reviews, tmp_path):
    train(reviews(), output=tmp_path / "model")
    with pytest.raises(OutputError, match="was finished with other settings"):
        train(reviews(), output=tmp_path / "model", resume=True, calibrate=False)


def test_a_calibrated_model_as_base_gives_its_encoder_alone(sharp, train, reviews):
    trained, _ = sharp()
    again = train(reviews(), base=trained.path, epochs=1)
    assert again.labels == trained.labels


# The folder is everybody's


@pytest.mark.parametrize("classes", [{"negative": BAD, "positive": GOOD}, FIVE], ids=["two", "five"])
def test_a_stock_pipeline_gives_our_classifiers_probabilities(train, reviews, monkeypatch, classes):
    from transformers import pipeline

    ours = []
    save = components.save_classifier

    def keep(folder, classifier, tokenizer, labels, max_length):
        save(folder, classifier, tokenizer, labels, max_length)
        with torch.no_grad():
            ids = [torch.tensor([tokenizer(text)["input_ids"]]) for text in texts]
            ours.append(np.concatenate([softmax(classifier.eval()(one).numpy()) for one in ids]))

    texts = [*reviews(20, classes).texts, "so very bad .", "?", "warm " * 40]
    monkeypatch.setattr(components, "save_classifier", keep)
    trained = train(reviews(60, classes), learning_rate=0.01)
    assert trained.labels == tuple(classes)
    classify = pipeline("text-classification", model=trained.path, device="cpu", top_k=None)
    stock = np.array(
        [[{one["label"]: one["score"] for one in scores}[name] for name in classes] for scores in classify(texts)]
    )
    assert stock.shape == (23, len(classes))
    assert np.ptp(stock, axis=0).max() > 0.05, "the scores differ between texts, or this test would show nothing"
    assert np.abs(stock - ours[-1]).max() < 5e-6
    assert np.abs(stock - probabilities(trained.path, texts)).max() < 5e-6


@pytest.mark.parametrize("report", [True, False])
def test_the_folder_holds_a_stock_models_files_and_our_own(train, reviews, report):
    trained = train(reviews(), report=report)
    assert {path.name for path in Path(trained.path).iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "sentiment_batch.json",
        "README.md",
        "training_log.csv",
        *(["report.html"] if report else []),
    }
    config = json.loads((Path(trained.path) / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["architectures"] == ["DistilBertForSequenceClassification"]


def test_sentiment_batch_json_tells_how_the_model_came_about(train, reviews, tiny_base):
    trained = train(reviews(), test=reviews(10, start=100), seed=5, max_length=32, long_text="head")
    meta = meta_of(trained.path)
    assert meta["format"] == 1
    assert meta["base"] == str(tiny_base)
    assert meta["labels"]["labels"] == ["negative", "positive"]
    assert meta["text"] == {"max_length": 32, "long_text": "head", "special_tokens_as_text": True}
    assert (meta["settings"]["seed"], meta["settings"]["learning_rate"]) == (5, 1e-3)
    assert (meta["data"]["training_rows"], meta["data"]["validation_rows"]) == (54, 6)
    assert len(meta["data"]["fingerprint"]) == 64
    assert meta["metrics"]["validation"]["loss"] == pytest.approx(meta["best"]["validation_loss"], rel=1e-5)
    assert meta["metrics"]["test"]["rows"] == 10
    assert meta["device"]["value"] == "cpu"
    assert meta["versions"]["torch"] == torch.__version__
    json.dumps(trained.to_json(), allow_nan=False)


def test_the_weights_are_averaged_where_texts_are_long(train, reviews, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "sentiment_batch")
    monkeypatch.setattr(components, "MAX_SHORT_TOKENS", 40)
    long = reviews()
    long.texts[:] = [f"{text} {'and so on ' * 20}" for text in long.texts]
    chosen = {"short": train(reviews()), "long": train(long), "as asked": train(long, weight_average=0.0)}
    found = {name: meta_of(one.path)["settings"]["weight_average"] for name, one in chosen.items()}
    assert found == {"short": 0.0, "long": 0.999, "as asked": 0.0}
    assert caplog.text.count("the weights of the run's steps are averaged") == 1


def test_few_long_texts_are_cropped(train, reviews, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "sentiment_batch")
    long, many, short = reviews(), reviews(120), reviews()
    for rows in (long, many):
        rows.texts[:] = [f"{text} {'and so on ' * 15}" for text in rows.texts]
    monkeypatch.setattr(components, "MIN_ROWS_WITHOUT_CROPS", 100)
    chosen = {"short": train(short), "long": train(long), "many": train(many)}
    assert "no text has more than 48 tokens" not in caplog.text
    train(short, random_crops=0.5)
    assert "no text has more than 48 tokens, so `random_crops` changes nothing" in caplog.text
    chosen |= {"never": train(long, random_crops=0.0), "half": train(long, random_crops=0.5)}
    found = {name: meta_of(one.path)["settings"]["random_crops"] for name, one in chosen.items()}
    assert found == {"short": 0.0, "long": 0.7, "many": 0.0, "never": 0.0, "half": 0.5}
    assert caplog.text.count("are cut to a random part, each time anew, in 70 % of the cases") == 1


def test_the_model_card_has_a_head_that_the_hub_can_read(train, reviews):
    trained = train(reviews(), test=reviews(10, start=100))
    _, head, body = (Path(trained.path) / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(head)
    assert card["pipeline_tag"] == "text-classification"
    assert card["library_name"] == "transformers"
    assert "base_model" not in card  # a folder of this machine means nothing on the Hub
    [entry] = card["model-index"]
    assert [one["dataset"]["name"] for one in entry["results"]] == ["validation rows", "test rows"]
    assert entry["results"][0]["metrics"][0] == {"type": "accuracy", "value": round(trained.validation.accuracy, 4)}
    assert f"| test | 10 | {trained.test.accuracy:.4f} |" in body


def test_the_log_has_a_row_per_validation_and_marks_the_best(train, reviews):
    trained = train(reviews(), epochs=3)
    with (Path(trained.path) / "training_log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["epoch"]), int(row["step"])) for row in rows] == [(1, 7), (2, 14), (3, 21)]
    assert [float(row["validation_loss"]) for row in rows] == [entry.validation_loss for entry in trained.history]
    best = [row for row in rows if row["best"] == "True"][-1]
    assert int(best["step"]) == trained.best.step


def test_a_folder_of_a_model_can_be_trained_on_again_as_a_base(train, reviews):
    first = train(reviews())
    assert train(reviews(), base=first.path, epochs=1).labels == first.labels


# Labels


def test_the_model_learns_what_the_labels_say(train, reviews):
    trained = train(reviews(200), epochs=6, learning_rate=0.005)
    assert trained.validation.accuracy >= 0.95
    scores = probabilities(trained.path, ["the film was loved and superb", "the film was hated and awful"])
    assert scores.argmax(axis=1).tolist() == [1, 0]


def test_stars_make_two_classes_or_those_of_the_cut_points(train, reviews):
    rows = reviews(50, {1: BAD, 2: BAD, 3: ("film",), 4: GOOD, 5: GOOD}, column="stars")
    two = train(rows, epochs=1)
    assert two.labels == ("negative", "positive")
    assert meta_of(two.path)["data"]["label_unknown"] == {"3": 10}
    three = train(rows, epochs=1, stars="negative=1-2,neutral=3,positive=4-5")
    assert three.labels == ("negative", "neutral", "positive")
    assert meta_of(three.path)["data"]["classes"] == {"negative": 18, "neutral": 9, "positive": 18}
    assert "3 -> neutral" in meta_of(three.path)["data"]["mapping"]


def test_more_classes_than_the_encoder_can_carry_are_refused(train, reviews):
    classes = {f"class {n:02}": (f"word{n}",) for n in range(17)}
    with pytest.raises(ModelError, match="17 classes need an encoder at least 34 wide"):
        train(reviews(170, classes))


def test_class_weights_count_rare_classes_as_much_as_others(train, reviews, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    rows = reviews(80, {"negative": BAD, **{f"positive{' ' * n}": GOOD for n in range(3)}})
    plain, weighted = (train(rows, class_weights=choice, epochs=1) for choice in ("none", "auto"))
    assert meta_of(plain.path)["data"]["classes"] == {"negative": 18, "positive": 54}
    assert "class weights: 2.00 negative, 0.67 positive" in caplog.text
    assert weights_of(plain.path) != weights_of(weighted.path)


# Other files


def test_a_validation_file_is_used_and_its_overlap_counted(train, reviews, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    val = reviews(20, start=50, name="val.csv")
    trained = train(reviews(), val=val)
    assert trained.validation.rows == 20
    assert meta_of(trained.path)["data"]["overlap_with_validation"] == 10
    assert meta_of(trained.path)["data"]["training_rows"] == 60
    assert "10 validation rows hold a text that is also trained on" in caplog.text


# Once


def test_the_work_folder_is_locked_once_in_a_run(train, reviews, monkeypatch):
    locked, real = [], work_folder.FolderLock
    monkeypatch.setattr(work_folder, "FolderLock", lambda *given: locked.append(given) or real(*given))
    train(reviews(), epochs=1)
    assert len(locked) == 1


# What cannot be


@pytest.fixture
def poisoned_base(tiny_base, tmp_path) -> Path:
    """A base with a weight so large that no loss is a number."""
    folder = tmp_path / "poisoned"
    shutil.copytree(tiny_base, folder)
    weights = load_file(folder / "model.safetensors")
    weights["transformer.layer.0.ffn.lin1.bias"][0] = 3e38
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_training_that_diverges_is_refused_and_nothing_published(train, reviews, poisoned_base, tmp_path):
    with pytest.raises(UsageError, match="`learning_rate`"):
        train(reviews(), base=str(poisoned_base), output=tmp_path / "model")
    assert list(tmp_path.iterdir()) == [poisoned_base]


def test_a_full_disk_is_an_output_error_and_nothing_is_published(train, reviews, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(components, "save_classifier", full)
    with pytest.raises(OutputError, match="the disk is full"):
        train(reviews(), output=tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_only_replaced_with_overwrite(train, reviews, tmp_path):
    first = train(reviews(), output=tmp_path / "model")
    before = weights_of(first.path)
    with pytest.raises(OutputError, match="overwrite=True"):
        train(reviews(), output=tmp_path / "model", seed=2)
    assert weights_of(first.path) == before
    assert weights_of(train(reviews(), output=tmp_path / "model", seed=2, overwrite=True).path) != before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        ({"max_length": 65}, UsageError, "`max_length` is 65, but the encoder has 64"),
        ({"dtype": "float16"}, UsageError, "`dtype` is 'float16'"),
        ({"device": "cuda:77"}, DeviceError, "`device`"),
        ({"base": "./nowhere"}, ModelError, "no model folder"),
    ],
)
def test_impossible_settings_are_refused_and_leave_nothing(train, reviews, tmp_path, chosen, error, words):
    with pytest.raises(error, match=words):
        train(reviews(), output=tmp_path / "model", **chosen)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_at_all_are_refused(train, reviews):
    with pytest.raises(InputError, match=r"reviews\.csv: there are no rows to learn from"):
        train(reviews(0))


def test_the_progress_says_device_rate_and_lengths(train, reviews, caplog):
    caplog.set_level(logging.INFO, "sentiment_batch")
    train(reviews(), epochs=1)
    for words in (
        "device: cpu (as asked); dtype: float32 (as asked)",
        "learning rate 0.001, chosen by the width of the encoder (32)",
        "* the best state",
    ):
        assert words in caplog.text
    assert "tokens per text: mean" in caplog.text


def test_a_device_too_small_for_the_optimizer_is_an_error(train, reviews, monkeypatch, tmp_path):
    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(DeviceError, match=r"of cpu does not hold the model and the optimizer's.*smaller `base`, or"):
        train(reviews())
    assert not list(tmp_path.glob("*.training"))
