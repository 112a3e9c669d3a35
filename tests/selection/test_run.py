"""`select`, from a scored table in to the rows to label out: which rows, which columns, and what is refused."""

from __future__ import annotations

import json
import random

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch import InputError, OutputError, UsageError, score, select
from sentiment_batch.scoring.pipeline import ScoreJob, score_table
from sentiment_batch.selection import destination, run
from sentiment_batch.settings import ScoreSettings
from tests.conftest import WORDS

CPU = {"device": "cpu", "dtype": "float32", "quiet": True}


@pytest.fixture(scope="module")
def reviews():
    """300 reviews, some of them repeated in other case, some without a text, and a column for the score to keep."""
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(2, 9))) for _ in range(260)]
    texts += [text.upper() for text in texts[:30]] + [""] * 10
    ids = pd.Series([f"{number:04d}" for number in range(300)], dtype=object)
    return pd.DataFrame({"id": ids, "review": texts, "shop": pd.Categorical(["a", "b", "c"] * 100)})


@pytest.fixture(scope="module")
def scored(reviews, tiny_model):
    return score(reviews, tiny_model, device="cpu", dtype="float32", probabilities=True)


def score_file(source, destination, model, text_columns=(), **settings):
    """Scores a file into another one, with a manifest beside it."""
    chosen = ScoreSettings(device="cpu", dtype="float32", **settings)
    job = ScoreJob(
        source=str(source), destination=str(destination), model=str(model), settings=chosen, text_columns=text_columns
    )
    score_table(job)


def find_uncertain(scored, rows):
    """The ids of the most uncertain different texts."""
    full = scored.dropna(subset="sentiment_score").sort_values("sentiment_score", kind="stable")
    return set(full[~full["review"].str.lower().duplicated()]["id"][:rows])


def test_uncertain_rows_come_out_with_an_empty_label(scored, tiny_model):
    found = select(scored, 10, tiny_model, **CPU)
    assert list(found) == ["id", "review", "shop", "label"]
    assert found["label"].isna().all()
    assert len(found) == 10
    assert found["review"].str.lower().is_unique
    assert set(found["id"]) <= find_uncertain(scored, 200)
    assert found["shop"].dtype == scored["shop"].dtype
    assert (scored.loc[found.index, "review"] == found["review"]).all()


def test_few_candidates_are_the_most_uncertain_rows(scored, tiny_model):
    found = select(scored, 10, tiny_model, candidates=10, **CPU)
    assert set(found["id"]) == find_uncertain(scored, 10)
    order = scored.set_index("id").loc[found["id"], "sentiment_score"]
    assert order.is_monotonic_increasing


