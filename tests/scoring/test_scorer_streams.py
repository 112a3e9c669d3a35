"""A scorer for other engines: schemas, streams of record batches, texts; called by threads, and sent in pickles."""

from __future__ import annotations

import datetime
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sentiment_batch import Scorer, clear_cache
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.scoring import scorer as scorer_module

TEXTS = ["the film was great", None, "boring and dull", " ", "the film was great"]
SCHEMA = pa.schema([pa.field("n", pa.int8()), pa.field("text", pa.string())], metadata={"made by": "a test"})
STRINGS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.binary(),
    pa.null(),
]


@pytest.fixture
def loads(monkeypatch):
    """The models that are loaded, in order; no scorer is cached before or after."""
    names = []
    real = scorer_module._load_backend
    monkeypatch.setattr(scorer_module, "_load_backend", lambda model, *rest: names.append(model) or real(model, *rest))
    clear_cache()
    yield names
    clear_cache()


def batches(*sizes):
    """The texts over and over, in batches of these sizes."""
    start = 0
    for size in sizes:
        rows = range(start, start + size)
        yield pa.record_batch([pa.array([n % 100 for n in rows], pa.int8()), [TEXTS[n % 5] for n in rows]], SCHEMA)
        start += size


@pytest.mark.parametrize("sizes", [(5,), (0, 3, 0, 1, 7, 0), (1,) * 6, (0,), (9_000, 1)])
def test_a_stream_is_annotated_in_order_with_the_promised_schema(scorer, sizes):
    found = list(scorer.annotate_batches(batches(*sizes)))
    assert {batch.schema for batch in found} <= {scorer.output_schema(SCHEMA)}
    rows = pa.Table.from_batches(found, scorer.output_schema(SCHEMA))
    given = pa.Table.from_batches(batches(*sizes), SCHEMA)
    expected = scorer(given)
    assert rows.select(["n", "text"]).equals(given)
    assert rows["sentiment"].equals(expected["sentiment"].cast(pa.string()))
    assert rows["sentiment_score"].equals(expected["sentiment_score"])


def test_the_schema_has_plain_strings_and_keeps_the_metadata(scorer):
    schema = scorer.output_schema(SCHEMA)
    assert schema.metadata == SCHEMA.metadata
    assert schema.names == ["n", "text", "sentiment", "sentiment_score"]
    assert [field.type for field in schema] == [pa.int8(), pa.string(), pa.string(), pa.float32()]


def test_a_stream_of_nothing_is_nothing(scorer):
    assert list(scorer.annotate_batches(iter(()))) == []


def test_a_stream_is_read_as_it_is_asked_for(scorer):
    read = []
    stream = scorer.annotate_batches((read.append(n) or batch for n, batch in enumerate(batches(*[8_192] * 30))))
    assert read == []
    next(stream)
    assert len(read) < 20
    stream.close()


def test_wrong_columns_are_refused_for_a_schema_and_for_a_stream(scorer):
    def stream(schema, **options):
        return list(scorer.annotate_batches([pa.RecordBatch.from_pylist([], schema)], **options))

    for call in (scorer.output_schema, stream):
        with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
            call(pa.schema([("text", pa.string()), ("sentiment", pa.string())]))
        with pytest.raises(InputError, match="no column 'words'"):
            call(SCHEMA, text_column="words")


@pytest.mark.parametrize("data_type", STRINGS, ids=str)
@pytest.mark.parametrize("chunks", [1, 2, 0])
def test_texts_of_every_type_get_labels_and_structs(scorer, data_type, chunks):
    texts = [None] * 5 if pa.types.is_null(data_type) else TEXTS
    array = pa.array(texts, pa.string()).cast(data_type) if data_type != pa.null() else pa.nulls(5)
    given = {1: array, 2: pa.chunked_array([array[:2], array[2:2], array[2:]]), 0: pa.chunked_array([], data_type)}
    expected = scorer(pa.table({"text": pa.array(texts if chunks else [], pa.string())}))
    labels, structs = scorer.labels_of(given[chunks]), scorer.annotations_of(given[chunks])
    assert labels.type == pa.string()
    assert labels.to_pylist() == expected["sentiment"].to_pylist()
    assert structs.type == pa.struct([("sentiment", pa.string()), ("sentiment_score", pa.float32())])
    assert structs.field("sentiment_score").to_pylist() == expected["sentiment_score"].to_pylist()
    assert structs.null_count == 0


