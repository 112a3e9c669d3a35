"""The names of classes that the library `datasets` stores in its files are read in place of their numbers."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.class_names import find_class_names
from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.label_columns import name_labels
from sentiment_batch.data.labelled_rows import read_labelled_rows
from sentiment_batch.errors import InputError
from sentiment_batch.labels.inference import infer_mapping
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.training.inspection import inspect_table

FEATURE = {"names": ["pos", "neg"], "_type": "ClassLabel"}


def make_table(feature, kind=None, labels=(0, 1, -1, 0, 1)):
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": feature}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    columns = {"text": [f"film {n} was fine" for n in range(5)], "label": pa.array(labels, kind or pa.int64())}
    return pa.table(columns).replace_schema_metadata(metadata)


def test_labels_of_a_file_have_the_names_of_their_classes(tmp_path):
    pq.write_table(make_table(FEATURE), tmp_path / "a.parquet")
    rows = read_labelled_rows(open_reader(str(tmp_path / "a.parquet")), "a.parquet")
    assert rows.labels == ["pos", "neg", None, "pos", "neg"]
    mapping = infer_mapping(rows.labels, "label")
    assert mapping.labels == ("neg", "pos")
    found = inspect_table(open_reader(str(tmp_path / "a.parquet")))
    assert found.counts["labels"] == {"pos": 2, "neg": 2}


@pytest.mark.parametrize(
    "feature",
    [
        {"dtype": "int64", "_type": "Value"},
        {"names": None, "_type": "ClassLabel"},
        {"names": [1], "_type": "ClassLabel"},
        5,
    ],
)
def test_other_columns_of_numbers_stay_numbers(feature):
    schema = make_table(feature).schema
    assert find_class_names(schema, "label") is None
    assert name_labels([0, 1, None], schema, "label") == [0, 1, None]


def test_words_stay_words_whatever_the_metadata_say():
    schema = make_table(FEATURE, pa.string(), ["a", "b", "a", "b", "a"]).schema
    assert name_labels(["a", "b"], schema, "label") == ["a", "b"]


@pytest.mark.parametrize(
    "settings",
    [LabelSettings.parse(stars="negative=0,positive=1"), LabelSettings(labels_map={"0": "bad", "1": "good"})],
)
def test_what_the_user_says_of_the_numbers_counts(tmp_path, settings):
    pq.write_table(make_table(FEATURE), tmp_path / "a.parquet")
    rows = read_labelled_rows(open_reader(str(tmp_path / "a.parquet")), "a.parquet", label_settings=settings)
    assert rows.labels == [0, 1, -1, 0, 1]
    found = inspect_table(open_reader(str(tmp_path / "a.parquet")), label_settings=settings)
    assert found.counts["labels"] == {"0": 2, "1": 2, "-1": 1}


@pytest.mark.parametrize("metadata", [{}, *({"huggingface": text} for text in ("no JSON", "[1]", "[" * 100_000))])
def test_metadata_of_another_kind_are_no_error(metadata):
    schema = pa.schema([("label", pa.int64())], metadata)
    assert find_class_names(schema, "label") is None
    assert find_class_names(schema, "label.inside") is None


def write_files(folder, *tables):
    folder.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
    return open_reader(str(folder))


SWAPPED = {"names": ["neg", "pos"], "_type": "ClassLabel"}
UNNAMED = {"dtype": "int64", "_type": "Value"}


@pytest.mark.parametrize(
    ("one", "other"), [(FEATURE, SWAPPED), (FEATURE, UNNAMED), (UNNAMED, FEATURE), (FEATURE, FEATURE | {"names": []})]
)
def test_files_that_differ_in_their_class_names_are_refused(tmp_path, one, other):
    message = r"numbers in column 'label' need not .*0\.parquet has .*, .*1\.parquet has .* give the files one by one"
    with pytest.raises(InputError, match=message):
        write_files(tmp_path / "data", make_table(one), make_table(other))


def test_a_file_without_metadata_beside_class_names_is_refused(tmp_path):
    bare = make_table(FEATURE, pa.float64()).replace_schema_metadata(None)
    with pytest.raises(
        InputError, match=r"0\.parquet has the class names 'pos', 'neg', .*1\.parquet has no class names"
    ):
        write_files(tmp_path / "data", make_table(FEATURE), bare)


def test_class_names_that_the_first_file_lacks_are_found(tmp_path):
    tables = [make_table(FEATURE).drop_columns(["label"]).replace_schema_metadata({"mine": "1"}), make_table(FEATURE)]
    reader = write_files(tmp_path / "data", *tables, make_table(UNNAMED, pa.null(), [None] * 5))
    assert reader.schema.metadata[b"mine"] == b"1"
    assert read_labelled_rows(reader, "data").labels == [*[None] * 5, "pos", "neg", None, "pos", "neg", *[None] * 5]


def test_equal_class_names_leave_the_metadata_as_they_are(tmp_path):
    reader = write_files(tmp_path / "data", make_table(FEATURE), make_table(FEATURE))
    assert reader.schema.metadata == make_table(FEATURE).schema.metadata
