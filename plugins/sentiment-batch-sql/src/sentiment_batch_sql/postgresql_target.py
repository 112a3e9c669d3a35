"""A table in PostgreSQL: one transaction, in which rows gather under another name, which at the end is changed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sentiment_batch import OutputError
from sentiment_batch_sql.database import mark_of
from sentiment_batch_sql.outgoing import postgresql_column
from sentiment_batch_sql.postgresql import connect
from sentiment_batch_sql.url import literal, named

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.url import Place

MOST_BYTES = 63
"""Of a name; PostgreSQL cuts what is longer."""
_TABLES = ("r", "p")
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "i": "index", "c": "type"}
_PATIENCE = "SET lock_timeout = '60s'"


class PostgreSQLTarget:
    """A table to be in PostgreSQL.

    Args:
        place: the server and the table.
        schema: the columns as they come.
        options: what the user said.

    Raises:
        OutputError: the table is there and is not to be replaced, is no table or is needed by others, or a name is too
            long.
    """

    def __init__(self, place: Place, schema: pa.Schema, options: WriteOptions) -> None:
        self._place, self._overwrite = place, options.overwrite
        for name in (*place.table, *schema.names):
            if not 0 < len(name.encode("utf-8", "surrogatepass")) <= MOST_BYTES:
                raise OutputError(f"PostgreSQL's names have 1 to {MOST_BYTES} bytes, and {name!r} has not. Rename it.")
        self.columns = [postgresql_column(field) for field in schema]
        self._connection = connect(place, "BEGIN", _PATIENCE)
        try:
            self._schema = self._schema_name()
            self._is_there()
            self._types = [
                self._kept(field) or column.final for field, column in zip(schema, self.columns, strict=True)
            ]
            self._names = schema.names
            self._staged = f"sentiment_batch_{secrets.token_hex(8)}"
            staged = ", ".join(
                f"{named(name)} {one.staged}" for name, one in zip(schema.names, self.columns, strict=True)
            )
            self._connection.run(f"CREATE TABLE {named(self._schema, self._staged)} ({staged})")
        except BaseException:
            self.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Copy rows, of the columns' wire types."""
        self._connection.ingest(batch, self._staged, self._schema)

    def publish(self) -> None:
        """Give the table its types and its name, and commit."""
        staged, table = named(self._schema, self._staged), self._place.table[-1]
        changes = [
            f"ALTER COLUMN {named(name)} TYPE {type} USING {named(name)}::{type}"
            for name, column, type in zip(self._names, self.columns, self._types, strict=True)
            if type != column.staged
        ]
        if changes:  # one pass over the rows for all of them
            self._connection.run(f"ALTER TABLE {staged} {', '.join(changes)}")
        if self._is_there():
            self._connection.run(f"DROP TABLE {named(self._schema, table)}")
        self._connection.run(f"ALTER TABLE {staged} RENAME TO {named(table)}", "COMMIT")
        self._connection.close()

    def discard(self) -> None:
        """Disconnect, so that the server forgets everything."""
        self._connection.close()

    def _schema_name(self) -> str:
        if len(self._place.table) == 2:
            return self._place.table[0]
        ((name,),) = self._connection.rows("SELECT current_schema()::text")
        if name is None:
            raise OutputError(f"{self._place.shown}: the user has no schema of his own. Write schema.table.")
        return str(name)

    def _is_there(self) -> bool:
        """Whether there is a table to replace.

        Raises:
            OutputError: there is, and it is not to be replaced, or it cannot.
        """
        name = literal(named(self._schema, self._place.table[-1]))
        found = self._connection.rows(f"SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = to_regclass({name})")
        if not found:
            return False
        kind = found[0][0]
        if kind not in _TABLES:
            what = _KINDS.get(kind, "thing of another kind")
            raise OutputError(f"{self._place.shown} is a {what}, which is never replaced. Name another table.")
        if not self._overwrite:
            raise OutputError.exists(self._place.shown)
        self._check_unneeded(name)
        return True

    def _check_unneeded(self, name: str) -> None:
        """What needs the old table would be lost with it, and shows before the first row."""
        needing = self._connection.rows(
            "SELECT r.ev_class::regclass::text FROM pg_catalog.pg_depend AS d"
            " JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
            f" WHERE d.refobjid = to_regclass({name}) AND r.ev_class <> d.refobjid"
            " UNION ALL SELECT conrelid::regclass::text FROM pg_catalog.pg_constraint"
            f" WHERE contype = 'f' AND confrelid = to_regclass({name}) AND conrelid <> confrelid LIMIT 1"
        )
        if needing:
            raise OutputError(
                f"{self._place.shown} is needed by {needing[0][0]}, so it is not replaced. Name another table."
            )

    def _kept(self, field: pa.Field) -> str | None:
        """The type that a column of text had when it was read from PostgreSQL, if this server has it, too."""
        mark = mark_of(field, "postgresql")
        if mark is None:
            return None
        found = self._connection.rows(
            "SELECT format('%I.%I', n.nspname, t.typname) FROM pg_catalog.pg_type AS t"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace"
            f" WHERE format('%I.%I', n.nspname, t.typname) = {literal(mark)} AND t.typtype <> 'p'"
        )
        return found[0][0] if found else None
