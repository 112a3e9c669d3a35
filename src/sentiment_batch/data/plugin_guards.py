"""Checks what a plugin's reader or writer returns, and names the plugin in whatever goes wrong."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.utf8_repair import is_valid
from sentiment_batch.data.readers.validate import validate_batch
from sentiment_batch.errors import PluginError, SentimentBatchError, first_line
from sentiment_batch.plugins.bad_row_guard import BadRowGuard, SplitReport
from sentiment_batch.plugins.manager import is_interrupt
from sentiment_batch.plugins.prints import mark_plugin_call
from sentiment_batch.records import Dialect, FinishedFile, Split

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.data.writers.base import Writer

logger = logging.getLogger("sentiment_batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginGuard:
    """Names a plugin in its errors.

    >>> guard = PluginGuard(name="sheets", location="a.sheet")
    >>> guard.make_error("it is empty")
    PluginError("plugin 'sheets' failed on a.sheet: it is empty. Report it to the plugin's author.")
    """

    name: str
    """The plugin's name."""
    location: str
    """The location that it reads or writes."""

    @contextlib.contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn what the plugin raises into `PluginError`. Our own errors and interrupts pass.

        `sys.exit()` and similar calls are errors, too, because they would end the run silently, maybe with exit code 0.
        Nothing may be yielded inside: the caller's `GeneratorExit` would be taken for the plugin's. What the plugin
        prints goes to standard error, unless it writes the table to standard output itself.
        """
        try:
            with contextlib.nullcontext() if self.location == "-" else mark_plugin_call():
                yield
        except BaseException as error:
            if self._passes(error):
                raise
            why = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else _describe(error)
            raise self.make_error(why) from error

    def _passes(self, error: BaseException) -> bool:
        """True for errors that are not the plugin's fault, or that it raised for the user."""
        if is_interrupt(error):  # a signal's handler may run inside the plugin's code
            return True
        if isinstance(error, BrokenPipeError):
            return self.location == "-"  # the program that reads our standard output has ended
        return isinstance(error, SentimentBatchError) and len(str(error).splitlines()) == 1

    def make_error(self, why: str) -> PluginError:
        """The error that names the plugin, with the reason `why`."""
        return PluginError(f"plugin {self.name!r} failed on {self.location}: {why}. Report it to the plugin's author.")

    @contextlib.contextmanager
    def log_errors(self) -> Iterator[None]:
        """Log what the plugin raises as a warning, where an error would hide how the run ended."""
        try:
            with self.translate_errors():
                yield
        except SentimentBatchError as error:
            logger.warning("%s", error)

    def check_methods(self, made: object, *names: str) -> None:
        """Raise a `PluginError` if the object `made` lacks one of the methods `names`."""
        missing = [name for name in names if not callable(getattr(made, name, None))]
        if missing:
            raise self.make_error(f"its {type(made).__name__} has no method {missing[0]}()")


def _describe(error: BaseException) -> str:
    """The type and message of the plugin's error in one line."""
    return f"{type(error).__name__}: {first_line(error)}".rstrip(".")


