"""What a refusal to resume says about the settings that differ."""

from __future__ import annotations

import pytest

from sentiment_batch.cli.option_words import word_options
from sentiment_batch.cli.score import score
from sentiment_batch.scoring.output.fingerprint import list_changes


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
    assert word_options(change, score) == message


def test_several_labels_are_plural():
    assert list_changes({"labels": ["a", "b"]}, {"labels": ["c", "d"]}) == ["labels were a, b and are c, d"]
