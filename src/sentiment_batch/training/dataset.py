"""Labelled reviews as arrays: the class, the text, the nearly equal text and the group of each row."""

from __future__ import annotations

import functools
import html
import re
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.texts import hash_content, normalize_text
from sentiment_batch.data.value_names import concatenate_dictionaries
from sentiment_batch.training.split import Folds, Groups, IntArray, name_groups

if TYPE_CHECKING:
    from sentiment_batch.data.labelled_rows import LabelledRows

_HTML_TAG = re.compile(rb"</?[a-z][^<>]{0,200}>")
"""A tag in lower case, because normalized texts have no capitals. The limit keeps texts full of `<` cheap."""
_BLANKS_AND_PUNCTUATION = bytes(range(0x21)) + string.punctuation.encode() + b"\x7f"
_EMOJI_VARIATION = "\ufe0f"
"""The invisible sign that asks for the coloured form of a symbol. Some programs drop it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewSet:
    """Reviews with a class, of one or more tables; all sequences have the same length N."""

    texts: list[str]
    codes: IntArray
    """(N,) class numbers, none below 0."""
    equal: IntArray
    """(N,) text numbers: the same for texts that differ at most in case, blanks and Unicode form."""
    near: IntArray
    """(N,) text numbers: the same for texts that differ at most in these, in punctuation and in HTML."""
    files: IntArray
    """(N,) the number of the table that the row comes from."""
    numbers: IntArray
    """(N,) the number of the row in that table, from 0."""
    ids: pa.StringArray
    """(N,) the value that names the row in that table, such as a review's id; null if there is none."""
    tables: Sequence[tuple[str, str | None]]
    """The names of the tables, by the numbers in `files`, and of their columns of ids."""
    groups: Groups | None
    """(N,) the group of each row, None for a row without one; None if no table has a group column."""
    others: Mapping[str, pa.DictionaryArray]
    """Further columns that all of the tables have, each (N,) words."""

    def take(self, rows: IntArray) -> ReviewSet:
        """The rows with the numbers `rows`, in that order."""
        places = rows.tolist()
        return ReviewSet(
            texts=[self.texts[row] for row in places],
            codes=self.codes[rows],
            equal=self.equal[rows],
            near=self.near[rows],
            files=self.files[rows],
            numbers=self.numbers[rows],
            ids=self.ids.take(pa.array(rows)),
            tables=self.tables,
            groups=None if self.groups is None else [self.groups[row] for row in places],
            others={name: words.take(rows) for name, words in self.others.items()},
        )

    def locate_row(self, index: int) -> dict[str, Any]:
        """The file, the number and the id of a row, for people who look for it there."""
        file, id_column = self.tables[self.files[index]]
        number, value = int(self.numbers[index]), self.ids[index].as_py()
        return {"file": file, "row": number, "id_column": id_column, "id": value}

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewSplits:
    """The reviews of a run: training, validation and test rows."""

    labels: tuple[str, ...]
    """Labels by class number."""
    tables: Sequence[str]
    """Names of the tables to train on, by the numbers in `ReviewSet.files`."""
    all_rows: ReviewSet
    """All rows of these tables."""
    training: ReviewSet
    validation: ReviewSet
    """The rows that validate. With folds, each of them is among the training rows, too."""
    folds: Folds | None
    """The folds; None if no validation row is trained on."""
    test: ReviewSet | None
    validation_file: str | None
    """Name of the validation file; None if the validation rows were held back from `all_rows`."""
    test_file: str | None
    """Name of the test file; None if there is none."""
    group_column: str | None
    """Name of the group column; None if no table to train on has one."""

    def files(self) -> Iterator[tuple[str, ReviewSet]]:
        """The name and the rows of the validation file and of the test file, as far as they exist."""
        if self.validation_file is not None:
            yield self.validation_file, self.validation
        if self.test is not None:
            yield self.test_file or "the test rows", self.test

    def first_split(self) -> tuple[ReviewSet, ReviewSet]:
        """The rows of one training and the rows that validate it: of all folds, those of the first."""
        if self.folds is None:
            return self.training, self.validation
        return (
            self.training.take(self.folds.find_training_rows(0)),
            self.validation.take(np.flatnonzero(self.folds.validation_M == 0)),
        )

    def count_classes(self, rows: ReviewSet) -> IntArray:
        """(K,) the number of `rows` of each class."""
        return np.bincount(rows.codes, minlength=len(self.labels))


