"""Makes the inputs that are large or strange in one way each, and says what must become of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MB = 1 << 20
SENTENCE = "the film was great and the actor was dull but never boring "


@dataclass(frozen=True, kw_only=True, slots=True)
class Monster:
    """One input, and what is documented for it."""

    name: str
    """Ends like its file."""
    make: Callable[[Path], object]
    """Writes it to a path."""
    rows: int = 0
    """Rows that come out; 0 where it is refused."""
    nulls: int = 0
    """Rows of them without a sentiment."""
    refusal: str = ""
    """A part of the message."""
    options: tuple[str, ...] = ()


def _lines(*lines: str) -> Callable[[Path], object]:
    """Writes lines of text."""
    return lambda path: path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _objects(*rows: dict[str, object]) -> Callable[[Path], object]:
    return _lines(*(json.dumps(row, ensure_ascii=False) for row in rows))


def _table(make: Callable[[], pa.Table], **options: object) -> Callable[[Path], object]:
    return lambda path: pq.write_table(make(), path, **options)


def _texts(*texts: str, **options: object) -> Callable[[Path], object]:
    return _table(lambda: pa.table({"text": texts}), **options)


def _row_groups(path: Path) -> None:
    batch = pa.record_batch({"text": ["great"]})
    with pq.ParquetWriter(path, batch.schema) as writer:
        for _ in range(5_000):
            writer.write_batch(batch)


def _dictionary_bomb(path: Path) -> None:
    """A megabyte of text, 5,000 times: 1 MB on disk, 5 GB when it is unpacked."""
    values = pa.array([SENTENCE * (MB // len(SENTENCE))], pa.large_string())
    rows = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), values)
    schema = pa.schema({"text": rows.type}).remove_metadata()
    pq.write_table(pa.table([rows], schema), path, store_schema=False, dictionary_pagesize_limit=8 * MB)


def monsters() -> Iterator[Monster]:
    """All of them."""
    long = SENTENCE * (100 * MB // len(SENTENCE))
    yield Monster(name="a text of 100 MB.csv", make=_lines("text", long, "great"), rows=2)
    yield Monster(name="a text of 100 MB.jsonl", make=_objects({"text": long}, {"text": "great"}), rows=2)
    yield Monster(name="a text of 100 MB.parquet", make=_texts(long, "great"), rows=2)
    del long
    million = 1_000_000
    yield Monster(
        name="a million empty rows.csv", make=_lines("n,text", *["1,"] * million), rows=million, nulls=million
    )
    yield Monster(
        name="a million empty rows.jsonl", make=_lines(*['{"text": ""}'] * million), rows=million, nulls=million
    )
    empty = _table(lambda: pa.table({"text": pa.array([""] * million)}))
    yield Monster(name="a million empty rows.parquet", make=empty, rows=million, nulls=million)
    yield from _strange_texts()
    yield from _strange_tables()
    yield from _broken()


def _strange_texts() -> Iterator[Monster]:
    yield Monster(name="a word of 100,000 characters.csv", make=_lines("text", "a" * 100_000, "great"), rows=2)
    emoji = "😀👩‍👩‍👧‍👦🏳️‍🌈"
    emoji *= 10 * MB // len(emoji.encode())
    yield Monster(name="10 MB of emoji.jsonl", make=_objects({"text": emoji}), rows=1)
    yield Monster(name="10 MB of one letter.parquet", make=_texts("a" * 10 * MB), rows=1)
    for name, character in (("combining accents", "\u0301"), ("control characters", "\x01"), ("ideographs", "電")):
        text = character * (50 * MB // len(character.encode()))
        yield Monster(name=f"50 MB of {name}.parquet", make=_texts(text), rows=1)
    yield Monster(name="50 MB of blanks.parquet", make=_texts(" " * 50 * MB), rows=1, nulls=1)
    yield Monster(name="50 MB of no-break spaces.parquet", make=_texts("\xa0" * 25 * MB), rows=1, nulls=1)


def _strange_tables() -> Iterator[Monster]:
    names = ["text", *(f"c{number}" for number in range(9_999))]
    wide = ("great", *"x" * 9_999)
    yield Monster(name="10,000 columns.csv", make=_lines(",".join(names), *[",".join(wide)] * 3), rows=3)
    yield Monster(name="10,000 columns.jsonl", make=_objects(*[dict(zip(names, wide, strict=True))] * 3), rows=3)
    many = _table(lambda: pa.table({name: [value] * 3 for name, value in zip(names, wide, strict=True)}))
    yield Monster(name="10,000 columns.parquet", make=many, rows=3)
    taken = _lines("text,sentiment", "great,positive")
    yield Monster(name="a column sentiment.csv", make=taken, refusal="--prefix")
    yield Monster(name="a column sentiment and a prefix.csv", make=taken, rows=1, options=("--prefix", "my_"))
    yield Monster(name="one column.csv", make=_lines("text", "great", "", "bad"), rows=3, nulls=1)
    letters = "abcdefghijklmnopqrstuvwxyz" * (2_000_000 // 26 + 1)
    short = letters[:2_000_000]
    yield Monster(
        name="2 million letters.csv", make=_lines("n,text", *(f"1,{letter}" for letter in short)), rows=len(short)
    )
    yield Monster(
        name="2 million letters.parquet", make=_table(lambda: pa.table({"text": list(short)})), rows=len(short)
    )
    yield Monster(name="5,000 row groups.parquet", make=_row_groups, rows=5_000)
    yield Monster(name="5 GB in 1 MB.parquet", make=_dictionary_bomb, rows=5_000)
    copies = _lines('{"text": "bad", "text": "great", "n": 1}')
    yield Monster(name="a key twice.jsonl", make=copies, rows=1)
    yield Monster(name="a name twice.csv", make=_lines("text,n,n", "great,1,2"), rows=1)


def _broken() -> Iterator[Monster]:
    quote = 'great,"' + "never closed\n" * (50 * MB // 13)
    yield Monster(name="a quote open for 50 MB.csv", make=_lines("text,more", quote), refusal="never closes")
    deep = '{"text": "great", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}"
    yield Monster(name="nested 100,000 deep.jsonl", make=_lines(deep), refusal="nested too deeply")
    yield Monster(name="no line ends in 600 MB.csv", make=_one_line, refusal="over")


def _one_line(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b"text,more\n")
        for _ in range(600):
            stream.write(b"a" * MB)
