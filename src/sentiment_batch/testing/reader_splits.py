"""Checks that splits are fixed, and that each can be read alone, in any order and thread, and repeatedly."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

from sentiment_batch.errors import InputError
from sentiment_batch.records import Split
from sentiment_batch.testing.checks import Broken, catch_refusal, check, run_in_time
from sentiment_batch.testing.reading import ReadingSuite
from sentiment_batch.testing.suite import read_batches, read_splits

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.data.readers.base import Reader


class ReaderSplits(ReadingSuite):
    """The splits of the table of `many_rows` rows."""

    @check
    def test_splits_are_numbered_and_named(self) -> None:
        """`splits()` returns `Split` records. Their `index` is their position from 0, and their `label` is a text for
        people."""
        with self.opened(self.place(self.many_rows)) as reader:
            for place, split in enumerate(reader.splits()):
                if not isinstance(split, Split):
                    raise Broken(f"It returned an object of the type {type(split).__name__} instead of a Split.")
                if split.index != place or not split.label:
                    raise Broken(
                        f"The split at position {place} has the index {split.index} and the label {split.label!r}."
                    )

    @check
    def test_splits_are_the_same_each_time(self) -> None:
        """The splits of an input are fixed: they are equal in a second call, after rows were read, and in another
        reader of the same input."""
        location = self.place(self.many_rows)
        with self.opened(location) as reader, self.opened(location) as other:
            first = list(reader.splits())
            _check_equal(first, reader.splits(), "in a second call")
            read_splits(reader, *first)
            _check_equal(first, reader.splits(), "after all rows were read")
            _check_equal(first, other.splits(), "in another reader of the same input")

    @check
    def test_num_rows_is_correct(self) -> None:
        """`num_rows` of the reader and of each split is None or exactly the number of rows that are returned."""
        sizes = [0, 1, self.many_rows]
        if catch_refusal(InputError, lambda: self.read(self.place(0))) is not None:
            sizes.remove(0)  # another check covers this error
        for rows in sizes:
            with self.opened(self.place(rows)) as reader:
                splits = list(reader.splits())
                for split in splits:
                    _check_number(split.num_rows, read_splits(reader, split).num_rows, f"num_rows of {split.label}")
                _check_number(reader.num_rows, rows, "num_rows of the reader")

    @check
    def test_any_split_can_be_read_alone(self) -> None:
        """A reader that has read no other split can read any split, as a resumed run does."""
        location, whole = self._whole()
        for index in sorted({0, len(whole) // 2, len(whole) - 1}):
            with self.opened(location) as reader:
                split = reader.splits()[index]
                _check_rows(whole, split, read_splits(reader, split), "read alone")

    @check
    def test_splits_can_be_read_in_any_order(self) -> None:
        """Splits can be read in any order, and each returns its own rows."""
        location, whole = self._whole()
        with self.opened(location) as reader:
            for split in reversed(list(reader.splits())):
                _check_rows(whole, split, read_splits(reader, split), "read from the last to the first")

    @check
    def test_a_split_can_be_read_twice(self) -> None:
        """A split returns the same rows each time it is read."""
        location, whole = self._whole()
        with self.opened(location) as reader:
            for split in _ends(reader):
                for time in ("first", "second"):
                    _check_rows(whole, split, read_splits(reader, split), f"read for the {time} time")

    @check
    def test_another_thread_can_read(self) -> None:
        """The thread that reads batches need not be the thread that opened the reader."""
        location, whole = self._whole()
        with self.opened(location) as reader:
            for split in _ends(reader):
                read = functools.partial(read_splits, reader, split)
                rows = run_in_time(read, f"{split.label} in another thread", self.seconds)
                _check_rows(whole, split, rows, "read in another thread")

    @check
    def test_two_iterators_do_not_disturb_each_other(self) -> None:
        """Two iterators of one reader, even of the same split, each return their own rows if they are advanced in
        turn."""
        location, whole = self._whole()
        with self.opened(location) as reader:
            first, last = _ends(reader)
            # Two splits, and one split twice: a reader with a single open file would mix up their positions.
            for pair in ((first, last), (first, first)):
                for split, rows in zip(pair, _read_in_turn(reader, *pair), strict=True):
                    _check_rows(whole, split, rows, "read in turn with another iterator")

    @check
    def test_an_iterator_may_be_dropped_half_way(self) -> None:
        """An iterator may be dropped after any batch. The reader still returns all rows afterwards."""
        location, whole = self._whole()
        with self.opened(location) as reader:
            for split in _ends(reader):
                # One iterator is left to the garbage collector, one is closed, if it can be.
                next(iter(reader.batches(split)), None)
                left: Any = iter(reader.batches(split))
                next(left, None)
                if hasattr(left, "close"):
                    left.close()
                _check_rows(whole, split, read_splits(reader, split), "read after an iterator was dropped half-way")

    def _whole(self) -> tuple[str, list[pa.Table]]:
        """The location of many rows, and the rows of each split."""
        location = self.place(self.many_rows)
        with self.opened(location) as reader:
            return location, [read_splits(reader, split) for split in reader.splits()]


def _ends(reader: Reader) -> tuple[Split, Split]:
    splits = list(reader.splits())
    if not splits:
        raise Broken("`splits()` returned no split, but the input has rows.")
    return splits[0], splits[-1]


def _read_in_turn(reader: Reader, one: Split, other: Split) -> tuple[pa.Table, pa.Table]:
    """The rows of two iterators, which are advanced in turn."""
    import pyarrow as pa

    pairs = list(itertools.zip_longest(read_batches(reader, one), read_batches(reader, other)))
    left, right = ([batch for batch in batches if batch is not None] for batches in zip(*pairs, strict=True))
    return pa.Table.from_batches(left, reader.schema), pa.Table.from_batches(right, reader.schema)


def _check_equal(first: list[Any], again: Any, when: str) -> None:
    if list(again) != first:
        raise Broken(f"The splits were\n{first}\nbut {when} they are\n{list(again)}")


def _check_number(promised: int | None, found: int, what: str) -> None:
    if promised is not None and promised != found:
        raise Broken(f"The {what} is {promised:,}, but {found:,} rows were returned.")


def _check_rows(whole: list[pa.Table], split: Split, found: pa.Table, how: str) -> None:
    expected = whole[split.index]
    if not found.equals(expected):
        raise Broken(
            f"The split {split.index}, {how}, returned {found.num_rows:,} rows. They are not the "
            f"{expected.num_rows:,} rows that it returned when all splits were read in order."
        )
