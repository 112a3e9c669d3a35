"""What a measurement runs on, and what its figures mean; how fast anything is, no test says."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AlbertConfig, BertConfig, DistilBertConfig

from sentiment_batch import Scorer, UsageError
from sentiment_batch.data import formats
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError
from sentiment_batch.scoring.bench import measure as measure_module
from sentiment_batch.scoring.bench import result, roofline
from sentiment_batch.scoring.bench.measure import Plan, measure
from sentiment_batch.scoring.bench.roofline import Operations, device_limit, operations_of_config, operations_of_engine
from sentiment_batch.scoring.bench.sample import generated, generated_texts, sample_of
from tests.stock_models import stock

SETTINGS = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders are made, to see that none stays."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.fixture
def parts(tmp_path):
    """A Parquet file of 1,000 rows in row groups of 7 to 100 rows; `n` counts the rows."""
    path = tmp_path / "parts.parquet"
    table = pa.table({"n": range(1_000), "text": [f"film {n}" for n in range(1_000)]})
    with pq.ParquetWriter(path, table.schema) as writer:
        start = 0
        while start < 1_000:
            rows = 7 if start % 2 else 100 if start % 3 else 51
            writer.write_table(table.slice(start, rows))
            start += rows
    return path


def sampled(path, rows):
    reader = formats.open_reader(str(path))
    try:
        return sample_of(reader, str(path), (), rows)
    finally:
        reader.close()


def test_operations_are_those_of_a_hand_computation_for_distilbert_base():
    operations = operations_of_config(DistilBertConfig())
    # 6 layers; 4 products of 768 x 768 and 2 of 768 x 3,072; a multiplication and an addition each
    assert operations.linear == 6 * 2 * (4 * 768 * 768 + 2 * 768 * 3_072) == 84_934_656
    # queries times keys and weights times values: n x 768 multiplications and additions each, in 6 layers
    assert operations.attention == 6 * 2 * 2 * 768 == 18_432
    assert operations.of(np.array([30, 512])) == 542 * 84_934_656 + 18_432 * (30**2 + 512**2)


def test_operations_know_the_names_of_other_configurations():
    assert operations_of_config(BertConfig()) == Operations(linear=169_869_312, attention=36_864)
    shared = AlbertConfig(hidden_size=64, intermediate_size=100, num_hidden_layers=3, num_attention_heads=2)
    assert operations_of_config(shared) == Operations(linear=3 * 2 * (4 * 64**2 + 2 * 64 * 100), attention=3 * 4 * 64)


def test_operations_of_a_gated_family_count_the_gate():
    config = SimpleNamespace(model_type="modernbert", hidden_size=10, intermediate_size=20, num_hidden_layers=2)
    assert operations_of_config(config).linear == 2 * 2 * (4 * 100 + 3 * 200)


def test_the_packed_model_and_the_configuration_agree(scorer):
    assert operations_of_engine(scorer.backend) == operations_of_config(scorer.backend.loaded.network.config)
    assert operations_of_engine(scorer.backend) == Operations(
        linear=2 * 2 * (4 * 32**2 + 2 * 32 * 64), attention=2 * 4 * 32
    )


def test_the_limit_of_a_device_is_a_speed(monkeypatch):
    monkeypatch.setattr(roofline, "SIZES", {"cpu": (64,)})
    monkeypatch.setattr(roofline, "SECONDS", 0.01)
    before = torch.random.get_rng_state()
    assert device_limit("cpu", "float32") > 0
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("tokens", [16, 40, 400])
def test_generated_texts_have_about_the_tokens_asked_for_and_are_all_different(scorer, tokens):
    texts = generated_texts(scorer.backend.tokeniser, tokens, 2_000)
    assert len(set(texts)) == len(texts) == 2_000
    backend = scorer.backend.loaded.backend
    lengths = np.array([len(backend.encode(text).ids) for text in texts])
    assert lengths.mean() == pytest.approx(tokens, rel=0.1)
    assert np.median(lengths) < 0.95 * lengths.mean()  # a long tail, as reviews have


def test_generated_texts_are_the_same_each_time(scorer):
    samples = [generated(scorer.backend.tokeniser, 20, 50) for _ in range(2)]
    assert samples[0].table == samples[1].table
    assert samples[0].total is None


def test_more_generated_texts_than_words_differ_too(scorer):
    texts = generated_texts(scorer.backend.tokeniser, 4, 3_000)
    assert len(set(texts)) == 3_000


@pytest.mark.parametrize("rows", [1, 17, 64, 500, 999, 1_000])
def test_a_sample_has_the_rows_asked_for_from_all_over_the_table(parts, rows):
    found = sampled(parts, rows)
    numbers = found.table["n"].to_pylist()
    assert len(numbers) == rows
    assert numbers == sorted(set(numbers))
    assert found.total == 1_000
    assert found.text_columns == ("text",)
    if rows >= 64:
        assert len({number // 250 for number in numbers}) == 4


def test_a_sample_of_a_small_table_is_all_of_it(reviews_csv):
    found = sampled(reviews_csv, 10_000)
    assert (found.table.num_rows, found.total) == (60, 60)
    assert found.table.schema.names == ["id", "review", "label"]


def test_a_table_that_does_not_know_its_rows_has_no_total(reviews_csv):
    assert sampled(reviews_csv, 59).total is None


def test_of_wide_rows_there_are_fewer(monkeypatch):
    monkeypatch.setattr("sentiment_batch.scoring.bench.sample.SAMPLE_BYTES", 4_000)
    batch = pa.record_batch({"text": ["x" * 100] * 10})
    found = sample_of(TableReader(pa.Table.from_batches([batch] * 100)), "wide", (), 1_000)
    assert found.table.num_rows == 40
    assert found.total == 1_000


def test_an_empty_table_gives_no_sample(tmp_path):
    with pytest.raises(InputError, match="has no rows to measure on"):
        sample_of(TableReader(pa.table({"text": pa.array([], pa.string())})), "empty", (), 10)


@pytest.mark.parametrize("rows", [1, 3, 63, 64, 65, 500, 998, 999, 1_000, 2_000])
def test_rows_are_taken_from_places_at_even_distances(rows):
    sample = measure_module.Sample(name="", table=pa.table({"n": range(1_000)}), text_columns=("n",), total=None)
    numbers = sample.spread(rows)["n"].to_pylist()
    assert len(numbers) == min(rows, 1_000)
    assert numbers == sorted(set(numbers))
    shares = np.histogram(numbers, bins=4, range=(0, 1_000))[0]
    assert shares.max() - shares.min() <= 16  # one for each run in a quarter


def test_any_column_can_be_sampled():
    columns = {
        "view": pa.array(["a", None, "c"], pa.string_view()),
        "list": pa.array([[1], None, []]),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "struct": pa.array([{"a": 1}, None, {"a": 3}]),
        "dictionary": pa.array(["a", "b", "a"]).dictionary_encode(),
        "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "null": pa.nulls(3),
    }
    sample = measure_module.Sample(name="", table=pa.table(columns), text_columns=(), total=None)
    assert sample.spread(2).to_pylist() == [pa.table(columns).to_pylist()[place] for place in (0, 1)]


def consistent(measured):
    """The figures of one measurement belong together."""
    assert measured.hours == pytest.approx(measured.for_rows / measured.rows_per_second / 3_600)
    assert measured.rows_per_second == pytest.approx(measured.rows / measured.seconds)
    assert measured.tokens_per_second == pytest.approx(measured.tokens / measured.seconds)
    assert measured.tokens_per_row == pytest.approx(measured.tokens / measured.rows)
    assert measured.limit_share == pytest.approx(measured.model_tflops / measured.limit_tflops)
    per_second = measured.model_tokens_per_second * measured.mflop_per_token * 1e6
    assert measured.model_tflops == pytest.approx(per_second / 1e12)
    assert 0 < measured.limit_share < 2
    assert 0 < measured.model_busy <= 1
    assert 0 <= measured.cut_share <= 1


def test_all_figures_are_there_and_nothing_is_left(tiny_model, reviews_csv, folder):
    before = reviews_csv.read_bytes()
    measured = measure(Plan(source=str(reviews_csv), seconds=0.2), str(tiny_model), SETTINGS)
    consistent(measured)
    assert (measured.rows, measured.for_rows) == (60, 60)
    assert reviews_csv.read_bytes() == before
    assert list(folder.iterdir()) == []


def test_operations_of_a_table_are_those_of_its_own_lengths(tiny_model, tmp_path):
    path = tmp_path / "two.jsonl"
    rows = [{"text": "good"}, {"text": "bad " * 17}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    measured = measure(Plan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS)
    linear, attention = 2 * 2 * (4 * 32**2 + 2 * 32 * 64), 2 * 4 * 32
    assert measured.tokens == 3 + 19
    assert measured.mflop_per_token == pytest.approx((22 * linear + attention * (3**2 + 19**2)) / 22 / 1e6)


def test_blank_and_repeated_texts_are_counted_as_scoring_counts_them(tiny_model, tmp_path):
    path = tmp_path / "odd.jsonl"
    texts = ["good", "good", "", None, "bad " * 100]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    measured = measure(Plan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS)
    assert (measured.rows, measured.tokens, measured.cut_share) == (5, 3 + 64, 0.5)


def test_a_table_that_was_scored_already_can_be_measured(tiny_model, tmp_path):
    path = tmp_path / "scored.csv"
    path.write_text("text,sentiment,sentiment_score\ngood,positive,1\nbad,negative,1\n", encoding="utf-8")
    assert measure(Plan(source=str(path), seconds=0.1), str(tiny_model), SETTINGS).rows == 2


def test_a_sample_that_fills_windows_is_scored_again_until_the_time_is_over(tiny_model, monkeypatch):
    monkeypatch.setattr(measure_module, "MAX_ROWS_PER_BLOCK", 40)
    monkeypatch.setattr(measure_module, "ROWS", {"cpu": 40})
    monkeypatch.setattr("sentiment_batch.scoring.backends.row_blocks.MAX_ROWS_PER_BLOCK", 40)
    monkeypatch.setattr(measure_module, "_fitting", lambda *arguments: 130)
    measured = measure(Plan(tokens=20, seconds=0.1), str(tiny_model), SETTINGS)
    assert measured.rows == 3 * 40
    consistent(measured)


def test_rows_that_were_asked_for_are_measured_once(tiny_model, reviews_csv, monkeypatch):
    monkeypatch.setattr(measure_module, "MAX_ROWS_PER_BLOCK", 10)
    measured = measure(Plan(source=str(reviews_csv), rows=25, seconds=0.1), str(tiny_model), SETTINGS)
    assert (measured.rows, measured.for_rows) == (25, measure_module.FOR_ROWS)


@pytest.mark.parametrize("deterministic", [False, True])
def test_models_that_cannot_be_packed_and_deterministic_runs_are_measured_too(tmp_path, deterministic):
    folder = stock("modernbert", tmp_path)
    settings = SETTINGS | {"deterministic": deterministic}
    measured = measure(Plan(tokens=12, rows=20, seconds=0.1), str(folder), settings)
    consistent(measured)
    assert measured.batching.startswith("padded")


def test_texts_in_windows_count_each_segment(tiny_model):
    measured = measure(Plan(tokens=200, rows=10, seconds=0.1), str(tiny_model), SETTINGS | {"long_text": "windows"})
    assert measured.tokens_per_row > 64
    assert measured.cut_share > 0.5
    consistent(measured)


def test_several_devices_are_refused_before_anything_is_loaded():
    with pytest.raises(UsageError, match="one device at a time"):
        measure(Plan(tokens=8), "./nowhere", SETTINGS | {"device": "cpu,cpu"})


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({}, "nothing to measure on"),
        ({"source": "a.csv", "tokens": 8}, "both a TABLE and --tokens"),
        ({"tokens": 3}, "--tokens is 3; it must be at least 4"),
        ({"tokens": 8, "rows": 0}, "--rows is 0"),
        ({"tokens": 8, "for_rows": 0}, "--for-rows is 0"),
        ({"tokens": 8, "seconds": 0.0}, "--seconds is 0"),
        ({"tokens": 8, "seconds": float("nan")}, "--seconds is nan"),
    ],
)
def test_a_plan_that_is_none_is_wrong_usage(options, part):
    with pytest.raises(UsageError, match=part):
        Plan(**options)


@pytest.fixture(scope="module")
def measured(tiny_model):
    """A measurement to change single figures of."""
    return measure(Plan(tokens=12, rows=20, seconds=0.1), str(tiny_model), SETTINGS)


@pytest.mark.parametrize(
    ("changed", "asked_for", "part"),
    [
        ({"seconds": 0.2}, "auto", "0.20 s end to end give no firm figures"),
        ({"model_tokens_per_second": 2e6}, "auto", "tokenising is slower than the model"),
        ({}, "auto", "--dtype bfloat16 is faster"),
        ({}, "float32", None),
        ({"dtype": "bfloat16"}, "auto", None),
    ],
)
def test_advice_follows_from_the_figures(measured, monkeypatch, changed, asked_for, part):
    monkeypatch.setattr(result, "check_bfloat16", lambda device: (True, ""))
    firm = {"seconds": 5.0, "tokenising_tokens_per_second": 1e6, "model_tokens_per_second": 1e4}
    advice = result.advice_on(dataclasses.replace(measured, **firm | changed), asked_for=asked_for)
    assert advice is None if part is None else part in advice


def test_the_table_says_every_figure_with_its_unit(measured):
    shown = dataclasses.replace(
        measured,
        rows_per_second=12.34,
        tokens_per_second=1_234.0,
        tokens_per_row=100.0,
        tokenising_tokens_per_second=1e6,
        limit_tflops=0.5,
        limit_share=0.25,
        hours=3.0,
        advice="do this",
    )
    lines = str(shown).splitlines()
    assert max(map(len, lines)) < 200
    text = " ".join(str(shown).split())
    assert "tokenising alone 1,000,000 10,000" in text
    assert "end to end 1,234 12.3 model at work" in text
    assert "0.50 TFLOP/s in a large float32 matrix product" in text
    assert "25% of that" in text
    assert "rows would take 3.0 hours at 12.3 rows/s" in text
    assert lines[-1] == "advice: do this"


@pytest.mark.parametrize(
    ("hours", "words"), [(0.001, "3.6 seconds"), (0.1, "6.0 minutes"), (5.0, "5.0 hours"), (72.0, "3.0 days")]
)
def test_durations_are_in_the_unit_that_people_take(hours, words):
    assert result._duration(hours) == words


def test_the_job_s_length_is_announced_so_that_a_model_it_would_compile_is_compiled(tiny_model, monkeypatch):
    announced = []
    kept = Scorer.probabilities

    def told(self, batches, text_columns, on_rows=None, expected_rows=None):
        announced.append(expected_rows)
        return kept(self, batches, text_columns, on_rows, expected_rows)

    monkeypatch.setattr(Scorer, "probabilities", told)
    measure(Plan(tokens=12, for_rows=10**9, seconds=0.05), str(tiny_model), SETTINGS)
    assert announced[:2] == [10**9, 10**9]
    announced.clear()
    measure(Plan(tokens=12, rows=20, for_rows=10**9, seconds=0.05), str(tiny_model), SETTINGS)
    assert announced[0] == 10**9