class GuardedReader:
    """A plugin's reader whose splits and batches are checked against what it announced.

    It has `estimate_rows`, `locations` and `select_columns` if the plugin's reader has them, see `Reader`.

    Args:
        reader: the object that the plugin returned.
        plugin: names the plugin in errors.
        bad_rows: takes each bad row that the plugin reports, and each row with a string that is not UTF-8. None makes
            such a row an error.

    Raises:
        PluginError: the reader has no schema, or lacks a method.
    """

    def __init__(self, reader: Reader, plugin: PluginGuard, bad_rows: BadRowGuard | None = None) -> None:
        self._reader = reader
        self._plugin = plugin
        self._on_bad_row = None if bad_rows is None else bad_rows.on_bad_row
        self._bad_rows = bad_rows or BadRowGuard(plugin.make_error, lambda problem: None)
        self._splits: tuple[Split, ...] | None = None
        self._rows: dict[int, int] = {}  # rows by index of each split that was read to its end
        with plugin.translate_errors():
            schema: object = reader.schema
            if not isinstance(schema, pa.Schema):
                raise plugin.make_error(f"its schema has the type {type(schema).__name__}, not pyarrow.Schema")
            plugin.check_methods(reader, "splits", "batches", "close")
        self.schema: pa.Schema = schema

    @property
    def num_rows(self) -> int | None:
        """The plugin's number of rows."""
        with self._plugin.translate_errors():
            return self._count(self._reader.num_rows, "its num_rows")

    def splits(self) -> Sequence[Split]:
        """The plugin's splits.

        Raises:
            PluginError: one is not a split, they are not numbered from 0, or they changed since the last call.
        """
        with self._plugin.translate_errors():
            # A resumed run relies on equal splits, so a reader whose splits change would mix up rows
            splits = tuple(self._reader.splits())
            for position, split in enumerate(splits):
                self._check_split(split, position)
            if self._splits is not None and splits != self._splits:
                raise self._plugin.make_error("its splits are not the same each time they are listed")
            self._splits = splits
        return splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The plugin's batches of one split. U+FFFD replaces bytes that are not UTF-8, see `bad_rows`.

        Raises:
            InputError: a string is not UTF-8, and there is no `bad_rows`.
            PluginError: one is not a record batch or has other columns, the number of rows is not the announced one, or
                a bad row was reported that the split does not have.
        """
        # The rows are counted here, because a plugin that loses some must not publish a shorter table
        rows, report = 0, self._bad_rows.begin(split)
        with self._plugin.translate_errors():
            batches = iter(self._reader.batches(split))
        try:
            while (found := self._next_batch(batches, split, report)) is not None:
                batch, is_utf8 = found
                if not is_utf8:
                    batch = validate_batch(batch, split.label, first=rows, on_bad_row=self._on_bad_row)
                report.returned = rows = rows + batch.num_rows
                if split.num_rows is not None and rows > split.num_rows:
                    raise self._plugin.make_error(f"it returned more than the {split.num_rows:,} rows of {split.label}")
                # The marks of the columns, such as that of JSON text, may stand in the schema of the reader only.
                yield pa.RecordBatch.from_arrays(batch.columns, schema=self.schema.with_metadata(batch.schema.metadata))
            self._check_rows(split, rows)
            self._bad_rows.end(report)
        finally:
            with self._plugin.log_errors():
                getattr(batches, "close", lambda: None)()

    def _next_batch(
        self, batches: Iterator[pa.RecordBatch], split: Split, report: SplitReport
    ) -> tuple[pa.RecordBatch, bool] | None:
        """The next batch, checked, and whether all its strings are UTF-8; None after the last one."""
        with self._plugin.translate_errors(), self._bad_rows.reading(report):
            # The loop takes one batch only. It calls the plugin inside of the guard, and nothing is yielded there.
            for batch in batches:
                return batch, self._check_batch(batch, split)
        return None

    def identity(self) -> Any:
        """The plugin's `identity()`, or None if it has none.

        Raises:
            PluginError: it holds values that JSON does not have.
        """
        # Passing the values through JSON shows now whether the record of the run can store them
        own = getattr(self._reader, "identity", None)
        with self._plugin.translate_errors():
            return None if own is None else json.loads(json.dumps(own(), allow_nan=False))

    @property
    def dialect(self) -> Dialect | None:
        """The plugin's `dialect`, or None if it has none.

        Raises:
            PluginError: it is no `Dialect`.
        """
        with self._plugin.translate_errors():
            own: object = getattr(self._reader, "dialect", None)
        if own is not None and not isinstance(own, Dialect):
            raise self._plugin.make_error(f"its dialect has the type {type(own).__name__}, not Dialect")
        return own

    def __getattr__(self, name: str) -> Any:
        """One of the optional members that a caller looks for, if the plugin's reader has it."""
        # A method would exist for every reader. So the members are looked up here, and are missing where they are
        # missing.
        if name in {"estimate_rows", "locations", "select_columns"}:
            with self._plugin.translate_errors():
                own: Any = getattr(self._reader, name, None)
            if name == "estimate_rows" and callable(own):
                return functools.partial(self._estimate_rows, own)
            if name == "select_columns" and callable(own):
                return functools.partial(self._select_columns, own)
            if name == "locations" and isinstance(own, list | tuple):
                return list(map(str, own))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _estimate_rows(self, own: Callable[[], object]) -> int | None:
        with self._plugin.translate_errors():
            return self._count(own(), "the result of its estimate_rows()")

    def _select_columns(self, own: Callable[[list[str]], object], names: Iterable[str]) -> None:
        with self._plugin.translate_errors():
            own(list(names))

    def close(self) -> None:
        """Close the plugin's reader. An error is only logged, because all rows were read by then."""
        with self._plugin.log_errors():
            self._reader.close()

    def _count(self, value: object, what: str) -> int | None:
        """A number of rows as a Python integer, because a plugin may give one of numpy; None if it is unknown."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
            raise self._plugin.make_error(f"{what} is {value!r}, neither None nor a number of rows")
        return int(value)

    def _check_split(self, split: object, position: int) -> None:
        if not isinstance(split, Split):
            raise self._plugin.make_error(f"it returned an object of the type {type(split).__name__} as a split")
        if split.index != position or not isinstance(split.label, str):
            raise self._plugin.make_error(
                f"the split at place {position} has the index {split.index!r} and the label {split.label!r}; the index "
                "is the place, and the label a text"
            )
        self._count(split.num_rows, f"num_rows of {split.label}")

    def _check_batch(self, batch: object, split: Split) -> bool:
        """Refuse what is no batch of the table. True if all strings are UTF-8."""
        if not isinstance(batch, pa.RecordBatch):
            kind = type(batch).__name__
            raise self._plugin.make_error(
                f"it returned an object of the type {kind} as a record batch in {split.label}"
            )
        if batch.schema != self.schema:
            raise self._plugin.make_error(f"it returned a batch with other columns than its schema in {split.label}")
        try:
            return is_valid(batch)
        except pa.ArrowInvalid as error:  # a wrong index or offset would crash the process later
            raise self._plugin.make_error(
                f"its record batch in {split.label} is not valid: {_describe(error)}"
            ) from error

    def _check_rows(self, split: Split, rows: int) -> None:
        """Check the rows of a split that was read to its end, and of the table once all splits were read.

        A split without an announced number must have the same number of rows each time.
        """
        announced = self._rows.setdefault(split.index, rows) if split.num_rows is None else split.num_rows
        if rows != announced:
            raise self._plugin.make_error(f"it returned {rows:,} rows in {split.label} but announced {announced:,}")
        self._rows[split.index] = rows
        total, whole = self.num_rows, sum(self._rows.values())
        if total is not None and len(self._rows) == len(self._splits or ()) and whole != total:
            raise self._plugin.make_error(f"it returned {whole:,} rows in all but announced {total:,}")


class GuardedWriter:
    """A plugin's writer.

    Args:
        writer: the object that the plugin returned.
        plugin: names the plugin in errors.

    Raises:
        PluginError: the writer lacks a method.
    """

    def __init__(self, writer: Writer, plugin: PluginGuard) -> None:
        self._writer = writer
        self._plugin = plugin
        self._is_published = False
        with plugin.translate_errors():
            plugin.check_methods(writer, "write", "commit", "abort")

    def write(self, batch: pa.RecordBatch) -> None:
        """Pass rows to the plugin."""
        with self._plugin.translate_errors():
            self._writer.write(batch)

    def finish(self) -> FinishedFile | None:
        """Let the plugin put everything on disk. None if it has no such method, so that it can only publish.

        Raises:
            PluginError: its method returns something else than a `FinishedFile`.
        """
        # Plugins for version 0.1 call the method `seal`.
        own = getattr(self._writer, "finish", None) or getattr(self._writer, "seal", None)
        with self._plugin.translate_errors():
            if own is None:
                return None
            finished: object = own()
            if isinstance(finished, FinishedFile):
                return finished
            raise self._plugin.make_error(f"its finish() returned an object of the type {type(finished).__name__}")

    def commit(self) -> None:
        """Let the plugin publish."""
        with self._plugin.translate_errors():
            self._writer.commit()
        self._is_published = True

    def abort(self) -> None:
        """Let the plugin remove what it wrote. An error is only logged, so that it does not hide the first error.

        After `commit` the plugin is not asked, because it might remove what it has published.
        """
        if self._is_published:
            return
        with self._plugin.log_errors():
            self._writer.abort()
