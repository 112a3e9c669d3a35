"""What is measured, and that the figures belong together; no test depends on how fast anything is."""

from __future__ import annotations

import json

import pytest

from sentiment_batch import Scorer, UsageError
from sentiment_batch.errors import DeviceError
from sentiment_batch.scoring.bench import measure as measure_module
from sentiment_batch.scoring.bench.measure import BenchPlan, list_dtypes, measure_speed
from tests.stock_models import write_stock_model

SETTINGS = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders are made, to see that none stays."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.fixture
def enough_time(monkeypatch):
    """The time is enough for 100 rows at least, however slow the machine is."""
    count = measure_module.count_fitting_rows
    monkeypatch.setattr(measure_module, "count_fitting_rows", lambda *arguments: max(100, count(*arguments)))


def consistent(measured):
    """The figures of one measurement belong together."""
    assert measured.tokens_per_row == pytest.approx(measured.chosen.tokens / measured.chosen.rows)
    assert 0 <= measured.cut_share <= 1
    for speed in measured.dtypes:
        assert speed.hours == pytest.approx(measured.for_rows / speed.rows_per_second / 3_600)
        assert speed.rows_per_second == pytest.approx(speed.rows / speed.seconds)
        assert speed.tokens_per_second == pytest.approx(speed.tokens / speed.seconds)
        assert speed.model_tokens_per_second > 0
        assert 0 < speed.model_busy <= 1


def test_all_figures_are_there_and_nothing_is_left(tiny_model, reviews_csv, folder, enough_time):
    before = reviews_csv.read_bytes()
    measured = measure_speed(BenchPlan(source=str(reviews_csv), seconds=0.2), str(tiny_model), SETTINGS)
    consistent(measured)
    assert (measured.chosen.rows, measured.for_rows) == (60, 60)
    assert [speed.dtype for speed in measured.dtypes] == ["float32"]
    assert reviews_csv.read_bytes() == before
    assert list(folder.iterdir()) == []


def test_each_dtype_that_works_is_measured_in_turn(tiny_model, reviews_csv, monkeypatch):
    monkeypatch.setattr(measure_module, "list_dtypes", lambda device: ("float32", "bfloat16", "float16"))
    loaded = Scorer.load

    def load(model, **settings):
        if settings["dtype"] == "float16":
            raise DeviceError("it does not work here.")
        return loaded(model, **settings)

    monkeypatch.setattr(Scorer, "load", load)
    plan = BenchPlan(source=str(reviews_csv), seconds=0.1)
    measured = measure_speed(plan, str(tiny_model), SETTINGS | {"dtype": "auto"})
    consistent(measured)
    first, second = (speed.dtype for speed in measured.dtypes)
    assert {first, second} == {"float32", "bfloat16"}
    assert measured.dtypes[1].dtype_reason == "as asked"
    assert measured.dtypes[0].dtype_reason != "as asked"


def test_the_dtypes_of_a_device_are_those_of_its_hardware(monkeypatch):
    monkeypatch.setattr(measure_module, "has_bfloat16", lambda device: device != "cuda:7")
    monkeypatch.setattr(measure_module, "has_fast_int8", lambda: False)
    assert list_dtypes("cpu") == ("float32", "bfloat16")
    monkeypatch.setattr(measure_module, "has_fast_int8", lambda: True)
    assert list_dtypes("cpu") == ("float32", "bfloat16", "int8")
    assert list_dtypes("cuda:0") == ("float32", "bfloat16", "float16")
    assert list_dtypes("cuda:7") == ("float32", "float16")


def test_blank_and_repeated_texts_are_counted_as_in_scoring(tiny_model, tmp_path, enough_time):
    path = tmp_path / "odd.jsonl"
    texts = ["good", "good", "", None, "bad " * 100]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    measured = measure_speed(BenchPlan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS)
    assert (measured.chosen.rows, measured.chosen.tokens, measured.cut_share) == (5, 3 + 64, 0.5)


def test_a_table_that_was_scored_already_can_be_measured(tiny_model, tmp_path, enough_time):
    path = tmp_path / "scored.csv"
    path.write_text("text,sentiment,sentiment_score\ngood,positive,1\nbad,negative,1\n", encoding="utf-8")
    measured = measure_speed(BenchPlan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS)
    assert measured.chosen.rows == 2


