import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.keywords import ScoreKeywords, TrainKeywords
from sentiment_batch.settings import ScoreSettings, TrainSettings, to_model_name


@pytest.mark.parametrize(
    ("field", "wrong", "setting"),
    [
        ("epochs", 0, "epochs"),
        ("batch_size", 0, "batch_size"),
        ("learning_rate", 0.0, "learning_rate"),
        ("learning_rate", 1.0, "learning_rate"),
        ("learning_rate", float("nan"), "learning_rate"),
        ("weight_decay", -0.1, "weight_decay"),
        ("weight_decay", float("nan"), "weight_decay"),
        ("warmup", 1.5, "warmup"),
        ("dropout", 1.0, "dropout"),
        ("max_length", 7, "max_length"),
        ("long_text", "middle", "long_text"),
        ("long_text", "windows", "long_text"),
        ("patience", 0, "patience"),
        ("class_weights", "balanced", "class_weights"),
        ("val_size", 0.0, "val_size"),
        ("val_size", 1.0, "val_size"),
        ("seed", -1, "seed"),
        ("seed", 2**32, "seed"),
        ("dtype", "float64", "dtype"),
        ("limit", 1, "limit"),
        ("limit", 2**63, "limit"),
    ],
)
def test_a_training_setting_out_of_range_is_named(field, wrong, setting):
    with pytest.raises(UsageError, match=f"^`{setting}"):
        TrainSettings(**{field: wrong})


@pytest.mark.parametrize(
    ("field", "wrong", "setting"),
    [
        ("dtype", "int4", "dtype"),
        ("long_text", "middle", "long_text"),
        ("batch_tokens", 0, "batch_tokens"),
        ("batch_tokens", 10**20, "batch_tokens"),
        ("labels", ("positive", " "), "labels"),
        ("max_length", 7, "max_length"),
        ("decimals", 8, "decimals"),
        ("decimals", -1, "decimals"),
        ("prefix", "", "prefix"),
    ],
)
def test_a_scoring_setting_out_of_range_is_named(field, wrong, setting):
    with pytest.raises(UsageError, match=f"^`{setting}"):
        ScoreSettings(**{field: wrong})


@pytest.mark.parametrize(
    "right",
    [
        {"epochs": 1, "batch_size": 1, "patience": None, "max_length": 8, "limit": 2},
        {"warmup": 0.0, "weight_decay": 0.0, "dropout": 0.0, "seed": 0},
        {"warmup": 1.0, "weight_decay": 1.0, "dropout": 0.95, "seed": 2**32 - 1},
        {"class_weights": "auto", "long_text": "head", "dtype": "bfloat16", "learning_rate": 5e-5},
    ],
)
def test_the_ends_of_the_ranges_are_allowed(right):
    settings = TrainSettings(**right)
    assert {name: getattr(settings, name) for name in right} == right


@pytest.mark.parametrize(
    "settings", [TrainSettings(), ScoreSettings(), ScoreSettings(engine="ray", engine_options={"actors": "8"})]
)
def test_settings_are_frozen_and_can_be_stored_as_json(settings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.device = "cuda"
    assert type(settings)(**json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


def test_scoring_takes_every_long_text_policy():
    assert [ScoreSettings(long_text=one).long_text for one in ("head", "head-tail", "windows")] == [
        "head",
        "head-tail",
        "windows",
    ]


@pytest.mark.parametrize("labels", ["a,b", {"a"}, (0, 1), frozenset({"a"})])
def test_labels_that_are_no_list_of_names_are_refused(labels):
    with pytest.raises(UsageError, match=r"`labels` is .*; it must be a list of names"):
        ScoreSettings(labels=labels)


def test_options_of_an_engine_in_one_string_are_refused():
    with pytest.raises(UsageError, match=r"`engine_options` is 'actors=2'; it must be a dictionary"):
        ScoreSettings(engine="ray", engine_options="actors=2")


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("epochs", 1.5, "`epochs` is 1.5; it must be a whole number"),
        ("epochs", "1", "`epochs` is '1'; it must be a whole number"),
        ("epochs", True, "`epochs` is True; it must be a whole number"),
        ("batch_size", 2.5, "`batch_size` is 2.5"),
        ("seed", 1.5, "`seed` is 1.5"),
        ("limit", 50.5, "`limit` is 50.5"),
        ("learning_rate", "1e-4", "`learning_rate` is '1e-4'; it must be a number"),
        ("calibrate", "no", "`calibrate` is 'no'; it must be true or false"),
        ("device", None, "`device` is None; it must be text"),
        ("long_text", 3, "`long_text` is 3; it must be text"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(field, wrong, message):
    with pytest.raises(UsageError) as error:
        TrainSettings(**{field: wrong})
    assert message in str(error.value)


def test_numbers_of_numpy_become_plain_ones():
    chosen = TrainSettings(
        epochs=np.int64(2), learning_rate=np.float32(0.5), seed=np.uint32(3), calibrate=np.bool_(False)
    )
    assert json.loads(json.dumps(dataclasses.asdict(chosen)))["epochs"] == 2
    assert (type(chosen.seed), type(chosen.learning_rate), chosen.calibrate) == (int, float, False)
    assert ScoreSettings(batch_tokens=np.int64(9)).batch_tokens == 9


@pytest.mark.parametrize(
    ("record", "keywords", "wider"),
    [
        (TrainSettings, TrainKeywords, {"base"}),
        (ScoreSettings, ScoreKeywords, {"labels", "engine_options"}),
    ],
)
def test_the_keywords_have_the_names_and_types_of_the_settings(record, keywords, wider):
    """Names in `wider` take more types as keywords, which become the one type of the record."""
    types = {field.name: field.type for field in dataclasses.fields(record)}
    annotations = {name: kind.__forward_arg__ for name, kind in keywords.__annotations__.items()}
    assert list(annotations) == list(types)
    assert {name for name, kind in annotations.items() if kind != types[name]} == wider


def test_a_model_is_a_folder_or_a_hub_id():
    assert to_model_name("my-model") == to_model_name(Path("my-model")) == "my-model"
    for wrong in (pd.DataFrame(), None, b"my-model", 3):
        with pytest.raises(UsageError, match=f"`model_b` is an object of the type {type(wrong).__name__}; it must be"):
            to_model_name(wrong, "model_b")
