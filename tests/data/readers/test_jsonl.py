import json
import logging
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment_batch.data.readers import json_objects, text
from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.data.readers.jsonl import JSON_METADATA, JsonLinesReader
from sentiment_batch.errors import InputError
from sentiment_batch.records import Dialect, ReadOptions
from tests.data.readers.helpers import read, read_or_refuse, read_splits, real_data

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=8,
)


@pytest.fixture
def table(tmp_path):
    """Reads lines, or bytes, as a JSON lines file."""

    def table(*lines: str, data: bytes | None = None, **options) -> pa.Table:
        path = tmp_path / "reviews.jsonl"
        path.write_bytes("".join(line + "\n" for line in lines).encode() if data is None else data)
        return read(JsonLinesReader, path, **options)

    return table


@pytest.fixture
def column(table):
    """Reads values, given as JSON, as the column `a`; gives its field and its values."""

    def column(*values: str):
        found = table(*(f'{{"a": {value}}}' for value in values))
        return found.schema.field("a"), found.column("a").to_pylist()

    return column


def refused(table, *lines, **options) -> str:
    with pytest.raises(InputError) as caught:
        table(*lines, **options)
    message = str(caught.value)
    assert "reviews.jsonl" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("values", "arrow_type"),
    [
        (["true", "null", "false"], pa.bool_()),
        (["1", "-9223372036854775808", "9223372036854775807", "null"], pa.int64()),
        (["0", "18446744073709551615"], pa.uint64()),
        (["1.5", "null", "-0.25"], pa.float64()),
        (["1", "2.5", "9007199254740992"], pa.float64()),
        (['"1"', '"2024-01-01"', "null", '"é\\u0000"'], pa.string()),
        (["null", "null"], pa.null()),
        (["[1, 2]", "[]", "null", "[null]"], pa.list_(pa.int64())),
        (["[]", "[]"], pa.list_(pa.null())),
        (['[["x"], []]'], pa.list_(pa.list_(pa.string()))),
        (
            ['{"x": 1, "y": ["a"]}', "null", '{"y": [], "x": null}'],
            pa.struct({"x": pa.int64(), "y": pa.list_(pa.string())}),
        ),
    ],
)
def test_uniform_values_get_their_type(column, values, arrow_type):
    field, found = column(*values)
    assert field.type == arrow_type
    assert field.metadata is None
    assert found == [json.loads(value) for value in values]


@pytest.mark.parametrize(
    "values",
    [
        ["1", '"1"'],
        ["true", "1"],
        ["1", "[1]"],
        ["[1]", '["x"]'],
        ["18446744073709551616"],
        ["-1", "18446744073709551615"],
        ["9007199254740993", "0.5"],
        ["12345678901234567890123", "-1"],
        ["1e400", "1.0"],
        ["-1e999"],
        ['{"x": 1}', '{"y": 1}'],
        ['{"x": 1}', '{"x": 1, "y": 2}'],
        ['{"x": 1}', '{"x": "1"}'],
        ["{}", "{}"],
        ['[{"x": 1}, {}]'],
        ["1" * 5000],
        ["[1.10, 1e2, -0, 0.1e-7,  true]", '{"b":1, "b" : 2}'],
        ['"\\u00e9\\/"', "null", "7.0"],
        ["[" * 40 + "]" * 40],
    ],
)
def test_values_of_mixed_types_stay_json_text(column, values):
    field, found = column(*values)
    assert field.type == pa.string()
    assert field.metadata == JSON_METADATA == {b"sentiment_batch.json": b"1"}
    assert found == [None if value == "null" else value for value in values]


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        (["NaN", "Infinity", "-Infinity", "1.5", "2"], pa.float64(), [None, None, None, 1.5, 2.0]),
        (["NaN", "3"], pa.int64(), [None, 3]),
        (['"good"', "NaN", '"NaN"'], pa.string(), ["good", None, "NaN"]),
        (['{"x": "a"}', '{"x": NaN}'], pa.struct({"x": pa.string()}), [{"x": "a"}, {"x": None}]),
        (["NaN", "Infinity"], pa.null(), [None, None]),
    ],
)
def test_nan_and_infinity_are_null(column, values, arrow_type, expected):
    field, found = column(*values)
    assert field.type == arrow_type
    assert found == expected


def test_nan_in_json_text_is_null(column):
    values = ["1", '["NaN \\" NaN", NaN, -Infinity, {"NaN": Infinity}]', "NaN"]
    field, found = column(*values)
    assert field.metadata == JSON_METADATA
    assert found == ["1", '["NaN \\" NaN", null, null, {"NaN": null}]', None]


def test_a_type_that_changes_late_is_seen_from_the_start(column):
    field, found = column(*["1"] * (MAX_ROWS_PER_BATCH + 5), '"x"')
    assert field.metadata == JSON_METADATA
    assert found[0] == "1"
    assert found[-1] == '"x"'


