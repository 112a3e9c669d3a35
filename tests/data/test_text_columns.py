"""The text columns are those that the user named, else those of the training, else those with usual names."""

from __future__ import annotations

import logging
import time

import pyarrow as pa
import pytest

from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import choose_text_columns, find_text_columns
from sentiment_batch.errors import InputError, UsageError

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


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"n": [1]}, "no column holds text: 'n' holds int64. Write the text"),
        ({"n": [1], "x": [0.5]}, r"'n' holds int64, and the other columns \('x'\) hold no text either"),
        ({"n": [1], "x": [None]}, "cannot tell which column holds the text"),
    ],
)
def test_a_table_without_any_text_column_is_refused(columns, message):
    with pytest.raises(InputError, match=message):
        choose_text_columns(TableReader(pa.table(columns)), (), lambda: BOTH)


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


REMARK = "The screen is bright and the sound is clear"


def varied(rows):
    return [f"{REMARK}, says buyer {number}." for number in range(rows)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("feedback", ["Positive", "Negative", "Positive"]),
        ("message", ["m1", "m2", "m3"]),
        ("document", ["a.pdf", "b.pdf", ""]),
        ("comment", ["4", "0", None]),
    ],
)
def test_single_words_under_a_usual_name_are_a_question(name, values):
    rows = table(**{name: values * 3, "verbatim": varied(9)})
    with pytest.raises(InputError, match=f"'{name}' has a usual name, but.*such as `text_column=\"verbatim\"`"):
        choose_text_columns(TableReader(rows))


@pytest.mark.parametrize(
    "values", [["Good", "Very good value", "Bad screen"], ["", None, ""], ["C'est bien", "Pas mal", "Nul !"]]
)
def test_short_texts_under_a_usual_name_are_no_question(values):
    found = choose_text_columns(TableReader(table(review=values * 3, description=varied(9))))
    assert found.names == ("review",)


@pytest.mark.parametrize("others", [{}, {"product": ["All-weather tablet, 16 GB", "All-weather phone, 64 GB"] * 15}])
def test_repeated_phrases_under_a_usual_name_are_a_question(others):
    headlines = ["Worth every penny", "super!", "Just okay", "Not good"] * 7 + ["Slightly disappointed", "Wow"]
    rows = table(review=headlines, **others, summary=varied(30))
    with pytest.raises(InputError, match=r"^'review', 'summary' could hold.*short phrases that repeat.*=\"summary\"`"):
        choose_text_columns(TableReader(rows))


@pytest.mark.parametrize("other", [["All-weather tablet, 16 GB", "All-weather phone, 64 GB"] * 15, varied(15) * 2])
def test_repeated_phrases_beside_repeated_texts_are_no_question(other):
    found = choose_text_columns(TableReader(table(review=["Good value", "Bad screen"] * 15, product=other)))
    assert found.names == ("review",)


def test_words_without_any_longer_column_are_texts():
    words = table(review=["Good", "Bad"] * 5, shop=["Ulm", "Linz"] * 5)
    assert choose_text_columns(TableReader(words)).names == ("review",)


def test_four_single_words_show_nothing():
    words = table(review=["Good", "Bad"] * 2, description=varied(4))
    assert choose_text_columns(TableReader(words)).names == ("review",)


@pytest.mark.parametrize("nothing", ["", None, " "])
def test_empty_cells_do_not_make_a_text_column_short(nothing):
    remarks = [text if number % 4 == 0 else nothing for number, text in enumerate(varied(40))]
    product = ["All-weather tablet, 16 GB, black"] * 40
    found = choose_text_columns(TableReader(table(ticket=["7"] * 40, product=product, verbatim=remarks)))
    assert found.names == ("verbatim",)


def test_a_constant_column_of_long_texts_counts_if_it_is_alone():
    assert choose_text_columns(TableReader(table(id=[1, 2], phrase=[REMARK] * 2))).names == ("phrase",)


def test_a_column_of_lists_is_refused_with_the_text_columns():
    lists = pa.schema([("tags", pa.list_(pa.string())), ("n", pa.int64())])
    with pytest.raises(InputError, match=r"'tags' holds list.*, not text, and no other column holds text\. Write the"):
        find_text_columns(lists, ["tags"])
    with pytest.raises(InputError, match=r"not text\. Name another .*; the columns of text are 'review'\."):
        find_text_columns(lists.append(pa.field("review", pa.string())), ["tags"])


def test_a_column_that_is_named_twice_is_refused():
    with pytest.raises(UsageError, match="`text_column` names 'text' more than once"):
        choose_text_columns(TableReader(table(text=LONG, title=LONG)), ("text", "title", "text"))


def test_repeated_columns_do_not_hide_the_others():
    rows = pa.table([LONG, LONG, ["a", "b"]], names=["n", "n", "kind"])
    with pytest.raises(InputError, match="Name it with `text_column`"):
        choose_text_columns(TableReader(rows))
