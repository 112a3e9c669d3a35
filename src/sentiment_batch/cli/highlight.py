"""Shows an explained text on a terminal: words by how much they weigh, in colours where there are any."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentiment_batch.display import one_line, shortened

if TYPE_CHECKING:
    from sentiment_batch.explanation.words import Explanation, Word

LEVELS = (0.15, 0.4, 0.7)
"""Weights, as amounts, from which on a word is marked, and each time more strongly."""
FOR = ("36", "1;36", "1;30;46")
"""Codes of a terminal for each level: cyan, then bold, then with a ground."""
AGAINST = ("4;33", "1;4;33", "1;4;30;43")
"""Likewise yellow, and always underlined: the sign is not told by colour alone."""
DIM = "2"


def colours_wanted() -> bool:
    """Whether standard output is a terminal that takes colours, and the user has not said no."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def highlighted(explanation: Explanation, most: int, *, colours: bool) -> str:
    """What a model says of a text, the text, and the words that weigh most; nothing in it can steer the terminal.

    Args:
        explanation: of the text.
        most: so many words are named for the label, and against it.
        colours: mark words by colours and lines; else `+great+`, `++great++`, `+++great+++`, and `-dull-` against.
    """
    if explanation.label is None:
        return f"{'-':>8}  (no text)\n"
    head = f"{explanation.score:8.4f}  {one_line(explanation.label)}"
    text = "".join(_piece(word, colours) for word in explanation.words).strip()
    named = zip(("for", "against"), explanation.strongest(most), strict=True)
    return "\n".join([head, text, *(_named(side, words) for side, words in named if most), ""])


def _named(side: str, words: Sequence[Word]) -> str:
    return f"{side + ':':>9} " + (", ".join(f"{_shown(word.name)} {word.weight:+.2f}" for word in words) or "nothing")


def _piece(word: Word, colours: bool) -> str:
    if word.weight is None:
        return f" {_styled(f'[{_shown(word.text)}]', DIM) if colours else f'[not seen: {_shown(word.text)}]'} "
    if word.text.isspace():
        return " "
    level = sum(abs(word.weight) >= least for least in LEVELS)
    if not level:
        return _shown(word.text)
    if colours:
        return _styled(_shown(word.text), (AGAINST if word.weight < 0 else FOR)[level - 1])
    mark = ("-" if word.weight < 0 else "+") * level
    return f"{mark}{_shown(word.text)}{mark}"


def _shown(text: str) -> str:
    return " ".join(shortened(text).split())


def _styled(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"
