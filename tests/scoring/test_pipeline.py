"""`score_table` writes the input with its sentiment, complete or not at all."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data import formats, readers, writers
from sentiment_batch.errors import InputError, ModelError, OutputError, PluginError, UsageError
from sentiment_batch.plugins.hookspecs import hookimpl
from sentiment_batch.plugins.manager import Plugins
from sentiment_batch.records import ReadOptions, Split, WriteOptions
from sentiment_batch.scoring import pipeline
from sentiment_batch.scoring.pipeline import ScoreJob, score_table
from sentiment_batch.scoring.scorer import Scorer

TEXTS = ["the film was great", None, 'boring, "dull"\nand slow', "  ", "the film was great", "Où est le café?", ""]


@pytest.fixture(scope="module")
def exact(tiny_model):
    """The same model, with all probabilities in 7 decimals."""
    options = {"device": "cpu", "dtype": "float32", "probabilities": True, "decimals": 7}
    with Scorer.load(str(tiny_model), **options) as scorer:
        yield scorer


@pytest.fixture
def score(scorer, tmp_path):
    """Scores a file of the test's folder into another and gives the summary."""

    def score(source, destination, by=scorer, **options):
        options = {"quiet": True} | options
        return score_table(ScoreJob(source=str(source), destination=str(destination), **options), lambda: by)

    return score


def write(path, table):
    """The table in the format of the path."""
    writer = formats.open_writer(str(path), table.schema, options=WriteOptions(overwrite=True))
    for batch in table.to_batches():
        writer.write(batch)
    writer.commit()
    return path


def read(path):
    with_closing = formats.open_reader(str(path))
    try:
        batches = [batch for split in with_closing.splits() for batch in with_closing.batches(split)]
        return pa.Table.from_batches(batches, with_closing.schema)
    finally:
        with_closing.close()


@pytest.fixture
def rich():
    """A table of many types, with nulls and metadata of its schema."""
    n = len(TEXTS)
    zone = datetime.UTC
    fields = {
        "id": pa.array([None if i == 3 else i for i in range(n)], pa.int32()),
        "when": pa.array([datetime.datetime(2024, 1, 1 + i, tzinfo=zone) for i in range(n)], pa.timestamp("us", "UTC")),
        "review": pa.array(TEXTS, pa.string()),
        "price": pa.array([decimal.Decimal(i) / 4 for i in range(n)], pa.decimal128(9, 2)),
        "tags": pa.array([["a", None], [], None, ["b"], ["c", "c"], [], ["d"]], pa.list_(pa.string())),
        "kind": pa.array(["x", "y", None, "x", "x", "y", "y"]).dictionary_encode(),
        "place": pa.array([{"city": "Oslo", "n": i} for i in range(n)]),
    }
    schema = pa.schema([pa.field(name, array.type) for name, array in fields.items()], metadata={"made by": "a test"})
    return pa.table(list(fields.values()), schema=schema)


def test_every_column_comes_out_as_it_went_in(score, rich, tmp_path):
    source = write(tmp_path / "in.parquet", rich)
    for ending in ("parquet", "arrow", "arrows", "feather"):
        score(source, tmp_path / f"out.{ending}")
        out = read(tmp_path / f"out.{ending}")
        assert out.select(rich.column_names).equals(read(source))
        assert out.schema.metadata[b"made by"] == b"a test"
        for name in rich.column_names:
            assert out.schema.field(name).type == read(source).schema.field(name).type
        assert out.column_names[-2:] == ["sentiment", "sentiment_score"]
        assert out.schema.field("sentiment_score").type == pa.float32()
        dictionary = out["sentiment"].chunk(0).dictionary
        assert dictionary.to_pylist() == ["negative", "positive"]


def test_rows_without_a_text_get_nulls_and_keep_their_place(score, rich, tmp_path):
    score(write(tmp_path / "in.parquet", rich), tmp_path / "out.parquet")
    out = read(tmp_path / "out.parquet")
    assert [value is None for value in out["sentiment"].to_pylist()] == [not (text or "").strip() for text in TEXTS]
    assert out["sentiment"].is_null().equals(out["sentiment_score"].is_null())
    assert out["sentiment_score"][0] == out["sentiment_score"][4]


