"""Reads several files of one format as one table: the files of a folder or glob, in natural order."""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.data.readers.empty_files import drop_empty
from sentiment_batch.data.readers.file_names import GLOB_CHARACTERS
from sentiment_batch.data.readers.parquet_schema import adapt_batch, infer_partition_fields, unify_schemas
from sentiment_batch.errors import InputError, listed
from sentiment_batch.files.filesystems import local_path
from sentiment_batch.locations import path_of, suffix_of, without_password
from sentiment_batch.records import Dialect, Split

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader

logger = logging.getLogger("sentiment_batch")


def names_several_files(location: str) -> bool:
    """True if `location` is a folder or a glob. A file whose name looks like a glob is a file."""
    path = local_path(location)
    if path is None:  # a URL may hold a question mark or brackets that are no glob
        return location.endswith("/") or "*" in path_of(location)
    return os.path.isdir(path) or bool(GLOB_CHARACTERS.search(path) and not os.path.exists(path))


class DatasetReader:
    """A `Reader` of several files, with the splits of each file after those of the file before it.

    Args:
        location: a folder or a glob, local or behind a URL.
        suffixes: the file endings of the format.
        open_file: opens one file.
        optional_columns: accept files that lack some of the columns, which are null in their rows.
        format_by_endings: the name of the format if nothing but the endings of the files shows it.

    Raises:
        InputError: there are no files, the glob matches files of other formats too, a file is damaged, or the files
            have different columns.
    """

    def __init__(
        self,
        location: str,
        suffixes: tuple[str, ...],
        open_file: Callable[[str], Reader],
        *,
        optional_columns: bool,
        format_by_endings: str | None = None,
    ) -> None:
        self._format_by_endings = format_by_endings
        files = drop_empty(find_files(location, suffixes), json=".json" in suffixes)
        self.locations = [file.location for file in files]
        """The files, in the order in which they are read."""
        self._partitions = [file.partitions for file in files]
        _refuse_mixed(location, self.locations, suffixes)
        self._readers: list[Reader] = []
        try:
            # All files are opened first, so that a wrong column stops the run before anything is read
            for one in self.locations:
                self._readers.append(open_file(one))
            schemas = [reader.schema for reader in self._readers]
            if not optional_columns:
                self._refuse_other_columns(schemas)
            self.schema: pa.Schema = unify_schemas(schemas, self.locations, infer_partition_fields(self._partitions))
            splits = [(number, split) for number, reader in enumerate(self._readers) for split in reader.splits()]
        except BaseException:
            self.close()
            raise
        # A split of a file keeps its number in that file, and gets a new one in the table
        self._splits = tuple(
            dataclasses.replace(split, index=index, key=(number, split.index))
            for index, (number, split) in enumerate(splits)
        )
        self._report_differences(location)
        # The member is optional, so it must be missing unless every file can do it
        if all(hasattr(reader, "select_columns") for reader in self._readers):
            self.select_columns = self._select_columns

    @property
    def num_rows(self) -> int | None:
        """The number of rows of all files, or None if that of one file is unknown."""
        counts = [reader.num_rows for reader in self._readers]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def dialect(self) -> Dialect | None:
        """What all files have in common, and what was assumed for one of them; None if nothing is known."""
        dialects = self._list_dialects()
        # A file without a dialect may be read in any way, so nothing holds for all files
        if len(dialects) < len(self._readers):
            dialects = []
        names = [field.name for field in dataclasses.fields(Dialect) if field.name != "assumed"]
        values = {name: {getattr(one, name) for one in dialects} for name in names}
        common: dict[str, Any] = {name: found.pop() for name, found in values.items() if len(found) == 1}
        assumed = [name for one in dialects for name in one.assumed]
        # The format is an assumption, too, if nothing but the endings of the files shows it
        if self._format_by_endings is not None:
            common["format"] = self._format_by_endings
            assumed.insert(0, "format")
        return Dialect(**common, assumed=tuple(dict.fromkeys(assumed))) if common else None

    def splits(self) -> Sequence[Split]:
        """The splits of all files."""
        return self._splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one split of one file."""
        number, index = map(int, split.key)
        reader = self._readers[number]
        for batch in reader.batches(reader.splits()[index]):
            yield adapt_batch(batch, self.schema, self._partitions[number], split.label)

    def _select_columns(self, names: Iterable[str]) -> None:
        """Make all later batches null in the other columns. Only if each file's reader can do so."""
        chosen = set(names)
        for reader in self._readers:
            selecting: Any = reader  # `select_columns` is no part of the protocol
            selecting.select_columns([name for name in reader.schema.names if name in chosen])

    def close(self) -> None:
        """Close all files."""
        for reader in self._readers:
            reader.close()

    def _list_dialects(self) -> list[Dialect]:
        found: list[Dialect | None] = [getattr(reader, "dialect", None) for reader in self._readers]
        return [one for one in found if one is not None]

    def _report_differences(self, location: str) -> None:
        """Log the settings that the readers assumed, if they differ from file to file."""
        dialects = self._list_dialects()
        for name in dict.fromkeys(name for one in dialects for name in one.assumed):
            values = collections.Counter(getattr(one, name) for one in dialects)
            if len(values) > 1:
                shown = ", ".join(f"{value!r} ({count:,})" for value, count in values.most_common())
                logger.warning(
                    "%s: the files differ in the %s: %s. Each is read with its own, unless `%s` names one for all",
                    without_password(location),
                    name,
                    shown,
                    name,
                )

    def _refuse_other_columns(self, schemas: Sequence[pa.Schema]) -> None:
        first = schemas[0].names
        for location, schema in zip(self.locations[1:], schemas[1:], strict=True):
            missing = [name for name in first if name not in schema.names]
            further = [name for name in schema.names if name not in first]
            if missing or further:
                what = f"lacks {listed(missing, 5)}" if missing else f"also has {listed(further, 5)}"
                raise InputError(
                    f"{location} has other columns than {self.locations[0]}: it {what}. Give all files the same "
                    "columns, or read it alone."
                )


def _refuse_mixed(location: str, files: Sequence[str], suffixes: tuple[str, ...]) -> None:
    """Check that the files have one format, as far as their names show it."""
    own = [file for file in files if suffix_of(file) in suffixes]
    others = [file for file in files if suffix_of(file) not in suffixes]
    if own and others:
        raise InputError(
            f"{location} matches files of several formats, such as {own[0]} and {others[0]}. Give a narrower "
            f"pattern, such as *{suffix_of(own[0])}."
        )
