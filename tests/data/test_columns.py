import collections

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.columns import describe_null_words, extract_texts, extract_values, holds_text
from sentiment_batch.data.readers.jsonl import JsonLinesReader
from sentiment_batch.data.readers.table import TableReader
from sentiment_batch.data.text_columns import check_column, detect_text_columns, find_text_columns, read_first_batch
from sentiment_batch.errors import InputError
from sentiment_batch.records import JSON_MARK, Problem, ReadOptions

TEXT_TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]


def schema(*names: str, **types: pa.DataType) -> pa.Schema:
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


def batch(**columns) -> pa.RecordBatch:
    return pa.record_batch({name: column for name, column in columns.items()})


def undecodable(*values: bytes, data_type=None) -> pa.Array:
    """A string column as a careless program writes it: its bytes are whatever they are."""
    flat = pa.array(values, pa.binary_view() if data_type == pa.string_view() else pa.binary())
    return pa.Array.from_buffers(data_type or pa.string(), len(flat), flat.buffers())


# Finding the text


@pytest.mark.parametrize(
    "name", ["text", "Review", "review_text", "reviewText", "CONTENT", "Body", "comment", "sentence"]
)
def test_a_column_of_texts_is_found_by_its_name(name):
    assert find_text_columns(schema("id", name, "title")) == [name]


def test_the_best_known_name_wins_whatever_the_order_of_columns():
    for names, best in ((("comment", "review", "text"), "text"), (("comment", "review"), "review")):
        no_rows = batch(**{name: pa.array([], pa.string()) for name in names})
        assert find_text_columns(no_rows.schema, sample=no_rows) == [best]


def test_a_known_name_of_a_column_of_numbers_is_no_text():
    assert find_text_columns(schema("text", "comment", text=pa.int64())) == ["comment"]


def test_the_only_column_of_a_table_is_its_text():
    assert find_text_columns(schema("x")) == ["x"]


@pytest.mark.parametrize("data_type", [*TEXT_TYPES[:3], pa.dictionary(pa.int32(), pa.string_view())], ids=str)
def test_the_only_column_of_long_texts_is_the_text(data_type):
    long = pa.array(["a text of more than twenty characters", None, "and one more of that kind"]).cast(data_type)
    rows = batch(id=["1", "2", "3"], words=long, title=["a", "b", "c"])
    assert find_text_columns(rows.schema, sample=rows) == ["words"]


def test_the_user_must_choose_among_two_columns_of_long_texts():
    rows = batch(one=["a text of more than twenty characters"], two=["another one of such a length"])
    with pytest.raises(InputError, match=r"'one', 'two' could all be it.*`text_column`"):
        find_text_columns(rows.schema, sample=rows)


def test_long_bytes_are_not_taken_for_text_unless_named():
    rows = batch(image=pa.array([b"\xff" * 100]), title=["a"])
    with pytest.raises(InputError, match="`text_column`"):
        find_text_columns(rows.schema, sample=rows)
    assert find_text_columns(rows.schema, ["image"]) == ["image"]


def test_a_repeated_name_is_never_chosen_by_itself():
    doubled = pa.schema([("text", pa.string()), ("text", pa.string()), ("body", pa.string())])
    assert find_text_columns(doubled) == ["body"]
    with pytest.raises(InputError, match=r"2 columns are called 'text'\. Rename them so that `text_column`"):
        find_text_columns(doubled.remove(2))


def test_the_first_rows_show_the_column_of_long_texts():
    long = ["a text of more than twenty characters"]
    assert detect_text_columns(TableReader(pa.table({"a": ["x"], "words": long}))) == ["words"]
    with pytest.raises(InputError, match="`text_column`"):
        detect_text_columns(TableReader(pa.table({"a": ["x"], "words": long}).slice(0, 0)))
    assert read_first_batch(TableReader(pa.table({"a": pa.array([], pa.string())}))) is None


def test_a_chosen_column_that_is_not_there_names_the_likely_one():
    with pytest.raises(InputError, match=r"no column 'reviews'; did you mean 'review'\?.*text_column"):
        find_text_columns(schema("id", "review"), ["reviews"])


def test_a_chosen_column_of_numbers_is_refused():
    with pytest.raises(InputError, match=r"'id' holds int64, not text.*'review'"):
        find_text_columns(schema("id", "review", id=pa.int64()), ["id"])


def test_a_chosen_name_that_two_columns_have_is_refused():
    with pytest.raises(InputError, match="2 columns are called 'text'"):
        find_text_columns(pa.schema([("text", pa.string()), ("text", pa.string())]), ["text"])


@pytest.mark.parametrize(
    "value",
    [
        "Mon Apr 06 22:19:45 PDT 2009",
        "2024-01-05T10:11:12.000Z",
        "https://example.com/review/42",
        "0f8fad5b-d9cb-469f-a165",
    ],
)
def test_times_and_addresses_are_no_texts(value):
    columns = batch(created=[value] * 3, remark=["a remark of more than twenty letters"] * 3)
    assert find_text_columns(columns.schema, sample=columns) == ["remark"]


