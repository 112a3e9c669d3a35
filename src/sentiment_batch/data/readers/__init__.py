"""Registers the built-in readers with the hook that plugins use too. Importing this module loads no reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.plugins.registry import Registry
    from sentiment_batch.records import ReadOptions

PARQUET_SUFFIXES = (".parquet", ".pq")


# Each function imports its reader only when a file is opened, so that `--help` loads no pyarrow
def _open_csv(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch.data.readers.csv import CsvReader

    return CsvReader(location, options)


def _open_jsonl(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch.data.readers.jsonl import JsonLinesReader

    return JsonLinesReader(location, options)


def _open_parquet(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch.data.readers.parquet import ParquetReader

    return ParquetReader(location, options)


def _open_arrow(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch.data.readers.arrow import ArrowReader

    return ArrowReader(location, options)


@hookimpl
def register_readers(registry: Registry) -> None:
    """Add CSV, JSON lines, Parquet and Arrow IPC."""
    registry.add(
        "csv",
        _open_csv,
        suffixes=(".csv", ".tsv", ".tab"),
        description="CSV and TSV; every value stays text",
        options=("header", "skip_rows", "comment", "escape"),
    )
    registry.add("jsonl", _open_jsonl, suffixes=(".jsonl", ".ndjson", ".json"), description="JSON lines")
    registry.add("parquet", _open_parquet, suffixes=PARQUET_SUFFIXES, description="Parquet: file, folder, glob, hive")
    registry.add(
        "arrow", _open_arrow, suffixes=(".arrow", ".feather", ".ipc", ".arrows"), description="Arrow IPC, Feather"
    )
