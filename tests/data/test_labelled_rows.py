import pyarrow as pa
import pytest

from sentiment_batch.data.labelled_rows import fingerprint_text, read_first_batch, is_blank, read_labelled_rows, detect_text_columns
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.errors import InputError


def reader(**columns) -> TableReader:
    return TableReader(pa.table(columns))


def test_labelled_rows_come_with_their_labels_as_written():
    rows = read_labelled_rows(reader(id=[7, 8], review=["good", "bad"], stars=[5, 1]), "r.csv")
    assert (rows.name, rows.texts, rows.labels, rows.groups) == ("r.csv", ["good", "bad"], [5, 1], None)
    assert (rows.text_columns, rows.label_column, rows.num_blank) == (("review",), "stars", 0)


def test_rows_without_a_text_are_left_out_and_counted_and_the_others_keep_their_labels():
    table = reader(
        text=["good", None, "", " \t\u3000", "bad"], label=[1, 2, 3, 4, 5], film=list("abcde"), n=[*range(5)]
    )
    rows = read_labelled_rows(table, "t", group_column="film")
    assert rows.num_blank == 3
    assert (rows.texts, rows.labels, rows.groups) == (["good", "bad"], [1, 5], ["a", "e"])


def test_two_text_columns_are_joined_and_a_row_counts_as_blank_only_if_both_are():
    table = reader(title=["A", None, None], review=["good", "bad", None], label=["p", "n", "n"])
    rows = read_labelled_rows(table, "t", text_columns=["title", "review"])
    assert (rows.texts, rows.labels, rows.num_blank) == (["A\n\ngood", "bad"], ["p", "n"], 1)


def test_a_column_cannot_be_text_and_label_at_once():
    with pytest.raises(InputError, match=r"--text-column, --label-column"):
        read_labelled_rows(reader(text=["good"], label=["p"]), "t", text_columns=["label"])


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"text_columns": ["txt"]}, "text_column"),
        ({"label_column": "lable"}, "label_column"),
        ({"group_column": "flim"}, "group_column"),
    ],
)
def test_a_column_that_is_not_there_names_its_setting_and_the_likely_one(options, setting):
    with pytest.raises(InputError, match=rf"did you mean.*`{setting}`"):
        read_labelled_rows(reader(text=["good"], label=["p"], film=["f"]), "t", **options)


def test_undecodable_text_names_its_row_across_batches():
    column = pa.chunked_array([pa.array([b"good"] * 10_000), pa.array([b"good", b"\xff"])])
    with pytest.raises(InputError, match="row 10,001 "):
        read_labelled_rows(reader(text=column, label=["p"] * 10_002), "t")


def test_long_texts_are_found_by_the_first_rows_and_no_rows_at_all_are_an_error():
    long = ["a text of more than twenty characters"]
    assert detect_text_columns(reader(a=["x"], words=long)) == ["words"]
    with pytest.raises(InputError, match="--text-column"):
        detect_text_columns(TableReader(pa.table({"a": ["x"], "words": long}).slice(0, 0)))
    assert read_first_batch(TableReader(pa.table({"a": pa.array([], pa.string())}))) is None


@pytest.mark.parametrize(
    "same",
    ["A good film!", "a  GOOD\tfilm!", " a good film! \n", "ａ good ﬁlm!", "a\u00a0good film!"],
)
def test_case_blanks_and_unicode_forms_do_not_change_a_fingerprint(same):
    assert fingerprint_text(same) == fingerprint_text("a good film!")


@pytest.mark.parametrize("other", ["a good film", "a bad film!", "agood film!", ""])
def test_other_texts_have_other_fingerprints(other):
    assert fingerprint_text(other) != fingerprint_text("a good film!")


def test_another_seed_gives_another_fingerprint():
    assert fingerprint_text("good", 1) != fingerprint_text("good", 2)
    assert fingerprint_text("good", 2**32) == fingerprint_text("GOOD", 2**32)
    assert len(fingerprint_text("\ud800")) == 16


def test_blank_is_nothing_but_white_space():
    assert all(map(is_blank, ["", " ", "\n\t", "\u3000\u2028"]))
    assert not any(map(is_blank, [".", " a ", "\u200b", "\x00"]))


def test_a_column_to_measure_by_keeps_its_values_beside_the_rows_and_each_its_number():
    table = reader(text=["good", None, "bad", "fair"], label=["p", "p", "n", "p"], shop=["a", "b", None, "a"])
    rows = read_labelled_rows(table, "t", by_column="shop")
    assert (rows.by_column, rows.by.to_pylist(), rows.numbers) == ("shop", ["a", None, "a"], [0, 2, 3])
    assert read_labelled_rows(reader(text=["good"], label=["p"]), "t").by is None


@pytest.mark.parametrize("column", ["text", "label"])
def test_text_and_label_may_be_the_column_to_measure_by(column):
    rows = read_labelled_rows(reader(text=["good", "bad"], label=["p", "n"]), "t", by_column=column)
    assert rows.by.to_pylist() == (rows.texts if column == "text" else rows.labels)


def test_a_column_to_measure_by_that_is_not_there_names_its_setting():
    with pytest.raises(InputError, match=r"did you mean.*`by`"):
        read_labelled_rows(reader(text=["good"], label=["p"], shop=["a"]), "t", by_column="shp")