@pytest.mark.parametrize("out", ["csv", "tsv.gz", "jsonl", "ndjson.zst", "parquet", "arrow", "arrows", "feather"])
@pytest.mark.parametrize("into", ["csv", "jsonl", "parquet"])
def test_any_format_goes_into_any_other_with_the_same_scores(score, tmp_path, into, out):
    table = pa.table({"id": ["007", "", "1e5", "x", "y", "z", "é"], "review": TEXTS})
    source = write(tmp_path / f"in.{into}", table)
    score(source, tmp_path / f"out.{out}")
    score(source, tmp_path / "reference.parquet")
    found, expected = read(tmp_path / f"out.{out}"), read(tmp_path / "reference.parquet")
    assert found.column_names == ["id", "review", "sentiment", "sentiment_score"]
    assert found["id"].to_pylist() == ["007", "", "1e5", "x", "y", "z", "é"]
    labels = [value or None for value in found["sentiment"].to_pylist()]  # a CSV has no nulls
    assert labels == expected["sentiment"].to_pylist()
    numbers = [None if value in (None, "") else float(value) for value in found["sentiment_score"].to_pylist()]
    for number, reference in zip(numbers, expected["sentiment_score"].to_pylist(), strict=True):
        assert number == reference or abs(number - reference) < 1e-7


def test_a_csv_keeps_every_value_as_text(score, tmp_path):
    (tmp_path / "in.csv").write_bytes(b'id,"text"\r\n007,"a ""b"", c\r\nd"\r\n 8 ,x\r\n')
    score(tmp_path / "in.csv", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[:2] for row in rows] == [["id", "text"], ["007", 'a "b", c\r\nd'], [" 8 ", "x"]]
    assert all(0.5 <= float(row[3]) <= 1 and len(row[3]) <= 6 for row in rows[1:])


@pytest.mark.parametrize("rows", [0, 1, 8_191, 8_192, 8_193])
def test_every_row_comes_out_once_at_the_edges_of_a_block(score, tmp_path, rows):
    table = pa.table(
        {"n": pa.array(range(rows), pa.int64()), "text": pa.array([f"film {n % 50}" for n in range(rows)], pa.string())}
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3_000)
    summary = score(tmp_path / "in.parquet", tmp_path / "out.parquet")
    out = read(tmp_path / "out.parquet")
    assert out.select(["n", "text"]).equals(table)
    assert out["sentiment"].null_count == 0
    assert (summary.rows, summary.null, sum(summary.labels.values())) == (rows, 0, rows)
    assert summary.repeated == max(0, min(rows, 8_192) - 50) + max(0, rows - 8_192 - 50) if rows > 1 else True


def test_an_empty_table_keeps_its_columns_and_the_labels(score, tmp_path):
    write(tmp_path / "in.csv", pa.table({"text": pa.array([], pa.string())}))
    score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "text,sentiment,sentiment_score\n"


def test_the_probabilities_of_all_labels_can_be_added(score, exact, rich, tmp_path):
    score(write(tmp_path / "in.parquet", rich), tmp_path / "out.parquet", by=exact)
    out = read(tmp_path / "out.parquet").slice(0, 1).to_pylist()[0]
    assert list(out)[-4:] == ["sentiment", "sentiment_score", "sentiment_negative", "sentiment_positive"]
    assert out["sentiment_negative"] + out["sentiment_positive"] == pytest.approx(1, abs=1e-6)
    assert out["sentiment_score"] == max(out["sentiment_negative"], out["sentiment_positive"])
    assert out[f"sentiment_{out['sentiment']}"] == out["sentiment_score"]


def test_scores_are_rounded_for_people(score, exact, rich, tmp_path):
    source = write(tmp_path / "in.parquet", rich)
    score(source, tmp_path / "out.parquet")
    score(source, tmp_path / "exact.parquet", by=exact)
    rounded, full = (
        read(tmp_path / name)["sentiment_score"].drop_null().to_numpy() for name in ("out.parquet", "exact.parquet")
    )
    np.testing.assert_allclose(rounded, np.round(full, 4), atol=1e-7)
    assert not np.array_equal(rounded, full)


