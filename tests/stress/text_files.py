"""Scores the corpora of difficult text and compares what comes out, exactly: csv-spectrum and the naughty strings."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.stress.command import command

MISPRINTS = {"location_coordinates": {"Contact Phone Number": "2095257564"}}
"""Where the JSON of csv-spectrum is not what stands in its CSV."""


def scored_table(source: Path, out: Path, model: Path, *options: str) -> pa.Table:
    """What comes out for `source`, read with other libraries than ours.

    Raises:
        AssertionError: scoring failed.
    """
    cpu = ("--device", "cpu", "--dtype", "float32", "--quiet")
    outcome = command("score", source, out, "--model", model, *cpu, *options)
    assert outcome.code == 0, outcome.printed
    if out.suffix == ".parquet":
        return pq.read_table(out)
    with out.open(encoding="utf-8", newline="" if out.suffix == ".csv" else "\n") as stream:
        rows = list(csv.DictReader(stream)) if out.suffix == ".csv" else [json.loads(line) for line in stream]
    return pa.Table.from_pylist(rows)


def csv_spectrum_is_exact(path: Path, model: Path, work: Path) -> int:
    """Score one CSV of the corpus; the rows that came out, which are those of its JSON.

    Raises:
        AssertionError: they are not.
    """
    expected = json.loads((path.parents[1] / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
    expected = [expected] if isinstance(expected, dict) else expected
    expected = [row | MISPRINTS.get(path.stem, {}) for row in expected]
    source = work / path.name
    data = path.read_bytes()
    if path.stem.endswith("_crlf") and b"\r" not in data:  # git may have changed the line ends of a checkout
        data = data.replace(b"\n", b"\r\n")
    source.write_bytes(data)
    table = scored_table(source, work / "out.parquet", model, "--text-column", list(expected[0])[-1])
    assert table.drop_columns(["sentiment", "sentiment_score"]).to_pylist() == expected, path.name
    return table.num_rows


def naughty_strings_survive(strings: list[str], form: str, model: Path, work: Path) -> int:
    """Write the strings as a table in the given form and score it: each comes out intact, with a sentiment or blank.

    Raises:
        AssertionError: one was changed, lost or not scored.
    """
    source = work / f"naughty.{form}"
    rows = list(enumerate(strings))
    if form == "csv":
        with source.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("n", "text"), *rows])
    elif form == "jsonl":
        source.write_text("".join(json.dumps({"n": n, "text": text}) + "\n" for n, text in rows), encoding="utf-8")
    else:
        pq.write_table(pa.table({"n": range(len(strings)), "text": strings}), source)
    for ending in sorted({"parquet", form}):
        table = scored_table(source, work / f"out-{form}.{ending}", model)
        assert table.column("text").to_pylist() == strings, f"{form} to {ending}"
        for text, sentiment in zip(strings, table.column("sentiment").to_pylist(), strict=True):
            assert (sentiment in ("negative", "positive")) == bool(text.strip()), f"{text!r} is {sentiment}"
    return len(strings)
