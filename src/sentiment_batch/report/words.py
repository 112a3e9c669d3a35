"""Marks the words of a text by their weights, and draws the page that `explain` writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import collapse_line, shortened
from sentiment_batch.report.document import render, render_words
from sentiment_batch.report.formatting import format_quantity

if TYPE_CHECKING:
    from markupsafe import Markup

    from sentiment_batch.explanation.words import Explanation, Word

MARK_LEVELS = (0.1, 0.3, 0.55, 0.8)
"""Absolute weights from which a word is marked, and from which the mark is one level stronger."""
MAX_NAMED_WORDS = 5
"""Words that a notebook names for a label, and against it."""
MAX_PIECE_CHARACTERS = 1_000
"""Characters of a piece, such as the part of a text that the model did not see. A longer one is shown by its ends."""


def mark_words(words: Sequence[tuple[str, float | None]]) -> Markup:
    """A text whose words are marked, as one element for a paragraph or a cell.

    Args:
        words: pieces of the text with their weights from -1 to 1; None if the model did not see the piece.
    """
    return render_words(_mark_piece(text, weight) for text, weight in words)


def render_explanation_page(
    explanations: Sequence[Explanation], model: str | None, max_words: int, command: str | None = None
) -> str:
    """A whole page about some predictions.

    Args:
        explanations: one for each text.
        model: the name of the model; None if it is not known.
        max_words: how many words are named for the label, and how many against it.
        command: the command line; None in Python.
    """
    return render(
        "explanation.html",
        f"Which words weighed: {model}" if model else "Which words weighed",
        texts=format_quantity(len(explanations), "text"),
        model=collapse_line(model or ""),
        date=datetime.now(UTC).date().isoformat(),
        command=collapse_line(command or ""),
        articles=[_build_article(one, max_words) for one in explanations],
    )


def _build_article(explanation: Explanation, max_words: int) -> dict[str, Any] | None:
    """What the page shows of one text; None if it is blank."""
    if explanation.label is None:
        return None
    sides = zip(("Speaks for it", "Against it"), explanation.strongest(max_words), strict=True)
    return {
        "heading": f"{collapse_line(explanation.label)} {explanation.score:.4f}",
        "text": mark_words([(word.text, word.weight) for word in explanation.words]),
        "sides": [(side, _list_words(words)) for side, words in sides if max_words],
    }


def _list_words(words: Sequence[Word]) -> str:
    """Words with their weights in a row."""
    return ", ".join(f"{shortened(word.name)} {word.weight:+.2f}" for word in words) or "nothing"


def _mark_piece(text: str, weight: float | None) -> tuple[str, str, str]:
    """The CSS class, the tooltip and the text of a piece."""
    shown = shortened(text, MAX_PIECE_CHARACTERS)
    if weight is None:
        return "unseen", "not seen by the model", shown
    level = sum(abs(weight) >= bound for bound in MARK_LEVELS)
    if not level or text.isspace():
        return "", "", shown
    return f"{'a' if weight < 0 else 'f'}{level}", f"{weight:+.2f}", shown