def test_a_clash_with_a_column_of_the_input_names_the_prefix(score, tmp_path):
    write(tmp_path / "in.csv", pa.table({"text": ["a"], "sentiment": ["mine"]}))
    with pytest.raises(UsageError, match=r"already has the columns 'sentiment'.*`prefix="):
        score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    score(tmp_path / "in.csv", tmp_path / "out.csv", keep=("text",))  # a column that is left out cannot clash
    assert read(tmp_path / "out.csv").column_names == ["text", "sentiment", "sentiment_score"]


def test_another_prefix_avoids_the_clash(score, tmp_path, tiny_model):
    write(tmp_path / "in.csv", pa.table({"text": ["a"], "sentiment": ["mine"], "sentiment_score": ["1"]}))
    with Scorer.load(str(tiny_model), dtype="float32", prefix="predicted") as other:
        score(tmp_path / "in.csv", tmp_path / "out.csv", by=other)
    out = read(tmp_path / "out.csv")
    assert out.column_names == ["text", "sentiment", "sentiment_score", "predicted", "predicted_score"]
    assert out["sentiment"].to_pylist() == ["mine"]


def test_only_the_columns_asked_for_come_out_in_that_order(score, rich, tmp_path):
    source = write(tmp_path / "in.parquet", rich)
    score(source, tmp_path / "out.parquet", keep=("price", "id"))
    out = read(tmp_path / "out.parquet")
    assert out.column_names == ["price", "id", "sentiment", "sentiment_score"]
    assert out.select(["price", "id"]).equals(read(source).select(["price", "id"]))
    assert out["sentiment"].null_count == 3


def test_a_missing_column_is_named_before_the_model_is_loaded(rich, tmp_path):
    source = str(write(tmp_path / "in.parquet", rich))

    def load():
        raise AssertionError("the model was loaded")

    job = {"source": source, "destination": str(tmp_path / "out.parquet"), "quiet": True}
    with pytest.raises(InputError, match=r"no column 'Price'; did you mean 'price'\?.*`columns`"):
        score_table(ScoreJob(**job, keep=("Price",)), load)
    with pytest.raises(InputError, match=r"no column 'text'.*text_column"):
        score_table(ScoreJob(**job, text_columns=("text",)), load)
    with pytest.raises(InputError, match="'price' holds decimal"):
        score_table(ScoreJob(**job, text_columns=("price",)), load)
    with pytest.raises(InputError, match="is not there"):
        score_table(ScoreJob(**job | {"source": str(tmp_path / "nowhere.csv")}), load)
    with pytest.raises(UsageError, match="does not show the format"):
        score_table(ScoreJob(**job | {"destination": str(tmp_path / "out.docx")}), load)
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        score_table(ScoreJob(**job | {"destination": str(tmp_path / "out.csv")}), load)


@pytest.mark.parametrize("limit", [0, 1, 6, 7, 8, 1_000])
def test_a_limit_scores_the_first_rows_only(score, rich, tmp_path, limit):
    source = write(tmp_path / "in.parquet", rich)
    summary = score(source, tmp_path / "out.parquet", limit=limit)
    assert summary.rows == min(limit, len(TEXTS))
    assert read(tmp_path / "out.parquet").select(rich.column_names).equals(read(source).slice(0, limit))


def test_two_text_columns_are_joined(score, exact, tmp_path):
    write(tmp_path / "two.csv", pa.table({"title": ["great", "", "awful"], "body": ["the film", "the film", " "]}))
    write(tmp_path / "one.csv", pa.table({"text": ["great\n\nthe film", "the film", "awful"]}))
    score(tmp_path / "two.csv", tmp_path / "a.parquet", by=exact, text_columns=("title", "body"))
    score(tmp_path / "one.csv", tmp_path / "b.parquet", by=exact)
    assert read(tmp_path / "a.parquet")["sentiment_score"].equals(read(tmp_path / "b.parquet")["sentiment_score"])


