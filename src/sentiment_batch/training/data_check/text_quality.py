"""Finds texts that are no prose, were read with a wrong encoding, hold HTML, or all begin in the same way."""

from __future__ import annotations

import itertools
import os.path
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment_batch.training.data_check.findings import Finding, format_share

if TYPE_CHECKING:
    from sentiment_batch.training.dataset import ReviewSet, ReviewSplits
    from sentiment_batch.training.split import IntArray

_LETTER = re.compile(r"[^\W\d_]")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_CONTINUED = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What a byte from 0x80 to 0xBF becomes when it is read as Latin-1 or Windows-1252."""
_MISREAD = re.compile(f"[ÂÃ][{_CONTINUED}]|â[{_CONTINUED}]{{2}}|ð[{_CONTINUED}]{{3}}|ï»¿|[\x80-\x84\x86-\x9f]|\ufffd")
"""UTF-8 read as Latin-1 or Windows-1252, Windows-1252 read as Latin-1, and bytes that were no text. U+0085, a line feed
in some files, is none of these."""
MIN_TEXTS = 10
"""Texts from which on a common beginning is no accident."""
MIN_COMMON_BEGINNING = 12
"""Characters of a common beginning from which on it is a finding."""
MIN_LETTERLESS_SHARE = 0.5
MIN_MISREAD_SHARE = 0.01
MIN_HTML_DIFFERENCE = 0.2
"""Difference of two files in their shares of texts with HTML from which on it is a finding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextQuality:
    """Shares of texts with a sign of low quality."""

    letterless: float
    """Share of texts without a single letter."""
    misread: float
    """Share of texts with characters that a wrong encoding leaves."""
    tagged: float
    """Share of texts with an HTML tag."""


def check_text_quality(splits: ReviewSplits) -> Iterator[Finding]:
    """Find texts that are no prose, were read with a wrong encoding, contain their label, or hold HTML."""
    yield from describe_text_quality(quality := measure_text_quality(splits.training.texts))
    yield from _check_beginnings(splits.training)
    for name, rows in splits.files():
        tagged = _share(_has_tag, rows.texts)
        if abs(tagged - quality.tagged) >= MIN_HTML_DIFFERENCE:
            yield Finding(
                text=f"{format_share(tagged)} of the texts of {name} hold HTML tags, but "
                f"{format_share(quality.tagged)} of the training texts. Remove the tags in both files, or in neither.",
                weight=abs(tagged - quality.tagged) / 2,
            )


def describe_text_quality(quality: TextQuality) -> Iterator[Finding]:
    """Find texts that are no prose, or were read with a wrong encoding."""
    if quality.letterless >= MIN_LETTERLESS_SHARE:
        yield Finding(
            text=f"{format_share(quality.letterless)} of the texts hold no letter. Check that `text_column` names the "
            "column of the reviews.",
            weight=quality.letterless,
            level="warning",
        )
    if quality.misread >= MIN_MISREAD_SHARE:
        yield Finding(
            text=f"{format_share(quality.misread)} of the texts hold characters that a wrong encoding leaves, such as "
            "Ã© instead of é. Name the right one with `encoding` if they come from a CSV.",
            weight=quality.misread,
        )


def _check_beginnings(training: ReviewSet) -> Iterator[Finding]:
    """Find that the texts of each class, or all texts, begin in the same way."""
    if do_beginnings_reveal_classes(training.texts, training.codes):
        yield Finding(
            text="All texts of a class begin in the same way, each class in its own. If that is the label, the model "
            "learns nothing else. Remove it from the texts.",
            weight=0.9,
            level="warning",
        )
    # The same few texts repeated begin alike, too, so different texts are counted
    beginning = common_beginning(training.texts)
    if len(beginning) >= MIN_COMMON_BEGINNING and len(set(training.texts)) >= MIN_TEXTS:
        yield Finding(
            text=f"All texts begin with the same {len(beginning):,} characters. Remove them if they say nothing.",
            weight=0.05,
        )


def measure_text_quality(texts: Sequence[str]) -> TextQuality:
    """The quality of one or more texts. Texts in ASCII take almost no time."""
    return TextQuality(
        letterless=_share(lambda text: not _LETTER.search(text), texts),
        misread=_share(lambda text: not text.isascii() and bool(_MISREAD.search(text)), texts),
        tagged=_share(_has_tag, texts),
    )


def _has_tag(text: str) -> bool:
    return "<" in text and bool(_TAG.search(text))


def _share(has_sign: Callable[[str], bool], texts: Sequence[str]) -> float:
    """The share of one or more texts that have a sign."""
    return sum(map(has_sign, texts)) / len(texts)


def common_beginning(texts: Sequence[str]) -> str:
    """The characters that all of one or more texts begin with."""
    # Those of the first and the last text in sorted order, because all others lie between them
    return os.path.commonprefix([min(texts), max(texts)])  # noqa: RUF071  (of any strings)


def do_beginnings_reveal_classes(texts: Sequence[str], codes: IntArray) -> bool:
    """True if the texts of each class share a beginning that no other class has, as in `__label__1 good film`."""
    by_class: dict[int, set[str]] = {}
    for text, code in zip(texts, codes.tolist(), strict=True):
        by_class.setdefault(code, set()).add(text)
    if len(by_class) < 2 or min(map(len, by_class.values())) < MIN_TEXTS:
        return False
    # A beginning that another one begins with is no sign of a class. In sorted order, such two are neighbours.
    ordered = sorted(common_beginning(list(members)) for members in by_class.values())
    return all(not after.startswith(before) for before, after in itertools.pairwise(ordered))
