"""The text columns are those that the user named, else those of the training, else those with usual names."""

from __future__ import annotations

import logging
import time

import pyarrow as pa
import pytest

from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import choose_text_columns
from sentiment_batch.errors import InputError

BOTH = ("title", "body")


def table(**columns):
    return pa.table({name: pa.array(values) for name, values in columns.items()})


WHOLE = table(title=["Fine"], body=["A good film."], review=["x"])


@pytest.mark.parametrize("as_schema", [True, False])
def test_the_columns_of_the_training_are_taken_again(as_schema, caplog):
    found = choose_text_columns(WHOLE.schema if as_schema else TableReader(WHOLE), (), lambda: BOTH)
    assert (found.names, found.assumed) == (BOTH, False)
    assert caplog.records == []


def test_columns_that_the_user_names_win():
    def trained():
        raise AssertionError("nobody needs the model to know")

    found = choose_text_columns(TableReader(WHOLE), ("review",), trained)
    assert (found.names, found.assumed) == (("review",), False)


def test_without_a_model_that_knows_columns_are_found_by_name():
    found = choose_text_columns(TableReader(WHOLE))
    assert (found.names, found.assumed) == (("review",), True)


@pytest.mark.parametrize(
    ("trained", "level", "words"),
    [
        (BOTH, logging.WARNING, "trained on 'title' and 'body'. This table has no 'title', so its text is 'body'"),
        (("review",), logging.INFO, "trained on 'review'. This table has no 'review', so its text is 'body'"),
    ],
)
def test_a_table_without_these_columns_is_reported(caplog, trained, level, words):
    caplog.set_level(logging.INFO, "sentiment_batch")
    found = choose_text_columns(TableReader(table(body=["A good film."])), (), lambda: trained)
    assert (found.names, found.assumed) == (("body",), True)
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()


def test_a_column_of_numbers_by_that_name_is_reported(caplog):
    found = choose_text_columns(TableReader(table(review=[5], text=["A good film."])), (), lambda: ("review",))
    assert found.names == ("text",)
    assert "column 'review' holds int64, not text" in caplog.text


def test_a_table_without_any_text_column_is_refused():
    with pytest.raises(InputError, match="cannot tell which column holds the text"):
        choose_text_columns(TableReader(table(n=[1])), (), lambda: BOTH)


LONG = ["A film that I liked a lot.", "A room that I left at once."]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"text": ["https://a.example/1", "https://a.example/22"], "content": LONG}, "first rows of 'text' hold no"),
        ({"text": pa.nulls(2, pa.string()), "review": LONG}, "first rows of 'text' hold no long texts"),
        ({"comment": ["1", "2"], "review": ["3", "4"], "body": LONG}, "'review', 'body' all have usual names"),
        ({"comment": LONG, "review": LONG[::-1]}, "'comment', 'review' all have usual names of text columns. Name"),
    ],
)
def test_columns_that_could_both_hold_the_text_are_a_question(columns, words):
    with pytest.raises(InputError, match=words) as error:
        choose_text_columns(TableReader(table(**columns)))
    assert "`text_column=" in str(error.value)
    with pytest.raises(InputError, match="all have usual names of text columns"):
        choose_text_columns(table(**columns).schema)  # without rows, the names alone decide
    for name in columns:
        assert choose_text_columns(TableReader(table(**columns)), (name,)).names == (name,)


@pytest.mark.parametrize(
    "other", [["1", "2"], pa.nulls(2), ["https://a.example/1", "https://a.example/22"], [None, ""], LONG]
)
def test_the_first_rows_show_which_of_two_names_holds_texts(other):
    assert choose_text_columns(TableReader(table(content=other, review=LONG))).names == ("review",)


@pytest.mark.parametrize("kind", [pa.string(), pa.null(), pa.json_()])
def test_two_names_of_a_table_without_rows_are_no_question(kind):
    empty = pa.table({"content": pa.nulls(0, kind), "review": pa.nulls(0, pa.string())})
    assert choose_text_columns(TableReader(empty)).names == ("review",)


def test_many_thousand_columns_take_no_quadratic_time():
    schema = pa.schema([(f"c{n}", pa.string()) for n in range(20_000)])
    started = time.process_time()
    with pytest.raises(InputError, match="cannot tell which column holds the text"):
        choose_text_columns(schema)
    assert time.process_time() - started < 20
