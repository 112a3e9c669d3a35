"""A small format that keeps every rule: Arrow IPC behind its SHA-256. The tests break one rule at a time."""

from __future__ import annotations

import hashlib
import os
import sys
from types import SimpleNamespace

import pyarrow as pa

from sentiment_batch import FinishedFile, InputError, OutputError, Problem, Split, hookimpl

ROWS_PER_SPLIT = 20
DIGEST = 32
MALFORMED = "<malformed>"
"""Stands for a row that cannot be read."""


def plugin(reader, writer):
    """An object with the hooks, as a package of a plugin has them."""

    @hookimpl
    def register_readers(registry):
        registry.add("tables", reader, suffixes=(".tables",), schemes=("tables",))

    @hookimpl
    def register_writers(registry):
        finders = {name: getattr(writer, name, None) for name in ("find_run_id", "has_run_id")}
        registry.add("tables", writer, suffixes=(".tables",), schemes=("tables",), **finders)

    return SimpleNamespace(register_readers=register_readers, register_writers=register_writers)


def breaker(suite, plugin_of):
    """The decorator for the broken classes of a module, and the list of its cases.

    `breaks(check, message, **attributes)` makes a subclass of `suite` with these attributes, for the decorated class.
    Its test `check` must fail with a text that contains `message`.
    """
    cases = []

    def breaks(check, message, **attributes):
        def register(made):
            name = f"Test{made.__name__}{len(cases)}"
            body = {"plugin": plugin_of(made), "__module__": made.__module__} | attributes
            setattr(sys.modules[made.__module__], name, type(name, (suite,), body))
            cases.append((made.__module__, name, f"test_{check}", message))
            return made

        return register

    return breaks, cases


def content(table, run_id=None):
    """The bytes of a file."""
    if run_id is not None:
        table = table.replace_schema_metadata({"run_id": run_id})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table, ROWS_PER_SPLIT)
    data = sink.getvalue().to_pybytes()
    return hashlib.sha256(data).digest() + data


class GoodReader:
    """Each record batch is a split."""

    def __init__(self, location, options):
        self.location, self.report = location, options.on_bad_row
        self.stored = self.mapped()
        self.check_digest()
        with pa.ipc.open_file(self.stored) as file:
            self.schema = file.schema
            self.sizes = [file.get_batch(index).num_rows for index in range(file.num_record_batches)]
        self.num_rows = sum(self.sizes)

    def mapped(self):
        try:
            return pa.memory_map(self.location).read_buffer()[DIGEST:]
        except OSError as error:
            raise InputError(f"{self.location} cannot be opened: it is not there. Check the path.") from error

    def check_digest(self):
        with open(self.location, "rb") as file:
            if hashlib.sha256(self.stored).digest() != file.read(DIGEST) or not len(self.stored):
                raise InputError(f"{self.location} is damaged. Make it again.")

    def splits(self):
        return [Split(index=n, label=f"batch {n}", num_rows=size) for n, size in enumerate(self.sizes)]

    def batches(self, split):
        with pa.ipc.open_file(self.stored) as file:
            batch = file.get_batch(split.index)
        if MALFORMED in batch.column(-1).to_pylist():
            self.malformed(batch.column(-1).to_pylist().index(MALFORMED))
        yield batch.slice(0, 7)
        yield batch.slice(7)

    def malformed(self, row):
        if self.report is None:
            raise InputError(f"{self.location}, row {row}, is malformed. Correct it.")
        self.report(Problem(row=row, where=f"{self.location}, row {row}", reason="it is malformed"))

    def identity(self):
        with open(self.location, "rb") as file:
            return file.read(DIGEST).hex()

    def close(self):
        self.stored = None


class GoodWriter:
    """Gathers the rows, writes them beside the destination, and renames."""

    def __init__(self, location, schema, options):
        self.location, self.schema, self.overwrite = location, schema, options.overwrite
        self.run_id = options.run_id
        self.part = f"{location}.part"
        self.rows, self.finished = [], None
        if os.path.exists(location) and not self.overwrite:
            raise OutputError.exists(location)
        self.check_types()
        self.begin()

    def check_types(self):
        for field in self.schema:
            if pa.types.is_duration(field.type):
                raise OutputError(f"tables cannot hold the column {field.name!r}. Leave it out with --columns.")

    def begin(self):
        try:
            open(self.part, "wb").close()
        except OSError as error:
            raise OutputError(f"{self.location} cannot be written. Create its folder.") from error

    def write(self, batch):
        assert batch.schema == self.schema
        self.rows.append(batch)

    def table(self):
        return pa.Table.from_batches(self.rows, self.schema)

    def finish(self):
        if self.finished is None:
            data = content(self.table().unify_dictionaries().combine_chunks(), self.run_id)
            with open(self.part, "wb") as file:
                file.write(data)
            self.finished = FinishedFile(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        return self.finished

    def commit(self):
        try:
            self.finish()
            os.replace(self.part, self.location)
        except OSError as error:
            raise OutputError(f"{self.location} cannot be written: its folder has gone. Create it again.") from error

    def abort(self):
        if os.path.exists(self.part):
            os.remove(self.part)

    @staticmethod
    def find_run_id(location):
        if not os.path.exists(location):
            return None
        with open(location, "rb") as file:
            schema = pa.ipc.open_file(file.read()[DIGEST:]).schema
        return (schema.metadata or {}).get(b"run_id", b"").decode() or None
