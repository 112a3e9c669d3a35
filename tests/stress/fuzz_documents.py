"""Makes tables for the fuzzing of the readers: sound ones in every form, and mutations that know their grammar."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

MAX_CHARACTERS = 1_500_000
"""Characters of a document; a longer one is cut."""
_ROWS = [
    {"id": 1, "text": "A fine film, really", "stars": 5},
    {"id": 2, "text": 'He said "no" twice', "stars": None},
    {"id": 3, "text": "one\ntwo", "stars": 1.5},
    {"id": 4, "text": "Größe, naïve, 日本, 🎬", "stars": -0.0},
]
_CSV = [
    'id,text,stars\r\n1,"A fine film, really",5\r\n2,"He said ""no"" twice",\r\n3,"one\ntwo",1.5\r\n',
    "id;text;stars\n1;Gut, wirklich;5,0\n2;Größe;2,5\n3;naïve;\n",
    'id\ttext\n1\tno quotes 5" wide\n2\t\n\n3\tlast',
    'sep=;\n"id";"text"\n"1";"film"\n',
    "# made by hand\nid,text\n# in between\n1,film\\, fine\n2,x\n",
    "1,film one,5\n2,film two,4\n3,film three,1\n",
    "text\nonly one column of words\nanother line\n",
    "id,id,,text,text\n1,2,3,4,5\n6,7\n8,9,10,11,12,13\n",
    'a|b\n"x|y"|z\n',
]
_JSON = [
    "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _ROWS),
    json.dumps(_ROWS, indent=2),
    "\n".join(json.dumps(row, indent=1) for row in _ROWS),
    '{"text": "lone \\ud800 surrogate", "n": 9223372036854775808}\n{"text": null, "n": [1, {"a": []}]}\n',
    '{"a": {"b": {"text": "deep"}}, "list": [1, 2.5, "x", null, true]}\n{"a": 3}\n{"text": "twice", "text": "two"}\n',
    '{"columns": ["id", "text"], "index": [0], "data": [[1, "film"]]}',
    '{"id": {"0": 1, "1": 2}, "text": {"0": "film", "1": "play"}}',
    '{"n": NaN, "m": -Infinity, "text": "x"}\n{"n": 1e999, "m": 0.1, "text": "\\u0000"}\n',
    '{"when": "2024-02-30T25:61:00Z", "text": "x"}\r\n\r\n{"when": "2024-02-29", "text": ""}\r\n',
]
_TOKENS = [
    *"\",;|\t\n\r\\'{}[]:#=\0\x1a\x1b\x7f\x85\u2028\u2029\ufeff\ufffd\uffff\U0010ffff",
    *(
        '""',
        '"""',
        '","',
        '"\n"',
        "\r\n",
        "\n\n\n",
        "\r\r\n",
        "\\",
        '\\"',
        "\\n",
        "sep=,\n",
        "sep=\n",
        "# ",
        "//",
        "NA",
        "null",
    ),
    *(
        "\\ud800",
        "\\udc00\\ud800",
        "\\u0000",
        "\\x00",
        "{}",
        "[]",
        "[[",
        '{"a":',
        '"text":',
        "true",
        "nan",
        "NaN",
        "-Infinity",
    ),
    *(
        "1e999",
        "-0",
        "0x1F",
        "9" * 30,
        "9" * 5000,
        "1_000",
        "٣",
        "1.7976931348623157e308",
        "2024-01-01T00:00:00+25:00",
        "=1+1",
    ),
    *("e\u0301" * 3, "\u202e", "İ", "ß", "Ǆ", "👩‍👩‍👧", "\ud800", "\udcff", "<html>", "<?xml", "PK\x03\x04", "PAR1"),
]
_ENCODINGS = [
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1", "cp1251", "shift_jis"),
    *("gb18030", "big5", "euc_kr", "utf-7", "cp437", "koi8-r", "iso2022_jp", "cp037"),
]
_ENCODING_OPTIONS = [
    *_ENCODINGS,
    "UTF8",
    "ascii",
    "idna",
    "punycode",
    "rot13",
    "base64",
    "undefined",
    "unicode_escape",
    "no such",
    "",
    "\0",
]
_COMPRESSORS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One input of a reader."""

    data: bytes
    """The content of the file."""
    suffix: str
    """The ending of its name."""
    options: dict[str, Any]
    """Fields of `ReadOptions`."""
    marks: bool
    """True if bad rows are marked."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes the same case."""
        return {
            "data": base64.b64encode(self.data).decode(),
            "suffix": self.suffix,
            "options": self.options,
            "marks": self.marks,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Case:
        """The case of which `to_json` gave the values."""
        return cls(base64.b64decode(values["data"]), values["suffix"], values["options"], values["marks"])


def make_case(chance: random.Random, corpus: list[Case]) -> Case:
    """A new case: a sound table or one of the corpus, mutated a few times.

    Args:
        chance: decides everything.
        corpus: earlier cases that reached new lines of the readers.
    """
    if corpus and chance.random() < 0.5:
        case = chance.choice(corpus)
        data, suffix = case.data, case.suffix
        is_csv = suffix.startswith((".csv", ".tsv", ".txt"))
        options = case.options if chance.random() < 0.7 else _choose_options(chance, is_csv=is_csv)
        text = data.decode("utf-8", "surrogateescape") if not _is_packed(suffix) else None
    else:
        kind = chance.choices(("csv", "json", "binary"), (9, 9, 1))[0]
        options = _choose_options(chance, is_csv=kind == "csv")
        if kind == "binary":
            data, suffix = _make_binary(chance)
            text = None
        else:
            text = chance.choice(_CSV if kind == "csv" else _JSON)
            suffix = (
                chance.choice((".csv", ".tsv", ".txt"))
                if kind == "csv"
                else chance.choice((".jsonl", ".json", ".ndjson"))
            )
            data = text.encode()
        if chance.random() < 0.03:
            suffix = chance.choice((".csv", ".jsonl", ".parquet", ".arrow", ".json"))
    if text is not None:
        for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
            text = _mutate_text(chance, text)[:MAX_CHARACTERS]
        data = _encode(chance, text)
    if text is None or chance.random() < 0.3:
        for _ in range(chance.choice((1, 1, 2, 5))):
            data = _mutate_bytes(chance, data)
    if text is not None and chance.random() < 0.06:
        data, suffix = _pack(chance, data, suffix)
    return Case(data, suffix, options, chance.random() < 0.6)


def mutate_json_values(chance: random.Random, value: Any) -> Any:
    """A copy of plain values in which one value is another, is missing, or has another type."""
    strange = [None, True, -1, 0, 1.5, 10**30, "", "x", "\ud800", "../x", [], {}, [[]], {"": None}, [None], "NaN"]
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return chance.choice(strange)
    at = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if chance.random() < 0.15:
        del copy[at]
    else:
        copy[at] = mutate_json_values(chance, copy[at])
    return copy


def mutate_document(chance: random.Random, data: bytes) -> bytes:
    """A file with some mutations of its text or its bytes."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        if chance.random() < 0.6:
            text = _mutate_text(chance, data.decode("utf-8", "surrogateescape"))[:500_000]
            data = text.encode("utf-8", "surrogatepass")
        else:
            data = _mutate_bytes(chance, data)
    return data


def _choose_options(chance: random.Random, *, is_csv: bool) -> dict[str, Any]:
    """The options of the reader: mostly none, and seldom those that it does not take."""
    options: dict[str, Any] = {}
    if chance.random() < 0.15:
        options["encoding"] = chance.choice(_ENCODING_OPTIONS)
    if not is_csv and chance.random() < 0.95:
        return options
    if chance.random() < 0.15:
        options["delimiter"] = chance.choice([*",;|\t \0\n\"\\a'\u2028", "\\t", "", ",,"])
    if chance.random() < 0.1:
        options["quotes"] = False
    if chance.random() < 0.2:
        options["header"] = chance.random() < 0.5
    if chance.random() < 0.1:
        options["skip_rows"] = chance.choice((1, 2, 5, 10**9))
    if chance.random() < 0.1:
        options["comment"] = chance.choice(["#", "//", ",", '"', "\n", "\0"])
    if chance.random() < 0.1:
        options["escape"] = chance.choice(["\\", '"', ",", "\n", "\0", "ab"])
    return options


def _make_binary(chance: random.Random) -> tuple[bytes, str]:
    """A Parquet or Arrow file."""
    table = pa.Table.from_pylist([row | {"nested": [{"a": row["id"]}] * (row["id"] % 3)} for row in _ROWS])
    stream = io.BytesIO()
    suffix = chance.choice((".parquet", ".arrow", ".feather"))
    if suffix == ".parquet":
        pq.write_table(table, stream, write_page_checksum=True)
    elif suffix == ".arrow":
        with pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)
    else:
        pyarrow.feather.write_feather(table, stream, compression="lz4")
    return stream.getvalue(), suffix


def _is_packed(suffix: str) -> bool:
    return suffix in (".parquet", ".arrow", ".feather") or suffix.count(".") > 1


def _mutate_text(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    end = min(len(text), at + chance.choice((1, 1, 2, 5, 20, 200)))
    kind = chance.randrange(12)
    if kind <= 3:
        return text[:at] + chance.choice(_TOKENS) * chance.choice((1, 1, 1, 2, 30)) + text[at:]
    if kind == 4:
        return text[:at] + text[end:]
    if kind == 5:
        return text[:at] + text[at:end] * chance.choice((2, 3, 50, 1000)) + text[end:]
    if kind == 6:
        return text[:at]
    if kind == 7:
        other = chance.choice(_CSV + _JSON)
        return text[:at] + other[chance.randrange(len(other)) :]
    if kind == 8:
        lines = text.splitlines(keepends=True)
        chance.shuffle(lines)
        return "".join(lines)
    if kind == 9:
        return text.replace("\n", chance.choice(("\r\n", "\r", "\n\n", "\u2028", " ")))
    if kind == 10:
        opening, closing = chance.choice((("[", "]"), ('{"a":', "}"), ('"', '"'), ("(", "")))
        depth = chance.choice((3, 50, 999, 1001, 100_000))
        return text[:at] + opening * depth + "1" + closing * chance.choice((depth, depth - 1, 0)) + text[at:]
    return (
        text[:at]
        + chance.choice('ax ,"\n\u00e9\U0001f3ac\0') * chance.choices((100, 70_000, 1_100_000), (10, 4, 1))[0]
        + text[at:]
    )


def _mutate_bytes(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(6)
    if kind == 0 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + chance.randbytes(chance.choice((1, 1, 2, 4, 16))) + data[at:]
    if kind == 2:
        return data[:at] + data[at + chance.choice((1, 1, 2, 4, 100)) :]
    if kind == 3:
        return (
            data[:at]
            + chance.choice((b"\xff", b"\x00", b"\xc3", b"\xef\xbb\xbf", b"\xff\xfe", b"\x80" * 40))
            + data[at:]
        )
    if kind == 4:
        return data[:at]
    marks = (
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xff\xfe\x00\x00",
        b"\x1f\x8b",
        b"PAR1",
        b"ARROW1",
        b"\x00" * 8,
    )
    return chance.choice(marks) + data


def _encode(chance: random.Random, text: str) -> bytes:
    """The bytes of a text, mostly in UTF-8."""
    encoding = "utf-8" if chance.random() < 0.75 else chance.choice(_ENCODINGS)
    try:
        return text.encode(encoding, chance.choice(("replace", "surrogatepass", "ignore")))
    except (UnicodeError, ValueError):
        return text.encode("utf-8", "surrogatepass")


def _pack(chance: random.Random, data: bytes, suffix: str) -> tuple[bytes, str]:
    """A compressed file, sometimes with the wrong ending, cut or flipped."""
    ending = chance.choice((*_COMPRESSORS, ".zip"))
    if ending == ".zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(chance.choice((1, 1, 1, 0, 2))):
                archive.writestr(f"in{number}{suffix}", data)
        packed = stream.getvalue()
    else:
        packed = _COMPRESSORS[ending](data) * chance.choice((1, 1, 1, 2))
    if chance.random() < 0.5:
        packed = _mutate_bytes(chance, packed)
    if chance.random() < 0.05:
        ending = chance.choice((*_COMPRESSORS, ".zip"))
    return packed, suffix + ending
