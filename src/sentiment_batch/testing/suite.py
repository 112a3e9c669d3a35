"""The common base of the suites: the attributes of a format, and the plugin as the program sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.testing import samples
from sentiment_batch.testing.checks import Broken
from sentiment_batch.testing.compare import describe_difference

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader


class FormatSuite:
    """The attributes that describe a format. Set those that differ from the default."""

    plugin: Any = None
    """The module or object with the hooks. None: the installed plugins."""
    format: str | None = None
    """The name of the format, if locations do not show it."""
    options: Mapping[str, Any] = {}
    """Fields of `ReadOptions` or `WriteOptions` for every reader or writer that is opened."""
    schema: Any = None
    """The `pyarrow.Schema` of all tables, if the columns of the format are fixed. None: any columns are possible."""
    types: Sequence[Any] | None = None
    """The Arrow types that the format supports. None: all of `sample_types()`. Any other type must be refused with an
    error of one line, or come back with equal values as another type."""
    keeps_types = True
    """True: supported types come back unchanged. False: they may come back as text or a wider type, with equal
    values."""
    null_is_empty = False
    """True if the format has no null, so that a null comes back as an empty text, or an empty text as a null."""
    many_rows = 20_000
    """Number of rows of a table that needs more than one batch."""

    def holds(self, text: str) -> bool:
        """True if the format can store this text, as a value and as a column name. A line format stores no line
        breaks."""
        return True

    @pytest.fixture(autouse=True)
    def _visible_to_the_program(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Give the program its own cache and, if `plugin` is set, this plugin and no other."""
        self._folders = tmp_path_factory
        monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path_factory.getbasetemp() / "sentiment-batch-cache"))
        if self.plugin is not None:
            install_plugin(self.plugin, monkeypatch)

    def folder(self) -> Path:
        """A new, empty folder."""
        return self._folders.mktemp("folder")

    def columns(self) -> pa.Schema:
        """The columns of the tables of most checks."""
        import pyarrow as pa

        return self.schema or pa.schema([("id", pa.int64()), ("review", pa.string())])

    def table(self, rows: int, start: int = 0) -> pa.Table:
        """A table whose texts name their row, counted from `start`."""
        return samples.make_table(self.columns(), rows, self.holds, start)

    def text_column(self) -> str:
        """The name of the first text column.

        Raises:
            Broken: there is none.
        """
        from sentiment_batch.data.writers.value_text import is_text

        for field in self.columns():
            if is_text(field.type):
                return str(field.name)
        raise Broken("The schema of this suite has no text column, so there is nothing to score. Add one to `schema`.")

    def carries(self, kind: pa.DataType) -> bool:
        """True if the suite states that the format supports the type."""
        return self.types is None or kind in self.types

    def table_of_type(self, kind: pa.DataType) -> pa.Table:
        """A table with values of a type, including a null."""
        import pyarrow as pa

        values = samples.make_column(kind, self.holds)
        return pa.table({"id": pa.array(range(len(values)), pa.int64()), "value": values})

    def check_same(self, given: pa.Table, found: pa.Table, *, same_types: bool | None = None) -> None:
        """Check that the rows are those that were given.

        Raises:
            Broken: they differ.
        """
        same_types = self.keeps_types if same_types is None else same_types
        difference = describe_difference(given, found, same_types=same_types, null_is_empty=self.null_is_empty)
        if difference is not None:
            raise Broken(difference)

    def check_same_but_names(self, given: pa.Table, found: pa.Table) -> None:
        """Check that the rows are those that were given. The columns may have other names.

        Raises:
            Broken: they differ, or a column is missing.
        """
        if found.num_columns != given.num_columns:
            raise Broken(f"There are {found.num_columns} columns, but should be {given.num_columns}.")
        self.check_same(given, found.rename_columns(given.schema.names))

    def odd_table(self) -> pa.Table:
        """A table with all odd texts that the format can store, and an empty text."""
        return self.table_with_texts([*(text for text in ("", *samples.ODD_TEXTS) if self.holds(text)), "the last"])

    def table_with_text(self, text: str) -> pa.Table:
        """A table of three rows with this text in the second."""
        return self.table_with_texts(["the first", text, "the last"])

    def table_with_texts(self, texts: Sequence[str]) -> pa.Table:
        """A table with these texts in its text column."""
        import pyarrow as pa

        table = self.table(len(texts))
        place = table.schema.get_field_index(self.text_column())
        field = table.schema.field(place)
        return table.set_column(place, field, pa.array(texts, field.type))

    def named_table(self, names: Sequence[str]) -> pa.Table:
        """A table of three rows with columns of these names."""
        import pyarrow as pa

        return pa.table([pa.array([f"{name} {row}" for row in range(3)]) for name in names], names=list(names))


def install_plugin(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program find `plugin`, and no other plugin, until the end of the test.

    Args:
        plugin: the module or object with the hooks.
        monkeypatch: the fixture of pytest.
    """
    from sentiment_batch.data import formats, readers, writers
    from sentiment_batch.plugins.manager import LOAD_PLUGINS, Plugins

    # The program finds plugins by entry points. This one stands for the plugin, which need not be installed.
    monkeypatch.delenv(LOAD_PLUGINS, raising=False)
    entry = SimpleNamespace(name="the plugin under test", dist=None, load=lambda: plugin)
    made = Plugins((readers, writers), lambda: [entry])
    # Loaded at once, so that a plugin that cannot be used fails with its own error in each check.
    for loaded in made.load_third_parties():
        if loaded.error is not None:
            pytest.fail(f"The plugin cannot be used: {loaded.error}", pytrace=False)
    monkeypatch.setattr(formats, "get_plugins", lambda: made)


def read_splits(reader: Reader, *splits: Any) -> pa.Table:
    """The rows of some splits, in the order given.

    Raises:
        Broken: a batch has another schema than the reader.
    """
    import pyarrow as pa

    return pa.Table.from_batches([batch for split in splits for batch in read_batches(reader, split)], reader.schema)


def read_batches(reader: Reader, split: Any) -> Iterator[pa.RecordBatch]:
    """The batches of a split.

    Raises:
        Broken: a batch has another schema than the reader.
    """
    for batch in reader.batches(split):
        if not batch.schema.equals(reader.schema, check_metadata=True):
            raise Broken(
                f"A batch of {split.label} has the schema\n{batch.schema}\nbut the reader promised\n{reader.schema}"
            )
        yield batch
