"""Stands between the run and a plugin's reader or writer: what that one raises or gives wrongly names the plugin."""

from __future__ import annotations

import contextlib
import json
import logging
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.utf8_repair import INVALID_UTF8_MESSAGE
from sentiment_batch.errors import PluginError, SentimentBatchError, first_line
from sentiment_batch.records import Sealed, Split

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginGuard:
    """A plugin at work on one location."""

    name: str
    location: str

    @contextlib.contextmanager
    def failures_named(self) -> Iterator[None]:
        """Turn what the plugin raises into `PluginError`; its errors for the user and interrupts pass.

        A plugin's `sys.exit()` is a failure too: it would end the run without a word, and with 0 as if all were well.
        """
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except SystemExit as error:
            if type(error) is not SystemExit:  # a signal's, which comes wherever the program is
                raise
            raise self.failed(f"it called sys.exit({error.code!r})") from error
        except BrokenPipeError as error:
            if self.location == "-":  # who reads our standard output has seen enough
                raise
            raise self.failed(_said(error)) from error
        except SentimentBatchError as error:
            if len(str(error).splitlines()) == 1:
                raise
            raise self.failed(_said(error)) from error
        except BaseException as error:
            raise self.failed(_said(error)) from error

    def failed(self, why: str) -> PluginError:
        """The error that names the plugin."""
        return PluginError(f"plugin {self.name!r} failed on {self.location}: {why}. Report it to the plugin's author.")

    @contextlib.contextmanager
    def failures_told(self) -> Iterator[None]:
        """Warn of what the plugin raises where that must not hide how the run ended."""
        try:
            with self.failures_named():
                yield
        except SentimentBatchError as error:
            logger.warning("%s", error)

    def check_methods(self, made: object, *names: str) -> None:
        """See to it that what the plugin made has these methods."""
        missing = [name for name in names if not callable(getattr(made, name, None))]
        if missing:
            raise self.failed(f"its {type(made).__name__} has no method {missing[0]}()")


def _said(error: BaseException) -> str:
    """What the plugin's error says, in one line."""
    return f"{type(error).__name__}: {first_line(error)}".rstrip(".")


class GuardedReader:
    """A plugin's reader; whatever it gives is checked to be what it promised.

    Raises:
        PluginError: it has no schema, or lacks a method.
    """

    def __init__(self, reader: Reader, plugin: PluginGuard) -> None:
        self._reader = reader
        self._plugin = plugin
        self._splits: tuple[Split, ...] | None = None
        self._rows: dict[int, int] = {}  # of each split that was read to its end
        with plugin.failures_named():
            schema: object = reader.schema
            if not isinstance(schema, pa.Schema):
                raise plugin.failed(f"its schema is a {type(schema).__name__}, no pyarrow.Schema")
            plugin.check_methods(reader, "splits", "batches", "close")
        self.schema: pa.Schema = schema

    @property
    def num_rows(self) -> int | None:
        """As the plugin says."""
        with self._plugin.failures_named():
            return self._count(self._reader.num_rows, "its num_rows")

    def splits(self) -> Sequence[Split]:
        """The plugin's splits.

        Raises:
            PluginError: one is no split, they are not numbered from 0, or they are others than the last time.
        """
        with self._plugin.failures_named():
            splits = tuple(self._reader.splits())
            for position, split in enumerate(splits):
                self._check_split(split, position)
            if self._splits is not None and splits != self._splits:
                raise self._plugin.failed("its splits are not the same each time that it is asked for them")
            self._splits = splits
        return splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The plugin's batches.

        Raises:
            PluginError: one is no record batch, or has other columns; or the rows are not as many as was promised.
        """
        rows = 0
        with self._plugin.failures_named():
            for batch in self._reader.batches(split):
                self._check_batch(batch, split)
                rows += batch.num_rows
                if split.num_rows is not None and rows > split.num_rows:
                    raise self._plugin.failed(f"it gave more than the {split.num_rows:,} rows of {split.label}")
                yield batch
            self._check_rows(split, rows)

    def identity(self) -> Any:
        """As the plugin says; of one that does not, nothing can tell.

        Raises:
            PluginError: it is of other values than JSON's.
        """
        own = getattr(self._reader, "identity", None)
        with self._plugin.failures_named():
            return None if own is None else json.loads(json.dumps(own(), allow_nan=False))

    def close(self) -> None:
        """Close the plugin's reader; a failure is told, for by then it changes nothing."""
        with self._plugin.failures_told():
            self._reader.close()

    def _count(self, value: object, what: str) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
            raise self._plugin.failed(f"{what} is {value!r}, neither None nor a number of rows")
        return int(value)

    def _check_split(self, split: object, position: int) -> None:
        if not isinstance(split, Split):
            raise self._plugin.failed(f"it gave a {type(split).__name__} for a split")
        if split.index != position or not isinstance(split.label, str):
            raise self._plugin.failed(
                f"the split at place {position} has the index {split.index!r} and the label {split.label!r}; the index "
                "is the place, and the label a text"
            )
        self._count(split.num_rows, f"num_rows of {split.label}")

    def _check_batch(self, batch: object, split: Split) -> None:
        if not isinstance(batch, pa.RecordBatch):
            raise self._plugin.failed(f"it gave a {type(batch).__name__} for a record batch in {split.label}")
        if batch.schema != self.schema:
            raise self._plugin.failed(f"it gave a batch of other columns than it promised in {split.label}")
        try:
            batch.validate(full=True)  # an index or offset that leads astray would crash the process later on
        except pa.ArrowInvalid as error:
            if INVALID_UTF8_MESSAGE not in str(error):  # what --on-bad-row is for
                raise self._plugin.failed(f"its record batch in {split.label} is not valid: {_said(error)}") from error

    def _check_rows(self, split: Split, rows: int) -> None:
        """A split has its rows, the same number whenever it is read, and all splits those of the table."""
        promised = self._rows.setdefault(split.index, rows) if split.num_rows is None else split.num_rows
        if rows != promised:
            raise self._plugin.failed(f"it gave {rows:,} rows in {split.label} where it promised {promised:,}")
        self._rows[split.index] = rows
        total, whole = self.num_rows, sum(self._rows.values())
        if total is not None and len(self._rows) == len(self._splits or ()) and whole != total:
            raise self._plugin.failed(f"it gave {whole:,} rows in all where it promised {total:,}")


class GuardedWriter:
    """A plugin's writer.

    Raises:
        PluginError: it lacks a method.
    """

    def __init__(self, writer: Writer, plugin: PluginGuard) -> None:
        self._writer = writer
        self._plugin = plugin
        with plugin.failures_named():
            plugin.check_methods(writer, "write", "commit", "abort")

    def write(self, batch: pa.RecordBatch) -> None:
        """Hand rows to the plugin."""
        with self._plugin.failures_named():
            self._writer.write(batch)

    def seal(self) -> Sealed | None:
        """Let the plugin make everything safe; None if it can only publish.

        Raises:
            PluginError: it says otherwise than with a `Sealed` what it made.
        """
        own = getattr(self._writer, "seal", None)
        with self._plugin.failures_named():
            sealed: object = None if own is None else own()
            if sealed is None or isinstance(sealed, Sealed):
                return sealed
            raise self._plugin.failed(f"its seal() gave a {type(sealed).__name__}")

    def commit(self) -> None:
        """Let the plugin publish."""
        with self._plugin.failures_named():
            self._writer.commit()

    def abort(self) -> None:
        """Let the plugin take everything away; a failure is told, and does not hide the one that led here."""
        with self._plugin.failures_told():
            self._writer.abort()