def test_long_texts_called_reviews_are_the_text():
    columns = batch(summary=["a summary of more than twenty letters"], reviews=["a review of more than twenty letters"])
    assert find_text_columns(columns.schema, sample=columns) == ["reviews"]
    counts = batch(reviews=["12"], remark=["a remark of more than twenty letters"])
    assert find_text_columns(counts.schema, sample=counts) == ["remark"]


def test_a_column_is_checked_under_the_setting_that_named_it():
    assert check_column(schema("film"), "film", "group_column") == "film"
    with pytest.raises(InputError, match="group_column"):
        check_column(schema("film"), "movie", "group_column")


# Their values


@pytest.mark.parametrize("data_type", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("as_dictionary", [False, True])
def test_every_text_type_gives_the_same_texts(data_type, as_dictionary):
    values = ["good", None, "", "schön 😀 of more than twelve bytes", "good"]
    column = pa.array(
        [value and value.encode() for value in values] if "binary" in str(data_type) else values, data_type
    )
    if as_dictionary:
        column = pa.DictionaryArray.from_arrays(pa.array([0, None, 2, 3, 0]), column)
    assert holds_text(column.type)
    texts = extract_texts(batch(text=column), ["text"])
    assert texts.type == pa.large_string()
    assert texts.to_pylist() == values
    assert extract_texts(batch(text=column).slice(3), ["text"]).to_pylist() == values[3:]


def test_a_null_in_a_dictionary_is_a_null_text():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["good", None]))
    assert extract_texts(batch(text=column), ["text"]).to_pylist() == ["good", None, "good"]


def test_a_column_of_nothing_but_nulls_can_be_the_text():
    assert find_text_columns(schema("text", text=pa.null()), ["text"]) == ["text"]
    assert extract_texts(batch(text=pa.nulls(3)), ["text"]).to_pylist() == [None] * 3


@pytest.mark.parametrize("data_type", [pa.int64(), pa.list_(pa.string()), pa.timestamp("s"), pa.bool_()], ids=str)
def test_other_types_hold_no_text(data_type):
    assert not holds_text(data_type)


def test_columns_are_joined_by_a_blank_line_in_the_given_order():
    rows = batch(title=["Dull", "Fine"], body=["Too long.", "Again!"])
    assert extract_texts(rows, ["title", "body"]).to_pylist() == ["Dull\n\nToo long.", "Fine\n\nAgain!"]
    assert extract_texts(rows, ["body", "title"]).to_pylist() == ["Too long.\n\nDull", "Again!\n\nFine"]


PARTS = st.sampled_from([None, "", " ", "\t\n", "\u3000", "good", " bad ", "x\n\ny"])


@given(st.lists(st.tuples(PARTS, PARTS, PARTS), max_size=12))
def test_joined_columns_keep_every_row_and_leave_empty_parts_out(rows):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    table = batch(**{name: pa.array(column, pa.string()) for name, column in zip("abc", columns, strict=True)})
    expected = ["\n\n".join(part for part in row if part and part.strip()) or None for row in rows]
    assert extract_texts(table, ["a", "b", "c"]).to_pylist() == expected


@pytest.mark.parametrize("data_type", [pa.string(), pa.string_view()], ids=str)
def test_bytes_that_are_not_utf_8_name_the_column_and_the_row(data_type):
    column = undecodable(b"good", b"caf\xe9 au lait, longer than a view", b"bad", data_type=data_type)
    with pytest.raises(InputError, match=r"column 'text'.*not UTF-8 in row 1,001 "):
        extract_texts(batch(text=column), ["text"], start=1_000)


def test_bad_bytes_are_found_in_every_type_and_joined_columns():
    for bad in (pa.array([b"a", b"\xff"]), undecodable(b"a", b"\xff").dictionary_encode()):
        with pytest.raises(InputError, match="row 1 "):
            extract_texts(batch(text=bad), ["text"])
        with pytest.raises(InputError, match="column 'text'"):
            extract_texts(batch(title=["x", "y"], text=bad), ["title", "text"])


def test_bad_bytes_do_not_stop_the_search_for_long_texts():
    rows = batch(words=undecodable(b"\xff" * 30), title=["a"])
    assert find_text_columns(rows.schema, sample=rows) == ["words"]


def test_a_column_of_nulls_with_a_text_name_is_the_text():
    schema = pa.schema([("id", pa.int64()), ("review", pa.null())])
    assert find_text_columns(schema) == ["review"]


def test_the_names_of_very_many_columns_are_counted_once():
    class Names(list):
        def count(self, name):
            raise AssertionError("counting each of 10,000 names takes seconds")

    fields = [pa.field(f"c{n}", pa.int64()) for n in range(20)] + [pa.field("review", pa.string())]

    class Schema(list):
        names = Names(field.name for field in fields)

    assert find_text_columns(Schema(fields)) == ["review"]