def test_the_text_columns_are_those_that_scoring_reads(tiny_model, tmp_path, enough_time, monkeypatch, caplog):
    path = tmp_path / "two.csv"
    path.write_text("text,body\ngood,good bad good bad\nbad,bad bad bad bad\n", encoding="utf-8")
    monkeypatch.setattr(measure_module, "read_trained_columns", lambda model: ("body",))
    with caplog.at_level("INFO", "sentiment_batch"):
        measured = measure_speed(BenchPlan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS)
    assert measured.tokens_per_row == 4 + 2
    assert [line for line in caplog.messages if "is read as" in line] == [
        f"{path} is read as\n  text       body\n  delimiter  , (assumed)\n  encoding   utf-8 (assumed)\n"
        "  header     the first row (assumed)"
    ]


def test_a_sample_that_fills_blocks_is_scored_several_times(tiny_model, monkeypatch):
    monkeypatch.setattr(measure_module, "MAX_ROWS_PER_BLOCK", 40)
    monkeypatch.setattr(measure_module, "MAX_SAMPLE_ROWS", {"cpu": 40})
    monkeypatch.setattr("sentiment_batch.scoring.backends.row_blocks.MAX_ROWS_PER_BLOCK", 40)
    monkeypatch.setattr(measure_module, "count_fitting_rows", lambda *arguments: 130)
    measured = measure_speed(BenchPlan(tokens=20, seconds=0.1), str(tiny_model), SETTINGS)
    assert measured.chosen.rows == 3 * 40
    consistent(measured)


def test_rows_that_were_asked_for_are_measured_once(tiny_model, reviews_csv, monkeypatch):
    monkeypatch.setattr(measure_module, "MAX_ROWS_PER_BLOCK", 10)
    plan = BenchPlan(source=str(reviews_csv), rows=25, seconds=0.1)
    measured = measure_speed(plan, str(tiny_model), SETTINGS)
    assert (measured.chosen.rows, measured.for_rows) == (25, measure_module.DEFAULT_FOR_ROWS)


@pytest.mark.parametrize("deterministic", [False, True])
def test_padded_and_deterministic_runs_are_measured_too(tmp_path, deterministic):
    model = write_stock_model("modernbert", tmp_path)
    settings = SETTINGS | {"deterministic": deterministic}
    measured = measure_speed(BenchPlan(tokens=12, rows=20, seconds=0.1), str(model), settings)
    consistent(measured)
    assert measured.chosen.batching.startswith("padded")


def test_texts_in_windows_count_each_segment(tiny_model):
    settings = SETTINGS | {"long_text": "windows"}
    measured = measure_speed(BenchPlan(tokens=200, rows=10, seconds=0.1), str(tiny_model), settings)
    assert measured.tokens_per_row > 64
    assert measured.cut_share > 0.5
    consistent(measured)


def test_several_devices_are_refused_before_anything_is_loaded():
    with pytest.raises(UsageError, match="one device at a time"):
        measure_speed(BenchPlan(tokens=8), "./nowhere", SETTINGS | {"device": "cpu,cpu"})


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "nothing to measure on"),
        ({"source": "a.csv", "tokens": 8}, "both a TABLE and `tokens`"),
        ({"tokens": 3}, "`tokens` is 3; it must be at least 4"),
        ({"tokens": 8, "rows": 0}, "`rows` is 0"),
        ({"tokens": 8, "for_rows": 0}, "`for_rows` is 0"),
        ({"tokens": 8, "seconds": 0.0}, "`seconds` is 0"),
        ({"tokens": 8, "seconds": float("nan")}, "`seconds` is nan"),
    ],
)
def test_a_plan_that_is_none_is_wrong_usage(options, part):
    with pytest.raises(UsageError, match=part):
        BenchPlan(**options)


def test_the_length_of_the_job_is_announced_to_the_model(tiny_model, monkeypatch):
    announced = []
    unchanged = Scorer.probabilities

    def record(self, batches, text_columns, on_rows=None, expected_rows=None):
        announced.append(expected_rows)
        return unchanged(self, batches, text_columns, on_rows, expected_rows)

    monkeypatch.setattr(Scorer, "probabilities", record)
    measure_speed(BenchPlan(tokens=12, for_rows=10**9, seconds=0.05), str(tiny_model), SETTINGS)
    assert announced[:2] == [10**9, 10**9], "a model that the job would compile is compiled here too"
    announced.clear()
    measure_speed(BenchPlan(tokens=12, rows=20, for_rows=10**9, seconds=0.05), str(tiny_model), SETTINGS)
    assert announced[0] == 10**9
