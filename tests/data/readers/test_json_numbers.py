"""Numbers of JSON keep all their digits: those that a float64 does not hold stay text."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.readers.json_numbers import RoundedFloat, parse_float
from sentiment_batch.data.readers.jsonl import JSON_METADATA, JsonLinesReader
from tests.data.readers.helpers import read


@pytest.mark.parametrize(
    ("text", "is_rounded"),
    [
        ("0.1", False),
        ("1.50", False),
        ("0.0", False),
        ("-0.0e7", False),
        ("0.10000000000000001", False),
        ("0.1000000000000000055511151231257827", False),
        ("1.7976931348623157e308", False),
        ("5e-324", False),
        ("0.1234567890123456789", True),
        ("-9007199254740993.0", True),
        ("0.10000000000000000000001", True),
        ("1.2345e-320", True),
        ("1e-400", True),
        ("1e-99999999999999", True),
    ],
)
def test_digits_that_a_float_does_not_hold_are_noticed(text, is_rounded):
    found = parse_float(text)
    assert found == float(text)
    assert isinstance(found, RoundedFloat) is is_rounded


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{!r}", "{:.16e}", "{:.17g}", "{:.25e}"]))
def test_no_form_of_a_float_counts_as_rounded(value, form):
    found = parse_float(form.format(value))
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("ending", ["\n", "\n\n"])  # a blank line is parsed in another way
def test_a_column_with_a_rounded_number_keeps_its_texts(tmp_path, ending):
    values = ["0.1234567890123456789", "1.50", "2", "null"]
    lines = [f'{{"v": {value}, "n": [0.25], "m": [{value}]}}' for value in values]
    (tmp_path / "a.jsonl").write_text(ending.join(lines) + "\n")
    found = read(JsonLinesReader, tmp_path / "a.jsonl")
    assert found.schema.field("v").metadata == found.schema.field("m").metadata == JSON_METADATA
    assert found.column("v").to_pylist() == [*values[:3], None]
    assert found.column("m").to_pylist() == [f"[{value}]" for value in values]
    assert found.column("n").type == pa.list_(pa.float64())


def test_numbers_come_out_with_their_digits(tmp_path, cli, tiny_model):
    (tmp_path / "a.jsonl").write_text('{"text": "good", "v": 0.1234567890123456789}\n{"text": "bad", "v": 0.5}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "fine", "v": 2}\n{"text": "fine", "v": 0.25}\n')
    done = cli("score", tmp_path / "*.jsonl", tmp_path / "out.ndjson", "-m", tiny_model, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line, parse_float=str)["v"] for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert found == ["0.1234567890123456789", "0.5", "2.0", "0.25"]
