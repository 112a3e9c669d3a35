"""Checks that a reader reports every unreadable input in one line, and releases its files and connections."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sentiment_batch.errors import InputError
from sentiment_batch.locations import without_password
from sentiment_batch.testing.checks import (
    Broken,
    catch_refusal,
    check,
    check_no_warnings,
    check_one_line,
    check_refuses,
    run_in_time,
    shown_name,
)
from sentiment_batch.testing.reading import ReadingSuite
from sentiment_batch.testing.suite import read_splits

if TYPE_CHECKING:
    from sentiment_batch.records import Problem

NUM_ROWS = 60
NUM_FLIPPED_BITS = 60
NUM_CUTS = 12


class ReaderFailures(ReadingSuite):
    """Damaged and missing inputs, malformed rows, and calls of `close()` at unusual moments."""

    @check
    def test_it_may_be_closed_twice(self) -> None:
        """`close()` releases files and connections. It may be called twice."""
        with check_no_warnings(), self.opened(self.place(NUM_ROWS)) as reader:
            read_splits(reader, *reader.splits())
            reader.close()

    @check
    def test_it_may_be_closed_while_an_iterator_is_open(self) -> None:
        """`close()` returns while an iterator is half-way, as it is if a run fails. Closing that iterator returns,
        too."""
        with check_no_warnings(), self.opened(self.place(self.many_rows)) as reader:
            batches: Any = iter(reader.batches(reader.splits()[0]))
            next(batches, None)
            run_in_time(reader.close, "close() while an iterator was open", self.seconds)
            run_in_time(batches.close, "The iterator of a reader that was closed", self.seconds)

    @check
    def test_a_missing_location_is_named(self) -> None:
        """A location that does not exist raises an `InputError` when it is opened or read. The message is one line that
        names the location."""
        missing = self.missing(self.place(NUM_ROWS))
        if missing is None:
            pytest.skip("`missing` returns no location")
        check_refuses(InputError, lambda: self.read(missing), shown_name(missing))

    @check
    def test_an_input_that_is_cut_short(self) -> None:
        """A file that ends too early raises an `InputError` of one line, or gives its complete rows. No other error is
        raised, and no call hangs."""
        for where, data in _cut(self._file().read_bytes()):
            self._check_damaged(where, data)

    @check
    def test_an_input_with_a_changed_byte(self) -> None:
        """A file with one changed bit raises an `InputError` of one line, or is read. No other error is raised, and no
        call hangs. If the suite sets `checksums`, only the original rows may be read."""
        for where, data in _flip_bits(self._file().read_bytes()):
            self._check_damaged(where, data)

    @check
    def test_a_good_row_is_not_reported_as_bad(self) -> None:
        """Only malformed rows are reported to `options.on_bad_row`."""
        reported: list[Problem] = []
        self.read(self.store(self.odd_table()), on_bad_row=reported.append)
        if reported:
            raise Broken(f"It reported {len(reported):,} bad rows in a table without any: {reported[0]}")

    @check
    def test_a_malformed_row_stops_the_reading(self) -> None:
        """If `options.on_bad_row` is None, a malformed row raises an `InputError` of one line that names the file."""
        location = self._malformed()
        check_refuses(InputError, lambda: self.read(location), shown_name(location))

    @check
    def test_a_malformed_row_is_reported_and_stays(self) -> None:
        """If `options.on_bad_row` is set, each malformed row is reported to it once, with its number within its split
        and a reason of one line, before the batch with the row is returned. The row stays in its place."""
        reported: list[Problem] = []
        places: list[int] = []
        rows = 0
        with self.opened(self._malformed(), on_bad_row=reported.append) as reader:
            for split in reader.splits():
                start = rows  # rows are reported by their number within the split
                for batch in reader.batches(split):
                    rows += batch.num_rows
                    if rows > 1 and not reported:
                        raise Broken("It returned the batch with the malformed row before it reported the row.")
                places += [start + problem.row for problem in reported[len(places) :]]
        if rows != 3 or places != [1]:
            raise Broken(
                f"It returned {rows:,} of 3 rows, and reported the rows {places}. Only row 1, counted from 0, is bad."
            )
        check_one_line(reported[0].reason)
        check_one_line(reported[0].where)

    def _malformed(self) -> str:
        location = self.malformed(self.folder())
        if location is None:
            pytest.skip("`malformed` returns no location")
        return str(location)

    def _file(self) -> Path:
        """The file of a table. The checks damage copies of it."""
        location = self.place(NUM_ROWS)
        if not os.path.isfile(location):
            pytest.skip(f"{without_password(location)} is not a file")
        return Path(location)

    def _check_damaged(self, where: str, data: bytes) -> None:
        """Check that a damaged copy of the file is refused, or read."""
        path = self.folder() / self._file().name
        path.write_bytes(data)

        def read() -> None:
            found = run_in_time(lambda: self.read(str(path)), "Reading it", self.seconds)
            found.validate(full=True)  # pyarrow can return a damaged array without an error, and crash on it later
            if self.checksums and not found.equals(self.read(self.place(NUM_ROWS))):
                raise Broken("It returned other rows, although the suite sets `checksums`.")

        try:
            catch_refusal(InputError, read, path.name)
        except Broken as error:
            raise Broken(f"A file {where}: {error}") from error


def _cut(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies of the file, cut at many lengths."""
    # Most cuts are evenly spaced from 0 on. The last two lack two bytes and one, such as the end of a footer.
    for cut in range(NUM_CUTS):
        length = len(data) * cut // (NUM_CUTS - 2) if cut < NUM_CUTS - 2 else len(data) - (NUM_CUTS - cut)
        yield f"of {len(data):,} bytes that was cut after {length:,}", data[:length]


def _flip_bits(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Copies of the file, each with one bit flipped."""
    dice = random.Random(5)  # a fixed seed, so that a failure can be repeated
    for _ in range(NUM_FLIPPED_BITS if data else 0):
        place = dice.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        yield f"with a changed bit in byte {place // 8:,} of {len(data):,}", bytes(changed)