def test_columns_come_in_the_order_of_their_first_appearance(table):
    found = table('{"b": 1}', '{"c": 2, "a": 3}', '{"a": 4, "b": 5}', "{}")
    assert found.column_names == ["b", "c", "a"]
    assert found.to_pydict() == {"b": [1, None, 5, None], "c": [None, 2, None, None], "a": [None, 3, 4, None]}


def test_of_a_repeated_key_the_last_value_counts(table):
    assert table('{"a": 1, "a": "x"}').to_pydict() == {"a": ["x"]}
    assert table('{"a": "x", "b": 0, "a": 1}', '{"a": [2]}').to_pydict() == {"a": ["1", "[2]"], "b": [0, None]}


def test_a_repeated_key_is_a_warning_with_line_and_key(table, caplog):
    table('{"a": "x: y", "b": {"c": 1}}', '{"a": "x", "b": {"c": 1,"c" : 2}}', '{"a": 1, "a": 2}')
    [record] = caplog.records
    assert "reviews.jsonl, line 2, and so in 1 more: the key 'c' occurs twice" in record.getMessage()


def test_a_number_that_is_no_json_is_a_warning(table, caplog):
    table('{"a": "NaN"}', '{"a": 1, "b": {"c": NaN}}', '{"a": "x"}', '{"a": -Infinity, "b": null}')
    [record] = caplog.records
    assert record.getMessage().endswith(
        "reviews.jsonl, line 2, and so in 1 more: NaN and Infinity, which are not JSON, are read as null"
    )


def test_memory_does_not_grow_with_the_rows_of_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(json_objects, "MAX_ROWS_PER_BATCH", 500)
    peaks = []
    for rows in (2_000, 2_000, 20_000):  # the first time, modules allocate what they keep
        path = tmp_path / f"{rows}.jsonl"
        path.write_text('{"a": NaN, "a": NaN}\n' * rows)
        tracemalloc.start()
        try:
            JsonLinesReader(str(path), ReadOptions()).close()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[2] - peaks[1] < 200_000


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x7f"])
def test_only_a_line_feed_ends_a_line(table, character):
    assert table(f'{{"a": "x{character}y"}}').to_pydict() == {"a": [f"x{character}y"]}


def test_line_ends_blank_lines_and_a_missing_end_are_tolerated(table):
    found = table(data=b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \t\n {"a": 2} \n\n{"a": 3}')
    assert found.to_pydict() == {"a": [1, 2, 3]}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_encoding_goes_by_the_byte_order_mark(table, encoding):
    assert table(data='{"a": "é😀"}\n'.encode(encoding)).to_pydict() == {"a": ["é😀"]}


def test_an_encoding_that_is_named_is_used(table):
    assert table(data='{"a": "é"}\n'.encode("cp1252"), encoding="cp1252").to_pydict() == {"a": ["é"]}


def test_a_byte_that_does_not_decode_is_located(table):
    message = refused(table, data=b'{"a": 1}\n{"a": "\xe9"}\n')
    assert "line 2: byte 0xe9 at offset 16 is not utf-8" in message


@pytest.mark.parametrize("rows", [0, 3, MAX_ROWS_PER_BATCH + 3])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1', "column 8: not JSON: Expecting ',' delimiter"),
        ('{"a": 1}{"a": 2}', "not JSON: Extra data"),
        ("a,b", "column 1: not JSON: Expecting value"),
        ("[1]", "a list where an object is needed"),
        ("7", "a number where an object is needed"),
        ('"x"', "a string where an object is needed"),
        ("null", "null where an object is needed"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": "x\ty"}', "not JSON: Invalid control character"),
    ],
)
def test_a_line_that_is_no_object_is_named(table, rows, line, reason):
    # The blank lines count: the number is the one that an editor shows.
    message = refused(table, *['{"a": 1}', ""] * rows, '{"a": 1}', line, '{"a": 2}')
    assert f"line {2 * rows + 2:,}" in message
    assert reason in message
    assert "Each line, or each item of an array, must be one JSON object" in message


ROWS = [{"text": 'It holds [, {, } and \\ " ü', "n": 1}, {"text": "line\nbreak", "n": None}, {"text": "", "n": -25}]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("options", [{}, {"on_bad_row": print}])
def test_an_array_of_objects_is_read_as_rows(table, monkeypatch, indent, chunk, options):
    monkeypatch.setattr(text, "CHUNK_CHARACTERS", chunk)
    found = table(data=("\ufeff\n" + json.dumps(ROWS, indent=indent) + "\n").encode(), **options)
    assert found.to_pylist() == ROWS