def test_rows_differ_more_than_the_most_uncertain_ones(scored, tiny_model):
    from sentiment_batch import Scorer
    from sentiment_batch.selection.vectors import compute_vectors

    def nearest(table):
        vectors = compute_vectors(scorer, list(table["review"]))
        distances = ((vectors[:, None] - vectors) ** 2).sum(-1)
        return sorted(distances[distances > 0].reshape(len(vectors), -1).min(axis=1))[len(vectors) // 4]

    with Scorer.load(tiny_model, device="cpu", dtype="float32") as scorer:
        diverse, uncertain = (select(scored, 12, tiny_model, candidates=n, **CPU) for n in (120, 12))
        assert nearest(diverse) > 1.2 * nearest(uncertain)


def test_every_kind_of_frame_gives_the_same_rows(scored, tiny_model):
    wanted = list(select(scored, 8, tiny_model, **CPU)["id"])
    table = pa.Table.from_pandas(scored, preserve_index=False)
    for frame in (pl.from_pandas(scored), table, table.combine_chunks().to_batches()[0]):
        found = select(frame, 8, tiny_model, **CPU)
        assert type(found) is type(frame)
        assert list(found["id"].to_pylist() if hasattr(found["id"], "to_pylist") else found["id"]) == wanted
        names = found.columns if isinstance(found, pl.DataFrame) else found.schema.names
        assert names == ["id", "review", "shop", "label"]


def test_a_frame_may_hold_what_arrow_cannot(scored, tiny_model):
    odd = scored.assign(thing=[{"a": 1}, object()] * 150)
    found = select(odd, 5, tiny_model, **CPU)
    assert list(found["thing"]) == list(odd.loc[found.index, "thing"])


@pytest.mark.parametrize("name", ["scored.csv", "scored.parquet", "scored.jsonl.gz", "scored.arrow"])
def test_files_of_every_format_give_the_rows_of_the_frame(name, reviews, scored, tiny_model, tmp_path):
    reviews.to_csv(tmp_path / "in.csv", index=False)
    score_file(tmp_path / "in.csv", tmp_path / name, tiny_model)
    found = select(tmp_path / name, 8, tiny_model, **CPU)
    assert isinstance(found, pa.Table)
    assert found["id"].to_pylist() == list(select(scored, 8, tiny_model, **CPU)["id"])
    assert found.schema.names == ["id", "review", "shop", "label"]


def test_the_order_of_the_table_does_not_matter(scored, tiny_model):
    unlike = scored[~scored["review"].str.lower().duplicated()]
    first, again = (select(table, 10, tiny_model, **CPU) for table in (unlike, unlike.sample(frac=1, random_state=1)))
    assert list(first["id"]) == list(again["id"])


def test_a_seed_decides_which_rows(scored, tiny_model):
    first, again, other = (select(scored, 10, tiny_model, seed=seed, **CPU) for seed in (1, 1, 2))
    assert list(first["id"]) == list(again["id"])
    assert set(first["id"]) != set(other["id"])


def test_labelled_texts_are_left_out(scored, tiny_model, tmp_path):
    first = select(scored, 20, tiny_model, **CPU)
    first.assign(review=first["review"].str.upper() + " ").to_csv(tmp_path / "first.csv", index=False)
    known = pd.DataFrame({"text": list(scored["review"][:100]), "label": "positive"})
    found = select(scored, 20, tiny_model, labelled=[tmp_path / "first.csv", known], **CPU)
    left_out = {*first["review"].str.lower(), *known["text"].str.lower()}
    assert left_out.isdisjoint(found["review"].str.lower())
    assert len(found) == 20


def test_fewer_rows_than_asked_for_are_all_taken(scored, tiny_model, caplog):
    found = select(scored[:10], 50, tiny_model, **CPU)
    assert len(found) == 10
    assert "only 10 rows" in caplog.text


def test_other_names_of_columns_are_found(reviews, tiny_model):
    table = score(reviews, tiny_model, device="cpu", prefix="mood", probabilities=True)
    assert list(select(table, 5, tiny_model, **CPU)) == ["id", "review", "shop", "label"]
    both = score(table, tiny_model, device="cpu", dtype="float32", text_column="review")
    kept = select(both, 5, tiny_model, prefix="mood", label_column="answer", **CPU)
    assert list(kept) == ["id", "review", "shop", "sentiment", "sentiment_score", "answer"]


def test_the_manifest_names_columns_model_and_texts(reviews, tiny_model, tmp_path, caplog):
    table = reviews.assign(comment="a remark that is no review", sentiment_positive="mine")
    table.to_csv(tmp_path / "in.csv", index=False)
    score_file(tmp_path / "in.csv", tmp_path / "out.csv", tiny_model, text_columns=("review",), prefix="mood")
    caplog.set_level("INFO")
    found = select(tmp_path / "out.csv", 5, **CPU)
    assert found.schema.names == ["id", "review", "shop", "comment", "sentiment_positive", "label"]
    assert f"model: {tiny_model} (it scored the table, by the manifest)" in caplog.text
    assert "(assumed)" not in next(line for line in caplog.text.splitlines() if "text  " in line)


def test_another_model_is_used_with_a_warning(reviews, tiny_model, make_model, tmp_path, caplog):
    reviews.to_csv(tmp_path / "in.csv", index=False)
    score_file(tmp_path / "in.csv", tmp_path / "out.csv", tiny_model)
    other = make_model("negative", "positive", seed=8)
    assert len(select(tmp_path / "out.csv", 5, other, **CPU)) == 5
    assert f"{other} did not score {tmp_path / 'out.csv'}" in caplog.text


def test_a_table_that_was_not_scored_is_refused(reviews, scored, tiny_model):
    with pytest.raises(InputError, match="Score the table first"):
        select(reviews, 5, tiny_model, **CPU)
    with pytest.raises(InputError, match=r"no column 'sentiment_score'.*sentiment-batch score"):
        select(scored.drop(columns="sentiment_score"), 5, tiny_model, **CPU)
    with pytest.raises(InputError, match=r"7\.0 in row 3 .*no probability"):
        select(scored.assign(sentiment_score=[0.5, 0.5, 0.5, *[7.0] * 297]), 5, tiny_model, **CPU)
    with pytest.raises(InputError, match="no row to select: of 0 rows"):
        select(scored[:0], 5, tiny_model, **CPU)
    with pytest.raises(InputError, match="labelled already"):
        select(scored, 5, tiny_model, labelled=scored, **CPU)


def test_a_label_column_that_exists_is_refused(scored, tiny_model):
    with pytest.raises(UsageError, match=r"a column 'label' already.*`label_column=\"new_label\"`"):
        select(scored.assign(label="x"), 5, tiny_model, **CPU)
    # The column of the predictions is left out, so its name is free.
    assert list(select(scored, 5, tiny_model, label_column="sentiment", **CPU))[-1] == "sentiment"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 0}, "`rows` is 0"),
        ({"rows": 2.5}, "`rows` is 2.5"),
        ({"candidates": 4}, "`candidates` is 4, but 5 rows"),
        ({"seed": -1}, "`seed` is -1"),
        ({"label_column": ""}, "`label_column` is ''"),
        ({"quiet": "no"}, "`quiet` is 'no'"),
        ({"decimals": 99}, "decimals"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_else(given, message):
    with pytest.raises(UsageError) as error:
        select("missing.csv", **{"rows": 5, **given})
    assert message in str(error.value)


def test_the_output_is_written_like_any_other(scored, tiny_model, tmp_path):
    out = tmp_path / "to_label.parquet"
    found = select(scored, 5, tiny_model, output=out, **CPU)
    table = pq.read_table(out)
    assert table["id"].to_pylist() == list(found["id"])
    assert table["label"].to_pylist() == [None] * 5
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        select(scored, 6, tiny_model, output=out, **CPU)
    assert out.read_bytes() == before
    select(scored, 6, tiny_model, output=out, overwrite=True, **CPU)
    assert pq.read_table(out).num_rows == 6
    with pytest.raises(OutputError, match="one file"):
        select(scored, 5, tiny_model, output=f"{tmp_path}/folder/", **CPU)
    with pytest.raises(OutputError, match="no folder"):
        select(scored, 5, tiny_model, output=tmp_path / "none" / "a.csv", **CPU)


def test_a_published_output_is_not_aborted(scored, tiny_model, tmp_path, monkeypatch):
    """`abort` of a plugin's writer may remove the output, because nobody calls it after `commit` has returned."""
    open_writer = destination.formats.open_writer

    def open_fragile(location, schema, **options):
        writer = open_writer(location, schema, **options)
        monkeypatch.setattr(type(writer), "abort", lambda self: (tmp_path / "next.csv").unlink(missing_ok=True))
        return writer

    monkeypatch.setattr(destination.formats, "open_writer", open_fragile)
    select(scored, 5, tiny_model, output=tmp_path / "next.csv", **CPU)
    assert (tmp_path / "next.csv").exists()


def test_tables_that_are_read_are_never_replaced(scored, tiny_model, tmp_path):
    path = tmp_path / "scored.csv"
    scored.to_csv(path, index=False)
    before = path.read_bytes()
    (tmp_path / "link.csv").hardlink_to(path)
    url = f"file://{path}"
    for source, place in ((path, path), (path, tmp_path / "link.csv"), (path, url), (url, path)):
        with pytest.raises(UsageError, match="a file of their own"):
            select(source, 5, tiny_model, output=place, overwrite=True, **CPU)
    for table in (path, tmp_path, f"{tmp_path}/s*.csv"):
        with pytest.raises(UsageError, match="a file of their own"):
            select(scored, 5, tiny_model, labelled=table, output=path, overwrite=True, **CPU)
    with pytest.raises(UsageError, match="a file of their own"):
        select(tmp_path, 5, tiny_model, output=path, overwrite=True, **CPU)
    assert path.read_bytes() == before


def test_the_destination_is_checked_before_the_table_is_read(tmp_path, monkeypatch, tiny_model):
    (tmp_path / "out.csv").write_text("mine")
    monkeypatch.setattr(run, "_open_table", lambda job: pytest.fail("the table was opened"))
    with pytest.raises(OutputError):
        select("scored.csv", 5, tiny_model, output=tmp_path / "out.csv", **CPU)


def test_texts_are_compared_in_a_run_over_bad_bytes_by_row(scored, tiny_model, tmp_path):
    bad = pa.array([b"fine", b"bro\xffken", b"good"], pa.binary())
    table = pa.table({"review": bad.view(pa.string()), "sentiment": ["p"] * 3, "sentiment_score": [0.9, 0.6, 0.8]})
    with pytest.raises(InputError, match=r"not UTF-8 in row 1 "):
        select(table, 2, tiny_model, **CPU)


def test_the_result_as_json_is_plain(scored, tiny_model):
    from sentiment_batch.selection.job import SelectJob

    job = SelectJob(source=scored, rows=7, model=str(tiny_model), settings=ScoreSettings(device="cpu"), quiet=True)
    selection = run.select_rows(job)
    found = json.loads(json.dumps(selection.to_json()))
    wanted = {"output": None, "rows": 300, "without_score": 10, "candidates": 140, "selected": 7, "seed": 0}
    assert {name: found[name] for name in wanted} == wanted
    assert found["label_values"] == {"negative": "negative", "positive": "positive"}
    assert found["left_out"] == ["sentiment", "sentiment_score", "sentiment_negative", "sentiment_positive"]
    assert str(selection).startswith("7 rows of 300 (10 without a score), chosen among the 140 most uncertain ones\n")


@pytest.mark.parametrize(
    ("index", "written"),
    [
        (pd.RangeIndex(300), []),
        (pd.Index([f"k{n}" for n in range(300)], name="key"), ["key"]),
        (pd.RangeIndex(300, name="key"), ["key"]),
        (pd.Index(range(7, 307)).astype(str), ["index"]),
        (pd.MultiIndex.from_product([range(100), list("abc")], names=["n", None]), ["n", "level_1"]),
        (pd.Index([f"{n:04d}" for n in range(300)], name="id"), []),
    ],
    ids=["count", "named", "named count", "keys", "nested", "a column already"],
)
def test_the_output_keeps_the_index_of_a_pandas_frame(scored, tiny_model, tmp_path, index, written):
    found = select(scored.set_axis(index), 5, tiny_model, output=tmp_path / "o.parquet", **CPU)
    assert list(found) == ["id", "review", "shop", "label"]
    rows = pq.read_table(tmp_path / "o.parquet")
    assert rows.column_names == [*written, "id", "review", "shop", "label"]
    for place, name in enumerate(written):
        assert rows[name].to_pylist() == list(found.index.get_level_values(place))