@pytest.mark.parametrize("output", ["~/out.csv", "~/out/"])
def test_a_tilde_is_the_home_folder(score, tmp_path, monkeypatch, output):
    home = tmp_path / "home"
    for folder in (home, tmp_path / "~"):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(tmp_path)
    write(home / "in.csv", pa.table({"text": TEXTS}))
    score("~/in.csv", output)
    assert read(output).num_rows == len(TEXTS)
    assert (home / output.removeprefix("~/")).exists()
    assert not list((tmp_path / "~").iterdir())
    with pytest.raises(UsageError, match="limit"):
        score("~/in.csv", home / "in.csv", write=WriteOptions(overwrite=True), limit=1)


def test_an_input_may_be_replaced_by_its_annotated_self(score, tmp_path):
    path = write(tmp_path / "reviews.csv", pa.table({"text": ["great", "awful"]}))
    score(path, path, write=WriteOptions(overwrite=True))
    assert read(path).column_names == ["text", "sentiment", "sentiment_score"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["reviews.csv", "reviews.csv.manifest.json"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"limit": 1}, "limit"),
        ({"limit": 0}, "limit"),
        ({"keep": ("n",)}, "columns"),
        ({"read": ReadOptions(skip_rows=1, header=True)}, "skip_rows"),
        ({"read": ReadOptions(comment="#")}, "comment"),
    ],
)
@pytest.mark.parametrize("link", [False, True])
def test_an_input_is_not_replaced_by_a_part_of_itself(score, tmp_path, options, name, link):
    path = tmp_path / "reviews.csv"
    path.write_text("text,n\n#great,1\nawful,2\n")
    out = tmp_path / "link.csv" if link else path
    if link:
        out.symlink_to(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=f"is the input, and `{name}` leaves out a part of it"):
        score(path, out, write=WriteOptions(overwrite=True), **options)
    assert path.read_bytes() == before


@pytest.mark.parametrize("options", [{"limit": 1}, {"keep": ("n",)}, {"read": ReadOptions(comment="#")}])
def test_standard_input_and_output_are_not_one_file(score, monkeypatch, capfdbinary, options):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"text,n\n#great,1\nawful,2\n")))
    score("-", "-", input_format="csv", output_format="csv", **options)
    assert b"sentiment" in capfdbinary.readouterr().out


def test_one_of_several_input_files_is_not_replaced(score, tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, pa.table({"text": ["great", "awful"]}))
    with pytest.raises(UsageError, match=r"b\.csv is one of the 2 files that are read"):
        score(tmp_path / "*.csv", tmp_path / "b.csv", write=WriteOptions(overwrite=True))
    assert read(tmp_path / "b.csv").column_names == ["text"]


def test_the_summary_tells_what_was_done_and_how(score, tmp_path):
    write(tmp_path / "in.csv", pa.table({"text": ["great", "great", "", "awful " * 100]}))
    summary = score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (summary.rows, summary.null, summary.repeated, summary.cut) == (4, 1, 1, 1)
    assert sum(summary.labels.values()) == 3
    assert summary.tokens == 3 + 64
    assert (summary.device, summary.device_reason, summary.dtype) == ("cpu", "as asked", "float32")
    assert json.loads(json.dumps(summary.to_json()))["text_columns"] == ["text"]
    for part in (
        "4 rows",
        "1 without a text",
        "rows/s",
        "tokens/s",
        "1 repeated text scored once",
        "1 text longer than 64",
        "device cpu",
    ):
        assert part in str(summary)


def test_one_scorer_counts_each_run_for_itself(score, tmp_path):
    write(tmp_path / "in.csv", pa.table({"text": ["great", "awful"]}))
    first, second = (score(tmp_path / "in.csv", tmp_path / f"{n}.csv") for n in range(2))
    assert (first.rows, first.tokens, first.labels) == (second.rows, second.tokens, second.labels)


def test_a_model_that_fails_publishes_nothing_and_leaves_no_file(scorer, tmp_path, monkeypatch):
    write(tmp_path / "in.csv", pa.table({"text": ["great", "awful"]}))
    real = Scorer.score_blocks

    def failing(self, *arguments):
        yield next(real(self, *arguments))
        raise ZeroDivisionError("in the model")

    def missing():
        raise ModelError("no such model. Train one.")

    monkeypatch.setattr(Scorer, "score_blocks", failing)
    for load, error in ((missing, ModelError), (lambda: scorer, ZeroDivisionError)):
        for ending in ("csv", "csv.gz", "parquet", "arrow", "jsonl"):
            job = ScoreJob(source=str(tmp_path / "in.csv"), destination=str(tmp_path / f"out.{ending}"), quiet=True)
            with pytest.raises(error):
                score_table(job, load)
            assert [entry.name for entry in tmp_path.iterdir()] == ["in.csv"]


