"""The records that templates draw as a page, and the Jinja2 environment that draws them.

Templates escape everything. Markup already are the content of a `Picture`, which `charts` draws and escapes, and what
the filter `code` returns.
A page is one self-contained document, which fetches and runs nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from sentiment_batch.display import collapse_line

MAX_TITLE_CHARACTERS = 200
_BACKQUOTED = re.compile("`([^`]+)`")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of plain text, in a box of its own that scrolls if the table is too wide."""

    head: Sequence[str]
    """The names of the columns."""
    rows: Iterable[Sequence[str]]
    """The cells of each row; the first one names the row."""
    caption: str
    """A description of the table for screen readers, which do not read the text around it."""
    word_columns: int = 1
    """How many columns at the front hold words; the others hold numbers, which are aligned at the right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """An SVG picture."""

    content: Markup
    """The elements in the picture. All text in it is escaped."""
    height: float
    width: float
    """Width and height in the units of the picture."""
    pixels: int | None = None
    """The width on the page if the picture has one size and scrolls; None if it takes the width of its figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LegendEntry:
    """What a line or mark in a picture means."""

    key: Markup
    """The line or mark, as SVG of 28 by 12 units."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixTable:
    """A confusion matrix as a table of coloured cells."""

    labels: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]
    """For each true label its name and its cells: CSS class, count, and share of the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure: a heading, what it shows in a sentence, and a picture, a matrix or a table."""

    name: str
    """The id of the figure, unique in the page."""
    title: str
    finding: str
    """A sentence with the main result. It stands above the picture, and describes it for screen readers."""
    picture: Picture | None = None
    legend: Sequence[LegendEntry] = ()
    matrix: MatrixTable | None = None
    note: str = ""
    """How to read the figure."""
    table: Table | None = None
    """The numbers. If there is a picture, they unfold on demand."""
    below: Figure | None = None
    """A second figure that stands in the same frame, below this one."""


def line_key(css_class: str, mark: str = "") -> Markup:
    """The legend's key of a line, with the SVG of a mark in its middle."""
    return Markup(f'<path class="{css_class}" d="M1 6H27"/>{mark}')


def render(template: str, title: str, **values: Any) -> str:
    """Draw a whole page.

    Args:
        template: the name of a template that extends `base.html`.
        title: the title of the window; any text.
        values: what the template shows. Control characters must be replaced already, by `sentiment_batch.display`.
    """
    shown_title = collapse_line(title[: 5 * MAX_TITLE_CHARACTERS])[:MAX_TITLE_CHARACTERS]
    return _environment().get_template(template).render(title=shown_title, **values)


def render_words(pieces: Iterable[tuple[str, str, str]]) -> Markup:
    """Draw a text whose words are marked, as one element for a paragraph or a cell.

    Args:
        pieces: CSS class, tooltip and text of each piece. Without a class the text stays unmarked.
    """
    module: Any = _environment().get_template("words.html").module
    return Markup(module.words(pieces))


@functools.cache
def _environment() -> jinja2.Environment:
    """The environment with the templates, which are compiled once for each process."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sentiment_batch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"prose": _keep_percent_signs, "code": _mark_code}
    style = files("sentiment_batch.report").joinpath("style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)
    return environment


def _keep_percent_signs(sentence: str) -> str:
    """`sentence` with spaces before percent signs at which no line breaks."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def _mark_code(sentence: str) -> Markup:
    """`sentence` with what stands in backquotes, such as a setting, as code."""
    return Markup(_BACKQUOTED.sub(r"<code>\1</code>", str(escape(sentence))))
