"""Shows an explained text on a terminal: words are marked by how much they weigh, in colours if possible."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentiment_batch.display import collapse_line, shortened

if TYPE_CHECKING:
    from sentiment_batch.explanation.words import Explanation, Word

TERMINAL_MARK_LEVELS = (0.15, 0.4, 0.7)
"""Absolute weights from which a word is marked, and from which the mark is one level stronger."""
STYLES_FOR = ("36", "1;36", "1;30;46")
"""Terminal codes of each level for the label: cyan, then bold, then with a background."""
STYLES_AGAINST = ("4;33", "1;4;33", "1;4;30;43")
"""Terminal codes against the label: yellow, and always underlined, so that the sign shows without colour, too."""
STYLE_UNSEEN = "2"
"""Terminal code of the text that the model did not see: dim."""


def wants_colours() -> bool:
    """True if standard output is a terminal with colours, and the user did not turn them off."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def highlight_text(explanation: Explanation, max_words: int, *, colours: bool) -> str:
    """The score and label of a text, the text with its words marked, and the heaviest words.

    Control characters are visible in it, so that it cannot steer the terminal.

    Args:
        explanation: the explanation of the text.
        max_words: how many words are named for the label, and how many against it.
        colours: mark words by colours and underlines. Without them, marks are `+great+`, `++great++`, `+++great+++`,
            and `-dull-` against the label.
    """
    if explanation.label is None:
        return f"{'-':>8}  (no text)\n"
    head = f"{explanation.score:8.4f}  {collapse_line(explanation.label)}"
    text = "".join(_mark_piece(word, colours) for word in explanation.words).strip()
    named = zip(("for", "against"), explanation.strongest(max_words), strict=True)
    return "\n".join([head, text, *(_name_words(side, words) for side, words in named if max_words), ""])


def _name_words(side: str, words: Sequence[Word]) -> str:
    return f"{side + ':':>9} " + (", ".join(f"{_show(word.name)} {word.weight:+.2f}" for word in words) or "nothing")


def _mark_piece(word: Word, colours: bool) -> str:
    if word.weight is None:
        return f" {_style(f'[{_show(word.text)}]', STYLE_UNSEEN) if colours else f'[not seen: {_show(word.text)}]'} "
    if word.text.isspace():
        return " "
    level = sum(abs(word.weight) >= least for least in TERMINAL_MARK_LEVELS)
    if not level:
        return _show(word.text)
    if colours:
        return _style(_show(word.text), (STYLES_AGAINST if word.weight < 0 else STYLES_FOR)[level - 1])
    mark = ("-" if word.weight < 0 else "+") * level
    return f"{mark}{_show(word.text)}{mark}"


def _show(text: str) -> str:
    return " ".join(shortened(text).split())


def _style(text: str, codes: str) -> str:
    return f"\x1b[{codes}m{text}\x1b[0m"