def test_settings_reach_the_structs(tiny_model):
    options = {"device": "cpu", "dtype": "float32", "probabilities": True, "prefix": "p", "decimals": 1}
    with Scorer.load(str(tiny_model), **options) as scorer:
        found = scorer.annotations_of(pa.array(["great"])).to_pylist()
    assert list(found[0]) == ["p", "p_score", "p_negative", "p_positive"]
    assert found[0]["p_score"] == np.float32(round(found[0]["p_score"], 1))


def test_threads_that_share_a_scorer_get_their_own_scores(scorer):
    tables = [pa.table({"text": [f"film {n} of {k}" for n in range(300)]}) for k in range(8)]
    expected = [scorer(table) for table in tables]
    before = scorer.counts.rows
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(scorer, tables * 3))
        streams = pool.map(lambda table: list(scorer.annotate_batches(table.to_batches(50))), tables)
        streamed = [pa.Table.from_batches(stream) for stream in streams]
    assert scorer.counts.rows == before + 300 * 8 * 4
    for one, other in zip(found, expected * 3, strict=True):
        assert one.equals(other)
    for one, other in zip(streamed, expected, strict=True):
        assert one["sentiment_score"].to_pylist() == other["sentiment_score"].to_pylist()


def test_threads_that_come_first_load_the_model_once(tiny_model, loads):
    scorer = pickle.loads(pickle.dumps(Scorer.load(str(tiny_model), device="cpu", dtype="float32")))
    del loads[:]
    together = threading.Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: together.wait() + len(scorer.labels_of(pa.array(["great"] * n))), range(6)))
    assert len(loads) == 1


def test_pickles_that_arrive_in_one_process_share_one_model(tiny_model, make_model, loads):
    scorer = Scorer.load(str(tiny_model), device="cpu", dtype="float32")
    sent = pickle.dumps(scorer)
    del loads[:]
    for _ in range(3):
        assert pickle.loads(sent).labels_of(pa.array(["great"])).null_count == 0
    assert loads == [str(tiny_model)]
    other = Scorer(model=str(make_model("a", "b")), settings=scorer.settings)
    assert pickle.loads(pickle.dumps(other)).labels == ("a", "b")
    assert pickle.loads(sent).labels == scorer.labels
    assert pickle.loads(pickle.dumps(Scorer(model=scorer.model, settings=other.settings))) is pickle.loads(sent)


def test_a_folder_is_found_from_another_place(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_model.parent)
    sent = pickle.dumps(Scorer.load(tiny_model.name, device="cpu", dtype="float32"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(sent).labels == ("negative", "positive")
    clear_cache()


def test_tokens_of_a_model_elsewhere_need_no_second_model(tiny_model, monkeypatch):
    texts = ["the film was great", "[SEP] is text here", "a " * 100]
    with Scorer.load(str(tiny_model), device="cpu", dtype="float32") as alone:
        expected = alone.tokenizer(texts)
        elsewhere = SimpleNamespace(description=alone.backend.description)
    monkeypatch.setattr(scorer_module, "_load_backend", lambda model, settings: elsewhere)
    monkeypatch.setattr(scorer_module.LocalBackend, "__init__", None)
    found = Scorer(model=alone.model, settings=alone.settings).tokenizer(texts)
    for one, other in ((found.ids, expected.ids), (found.lengths, expected.lengths), (found.cut, expected.cut)):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (pa.array([1, 2]), "the array holds int64, not text"),
        (pa.array([datetime.date(2026, 1, 1)]), "holds date32"),
        (pa.array([["a"]]), "holds list<item: string>, not text"),
        (pa.array([{"a": "b"}]), "holds struct<a: string>, not text"),
        ("abc", "this is a single text"),
        (b"abc", "this is a single text"),
        ([1, "a"], "the type list is no array of texts"),
        (np.array("a"), "the type ndarray is no array of texts"),
        (pa.table({"text": ["a"]}), "the type Table is no array of texts"),
        (pd.DataFrame({"text": ["a"]}), "the type DataFrame is no array of texts"),
    ],
    ids=str,
)
def test_what_is_no_array_of_texts_is_refused(scorer, wrong, message):
    for call in (scorer.labels_of, scorer.annotations_of):
        with pytest.raises(InputError, match=message):
            call(wrong)


def test_arrays_without_a_text_have_no_labels(scorer):
    assert scorer.labels_of(pa.nulls(2)).to_pylist() == [None, None]
    assert scorer.labels_of(["fine \ud800"]).equals(scorer.labels_of(pa.array(["fine \ufffd"])))
