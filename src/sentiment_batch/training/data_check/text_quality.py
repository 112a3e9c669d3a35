"""What texts look like from outside: numbers, wrong encodings, HTML, a common beginning; texts in, shares out."""

from __future__ import annotations

import itertools
import os.path
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LETTER = re.compile(r"[^\W\d_]")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_CONTINUED = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What a byte from 0x80 to 0xBF becomes when it is read as Latin-1 or Windows-1252."""
_MISREAD = re.compile(f"[ÂÃ][{_CONTINUED}]|â[{_CONTINUED}]{{2}}|ð[{_CONTINUED}]{{3}}|ï»¿|[\x80-\x84\x86-\x9f]|\ufffd")
"""UTF-8 read as Latin-1 or Windows-1252, Windows-1252 read as Latin-1, and what was no text at all. U+0085, a line
feed in some files, is none of these."""
LEAST = 10
"""Texts of a class from which on their common beginning is no accident."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """Shares of some texts."""

    letterless: float
    """Without a single letter."""
    misread: float
    """With characters that a wrong encoding leaves behind."""
    tagged: float
    """With an HTML tag."""


def signs(texts: Sequence[str]) -> Signs:
    """The signs of some texts (one or more); what is all ASCII costs next to nothing."""

    def share(has: Callable[[str], bool]) -> float:
        return sum(map(has, texts)) / len(texts)

    return Signs(
        letterless=share(lambda text: not _LETTER.search(text)),
        misread=share(lambda text: not text.isascii() and bool(_MISREAD.search(text))),
        tagged=share(lambda text: "<" in text and bool(_TAG.search(text))),
    )


def common_beginning(texts: Sequence[str]) -> str:
    """What all of the texts (one or more) begin with."""
    return os.path.commonprefix([min(texts), max(texts)])  # noqa: RUF071  (of any strings)


def beginnings_tell_classes(texts: Sequence[str], codes: npt.NDArray[np.int64]) -> bool:
    """Whether each class has a beginning of its own that all of its texts share, as in `__label__1 good film`."""
    by_class: dict[int, set[str]] = {}
    for text, code in zip(texts, codes.tolist(), strict=True):
        by_class.setdefault(code, set()).add(text)
    if len(by_class) < 2 or min(map(len, by_class.values())) < LEAST:
        return False
    ordered = sorted(common_beginning(list(members)) for members in by_class.values())
    return all(not after.startswith(before) for before, after in itertools.pairwise(ordered))
