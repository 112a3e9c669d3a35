"""A chart with its words: a picture and its numbers in, a figure out that can be read without seeing the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sentiment_batch.report.axes import WIDTH
from sentiment_batch.report.document import escaped

SCALE = 1.2
"""Pixels of a unit of a picture of one size: its letters are a little smaller than those around it."""


def figure(name: str, title: str, finding: str, picture: str, numbers: str, *, legend: str = "", note: str = "") -> str:
    """A figure with a heading, what it shows in a sentence, the picture, and its numbers to unfold.

    Args:
        name: the figure's id, unique in the page.
        title: plain text.
        finding: plain text, what is to be seen; it stands above the picture and in it.
        picture: of `svg`.
        numbers: a table, of `table`.
        legend: of `legend`.
        note: plain text, how to read the picture.
    """
    hint = f'<p class="note">{escaped(note)}</p>' if note else ""
    return (
        f'<figure id="{name}"><figcaption><h3>{escaped(title)}</h3><p>{escaped(finding)}</p></figcaption>'
        f"{legend}{picture}{hint}{unfold('The numbers', numbers)}</figure>\n"
    )


def plain_figure(name: str, title: str, finding: str, content: str) -> str:
    """A figure whose content is a table, so that it needs no other words."""
    head = f"<figcaption><h3>{escaped(title)}</h3><p>{escaped(finding)}</p></figcaption>"
    return f'<figure id="{name}">{head}{content}</figure>\n'


def svg(name: str, title: str, finding: str, content: str, height: float, width: float | None = None) -> str:
    """A picture that says what it shows; as wide as there is room, or, where a width is given, in one size."""
    size = f' width="{width * SCALE:.0f}"' if width else ""
    return (
        f'<svg viewBox="0 0 {width or WIDTH:g} {height:g}"{size} role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escaped(title)}</title><desc id="{name}-d">{escaped(finding)}</desc>{content}</svg>'
    )


def unfold(summary: str, content: str) -> str:
    """Something that is shown when its name is pressed."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """What the lines and marks mean: pairs of a key, SVG of 28 by 12 units, and plain text."""
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 28 12" aria-hidden="true">{key}</svg>{escaped(text)}</li>'
        for key, text in entries
    )
    return f'<ul class="legend">{items}</ul>'


def line_key(kind: str, mark: str = "") -> str:
    """The key of a line, with a mark in its middle."""
    return f'<path class="{kind}" d="M1 6H27"/>{mark}'


def table(head: Sequence[str], body: Iterable[Sequence[str]], caption: str, *, named: int = 1) -> str:
    """A table of plain text in a box of its own that scrolls where it is too wide.

    Args:
        head: the names of the columns.
        body: the rows; the first cell of each is its name.
        caption: plain text, for those who do not see what stands around it.
        named: how many columns at the front hold words, not numbers.
    """
    heads = "".join(
        f'<th scope="col"{"" if column < named else _NUMBER}>{escaped(text)}</th>' for column, text in enumerate(head)
    )
    lines = "".join(
        f"<tr>{''.join(_cell(place, text, named) for place, text in enumerate(row))}</tr>\n" for row in body
    )
    return box(
        f"<table><caption>{escaped(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>",
        caption,
    )


def box(content: str, name: str) -> str:
    """What may be wider than the page; it can be scrolled with the keys too."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(name)}">{content}</div>'


_NUMBER = ' class="n"'


def _cell(place: int, text: str, named: int) -> str:
    if place == 0:
        return f'<th scope="row">{escaped(text)}</th>'
    return f"<td{'' if place < named else _NUMBER}>{escaped(text)}</td>"
