"""Shows the words of a text by how much they weigh: pieces with weights in, HTML out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentiment_batch.display import one_line, shortened
from sentiment_batch.report.document import document, escaped

if TYPE_CHECKING:
    from sentiment_batch.explanation.words import Explanation, Word

LEVELS = (0.1, 0.3, 0.55, 0.8)
"""Weights, as amounts, from which on a word is marked, and each time more strongly."""
MOST_CHARACTERS = 1_000
"""Of a piece, such as the part of a text that was not seen; of a longer one both ends are shown."""
LEGEND = """<p class="legend">Words speak <mark class="f3">for the label</mark> (solid line) or
<mark class="a3">against it</mark> (dotted line): the thicker the line and the stronger the colour, the more.
<i>In italics and brackets</i>: what the model did not see.</p>"""
METHOD = """<p>The weight of a word is gradient times input: its embedding, less that of a mask, times the gradient of
the label's log-odds by it, averaged over the way from the masked text to the text (integrated gradients). The weights
of a word's tokens are added, and those of a text divided by the largest. They say what moves the answer of this model,
not what is true.</p>"""
WORDS_CSS = """
.words { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9; color: var(--ink) }
.words i, .legend i { color: var(--soft); overflow-wrap: anywhere }
.words i::before, .legend i::before { content: "[" }
.words i::after, .legend i::after { content: "]" }
.words mark, .legend mark { color: var(--ink); border-radius: 2px; padding: .1em .06em }
mark[class^="f"] { text-decoration: underline solid var(--first); text-underline-offset: .22em }
mark[class^="a"] { text-decoration: underline dotted var(--second); text-underline-offset: .22em }
""" + "".join(
    f"mark.f{n} {{ background: var(--right-{n}); text-decoration-thickness: {n}px }}\n"
    f"mark.a{n} {{ background: var(--wrong-{n}); text-decoration-thickness: {n}px }}\n"
    for n in range(1, len(LEVELS) + 1)
)
"""For a page of `document`, whose colours it names: the strength of a word shows by background and by its line."""
_PAGE_CSS = f"""{WORDS_CSS}
article {{ background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; margin: 1.25rem 0;
  padding: .25rem 1.1rem 1rem }}
article h2 {{ border: 0; margin: .75rem 0 .25rem; padding: 0; font-size: 1.15rem }}
article .words {{ max-width: none }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .8rem 0 0 }}
dt {{ color: var(--soft) }}
dd {{ margin: 0 }}
"""


def words_html(words: Sequence[tuple[str, float | None]]) -> str:
    """A text whose words are marked, as one element to put into a paragraph or a cell; its style is `WORDS_CSS`.

    Args:
        words: pieces of the text with their weights from -1 to 1, None where the model did not see it.
    """
    return f'<span class="words">{"".join(_piece(text, weight) for text, weight in words)}</span>'


def explained_page(explanations: Sequence[Explanation], model: str, most: int) -> str:
    """A whole page about some predictions.

    Args:
        explanations: one for each text.
        model: its name.
        most: so many words are named for the label, and against it.
    """
    texts = "1 text" if len(explanations) == 1 else f"{len(explanations):,} texts"
    head = f"<h1>Which words weighed</h1>\n<p>{texts}, read by the model {escaped(one_line(model))}.</p>\n{LEGEND}"
    articles = "\n".join(_article(one, most) for one in explanations)
    body = f"<main>\n{head}\n{articles}\n<footer>{METHOD}</footer>\n</main>"
    return document(f"Which words weighed: {model}", body, _PAGE_CSS)


def _article(explanation: Explanation, most: int) -> str:
    if explanation.label is None:
        return "<article>\n<h2>No text</h2>\n<p>There is nothing but white space, so no label either.</p>\n</article>"
    named = zip(("Speaks for it", "Against it"), explanation.strongest(most), strict=True)
    lists = "".join(f"<dt>{name}</dt><dd>{_named(words)}</dd>" for name, words in named if most)
    return (
        f"<article>\n<h2>{escaped(one_line(explanation.label))} {explanation.score:.4f}</h2>\n"
        f'<p dir="auto">{words_html(explanation.words)}</p>\n{lists and f"<dl>{lists}</dl>"}\n</article>'
    )


def _named(words: Sequence[Word]) -> str:
    """Words with their weights in a row."""
    return ", ".join(f"{escaped(shortened(word.name))} {word.weight:+.2f}" for word in words) or "nothing"


def _piece(text: str, weight: float | None) -> str:
    shown = escaped(shortened(text, MOST_CHARACTERS))
    if weight is None:
        return f'<i title="not seen by the model">{shown}</i>'
    level = sum(abs(weight) >= least for least in LEVELS)
    if not level or text.isspace():
        return shown
    return f'<mark class="{"a" if weight < 0 else "f"}{level}" title="{weight:+.2f}">{shown}</mark>'
