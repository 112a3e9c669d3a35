"""Judges what the command line makes of one foreign Parquet file, against what pyarrow makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.data.columns import holds_text
from tests.stress.command import GB, Outcome, apart, command, left_behind

ADDED = "as text"
"""The column that is added to a table without text: its first column, as Python prints it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What happened to one file."""

    rows: int | None = None
    """Rows that were scored, None where it was refused."""
    refusal: str = ""
    """Our message."""
    theirs: str = ""
    """pyarrow's, where it cannot read the file either."""
    wrong: str = ""
    """What broke a promise; empty where none was broken."""


def judged(path: Path, model: Path, work: Path) -> Verdict:
    """Read `path` with pyarrow, score it, and compare; all of it in other processes.

    Args:
        path: the file.
        model: a model folder.
        work: an empty folder for what comes out.
    """
    known = _looked_at(path, work)
    if "error" not in known:
        wrong = _difference(apart(lambda: _same_rows(path)))
        if wrong:
            return Verdict(wrong=f"our reader and pyarrow disagree: {wrong}")
    given, out = Path(known.get("given", path)), work / "out" / "out.parquet"
    out.parent.mkdir()
    text = ["--text-column", known["text"]] if "text" in known else []
    outcome = command(
        *("score", given, out, "--input-format", "parquet", "--model", model, "--device", "cpu", "--dtype", "float32"),
        *("--quiet", *text),
    )
    if outcome.code:
        return _refused(outcome, known.get("error", ""), left_behind(out.parent))
    if "error" in known:
        return Verdict(wrong=f"scored, though pyarrow cannot read it: {known['error']}")
    wrong = _difference(apart(lambda: _same_columns(given, out)))
    return Verdict(rows=known["rows"], wrong=wrong)


def _refused(outcome: Outcome, theirs: str, left: list[str]) -> Verdict:
    wrong = "" if outcome.clear() else f"exit code {outcome.code}, printed: {outcome.printed[-500:]!r}"
    if outcome.late:
        wrong = f"still at work after {outcome.seconds:.0f} s"
    elif left:
        wrong = f"left behind: {', '.join(left)}"
    elif outcome.peak > 4 * GB:
        wrong = f"took {outcome.peak / GB:.1f} GB"
    return Verdict(refusal=outcome.error, theirs=theirs, wrong=wrong)


def _difference(outcome: Outcome) -> str:
    """What a comparison printed; empty where it found nothing."""
    return "" if outcome.code == 0 else outcome.error or f"exit code {outcome.code}"


def _looked_at(path: Path, work: Path) -> dict[str, Any]:
    """What pyarrow knows of the file: its rows, the name of a column of text and the file to score; or its error."""
    note = work / "known.json"
    outcome = apart(lambda: note.write_text(json.dumps(_known(path, work))))
    if outcome.code == 0:
        known: dict[str, Any] = json.loads(note.read_text())
        return known
    if outcome.code == 70:
        return {"error": outcome.error}
    return {"error": "no time" if outcome.late else f"the process ended with {outcome.code}"}


def _known(path: Path, work: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    for batch in table.to_batches():
        batch.validate(full=True)
    named = [
        field.name
        for field, column in zip(table.schema, table.columns, strict=True)
        if holds_text(field.type) and table.schema.names.count(field.name) == 1 and _decodes(column)
    ]
    known: dict[str, Any] = {"rows": table.num_rows, "given": str(path)}
    if named:
        return known | {"text": named[0]}
    first = table.column(0).to_pylist() if table.num_columns else [None] * table.num_rows
    text = pa.array([None if value is None else str(value) for value in first], pa.string())
    pq.write_table(table.append_column(ADDED, text), work / "with-text.parquet")
    return known | {"text": ADDED, "given": str(work / "with-text.parquet")}


def _decodes(column: pa.ChunkedArray) -> bool:
    """Whether it is text, which a column of bytes need not be."""
    try:
        column.cast(pa.large_string()).validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError):
        return False
    return True


def _same_rows(path: Path) -> None:
    """Leave with a message where our reader gives another table than pyarrow."""
    from sentiment_batch.data.readers.parquet import ParquetReader
    from sentiment_batch.errors import InputError
    from sentiment_batch.records import ReadOptions

    table = pq.read_table(path)
    try:
        reader = ParquetReader(str(path), ReadOptions())
        batches = [batch for split in reader.splits() for batch in reader.batches(split)]
    except InputError:
        return  # the command line will say so too, and be judged by what it says
    _compare(table, pa.Table.from_batches(batches, reader.schema), table.schema.names)


def _same_columns(given: Path, out: Path) -> None:
    """Leave with a message where the columns that were kept are not those that were given."""
    table = pq.read_table(given)
    _compare(table, pq.read_table(out), [*table.schema.names, "sentiment", "sentiment_score"])


def _compare(table: pa.Table, other: pa.Table, names: list[str]) -> None:
    for wrong in _differences(table, other, names):
        print(wrong)
        raise SystemExit(1)


def _differences(table: pa.Table, other: pa.Table, names: list[str]) -> Iterator[str]:
    if other.num_rows != table.num_rows:
        yield f"{other.num_rows} rows where {table.num_rows} are"
    if other.schema.names != names:
        yield f"columns {other.schema.names} where {names} are"
    for index, field in enumerate(table.schema):
        column = other.column(index)
        if column.type != field.type:
            yield f"column {field.name!r} is {column.type} where {field.type} is"
        # Not equals() alone: for that no NaN is like another.
        if not column.equals(table.column(index)) and str(column.to_pylist()) != str(table.column(index).to_pylist()):
            yield f"column {field.name!r} has other values"
