"""Checks that a reader refuses what it cannot read in one line, whatever is wrong, and lets go of what it holds."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.locations import without_password
from sentiment_batch.testing.checks import Broken, check, check_line, in_time, named, nothing_told, refused
from sentiment_batch.testing.reading import ReadingSuite
from sentiment_batch.testing.suite import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.records import Problem

ROWS = 60
FLIPS = 60
CUTS = 12


class ReaderFailures(ReadingSuite):
    """What is wrong with an input, or with the time at which something is called."""

    @check
    def test_it_may_be_closed_twice(self) -> None:
        """`close()` lets go of files and connections, and may be called twice."""
        with nothing_told(), self.opened(self.place(ROWS)) as reader:
            rows_of(reader, *reader.splits())
            reader.close()

    @check
    def test_it_may_be_closed_while_an_iterator_is_open(self) -> None:
        """`close()` comes to an end while an iterator is half-way, as when a run fails, and so does the iterator."""
        with nothing_told(), self.opened(self.place(self.many_rows)) as reader:
            batches: Any = iter(reader.batches(reader.splits()[0]))
            next(batches, None)
            in_time(reader.close, "close() while an iterator was open", self.seconds)
            in_time(batches.close, "The iterator of a reader that was closed", self.seconds)

    @check
    def test_what_is_missing_is_named(self) -> None:
        """A location where nothing is makes an `InputError` of one line that names it, when it is opened or read."""
        missing = self.missing(self.place(ROWS))
        if missing is None:
            pytest.skip("the suite says in `missing` of no location that nothing is there")
        refused(InputError, lambda: self.read(missing), named(missing))

    @check
    def test_an_input_that_is_cut_short(self) -> None:
        """A file that ends too early is refused with an `InputError` of one line, or gives the rows that are whole; it
        never raises anything else, and never hangs."""
        for where, data in _cut(self._file().read_bytes()):
            self._check_damaged(where, data)

    @check
    def test_an_input_with_a_changed_byte(self) -> None:
        """A file of which a bit is wrong is refused with an `InputError` of one line, or read; it never raises anything
        else, and never hangs. Where the suite states `checksums`, what is read are the right rows."""
        for where, data in _flipped(self._file().read_bytes()):
            self._check_damaged(where, data)

    @check
    def test_a_good_row_is_not_called_bad(self) -> None:
        """`options.on_bad_row` is told of malformed rows alone."""
        told: list[Problem] = []
        self.read(self.laid_out(self.odd_table()), on_bad_row=told.append)
        if told:
            raise Broken(f"It was told of {len(told):,} bad rows of a good table: {told[0]}")

    @check
    def test_a_malformed_row_ends_the_reading(self) -> None:
        """Where `options.on_bad_row` is None, a malformed row makes an `InputError` of one line that names the file."""
        location = self._malformed()
        refused(InputError, lambda: self.read(location), named(location))

    @check
    def test_a_malformed_row_is_told_of_and_stays(self) -> None:
        """Where `options.on_bad_row` is set, it is told of each malformed row once, with its number within its split
        and a reason of one line, before the batch that holds it is given; the row stays in its place."""
        told: list[tuple[int, Problem]] = []
        start = rows = 0
        with self.opened(
            self._malformed(), on_bad_row=lambda problem: told.append((start + problem.row, problem))
        ) as reader:
            for split in reader.splits():
                start = rows
                for batch in reader.batches(split):
                    rows += batch.num_rows
                    if rows > 1 and not told:
                        raise Broken("It gave the batch that holds the malformed row before it told of it.")
        places = [row for row, _ in told]
        if rows != 3 or places != [1]:
            raise Broken(
                f"It gave {rows:,} rows of 3, and told of the rows {places} where row 1 (from 0) is malformed."
            )
        check_line(told[0][1].reason)
        check_line(told[0][1].where)

    def _malformed(self) -> str:
        location = self.malformed(self.folder())
        if location is None:
            pytest.skip("the suite lays out no malformed row in `malformed`")
        return str(location)

    def _file(self) -> Path:
        """The file of a table, which is damaged in copies."""
        location = self.place(ROWS)
        if not os.path.isfile(location):
            pytest.skip(f"{without_password(location)} is no file that could be damaged")
        return Path(location)

    def _check_damaged(self, where: str, data: bytes) -> None:
        whole = self._file()
        path = self.folder() / whole.name
        path.write_bytes(data)
        try:
            found = in_time(lambda: self.read(str(path)), f"Reading a file {where}", self.seconds)
        except InputError as error:
            self._check_refusal(where, str(error), path.name)
            return
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"Of a file {where} it raised {type(error).__name__}, no InputError: {error}") from error
        self._check_read(where, found)

    def _check_refusal(self, where: str, message: str, name: str) -> None:
        try:
            check_line(message)
        except Broken as error:
            raise Broken(f"Of a file {where}: {error}") from error
        if name not in message:
            raise Broken(f"Of a file {where} its message does not name the file: {message}")

    def _check_read(self, where: str, found: pa.Table) -> None:
        found.validate(full=True)
        if self.checksums and not found.equals(self.read(self.place(ROWS))):
            raise Broken(f"Of a file {where} it gave other rows, though the suite states `checksums`.")


def _cut(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file cut at many lengths."""
    for cut in range(CUTS):
        length = len(data) * cut // (CUTS - 2) if cut < CUTS - 2 else len(data) - (CUTS - cut)
        yield f"of {len(data):,} bytes that is cut after {length:,}", data[:length]


def _flipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file with one bit turned over, at many places."""
    dice = random.Random(5)
    for _ in range(FLIPS if data else 0):
        place = dice.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        yield f"with another bit in byte {place // 8:,} of {len(data):,}", bytes(changed)