class Table:
    """A reader of a plugin that may lie: about its columns, its rows, or by failing."""

    def __init__(self, batches, schema=None, num_rows=None, error=None):
        self.schema = schema or batches[0].schema
        self.num_rows = num_rows
        self._batches, self._error = batches, error
        self.closed = 0

    def splits(self):
        return [Split(index=0, label="sheet 1")]

    def batches(self, split):
        yield from self._batches
        if self._error:
            raise self._error

    def close(self):
        self.closed += 1


@pytest.fixture
def install(monkeypatch):
    """Installs a plugin that reads any `.sheet` as the given reader."""

    def install(reader):
        @hookimpl
        def register_readers(registry):
            registry.add("sheet", lambda location, options: reader, suffixes=(".sheet",))

        entry = SimpleNamespace(
            name="sheets", dist=None, load=lambda: SimpleNamespace(register_readers=register_readers)
        )
        plugins = Plugins((readers, writers), lambda: [entry])
        monkeypatch.setattr(formats, "get_plugins", lambda: plugins)
        return reader

    return install


ROWS = pa.record_batch({"text": ["great", "awful"]})
OTHER = pa.record_batch({"text": ["great"], "more": [1]})
LIES = {
    "other columns": Table([ROWS, OTHER]),
    "other types": Table([ROWS], schema=pa.schema([("text", pa.large_string())])),
    "too few rows": Table([ROWS], num_rows=3),
    "too many rows": Table([ROWS], num_rows=1),
    "no record batch": Table([ROWS, ["great"]], schema=ROWS.schema),
    "an error": Table([ROWS], error=ZeroDivisionError("oh\nno")),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_plugin_that_breaks_its_promise_publishes_nothing(score, install, tmp_path, lie):
    reader = install(LIES[lie])
    with pytest.raises(PluginError) as caught:
        score("a.sheet", tmp_path / "out.csv")
    assert "sheet" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert reader.closed


def test_a_plugin_that_keeps_its_promise_is_read(score, install, tmp_path):
    install(Table([ROWS, ROWS.slice(0, 0), ROWS], num_rows=4))
    assert score("a.sheet", tmp_path / "out.csv").rows == 4
    assert score("a.sheet", tmp_path / "limited.csv", limit=3).rows == 3


def test_a_limit_reads_no_further_than_it_must(score, install, tmp_path):
    install(Table([ROWS], error=InputError("row group 2 is damaged. Fetch the file again.")))
    assert score("a.sheet", tmp_path / "out.csv", limit=2).rows == 2
    with pytest.raises(InputError, match="row group 2"):
        score("a.sheet", tmp_path / "more.csv", limit=3)


def test_progress_is_shown_unless_it_is_not_wanted(score, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    write(tmp_path / "in.csv", pa.table({"text": ["great", "awful"]}))
    score(tmp_path / "in.csv", tmp_path / "a.csv", quiet=False)
    shown = capsys.readouterr()
    assert "scoring" in shown.err
    assert shown.out == ""
    score(tmp_path / "in.csv", tmp_path / "b.csv", quiet=True)
    assert capsys.readouterr() == ("", "")


def test_rates_exclude_the_loading_of_the_model(scorer, tmp_path, monkeypatch):
    clock = [0.0]

    def load():
        clock[0] += 50
        return scorer

    def tick():
        clock[0] += 0.001
        return clock[0]

    monkeypatch.setattr(pipeline.time, "perf_counter", tick)
    write(tmp_path / "in.csv", pa.table({"text": ["good", "bad"]}))
    job = ScoreJob(source=str(tmp_path / "in.csv"), destination=str(tmp_path / "out.csv"), quiet=True)
    summary = score_table(job, load)
    assert summary.seconds > 50
    assert summary.rows_per_second > 10
