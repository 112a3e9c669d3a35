"""Conditions that end a command with exit code 3: what is one, and what fails."""

from __future__ import annotations

import pytest

from sentiment_batch import GateError, UsageError
from sentiment_batch.gates.conditions import apply_gates, parse_gates, raise_failed, refuse_unknown

FIGURES = ("share", "no_text", "accuracy")
VALUES = {"share": {"negative": 0.4, "a (b)": None}, "no_text": 0.05, "accuracy": None}


def failed(condition):
    """Whether the condition fails the run, and its value."""
    (result,) = apply_gates(parse_gates([condition], FIGURES), VALUES)
    return result.failed, result.value


@pytest.mark.parametrize(
    ("condition", "fails"),
    [
        ("share(negative) > 0.3", True),
        ("share(negative)>40%", False),
        ("share( negative ) >= 40 %", True),
        ("no_text < 0.05", False),
        ("no_text <= 5e-2", True),
        ("  no_text < 1", True),
    ],
)
def test_a_condition_that_holds_fails_the_run(condition, fails):
    assert failed(condition) == (fails, 0.4 if "share" in condition else 0.05)


def test_a_figure_that_does_not_exist_fails_its_gate():
    assert failed("accuracy < 0.1") == (True, None)
    assert failed("share(a (b)) > 0.9") == (True, None)


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("share(negative)", "it takes a figure"),
        ("no_text = 3", "it takes a figure"),
        ("no_text > 1.2.3", "it takes a figure"),
        ("no_text > -", "it takes a figure"),
        ("", "it takes a figure"),
        ("no_texts > 1", "Did you mean 'no_text'?"),
        ("share > 0.3", "needs a label, such as share(negative)"),
        ("share( ) > 0.3", "needs a label"),
        ("no_text(negative) > 0.3", "takes no label"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_cure(condition, part):
    with pytest.raises(UsageError, match="`fail_if`") as error:
        parse_gates([condition], FIGURES)
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("share(negative) > 30", "'share' lies between 0 and 1. Give such a number, or 30% if you mean percent."),
        ("accuracy < 90", "or 90% if you mean percent"),
        ("no_text > 101%", "'no_text' lies between 0 and 1. Give such a number."),
        ("no_text < -0.1", "lies between 0 and 1"),
        ("difference_low < -5", "lies between -1 and 1"),
        ("rows < -1", "'rows' is at least 0"),
        ("rows < 10%", "'rows' is no share. Give a number without %"),
    ],
)
def test_a_limit_that_the_figure_never_reaches_is_refused(condition, part):
    with pytest.raises(UsageError, match="`fail_if`") as error:
        parse_gates([condition], (*FIGURES, "rows", "difference_low"))
    assert part in str(error.value)


@pytest.mark.parametrize("condition", ["rows < 1e6", "loss > 30", "difference < -1", "share(negative) >= 1"])
def test_a_limit_within_the_range_of_its_figure_is_taken(condition):
    assert parse_gates([condition], (*FIGURES, "rows", "loss", "difference"))[0].condition == condition


def test_gates_that_cannot_be_computed_are_refused_at_once():
    gates = parse_gates(["share(negativ) > 0.3", "accuracy < 0.9"], FIGURES)
    with pytest.raises(UsageError, match="no label is called 'negativ'; the labels are 'negative'"):
        refuse_unknown(gates, labels=["negative"], missing={})
    with pytest.raises(UsageError, match="cannot be computed: the model is new"):
        refuse_unknown(gates[1:], labels=None, missing={"accuracy": "the model is new"})
    refuse_unknown(gates, labels=["negativ"], missing={"loss": "unknown"})


def test_the_error_names_what_failed_and_has_exit_code_3():
    results = apply_gates(parse_gates(["share(negative) > 0.3", "no_text > 0.1"], FIGURES), VALUES)
    with pytest.raises(GateError, match=r"^'share\(negative\) > 0.3' holds: it is 0.4\. All") as error:
        raise_failed(results)
    assert error.value.exit_code == 3
    raise_failed(results[1:])
