"""What a refusal to resume says about the settings that differ."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from sentiment_batch import Scorer
from sentiment_batch.cli.option_words import format_as_options
from sentiment_batch.cli.score import score
from sentiment_batch.model.device import describe_hardware
from sentiment_batch.scoring.output.fingerprint import describe_scoring, list_changes
from tests.rare_models import write_rare_model


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("quotes", True, False, "--no-quotes was not given and is given"),
        ("quotes", False, True, "--no-quotes was given and is not given"),
        ("deterministic", False, True, "--deterministic was not given and is given"),
        ("escape_formulas", True, False, "--escape-formulas was given and is not given"),
        ("decimals", 4, 5, "--decimals was 4 and is 5"),
        ("compile", None, True, "--compile was not given and is True"),
    ],
)
def test_a_changed_setting_is_worded_as_its_option(name, old, new, message):
    [change] = list_changes({"settings": {name: old}}, {"settings": {name: new}})
    assert format_as_options(change, score) == message


def test_of_two_long_lists_the_difference_is_shown():
    columns = [f"column_{number}: string" for number in range(30)]
    [change] = list_changes(
        {"output_columns": [*columns, "price: double"]}, {"output_columns": [*columns, "price: int64", "score: float"]}
    )
    assert change == (
        "output columns were ...ng, column_29: string, price: double and are ...ng, column_29: string, price: int64, "
        "score: float"
    )


def test_of_a_long_list_and_a_longer_one_the_difference_is_shown():
    columns = [f"column_{number}: string" for number in range(30)]
    [change] = list_changes({"output_columns": columns}, {"output_columns": [*columns, "score: float"]})
    assert change == (
        "output columns were ..._28: string, column_29: string and are ..._28: string, column_29: string, score: float"
    )


def test_of_two_long_queries_the_difference_is_shown():
    query = "SELECT id, review FROM reviews WHERE country = 'NL' AND year > 2020 AND language = 'en' AND stars "
    [change] = list_changes({"settings": {"query": query + "< 3"}}, {"settings": {"query": f"{query}> 3{' ' * 90}"}})
    assert change.startswith("`query` was ...AND language = 'en' AND stars < 3 and is ...")
    assert change.endswith("...")
    assert len(change) < 200


def test_several_labels_are_plural():
    assert list_changes({"labels": ["a", "b"]}, {"labels": ["c", "d"]}) == ["labels were a, b and are c, d"]


def test_another_kind_of_cpu_is_named():
    [change] = list_changes({"device": "AMD CPU, AVX512, AVX-512 bfloat16"}, {"device": "Intel CPU, AVX512"})
    assert change == "device was AMD CPU, AVX512, AVX-512 bfloat16 and is Intel CPU, AVX512"


def test_the_cpu_of_an_older_run_is_any_cpu_but_no_gpu():
    assert list_changes({"device": "cpu"}, {"device": describe_hardware("cpu")}) == []
    assert list_changes({"device": "cpu"}, {"device": "NVIDIA H200"}) == ["device was cpu and is NVIDIA H200"]


def test_settings_that_an_older_run_did_not_store_are_defaults():
    new = dict.fromkeys(["header", "skip_rows", "comment", "escape", "sheet"])
    assert list_changes({"settings": {"encoding": None}}, {"settings": {"encoding": None} | new}) == []
    [change] = list_changes({"settings": {}}, {"settings": new | {"skip_rows": 2}})
    assert format_as_options(change, score) == "--skip-rows was not given and is 2"


def test_transformers_counts_for_a_model_that_its_code_computes(scorer, tmp_path):
    assert "transformers" not in describe_scoring(scorer, [])
    with Scorer.load(str(write_rare_model("mpnet", tmp_path / "model", limit=64)), device="cpu") as padded:
        assert describe_scoring(padded, [])["transformers"] == version("transformers")


def test_another_transformers_is_a_change_but_an_unknown_is_not():
    assert list_changes({"transformers": "4.0"}, {"transformers": "5.0"}) == ["transformers was 4.0 and is 5.0"]
    assert list_changes({}, {"transformers": "5.0"}) == []


@pytest.mark.parametrize("value", [None, True, "x", -1, [], [[]], [{"a": 1}], {}])
def test_values_of_wrong_types_are_differences(value):
    now = {"input": [{"path": "a.csv", "bytes": 7}], "settings": {"limit": 5}}
    assert list_changes(now | {"settings": value}, now) == ["`limit` was not given and is 5"]
    for state in ([{"path": "a.csv", "bytes": value}], [{"bytes": value}], [value], value):
        [change] = list_changes(now | {"input": state}, now)
        assert change.startswith("the input ")


def test_sizes_of_a_changed_input_have_separators():
    old, new = ({"input": [{"path": "a.csv", "bytes": size}]} for size in (1_234, 56_789))
    assert list_changes(old, new) == ["the input a.csv had 1,234 bytes and has 56,789"]