def test_strings_of_json_text_are_read_without_quotes(tmp_path):
    lines = [r'{"text": "caf\u00e9 \"x\"\n", "label": "pos"}', '{"text": 5, "label": 1}', '{"text": null}']
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, r'{"text": "\ud800", "label": true}']), encoding="utf-8")
    reader = JsonLinesReader(str(tmp_path / "a.jsonl"), ReadOptions())
    rows = next(iter(reader.batches(reader.splits()[0])))
    assert extract_texts(rows, ["text"]).to_pylist() == ['caf\u00e9 "x"\n', "5", None, "\ufffd"]
    assert extract_values(rows, "label") == ["pos", "1", None, "true"]
    assert rows["text"][0].as_py() == r'"caf\u00e9 \"x\"\n"', "what comes out is what stood there"


# Values that are not UTF-8, where their rows are kept


def marked(rows: pa.RecordBatch, *names: str, start: int = 0) -> tuple[list[str | None], list[Problem]]:
    reported: list[Problem] = []
    return extract_texts(rows, names, start, reported.append).to_pylist(), reported


@pytest.mark.parametrize("data_type", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_a_bad_value_is_kept_with_replacement_characters(data_type):
    column = pa.array([b"good", b"caf\xe9 \xe2\x82", None, "\ufffd".encode(), b"\xff"], data_type)
    texts, reported = marked(batch(text=column), "text", start=1_000)
    assert texts == ["good", "caf\ufffd \ufffd", None, "\ufffd", "\ufffd"]
    first = Problem(
        row=1_001,
        where="column 'text', row 1,001",
        reason="byte 0xe9 at offset 3 in column 'text' is not UTF-8",
        original=b"caf\xe9 \xe2\x82",
    )
    assert reported[0] == first
    assert [problem.row for problem in reported] == [1_001, 1_004]


def test_a_row_with_several_bad_values_is_reported_once():
    rows = batch(title=pa.array([b"a", b"\xfe"]), text=pa.array([b"\xff", b"\xff"]))
    texts, [first, second] = marked(rows, "title", "text")
    assert texts == ["a\n\n\ufffd", "\ufffd\n\n\ufffd"]
    assert (first.row, first.where, first.original) == (0, "column 'text', row 0", b"\xff")
    assert second.where == "columns 'title', 'text', row 1"
    assert second.reason.count("; ") == 1
    assert second.original == b"\xfe\n\n\xff"


def test_bad_values_of_slices_are_found_in_their_rows():
    column = pa.array([b"a", b"\xff", b"b"]).dictionary_encode()
    assert marked(batch(text=column).slice(1), "text", start=1)[1][0].row == 1
    assert marked(batch(text=undecodable(b"a", b"\xff")), "text")[0] == ["a", "\ufffd"]


def test_the_error_for_a_bad_value_says_how_to_keep_its_row():
    with pytest.raises(InputError, match=r'In a file, `on_bad_row="mark"` keeps such rows\.$'):
        extract_texts(batch(text=pa.array([b"\xff"])), ["text"])


@given(st.lists(st.none() | st.binary(max_size=6)))
def test_exactly_the_values_that_are_not_utf_8_are_reported(values):
    texts, reported = marked(batch(text=pa.array(values, pa.binary())), "text")
    assert texts == [value if value is None else value.decode("utf-8", "replace") for value in values]
    assert [problem.row for problem in reported] == [
        row for row, (value, text) in enumerate(zip(values, texts, strict=True)) if text and text.encode() != value
    ]


def test_invisible_parts_are_left_out_of_joined_columns():
    batch = pa.record_batch({"title": ["\u200b", "Good", "n/a"], "body": ["a", "\ufeff \u2060", "b"]})
    assert extract_texts(batch, ["title", "body"]).to_pylist() == ["a", "Good", "b"]


def test_words_for_a_missing_value_are_counted_in_each_column():
    found = collections.Counter()
    batch = pa.record_batch({"title": ["NULL", "Good"], "body": ["\\N", "NULL"]})
    assert extract_texts(batch, ["title", "body"], null_words=found).to_pylist() == [None, "Good"]
    assert found == {"NULL": 2, "\\N": 1}


def test_lists_and_objects_among_texts_are_no_texts():
    column = pa.array(['"good"', '["a", "b"]', None, '{"text": "bad"}', '"[sic]"', "1.5", '"NULL"'])
    batch = pa.record_batch([column], schema=pa.schema([pa.field("review", pa.string(), metadata={JSON_MARK: b"1"})]))
    found: collections.Counter[str] = collections.Counter()
    texts = extract_texts(batch, ["review"], null_words=found).to_pylist()
    assert texts == ["good", None, None, None, "[sic]", "1.5", None]
    assert extract_texts(batch, ["review"]).to_pylist() == texts
    assert describe_null_words(found) == (
        "words for a missing value and lists and objects count as no text: 'NULL' (1), a list or an object (2)"
    )
    assert describe_null_words(found - collections.Counter(NULL=1)) == (
        "lists and objects count as no text: a list or an object (2)"
    )
