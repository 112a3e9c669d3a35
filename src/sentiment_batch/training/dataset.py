"""Labelled reviews as numbers: class, text, nearly equal text and group of each row; tables in, arrays out."""

from __future__ import annotations

import functools
import html
import re
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sentiment_batch.data.labelled_rows import LabelledRows, hash_content, normalize_text
from sentiment_batch.data.other_columns import concatenate_words
from sentiment_batch.training.split import Groups, written

if TYPE_CHECKING:
    import pyarrow as pa

Integers = npt.NDArray[np.int64]

_TAG = re.compile(rb"</?[a-z][^<>]{0,200}>")
_MARKS = bytes(range(0x21)) + string.punctuation.encode() + b"\x7f"
_EMOJI_FORM = "\ufe0f"


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """Reviews of one or more tables; all sequences are of one length, n."""

    texts: list[str]
    codes: Integers
    """(n,) class numbers, none below 0."""
    equal: Integers
    """(n,) the same number for texts that differ at most in case, blanks and Unicode form."""
    near: Integers
    """(n,) the same number for texts that differ at most in these, in punctuation and in HTML."""
    files: Integers
    """(n,) which of the tables the row is from."""
    groups: Groups | None
    """(n,) what keeps rows together, None for a row without; None where no table has a group column."""
    others: Mapping[str, pa.DictionaryArray]
    """Further columns that all of the tables have, each (n,) words."""

    def take(self, rows: Integers) -> Coded:
        """Some of the rows, in the order of `rows`."""
        places = rows.tolist()
        return Coded(
            texts=[self.texts[row] for row in places],
            codes=self.codes[rows],
            equal=self.equal[rows],
            near=self.near[rows],
            files=self.files[rows],
            groups=None if self.groups is None else [self.groups[row] for row in places],
            others={name: words.take(rows) for name, words in self.others.items()},
        )

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Divided:
    """The rows of a run by what they are for."""

    labels: tuple[str, ...]
    """By class number."""
    tables: Sequence[str]
    """The names of the tables to train on, as `Coded.files` counts them."""
    pool: Coded
    """All rows of these tables."""
    training: Coded
    validation: Coded
    test: Coded | None
    validation_file: str | None
    """None where rows were held back instead."""
    test_file: str | None
    group_column: str | None

    def files(self) -> Iterator[tuple[str, Coded]]:
        """The name and rows of each file beside the tables to train on."""
        if self.validation_file is not None:
            yield self.validation_file, self.validation
        if self.test is not None:
            yield self.test_file or "the test rows", self.test


class Numbering:
    """Numbers texts, so that equal ones have one number in all the tables that it numbered.

    Args:
        seed: of the fingerprints that order the rows of a split.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._equal: dict[bytes, int] = {}
        self._near: dict[bytes, int] = {}
        self._seeded: list[bytes] = []

    def coded(self, tables: Sequence[LabelledRows], codes: Integers, rows: Sequence[int]) -> Coded:
        """Some of the rows of `tables`, which are counted through.

        Args:
            tables: whose rows follow one another.
            codes: (N,) the class numbers of all of them.
            rows: (n,) those to take.
        """
        texts = [text for one in tables for text in one.texts]
        groups = groups_of(tables)
        files = np.repeat(np.arange(len(tables)), [len(one.texts) for one in tables])
        places = np.array(rows, dtype=np.int64)
        chosen = [texts[row] for row in rows]
        equal, near = self._number(chosen)
        shared = set.intersection(*(set(one.others) for one in tables))
        return Coded(
            texts=chosen,
            codes=codes[places],
            equal=equal,
            near=near,
            files=files[places],
            groups=None if groups is None else [groups[row] for row in rows],
            others={name: concatenate_words([one.others[name] for one in tables]).take(places) for name in sorted(shared)},
        )

    def fingerprints(self, found: Coded) -> list[bytes]:
        """(n,) the fingerprint of each text."""
        known = list(self._equal)
        return [known[number] for number in found.equal.tolist()]

    def seeded(self, found: Coded) -> list[bytes]:
        """(n,) the fingerprint of each text under the seed."""
        return [self._seeded[number] for number in found.equal.tolist()]

    def _number(self, texts: Sequence[str]) -> tuple[Integers, Integers]:
        equal, near = np.empty((2, len(texts)), dtype=np.int64)
        for row, text in enumerate(texts):
            content = normalize_text(text)
            key = hash_content(content)
            equal[row] = number = self._equal.setdefault(key, len(self._equal))
            if number == len(self._seeded):
                self._seeded.append(hash_content(content, self._seed))
            bare = folded(content)
            near[row] = self._near.setdefault(hash_content(bare) if bare else key, len(self._near))
        return equal, near


def groups_of(tables: Sequence[LabelledRows]) -> Groups | None:
    """What keeps the rows of all tables together, None where no table has a group column."""
    if all(one.groups is None for one in tables):
        return None
    return written([group for one in tables for group in (one.groups or [None] * len(one.texts))])


def folded(content: bytes) -> bytes:
    """A plain text without HTML, blanks and punctuation; letters, digits and symbols such as emoji stay."""
    if b"&" in content and b";" in content:
        content = html.unescape(content.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")
    if b"<" in content:
        content = _TAG.sub(b"", content)
    if not content.isascii():
        content = _beyond_ascii().sub("", content.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")
    return content.translate(None, _MARKS)


@functools.cache
def _beyond_ascii() -> re.Pattern[str]:
    """Finds punctuation, blanks and control characters beyond ASCII; a pattern is ten times as fast as a table."""
    kinds = {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "Zl", "Zp", "Cc", "Cf", "Sk"}
    marks = [chr(code) for code in range(0x80, 0x10000) if unicodedata.category(chr(code)) in kinds]
    return re.compile(f"[{re.escape(''.join([*marks, _EMOJI_FORM]))}]+")
