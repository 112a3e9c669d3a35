"""The names of classes that the library `datasets` stores in its files are read in place of their numbers."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.class_names import find_class_names
from sentiment_batch.data.formats import open_reader
from sentiment_batch.data.label_columns import extract_labels
from sentiment_batch.data.labelled_rows import read_labelled_rows
from sentiment_batch.labels.inference import infer_mapping
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
    table = make_table(feature)
    assert find_class_names(table.schema, "label") is None
    assert extract_labels(table.to_batches()[0], "label") == [0, 1, -1, 0, 1]


def test_words_stay_words_whatever_the_metadata_say():
    table = make_table(FEATURE, pa.string(), ["a", "b", "a", "b", "a"])
    assert extract_labels(table.to_batches()[0], "label") == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize("metadata", [{}, {"huggingface": "no JSON"}, {"huggingface": "[1]"}])
def test_metadata_of_another_kind_are_no_error(metadata):
    schema = pa.schema([("label", pa.int64())], metadata)
    assert find_class_names(schema, "label") is None
    assert find_class_names(schema, "label.inside") is None
