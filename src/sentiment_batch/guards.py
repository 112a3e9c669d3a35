"""Stands between the run and a plugin's reader or writer: what that one raises or gives wrongly names the plugin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.errors import PluginError, SentimentBatchError, first_line

if TYPE_CHECKING:
    from sentiment_batch.readers.base import Reader
    from sentiment_batch.records import Sealed, Split
    from sentiment_batch.writers.base import Writer


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A plugin at work on one location."""

    name: str
    location: str

    @contextlib.contextmanager
    def failures_named(self) -> Iterator[None]:
        """Turn what the plugin raises into `PluginError`; its errors for the user and interrupts pass."""
        try:
            yield
        except (SentimentBatchError, BrokenPipeError):
            raise
        except Exception as error:
            raise self.failed(f"{type(error).__name__}: {first_line(error)}") from error

    def failed(self, why: str) -> PluginError:
        """The error that names the plugin."""
        return PluginError(f"plugin {self.name!r} failed on {self.location}: {why}. Report it to the plugin's author.")


class GuardedReader:
    """A plugin's reader; every batch is checked to have the columns that were promised."""

    def __init__(self, reader: Reader, plugin: Plugin) -> None:
        self._reader = reader
        self._plugin = plugin
        with plugin.failures_named():
            self.schema: pa.Schema = reader.schema

    @property
    def num_rows(self) -> int | None:
        """As the plugin says."""
        with self._plugin.failures_named():
            return self._reader.num_rows

    def splits(self) -> Sequence[Split]:
        """As the plugin says."""
        with self._plugin.failures_named():
            return self._reader.splits()

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The plugin's batches.

        Raises:
            PluginError: one is no record batch, or has other columns.
        """
        with self._plugin.failures_named():
            for batch in self._reader.batches(split):
                if not isinstance(batch, pa.RecordBatch):
                    raise self._plugin.failed(f"it gave a {type(batch).__name__} for a record batch in {split.label}")
                if batch.schema != self.schema:
                    raise self._plugin.failed(f"it gave a batch of other columns than it promised in {split.label}")
                yield batch

    def identity(self) -> Any:
        """As the plugin says; of one that does not, nothing can tell."""
        own = getattr(self._reader, "identity", None)
        with self._plugin.failures_named():
            return None if own is None else own()

    def close(self) -> None:
        """Close the plugin's reader."""
        with self._plugin.failures_named():
            self._reader.close()


class GuardedWriter:
    """A plugin's writer."""

    def __init__(self, writer: Writer, plugin: Plugin) -> None:
        self._writer = writer
        self._plugin = plugin

    def write(self, batch: pa.RecordBatch) -> None:
        """Hand rows to the plugin."""
        with self._plugin.failures_named():
            self._writer.write(batch)

    def seal(self) -> Sealed | None:
        """Let the plugin make everything safe; None if it can only publish."""
        own = getattr(self._writer, "seal", None)
        with self._plugin.failures_named():
            return None if own is None else own()

    def commit(self) -> None:
        """Let the plugin publish."""
        with self._plugin.failures_named():
            self._writer.commit()

    def abort(self) -> None:
        """Let the plugin take everything away."""
        with self._plugin.failures_named():
            self._writer.abort()
