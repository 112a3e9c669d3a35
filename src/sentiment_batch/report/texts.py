"""Texts of a user's as a page shows them: of any length and content in, short and safe to stand between others out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sentiment_batch.display import one_line, shortened
from sentiment_batch.report.numbers import number

Pieces = list[tuple[str, float | None]]
"""A text in pieces, with the weight of each; None where the model did not see it."""

_LETTER = 7.6
"""The mean width of a character in a wide font of 12 units."""
MARKED = 60
"""Words of a text that keep their weight, the heaviest: more marks than that hide each other."""
WEIGHTY = 0.3
"""The weight of a word that is named where it stands in a part that is left out."""


def short(text: Any, most: int = 40) -> str:
    """A label or name in one line of at most `most` characters, which keeps its direction to itself."""
    whole = one_line(str(text)[: 4 * most])
    return f"\u2068{whole if len(whole) <= most else whole[: most - 1].rstrip() + '…'}\u2069"


def breadth(text: str) -> float:
    """About how wide a text is in a chart, in the chart's units; rather too much than too little."""
    return sum(_LETTER * _share(character) for character in text)


def fitted(text: Any, room: float) -> str:
    """A label in one line that is no wider than `room`, in the units of a chart."""
    whole = short(text, max(1, int(room / (_LETTER * 0.8))))
    while breadth(whole) > room and len(whole) > 4:
        whole = f"{whole[:-2].rstrip('…')[:-1].rstrip()}…\u2069"
    return whole


def _share(character: str) -> float:
    """The width of a character, in mean ones."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.7
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0.0
    return 1.5 if character in "MWmw@%—…" else 1.15 if character.isupper() else 1.0


def quoted(text: Any, most: int = 40) -> str:
    """The same in quotation marks, for the middle of a sentence."""
    return f"“{short(text, most)}”"


def pieces(words: Any, text: str, most: int) -> Pieces:
    """The pieces to show of a text: both ends where it is longer than `most` characters, the heaviest words weighted.

    Args:
        words: pairs of text and weight, which joined are the text; or None.
        text: the text.
        most: characters to show.
    """
    if not words:
        return [(shortened(text, most), 0.0)]
    weighted = [(str(piece), None if weight is None else number(weight) or 0.0) for piece, weight in words]
    return _joined(_ends(_heaviest(weighted), most))


def _heaviest(words: Pieces) -> Pieces:
    """The same pieces, all but the `MARKED` heaviest without weight."""
    amounts = sorted((abs(weight) for _, weight in words if weight), reverse=True)
    least = amounts[MARKED - 1] if len(amounts) > MARKED else 0.0
    return [(piece, 0.0 if weight is not None and abs(weight) < least else weight) for piece, weight in words]


def _ends(words: Pieces, most: int) -> Pieces:
    """The pieces of the first and the last `most / 2` characters; between them, how many are left out."""
    total = sum(len(piece) for piece, _ in words)
    if total <= most:
        return words
    half = most // 2
    head = _front(words, half)
    tail = [(end[::-1], weight) for end, weight in _front(((piece[-half:][::-1], w) for piece, w in words[::-1]), half)]
    middle = words[len(head) : len(words) - len(tail)]
    weighty = sorted((word for word in middle if abs(word[1] or 0.0) >= WEIGHTY), key=lambda word: -abs(word[1] or 0.0))
    named = ", ".join(f"“{one_line(piece[:24])}”" for piece, _ in weighty[:3])
    gap = f" [… {total - 2 * half:,} characters{f', among them {named}' if named else ''} …] "
    return [*head, (gap, 0.0), *tail[::-1]]


def _front(words: Iterable[tuple[str, float | None]], most: int) -> Pieces:
    """The pieces of the first `most` characters; the last of them may be cut."""
    front: Pieces = []
    for piece, weight in words:
        front.append((piece[:most], weight))
        most -= len(piece)
        if most <= 0:
            break
    return front


def _joined(words: Pieces) -> Pieces:
    """Neighbours without weight, and neighbours unseen, as one piece."""
    whole: Pieces = []
    for key, run in groupby(words, key=lambda word: word[1] or (None if word[1] is None else 0.0)):
        if key:
            whole += run
        else:
            whole.append(("".join(piece for piece, _ in run), key))
    return whole
