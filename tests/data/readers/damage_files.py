"""Damages a file of our own in many ways and reads each. It is a separate program, because a crash must not end pytest.

    python -m tests.data.readers.damage_files NAME FOLDER

It prints one line of JSON for each damage: [what, position, outcome]. The outcome is "refused", "same", "schema" (the
same values under another schema), "values", or the promise that was broken.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from sentiment_batch.data.formats import open_reader, open_writer
from sentiment_batch.errors import InputError

CUTS = 60
FLIPS = 300


def table(rows: int = 400) -> pa.Table:
    """The content of the file: a scored table."""
    dice = random.Random(1)
    sentiments = [dice.choice(["negative", "positive"]) if row % 50 else None for row in range(rows)]
    return pa.table(
        {
            "id": range(rows),
            "text": [
                f"film {row} was {dice.choice(['great', 'dull'])}, größer" if row % 7 else None for row in range(rows)
            ],
            "sentiment": sentiments,
            "sentiment_score": [round(dice.random(), 4) for _ in range(rows)],
        }
    )


def written(path: Path) -> bytes:
    """The bytes of the file as our writer writes it."""
    content = table()
    writer = open_writer(str(path), content.schema)
    for batch in content.to_batches():
        writer.write(batch)
    writer.commit()
    return path.read_bytes()


def read(path: Path) -> pa.Table:
    """All rows."""
    reader = open_reader(str(path))
    try:
        batches = [batch for split in reader.splits() for batch in reader.batches(split)]
        return pa.Table.from_batches(batches, reader.schema)
    finally:
        reader.close()


def outcome(path: Path, whole: pa.Table) -> str:
    """The outcome of reading the damaged file, compared with its former content `whole`."""
    try:
        found = read(path)
    except InputError as error:
        message = str(error)
        return "refused" if path.name in message and "\n" not in message else f"unclear: {message}"
    if found.schema.equals(whole.schema, check_metadata=True):
        return "same" if found.equals(whole) else "values"
    columns = zip(found.columns, whole.columns, strict=False)
    alike = found.shape == whole.shape and all(one.to_pylist() == other.to_pylist() for one, other in columns)
    return "schema" if alike else "values and schema"


def damages(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The file cut at many lengths, and with one of many bits flipped."""
    dice = random.Random(5)
    for cut in range(CUTS):
        length = len(data) * cut // CUTS if cut % 2 else len(data) - 1 - cut // 2
        yield "cut", length, data[:length]
    for _ in range(FLIPS):
        place = dice.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        yield "flip", place // 8, bytes(flipped)


def main(name: str, folder: str) -> None:
    """Run the program."""
    path = Path(folder) / name
    data = written(path)
    whole = read(path)
    for what, position, damaged in damages(data):
        path.write_bytes(damaged)
        print(json.dumps([what, position, outcome(path, whole)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
