"""Scores tables of growing size and compares the peak memory, which must not grow with the rows.

The rows are those of one table, repeated, each with a number in its text, so that no text occurs twice. They are
written as Parquet and scored by the command line in a new process. The scored text is cut short and stands beside the
whole text. So rows are as wide as usual, and a million of them take only minutes. The model is small for the same
reason. It is made here unless `--model` names another; its size adds the same to each peak.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import common, models, peak
from benchmarks.common import report_progress

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.large_string()), ("whole", pa.large_string())])
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of one size."""

    rows: int
    bytes: int
    """Of the Parquet file."""
    peak_bytes: int
    ratio: float | None
    """Of the peak to that of the size before."""
    seconds: float
    """Of the whole command, starting Python and loading the model included."""
    rows_per_second: float
    """From when the model is loaded."""
    tokens: int
    repeated: int
    device: str


def main(argv: list[str] | None = None) -> None:
    """Measure each size and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly():
        model = arguments.model or models.small()
        texts = common.choose_texts(arguments.table, arguments.text_column, arguments.base_rows)
    print(f"scoring in a process of its own; texts cut to {arguments.characters} characters, rows uncut")
    print("      rows  file MiB  peak MiB  to the one before      rows/s   seconds")
    results: list[Measured] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for rows in arguments.sizes:
            source = Path(scratch) / f"{rows}.parquet"
            report_progress(f"writing {rows:,} rows")
            _write(source, texts.texts, rows, arguments)
            report_progress(f"scoring {rows:,} rows")
            results.append(_measure(source, model, rows, results[-1] if results else None, arguments))
            source.unlink()
            _print(results[-1])
    figures = {"data": texts.record(), "model": model, "results": [dataclasses.asdict(one) for one in results]}
    common.save(arguments.json, results[-1].device, arguments, figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder; default: a random one with 1 layer, 64 wide, made under .demo/")
    parser.add_argument("--table", default=models.SAMPLE, help="where the rows come from (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--base-rows", type=int, default=25_000, help="of it, to repeat (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="rows to score")
    parser.add_argument("--characters", type=int, default=60, help="of a scored text (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=32, help="tokens of a scored text (default: %(default)s)")
    parser.add_argument("--row-group", type=int, default=10_000, help="rows of one in the file (default: %(default)s)")
    parser.add_argument("--folder", help="for the tables, which take 1 GB for a million rows; default: the system's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _write(path: Path, texts: list[str], rows: int, arguments: argparse.Namespace) -> None:
    """Write a table of `rows` different texts, one row group at a time."""
    numbered = zip(range(rows), itertools.cycle(texts), strict=False)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False) as writer:
        while group := list(itertools.islice(numbered, arguments.row_group)):
            numbers = [number for number, _ in group]
            cut = [f"{number} {text[: arguments.characters]}" for number, text in group]
            whole = [f"{text} {number}" for number, text in group]
            writer.write_table(pa.table([numbers, cut, whole], schema=SCHEMA), row_group_size=arguments.row_group)


def _measure(source: Path, model: str, rows: int, before: Measured | None, arguments: argparse.Namespace) -> Measured:
    """Score one table by the command line."""
    scored = source.with_name("scored.parquet")
    command = ["-m", "sentiment_batch", "score", source, scored, "--model", model, "--text-column", "text"]
    command += ["--max-length", arguments.max_length, "--device", arguments.device]
    command += ["--overwrite", "--quiet", "--json"]
    launcher = [sys.executable, "-S", peak.__file__, sys.executable, *map(str, command)]
    run: dict[str, Any] = json.loads(subprocess.run(launcher, stdout=subprocess.PIPE, check=True).stdout)
    if run["status"]:
        raise SystemExit(f"scoring {rows:,} rows failed with status {run['status']}")
    summary = json.loads(run["printed"])
    if summary["rows"] != rows or pq.ParquetFile(scored).metadata.num_rows != rows:
        raise SystemExit(f"{rows:,} rows went in, {summary['rows']:,} came out")
    return Measured(
        rows=rows,
        bytes=source.stat().st_size,
        peak_bytes=run["peak_bytes"],
        ratio=run["peak_bytes"] / before.peak_bytes if before else None,
        seconds=run["seconds"],
        rows_per_second=summary["rows_per_second"],
        tokens=summary["tokens"],
        repeated=summary["repeated"],
        device=summary["device"],
    )


def _print(one: Measured) -> None:
    ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
    sizes = f"{one.rows:10,} {one.bytes / MIB:9.1f} {one.peak_bytes / MIB:9.1f}"
    print(f"{sizes} {ratio:>18} {one.rows_per_second:11,.0f} {one.seconds:9.1f}", flush=True)


if __name__ == "__main__":
    main()