class TextIndex:
    """Numbers texts, so that equal texts have one number in all the tables that it has seen.

    Args:
        seed: the seed of the fingerprints that order the rows of a split.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._equal: dict[bytes, int] = {}
        self._near: dict[bytes, int] = {}
        self._seeded: list[bytes] = []

    def add_rows(self, tables: Sequence[LabelledRows], codes: IntArray, rows: Sequence[int]) -> ReviewSet:
        """Number the texts of some rows of `tables`.

        Args:
            tables: the tables; their rows are counted through.
            codes: (M,) the class numbers of all rows.
            rows: (N,) the numbers of the rows to take.

        Returns:
            The N rows.
        """
        # Count the rows of all tables through, and look the chosen ones up
        texts = [text for one in tables for text in one.texts]
        groups = join_groups(tables)
        files = np.repeat(np.arange(len(tables)), [len(one.texts) for one in tables])
        places = np.array(rows, dtype=np.int64)
        chosen = [texts[row] for row in rows]
        equal, near = self._number(chosen)
        numbers = [np.arange(len(one.texts)) if one.numbers is None else np.array(one.numbers) for one in tables]
        ids = [pa.nulls(len(one.texts)) if one.ids is None else one.ids for one in tables]
        shared = set.intersection(*(set(one.others) for one in tables))
        return ReviewSet(
            texts=chosen,
            codes=codes[places],
            equal=equal,
            near=near,
            files=files[places],
            tables=[(one.name, one.id_column) for one in tables],
            numbers=np.concatenate(numbers).astype(np.int64)[places],
            ids=pa.concat_arrays([values.cast(pa.large_string()) for values in ids]).take(pa.array(places)),
            groups=None if groups is None else [groups[row] for row in rows],
            others={
                name: concatenate_dictionaries([one.others[name] for one in tables]).take(places)
                for name in sorted(shared)
            },
        )

    def fingerprints(self, rows: ReviewSet) -> list[bytes]:
        """(N,) the fingerprint of the text of each row."""
        known = list(self._equal)  # by number, because a dictionary keeps the order of insertion
        return [known[number] for number in rows.equal.tolist()]

    def seeded_fingerprints(self, rows: ReviewSet) -> list[bytes]:
        """(N,) the fingerprint of the text of each row under the seed."""
        return [self._seeded[number] for number in rows.equal.tolist()]

    def _number(self, texts: Sequence[str]) -> tuple[IntArray, IntArray]:
        """The numbers `equal` and `near` of each text, see `ReviewSet`."""
        equal, near = np.empty((2, len(texts)), dtype=np.int64)
        for row, text in enumerate(texts):
            content = normalize_text(text)
            # Digests instead of texts: 16 bytes for each different text, however long it is
            key = hash_content(content)
            equal[row] = number = self._equal.setdefault(key, len(self._equal))
            if number == len(self._seeded):  # a text that was not seen before
                self._seeded.append(hash_content(content, self._seed))
            # A text of marks alone, such as "!!!", equals only itself. Else all such texts would be equal.
            bare = strip_marks(content)
            near[row] = self._near.setdefault(hash_content(bare) if bare else key, len(self._near))
        return equal, near


def join_groups(tables: Sequence[LabelledRows]) -> Groups | None:
    """The groups of the rows of all tables, one after another; None if no table has a group column."""
    if all(one.groups is None for one in tables):
        return None
    return name_groups([group for one in tables for group in (one.groups or [None] * len(one.texts))])


def strip_marks(content: bytes) -> bytes:
    """A normalized text without HTML, blanks and punctuation; letters, digits and symbols such as emoji stay."""
    # Most texts have none of these signs. Looking for a byte first makes them cheap.
    if b"&" in content and b";" in content:
        content = html.unescape(content.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")
    if b"<" in content:
        content = _HTML_TAG.sub(b"", content)
    if not content.isascii():
        content = (
            _marks_beyond_ascii().sub("", content.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")
        )
    return content.translate(None, _BLANKS_AND_PUNCTUATION)


@functools.cache
def _marks_beyond_ascii() -> re.Pattern[str]:
    """A pattern for punctuation, blanks and control characters beyond ASCII. It is ten times as fast as a table."""
    kinds = {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "Zl", "Zp", "Cc", "Cf", "Sk"}
    marks = [chr(code) for code in range(0x80, 0x10000) if unicodedata.category(chr(code)) in kinds]
    return re.compile(f"[{re.escape(''.join([*marks, _EMOJI_VARIATION]))}]+")