@pytest.mark.parametrize("between", ["\n", "", "\n\n  "])
@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_objects_over_several_lines_are_read(table, monkeypatch, between, chunk):
    monkeypatch.setattr(text, "CHUNK_CHARACTERS", chunk)
    found = table(data=between.join(json.dumps(row, indent=2) for row in ROWS).encode())
    assert found.to_pylist() == ROWS


def test_an_array_larger_than_the_sample_is_read(table):
    rows = [{"text": "x" * 1000, "n": number} for number in range(600)]
    assert table(data=json.dumps(rows, indent=2).encode("utf-16")).to_pylist() == rows
    assert table(data=json.dumps({"text": "x" * 300_000}, indent=2).encode()).num_rows == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('[{"a": 1},\n {"a": tru}]', "line 2: not JSON: Expecting value"),
        ('[{"a": 1}\n {"a": 2}]', "line 2: not JSON: ',' is missing"),
        ('[{"a": 1},\n\n {"a": "x', "line 3: not JSON: Unterminated string"),
        ('[{"a": 1}]\n{"a": 2}', "line 2: not JSON: there is more after the end of the array"),
        ('[{"a": 1},', "line 1: not JSON: Expecting value"),
        ('[{"a": 1}', "line 1: not JSON: ',' is missing"),
        ('[{"a": 1},\n3]', "line 2: a number where an object is needed"),
        ('{"a":\n 1}\n{"a":\n 2', "line 4: not JSON: Expecting ',' delimiter"),
        ("[" * 5000 + "]", "array of arrays"),
        ('[{"a": ' + "[" * 200_000, "nested too deeply"),
        ('[[1, "a"], [2, "b"]]', "array of arrays"),
        ('["good", "bad"]', "array of texts without names. Make an object of each one first, with jq"),
        ("[]", "holds no objects with keys"),
    ],
)
def test_a_broken_array_is_refused_with_its_line(table, data, expected):
    assert expected in refused(table, data=data.encode())


@pytest.mark.parametrize("options", [{}, {"on_bad_row": print}])
def test_a_file_without_one_good_line_is_refused_for_the_first(table, options):
    assert "line 1: column 12: not JSON: Extra data" in refused(table, data=b'{"a": "x"}\r{"a": "y"}', **options)


@pytest.mark.parametrize(
    ("orient", "data"),
    [
        ("split", '{"columns":["text","n"],"index":[0,1],"data":[["good",1],["bad",2]]}'),
        ("columns", '{"text":{"0":"good","1":"bad"},"n":{"0":1,"1":2}}'),
        ("columns", '{"text":{"a1":"good","b2":"bad"},"n":{"a1":1,"b2":2}}'),
        ("index", '{"a1":{"text":"good","n":1},"b2":{"text":"bad","n":2}}'),
        ("index", '{"0":{"text":"good","n":1},"1":{"text":"bad","n":2}}'),
        ("table", '{"schema":{"fields":[]},"data":[{"index":0,"text":"good"}]}'),
        ("values", '[["good",1],["bad",2]]'),
    ],
)
def test_the_layouts_of_pandas_are_refused_by_name(table, orient, data):
    message = refused(table, data=data.encode())
    assert f"orient='{orient}'" in message
    assert "orient='records', lines=True" in message


@pytest.mark.parametrize("data", ['{"text": ["good", "bad"], "n": [1, null]}', '{"text": ["good"], "n": [1]}'])
def test_a_list_for_each_column_is_no_row(table, data):
    message = refused(table, data=data.encode())
    assert "a list for each column, as df.to_dict('list') gives it. Give one object for each row" in message


@pytest.mark.parametrize(
    "row",
    [
        '{"data": [1], "text": "x"}',
        '{"user": {"name": "x"}}',
        '{"a": {"x": 1}, "b": {"x": 2}}',
        '{"a": ["x"]}',
        '{"a": [1, 2], "b": [3, 4]}',
        '{"a": ["x"], "b": ["y", "z"]}',
        '{"a": [["x"]], "b": ["y"]}',
    ],
)
def test_a_single_row_is_no_layout_of_pandas(table, row):
    assert table(row).to_pylist() == [json.loads(row)]


def test_the_encoding_is_in_the_dialect(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"a": 1}\n')
    assert JsonLinesReader(str(path), ReadOptions()).dialect == Dialect(encoding="utf-8", assumed=("encoding",))
    assert JsonLinesReader(str(path), ReadOptions(encoding="utf-8")).dialect == Dialect(encoding="utf-8")


@pytest.mark.parametrize("data", [b"", b"\n \n", b"{}\n{}\n"])
def test_a_file_without_columns_is_refused(table, data):
    assert "holds no objects with keys" in refused(table, data=data)


