"""Data sets of `datasets` come back as they were, with their scores: in memory, shuffled, streamed and by split."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sentiment_batch import evaluate, score, train
from sentiment_batch.errors import InputError, UsageError

datasets = pytest.importorskip("datasets", reason="datasets is not installed")

TEXTS = ["the film was great", None, "boring and dull", " ", "a great film"]
ADDED = ["sentiment", "sentiment_score"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    datasets.disable_progress_bars()


def dataset(rows=5):
    kinds = datasets.ClassLabel(names=["bad", "good"])
    columns = {"n": list(range(rows)), "text": [TEXTS[n % 5] for n in range(rows)], "tags": [["a", "b"]] * rows}
    return datasets.Dataset.from_dict(columns | {"label": [n % 2 for n in range(rows)]}).cast_column("label", kinds)


@pytest.fixture
def expected(scorer):
    """The scores of `TEXTS` from a table of pyarrow."""
    return scorer(pa.table({"text": TEXTS})).select(ADDED).to_pydict()


def test_a_data_set_keeps_its_columns_and_types(scorer, expected):
    given = dataset()
    scored = scorer(given)
    assert type(scored) is datasets.Dataset
    assert {name: scored[name][:] for name in ADDED} == expected
    assert {name: scored.features[name] for name in given.features} == dict(given.features)
    assert scored.features["sentiment"] == datasets.Value("string")
    assert scored.remove_columns(ADDED)[:] == given[:]
    assert given.column_names == ["n", "text", "tags", "label"]


def test_rows_of_a_shuffled_data_set_keep_their_scores(scorer, expected):
    scored = scorer(dataset().select([4, 0, 2]))
    assert scored["n"][:] == [4, 0, 2]
    assert scored["sentiment"][:] == [expected["sentiment"][n] for n in (4, 0, 2)]


@pytest.mark.parametrize("named", [None, "text"])
def test_a_streamed_data_set_is_scored_as_it_is_read(scorer, expected, named):
    before = scorer.counts.rows
    scored = scorer(dataset().to_iterable_dataset(), text_column=named)
    assert type(scored) is datasets.IterableDataset
    assert list(scored.features) == ["n", "text", "tags", "label", *ADDED]
    assert scorer.counts.rows == before
    rows = list(scored)
    assert {name: [row[name] for row in rows] for name in ADDED} == expected
    assert [row["label"] for row in rows] == [0, 1, 0, 1, 0]


def test_a_stream_of_unknown_columns_needs_their_name(scorer, expected):
    def rows():
        yield from ({"text": text} for text in TEXTS)

    stream = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(InputError, match="Name the column with `text_column`"):
        scorer(stream)
    assert [row["sentiment"] for row in scorer(stream, text_column="text")] == expected["sentiment"]


def stream(*rows):
    """A streamed data set whose columns are not known before it is read."""
    return datasets.IterableDataset.from_generator(lambda: iter(rows))


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        ({"text": "a"}, "txt", "no column 'txt'; did you mean 'text'"),
        ({"text": 1}, "text", "column 'text' holds int64, not text"),
        ({"text": ["a"]}, "text", "not text"),
        ({"text": "a", "sentiment": "mine"}, "text", "already has the columns 'sentiment'"),
    ],
)
def test_rows_of_unknown_columns_are_checked_as_they_come(scorer, row, column, words):
    with pytest.raises((InputError, UsageError), match=words):
        list(scorer(stream(row), text_column=column))


def test_texts_in_structs_of_unknown_columns_are_found(scorer, expected):
    rows = [{"review": None} if text is None else {"review": {"body": text}} for text in TEXTS]
    for given in (rows, rows[1:2], [{"review": {"body": None}}]):
        scored = list(scorer(stream(*given), text_column="review.body"))
        assert len(scored) == len(given)
    assert [row["sentiment"] for row in scorer(stream(*rows), text_column="review.body")] == expected["sentiment"]


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars", "numpy"])
def test_a_stream_keeps_the_format_of_its_rows(scorer, expected, kind):
    pytest.importorskip(kind.replace("arrow", "pyarrow"))
    given = dataset().to_iterable_dataset().with_format(kind)
    first, scored = next(iter(given)), next(iter(scorer(given)))
    assert type(scored) is type(first)
    label = scored["sentiment"]
    assert str(label if kind == "numpy" else label[0]) == expected["sentiment"][0]


def test_each_split_of_a_dictionary_is_scored(tiny_model):
    splits = datasets.DatasetDict({"train": dataset(), "test": dataset(3)})
    scored = score(splits, tiny_model)
    assert type(scored) is datasets.DatasetDict
    assert {name: (len(one), one.column_names[-2:]) for name, one in scored.items()} == {
        "train": (5, ADDED),
        "test": (3, ADDED),
    }


def test_a_column_of_a_text_in_a_struct_is_found(scorer, expected):
    nested = datasets.Dataset.from_dict({"review": [{"body": text, "stars": 3} for text in TEXTS]})
    for given in (nested, nested.to_iterable_dataset()):
        scored = scorer(given, text_column="review.body")
        assert [row["sentiment"] for row in scored] == expected["sentiment"]


def test_a_taken_name_is_refused(scorer):
    for given in (scorer(dataset()), scorer(dataset()).to_iterable_dataset()):
        with pytest.raises(UsageError, match="sentiment"):
            scorer(given)


def test_class_labels_are_read_by_their_names(tiny_base, tmp_path):
    texts = [("a great film", 1), ("a dull film", 0), ("no label here", -1)] * 20
    names = ["negative", "positive"]
    rows = datasets.Dataset.from_dict({"text": [f"{text} {n}" for n, (text, _) in enumerate(texts)]})
    rows = rows.add_column("label", [label for _, label in texts]).cast_column(
        "label", datasets.ClassLabel(names=names)
    )
    settings = {"epochs": 1, "folds": 0, "max_length": 16, "quiet": True, "device": "cpu", "dtype": "float32"}
    model = train(rows, tmp_path / "model", base=str(tiny_base), **settings)
    assert model.labels == ("negative", "positive")
    found = evaluate(rows, model)
    assert (found.rows, found.left_out.label_missing) == (40, 20)


def test_a_dictionary_is_no_table_to_train_on(tmp_path):
    with pytest.raises(InputError, match=r'such as data\["train"\]'):
        train(datasets.DatasetDict({"train": dataset()}), tmp_path / "model")


def test_a_stream_is_no_table_to_train_on_and_the_cure_works(scorer, tmp_path):
    given = scorer(dataset().to_iterable_dataset())
    with pytest.raises(InputError, match=r"such as datasets\.Dataset\.from_list\(list\(data\)\)"):
        train(given, tmp_path / "model")
    assert datasets.Dataset.from_list(list(given))["text"][:] == TEXTS


def test_rows_that_a_function_transforms_are_refused(scorer):
    changed = dataset().with_transform(lambda rows: {"other": rows["text"]})
    for given in (changed, datasets.DatasetDict({"train": changed})):
        with pytest.raises(InputError, match=r"a function transforms the rows.*with_format\(None\)"):
            scorer(given)
    assert len(scorer(changed.with_format(None))) == 5
