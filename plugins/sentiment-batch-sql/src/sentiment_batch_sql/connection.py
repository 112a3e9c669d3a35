"""A connection over ADBC, which takes SQL and returns Arrow data. It knows no particular database."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

import adbc_driver_manager
from adbc_driver_manager import dbapi

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa


class Connection:
    """A connection in which only statements begin and end transactions.

    Args:
        driver: the path of the library of the driver.
        statements: the statements to run first.
        options: the options of the driver, which name the database.
    """

    def __init__(self, driver: str, *statements: str, **options: str) -> None:
        database = adbc_driver_manager.AdbcDatabase(driver=driver, **options)
        try:
            opened = adbc_driver_manager.AdbcConnection(database)
        except BaseException:
            database.close()
            raise
        self._connection = dbapi.Connection(database, opened, autocommit=True)
        try:
            self.run(*statements)
        except BaseException:
            self.close()
            raise

    def run(self, *statements: str) -> None:
        """Run statements that return no rows."""
        for statement in statements:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query, as Python values."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def schema(self, query: str) -> pa.Schema:
        """The columns of a query. The query should return no rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            with contextlib.closing(cursor.fetch_record_batch()) as reader:
                return reader.schema

    @contextlib.contextmanager
    def batches(self, query: str) -> Iterator[Iterator[pa.RecordBatch]]:
        """The batches of a query. The query ends with the block, even if not all rows were read."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            with contextlib.closing(cursor.fetch_record_batch()) as reader:
                yield reader

    def ingest(
        self,
        batch: pa.RecordBatch,
        table: str,
        schema: str | None = None,
        *,
        mode: Literal["append", "create"] = "append",
    ) -> None:
        """Add rows to a table."""
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, batch, mode=mode, db_schema_name=schema)

    def close(self) -> None:
        """Disconnect. Changes that were not committed are lost."""
        self._connection.close()