def test_lone_surrogates_become_replacement_characters(table, caplog):
    caplog.set_level(logging.WARNING, "sentiment_batch")
    found = table('{"a": "x\\ud800y\\uDC00", "b": ["\\ud83d\\ude00", "\\udfff"], "c": "\\\\ud800"}', '{"a": "z"}')
    assert found.to_pylist()[0] == {"a": "x\ufffdy\ufffd", "b": ["😀", "\ufffd"], "c": "\\ud800"}
    [message] = [record.getMessage() for record in caplog.records]
    assert "3 lone surrogates" in message


def test_lone_surrogates_in_json_text_stay_escaped(table, caplog):
    found = table('{"a": "\\ud800"}', '{"a": 1}', '{"a": {"\\udc00": 1}}')
    assert found.column("a").to_pylist() == ['"\\ud800"', "1", '{"\\udc00": 1}']
    assert caplog.records == []


def test_names_with_lone_surrogates_stay_apart(table, caplog):
    assert table('{"\\ud800": 1, "\\ud801": 2, "x": 3}').to_pydict() == {"\ufffd": [1], "\ufffd_2": [2], "x": [3]}
    assert "names of columns are changed: '\ufffd' to '\ufffd_2'" in caplog.text
    field = table('{"a": {"\\ud800": 1}}').schema.field("a")
    assert field.metadata == JSON_METADATA


def test_deep_values_with_lone_surrogates_are_read(table):
    deep = '"\\ud800"'
    for _ in range(600):
        deep = f"[{deep}]"
    assert table(f'{{"a": {deep}}}').to_pydict() == {"a": [deep]}


def test_an_empty_key_is_a_name(table):
    assert table('{"": 1}').to_pydict() == {"": [1]}


def test_too_many_different_keys_are_refused(table):
    assert "different keys" in refused(table, *(f'{{"user {number}": 1}}' for number in range(10_001)))


def test_a_line_without_end_is_refused(table, monkeypatch):
    monkeypatch.setattr(text, "MAX_ROW_CHARACTERS", 1000)
    assert "a line of over 1,000 characters" in refused(table, f'{{"a": "{"x" * 2000}"}}')


def test_the_number_of_rows_is_known_and_batches_are_bounded(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text(f'{{"a": "{"x" * 992}"}}\n' * 50 + '{"a": "y"}\n' * 20_000)
    monkeypatch.setattr("sentiment_batch.data.readers.json_objects.MAX_BATCH_CHARACTERS", 10_000)
    reader = JsonLinesReader(str(tmp_path / "a.jsonl"), ReadOptions())
    sizes = [batch.num_rows for batch in reader.batches(reader.splits()[0])]
    reader.close()
    assert sum(sizes) == reader.num_rows == 20_050
    assert sizes[0] == 10
    assert max(sizes) < 2000


def test_reading_twice_gives_the_same(tmp_path, stdin):
    data = b'{"a": 1, "b": [1, "x"]}\n\n{"b": null}\n'
    (tmp_path / "a.jsonl").write_bytes(data)
    stdin(data)
    for location in (f"{tmp_path}/a.jsonl", "-"):
        reader = JsonLinesReader(location, ReadOptions())
        first = read_splits(reader)
        assert first == read_splits(reader)
        assert first.to_pydict() == {"a": [1, None], "b": ['[1, "x"]', None]}
        reader.close()
        reader.close()


def test_a_file_that_changes_between_the_passes_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n')
    reader = JsonLinesReader(str(path), ReadOptions())
    path.write_text('{"a": "x"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, column 'a': the file changed while it was read"):
        read_splits(reader)
    reader.close()


def test_another_format_is_named_for_what_it_is(table):
    assert "is a PDF document" in refused(table, data=b"%PDF-1.7\n")


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES), min_size=1, max_size=6), st.booleans())
def test_what_the_json_module_writes_is_read_back(tmp_path_factory, rows, ascii_only):
    rows.append({"a": None})
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows), "utf-8", newline="")
    found = read(JsonLinesReader, path)
    for name in found.column_names:
        values = found.column(name).to_pylist()
        if found.schema.field(name).metadata == JSON_METADATA:
            values = [None if value is None else json.loads(value) for value in values]
        assert values == [row.get(name) for row in rows]


@given(st.binary(max_size=60) | st.text('{}[]":,a1e-.\\u \n\0é', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    path.write_bytes(data)
    read_or_refuse(JsonLinesReader, path)


@pytest.mark.parametrize("ascii_only", [True, False])
def test_naughty_strings_survive(tmp_path, ascii_only):
    strings = json.loads(real_data("suites", "blns", "blns.json").read_text(encoding="utf-8"))
    lines = "".join(json.dumps({"text": string}, ensure_ascii=ascii_only) + "\n" for string in strings)
    (tmp_path / "blns.jsonl").write_text(lines, "utf-8", newline="")
    assert read(JsonLinesReader, tmp_path / "blns.jsonl").column("text").to_pylist() == strings
