import pyarrow as pa
import pytest

from sentiment_batch.data.labelled_rows import read_labelled_rows
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError


def reader(**columns) -> TableReader:
    return TableReader(pa.table(columns))


def test_labelled_rows_come_with_their_labels_as_written():
    rows = read_labelled_rows(reader(id=[7, 8], review=["good", "bad"], stars=[5, 1]), "r.csv")
    assert (rows.name, rows.texts, rows.labels, rows.groups) == ("r.csv", ["good", "bad"], [5, 1], None)
    assert (rows.text_columns, rows.label_column, rows.num_blank) == (("review",), "stars", 0)


def test_rows_without_text_are_left_out_and_counted():
    table = reader(
        text=["good", None, "", " \t\u3000", "bad"], label=[1, 2, 3, 4, 5], film=list("abcde"), n=[*range(5)]
    )
    rows = read_labelled_rows(table, "t", group_column="film")
    assert rows.num_blank == 3
    assert (rows.texts, rows.labels, rows.groups) == (["good", "bad"], [1, 5], ["a", "e"])


def test_a_row_is_blank_if_all_its_text_columns_are():
    table = reader(title=["A", None, None], review=["good", "bad", None], label=["p", "n", "n"])
    rows = read_labelled_rows(table, "t", text_columns=["title", "review"])
    assert (rows.texts, rows.labels, rows.num_blank) == (["A\n\ngood", "bad"], ["p", "n"], 1)


def test_a_column_cannot_be_text_and_label_at_once():
    with pytest.raises(InputError, match="`text_column` and `label_column`"):
        read_labelled_rows(reader(text=["good"], label=["p"]), "t", text_columns=["label"])


def test_a_text_column_named_after_ratings_is_no_label():
    columns = {"Please explain your rating": ["good film"] * 4, "satisfied": ["yes", "no"] * 2}
    with pytest.raises(InputError, match='such as with `label_column="satisfied"`'):
        read_labelled_rows(reader(**columns), "t", text_columns=["Please explain your rating"])


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"text_columns": ["txt"]}, "text_column"),
        ({"label_column": "lable"}, "label_column"),
        ({"group_column": "flim"}, "group_column"),
    ],
)
def test_the_error_for_a_missing_column_names_setting_and_guess(options, setting):
    with pytest.raises(InputError, match=rf"did you mean.*`{setting}`"):
        read_labelled_rows(reader(text=["good"], label=["p"], film=["f"]), "t", **options)


def test_undecodable_text_names_its_row_across_batches():
    column = pa.chunked_array([pa.array([b"good"] * 10_000), pa.array([b"good", b"\xff"])])
    with pytest.raises(InputError, match="row 10,001 "):
        read_labelled_rows(reader(text=column, label=["p"] * 10_002), "t")


def test_the_values_to_measure_by_are_those_of_the_rows():
    table = reader(text=["good", None, "bad", "fair"], label=["p", "p", "n", "p"], shop=["a", "b", None, "a"])
    rows = read_labelled_rows(table, "t", by_column="shop")
    assert (rows.by_column, rows.by.to_pylist(), rows.numbers) == ("shop", ["a", None, "a"], [0, 2, 3])
    assert read_labelled_rows(reader(text=["good"], label=["p"]), "t").by is None


@pytest.mark.parametrize("column", ["text", "label"])
def test_text_and_label_may_be_the_column_to_measure_by(column):
    rows = read_labelled_rows(reader(text=["good", "bad"], label=["p", "n"]), "t", by_column=column)
    assert rows.by.to_pylist() == (rows.texts if column == "text" else rows.labels)


def test_the_error_for_a_missing_by_column_names_the_setting():
    with pytest.raises(InputError, match=r"did you mean.*`by`"):
        read_labelled_rows(reader(text=["good"], label=["p"], shop=["a"]), "t", by_column="shp")


def test_rows_come_with_their_ids_and_how_they_were_read():
    table = reader(tweet_id=[70, 80, 90], review=["good", None, "bad"], stars=[5, 3, 1], film=["a", "b", "a"])
    rows = read_labelled_rows(table, "t", group_column="film")
    assert (rows.id_column, rows.ids.to_pylist(), rows.numbers, rows.others) == ("tweet_id", ["70", "90"], [0, 2], {})
    assert rows.input.to_json()["text_columns"] == ["review"]
    assert (rows.input.label_column, rows.input.group_column) == ("stars", "film")
    assert rows.input.assumed == ("text_columns", "label_column")


def test_a_column_of_ids_is_none_that_keeps_rows_together():
    table = reader(id=[1, 2], review=["good", "bad"], label=["p", "n"], film=["a", "a"])
    assert read_labelled_rows(table, "t", others=True).others.keys() == {"film"}


def test_the_text_columns_of_a_training_are_read_again():
    table = reader(title=["A"], body=["good"], text=["x"], label=["p"])
    rows = read_labelled_rows(table, "t", trained=lambda: ["title", "body"])
    assert (rows.text_columns, rows.texts) == (("title", "body"), ["A\n\ngood"])
    assert rows.input.assumed == ("label_column",)
