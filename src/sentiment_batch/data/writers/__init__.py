"""Registers the built-in writers through the hook that plugins use. Importing this package loads none of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from sentiment_batch.data.readers import PARQUET_SUFFIXES
from sentiment_batch.locations import suffix_of
from sentiment_batch.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.writers.base import Writer
    from sentiment_batch.plugins.registry import Registry
    from sentiment_batch.records import WriteOptions


# Each function imports its encoder only when a file is opened, so that `--help` loads no pyarrow
def _csv(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch.data.writers.csv import CsvEncoder
    from sentiment_batch.data.writers.publish import FileWriter

    if options.delimiter is None and suffix_of(location) in (".tsv", ".tab"):
        options = dataclasses.replace(options, delimiter="\t")
    return FileWriter(location, schema, options, CsvEncoder)


def _jsonl(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch.data.writers.jsonl import JsonLinesEncoder
    from sentiment_batch.data.writers.publish import FileWriter

    return FileWriter(location, schema, options, JsonLinesEncoder)


def _parquet(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch.data.writers.parquet import ParquetEncoder
    from sentiment_batch.data.writers.publish import FileWriter

    return FileWriter(location, schema, options, ParquetEncoder)


def _arrow(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch.data.writers.arrow import ArrowEncoder
    from sentiment_batch.data.writers.publish import FileWriter

    # The reader of a pipe cannot seek to the footer of the file format.
    streaming = location == "-" or suffix_of(location) == ".arrows"
    return FileWriter(location, schema, options, functools.partial(ArrowEncoder, streaming=streaming))


@hookimpl
def register_writers(registry: Registry) -> None:
    """Add CSV, JSON lines, Parquet and Arrow IPC."""
    registry.add("csv", _csv, suffixes=(".csv", ".tsv", ".tab"), description="CSV and TSV; nested values as JSON text")
    registry.add("jsonl", _jsonl, suffixes=(".jsonl", ".ndjson", ".json"), description="JSON lines")
    registry.add("parquet", _parquet, suffixes=PARQUET_SUFFIXES, description="Parquet, zstd, with page checksums")
    registry.add("arrow", _arrow, suffixes=(".arrow", ".feather", ".ipc", ".arrows"), description="Arrow IPC, Feather")
