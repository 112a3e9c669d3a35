"""Registers the format `delta` with sentiment-batch. The library deltalake is imported when a table is opened.

reader  writer            the Reader and the Writer that sentiment-batch uses
url                       the parts of a location
tables                    opens a table, and refuses one with a feature that is not supported
table_files               lists the data files of a version
storage_types             the types in which columns are stored
data_files                writes data files that belong to no table yet
commits                   publishes data files: a new table, or the next version of a table
run_ids                   finds out whether a run has written a table
delta_errors              the errors of deltalake in one line
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch import hookimpl

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch import Reader, ReadOptions, Registry, WriteOptions, Writer

SCHEMES = ("delta",)


def _open_reader(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch_delta.reader import DeltaReader

    return DeltaReader(location, options)


def _open_writer(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch_delta.writer import DeltaWriter

    return DeltaWriter(location, schema, options)


def _has_run_id(location: str, run_id: str) -> bool:
    from sentiment_batch_delta.run_ids import has_run_id

    return has_run_id(location, run_id)


@hookimpl
def register_readers(registry: Registry) -> None:
    """Add the reader of Delta Lake tables."""
    registry.add("delta", _open_reader, schemes=SCHEMES, description="a Delta Lake table: one version")


@hookimpl
def register_writers(registry: Registry) -> None:
    """Add the writer of Delta Lake tables."""
    registry.add(
        "delta",
        _open_writer,
        schemes=SCHEMES,
        description="a Delta Lake table: one commit",
        has_run_id=_has_run_id,
    )
