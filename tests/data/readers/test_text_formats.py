import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment_batch.data.readers.csv import CsvReader
from sentiment_batch.data.readers.jsonl import JsonLinesReader
from sentiment_batch.data.readers.text_formats import refuse_text, detect_text_kind
from sentiment_batch.errors import InputError
from tests.data.readers.helpers import read


@pytest.fixture
def refusal(tmp_path):
    """What is said of bytes under the wrong name, whether bad rows are kept or not."""

    def refusal(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        reader_class = CsvReader if name.endswith("csv") else JsonLinesReader
        messages = set()
        for on_bad_row in (None, lambda problem: None):
            with pytest.raises(InputError) as caught:
                read(reader_class, tmp_path / name, on_bad_row=on_bad_row)
            messages.add(str(caught.value))
        [message] = messages
        assert "\n" not in message
        return message.removeprefix(f"{tmp_path}/")

    return refusal


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_lines_named_csv_are_named_for_what_they_are(refusal, encoding):
    data = ' {"text" : "Good, cheap", "label": 1}\n{"text": "Bad"}\n'.encode(encoding)
    assert refusal("a.csv", data) == "a.csv is JSON lines, not CSV; give --input-format jsonl."


def test_other_json_named_csv_is_named_with_the_way_to_json_lines(refusal):
    assert "a.csv is a JSON array, not CSV; turn it into one object per line with jq -c '.[]'" in refusal(
        "a.csv", b'[\n  {"text": "Good, cheap"}\n]\n'
    )
    assert "an object over several lines, not CSV; turn it into one object per line with jq -c ., and give" in refusal(
        "a.csv", b'{\n  "text": "Good, cheap"\n}\n'
    )


@pytest.mark.parametrize(
    "data", [b"text,label\nGood,1\nBad,0\n", b"\xef\xbb\xbfid;text\n1;good\n", b'text\tn\n"a\tb"\t1\n', b"a,b\n"]
)
def test_csv_named_jsonl_is_named_for_what_it_is(refusal, data):
    assert refusal("a.jsonl", data) == "a.jsonl is CSV, not JSON lines; give --input-format csv."


def test_a_bad_first_line_does_not_make_json_lines_a_csv(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'oops, a, b\n{"a": 1}\n')
    told = []
    assert read(JsonLinesReader, tmp_path / "a.jsonl", on_bad_row=told.append).to_pydict() == {"a": [None, 1]}
    assert [problem.row for problem in told] == [0]


@pytest.mark.parametrize("header", ["[id],[text]", "{id},{text}", '"{",b', "{,b", '["x"],b'])
def test_brackets_in_a_header_are_no_json(tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n", encoding="utf-8")
    assert read(CsvReader, tmp_path / "a.csv").num_rows == 1


def test_nothing_but_zeros_is_named(refusal):
    for name in ("a.csv", "a.jsonl"):
        assert "is nothing but zero bytes, as an interrupted copy leaves them" in refusal(name, b"\0" * 5000)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"text,label\nGood,1\n", "csv"),
        (b"\xef\xbb\xbfid;text\n", "csv"),
        ("text\ncafé\n".encode("cp1252"), "csv"),
        ("текст\nхорошо\n".encode("utf-16"), "csv"),
        (b'{"text": "Good"}\n', "jsonl"),
        (b'[{"text": "Good"}]\n', "json array"),
    ],
)
def test_text_under_the_name_of_a_binary_format_is_known(head, name):
    kind = detect_text_kind(head)
    assert kind is not None
    assert kind.name == name
    with pytest.raises(InputError, match=r"^a\.parquet is .*; .*--input-format (csv|jsonl)\.$"):
        refuse_text("a.parquet", head)


def test_what_is_no_text_is_not_taken_for_it():
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), sink)
    for head in (sink.getvalue(), b"", b"\xfd\xfc" * 20, b"\x01\x02", b"a\0b"):
        assert detect_text_kind(head) is None
        refuse_text("a.parquet", head)
