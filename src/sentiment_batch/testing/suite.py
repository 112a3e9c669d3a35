"""What the suites have in common: what an author states of his format, and the plugin as the program sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.testing import samples
from sentiment_batch.testing.checks import Broken
from sentiment_batch.testing.compare import difference

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader


class FormatSuite:
    """The attributes that an author sets where his format differs from the default; each says what it promises."""

    plugin: Any = None
    """The module or object with the hooks; None takes those that are installed."""
    format: str | None = None
    """The name of the format, where a location does not tell it."""
    options: Mapping[str, Any] = {}
    """Fields of `ReadOptions` or `WriteOptions` to open with."""
    schema: Any = None
    """The `pyarrow.Schema` of all tables, for a format of fixed columns; None: `id` and `review`, and others."""
    types: Sequence[Any] | None = None
    """The Arrow types that the format carries; None: all of `sample_types()`. A type that is not among them must be
    refused in one line, or come back with its values under another type."""
    keeps_types = True
    """Whether the types that it carries come back as the same types; False: as text, or wider, with the same values."""
    null_is_empty = False
    """Whether the format has no null, so that it comes back as an empty text; or the other way round."""
    many_rows = 20_000
    """Rows of a table that takes more than one batch."""

    def holds(self, text: str) -> bool:
        """Whether the format can hold this text, as a value and as a name; a format of lines holds no line break."""
        return True

    @pytest.fixture(autouse=True)
    def _seen_by_the_program(self, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
        """The program has a cache of its own and, where one is handed in, this plugin and no other."""
        self._folders = tmp_path_factory
        monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path_factory.getbasetemp() / "sentiment-batch-cache"))
        if self.plugin is not None:
            install(self.plugin, monkeypatch)

    def folder(self) -> Path:
        """An empty folder."""
        return self._folders.mktemp("folder")

    def columns(self) -> pa.Schema:
        """The columns of a table, where no check needs others."""
        import pyarrow as pa

        return self.schema or pa.schema([("id", pa.int64()), ("review", pa.string())])

    def table(self, rows: int, start: int = 0) -> pa.Table:
        """A table whose texts say which row they are in, from `start` on."""
        return samples.table_of(self.columns(), rows, self.holds, start)

    def text_column(self) -> str:
        """The first column of text.

        Raises:
            Broken: there is none.
        """
        for field in self.columns():
            if samples.is_text(field.type):
                return str(field.name)
        raise Broken("The schema of this suite has no column of text, and so there is nothing to score.")

    def carries(self, kind: pa.DataType) -> bool:
        """Whether the author says that the format carries the type."""
        return self.types is None or kind in self.types

    def table_of_type(self, kind: pa.DataType) -> pa.Table:
        """A table with values of a type, and a null among them."""
        import pyarrow as pa

        values = samples.column_of(kind, self.holds)
        return pa.table({"id": pa.array(range(len(values)), pa.int64()), "value": values})

    def check_same(self, given: pa.Table, found: pa.Table, *, same_types: bool | None = None) -> None:
        """See to it that the rows are those that were given.

        Raises:
            Broken: they are not.
        """
        same_types = self.keeps_types if same_types is None else same_types
        said = difference(given, found, same_types=same_types, null_is_empty=self.null_is_empty)
        if said is not None:
            raise Broken(said)

    def odd_table(self) -> pa.Table:
        """A table with all odd texts that the format can hold, and an empty one."""
        import pyarrow as pa

        texts = [text for text in ("", *samples.ODD_TEXTS) if self.holds(text)]
        table = self.table(len(texts) + 1)
        place = table.schema.get_field_index(self.text_column())
        field = table.schema.field(place)
        return table.set_column(place, field, pa.array([*texts, "the last"], field.type))

    def texts_table(self, text: str) -> pa.Table:
        """A table of three rows, the second of which has this text."""
        import pyarrow as pa

        table = self.table(3)
        place = table.schema.get_field_index(self.text_column())
        field = table.schema.field(place)
        return table.set_column(place, field, pa.array(["the first", text, "the last"], field.type))

    def named_table(self, names: Sequence[str]) -> pa.Table:
        """A table with columns of these names."""
        import pyarrow as pa

        return pa.table([pa.array([f"{name} {row}" for row in range(3)]) for name in names], names=list(names))


def install(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program find `plugin` as if it were installed."""
    from sentiment_batch.data import formats, readers, writers
    from sentiment_batch.plugins.manager import LOAD_PLUGINS, Plugins

    monkeypatch.delenv(LOAD_PLUGINS, raising=False)
    entry = SimpleNamespace(name="the plugin under test", dist=None, load=lambda: plugin)
    made = Plugins((readers, writers), lambda: [entry])
    for loaded in made.load_third_parties():
        if loaded.error is not None:
            pytest.fail(f"The plugin cannot be used: {loaded.error}", pytrace=False)
    monkeypatch.setattr(formats, "plugins", lambda: made)


def name_of(kind: Any) -> str:
    """What a type is called in the name of a test."""
    return str(kind).replace("\n", " ")


def rows_of(reader: Reader, *splits: Any) -> pa.Table:
    """The rows of some splits, in the order given.

    Raises:
        Broken: a batch has another schema than the reader.
    """
    import pyarrow as pa

    return pa.Table.from_batches([batch for split in splits for batch in batches_of(reader, split)], reader.schema)


def batches_of(reader: Reader, split: Any) -> Iterator[pa.RecordBatch]:
    """The batches of a split, each of the reader's schema.

    Raises:
        Broken: one is not.
    """
    for batch in reader.batches(split):
        if not batch.schema.equals(reader.schema, check_metadata=True):
            raise Broken(
                f"A batch of {split.label} has the schema\n{batch.schema}\nwhere the reader promised\n{reader.schema}"
            )
        yield batch
