"""`sentiment-batch explain`: texts in, the words of each by how much they weigh in its label out."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options, pages, texts
from sentiment_batch.cli.messages import configure_logging
from sentiment_batch.errors import UsageError

if TYPE_CHECKING:
    from sentiment_batch.data.writers.publish import Publication
    from sentiment_batch.explanation.words import Explanation

logger = logging.getLogger("sentiment_batch")

TEXTS_AT_ONCE = 32
"""Explained before the first is shown: few, for somebody waits."""
MOST_ON_A_PAGE = 1_000
"""Texts on a page; a browser takes no end of them."""


@click.command(short_help="Show which words of a text weigh in its sentiment.")
@click.argument("arguments", nargs=-1, metavar="[TEXT]...")
@click.option("--html", "page", metavar="FILE", help="Write a page for a browser there as well.")
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@click.option("--top", type=click.IntRange(min=0), default=5, show_default=True, help="Words named for each side.")
@options.scoring
@options.messages
def explain(
    arguments: tuple[str, ...],
    page: str | None,
    overwrite: bool,
    top: int,
    model: str | None,
    settings: dict[str, Any],
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Show the sentiment of each TEXT, or of each line of standard input, and the words that weigh most in it.

    A word weighs gradient times input for the log-odds of the label (integrated gradients); the largest weight of a
    text is 1. With --json one object a line, whose words joined are the text; the weight of what was cut is null.
    """
    configure_logging(quiet, verbose)
    if page == "-" and as_json:
        raise UsageError("--json and --html - would both go to standard output. Name a file for the page.")
    given = texts.at_least_one(texts.given(arguments))
    with pages.published(page, overwrite) as publication:
        from sentiment_batch.scoring.default_model import choose_model

        chosen = choose_model(model)
        logger.info("model: %s", chosen)
        tell = _json(top) if as_json else _text(top)
        kept: list[Explanation] = []
        for one in _explanations(chosen.value, settings, given):
            if page != "-":
                tell(one)
            if publication is not None and len(kept) <= MOST_ON_A_PAGE:
                kept.append(one)
        if publication is not None:
            _write(publication, kept, chosen.value, top)
    if page not in {None, "-"}:
        logger.info("page: %s", page)


def _json(top: int) -> Callable[[Explanation], None]:
    return lambda one: click.echo(json.dumps(one.to_json(top), ensure_ascii=False))


def _text(top: int) -> Callable[[Explanation], None]:
    from sentiment_batch.cli.highlight import colours_wanted, highlighted

    colours = colours_wanted()
    return lambda one: click.echo(highlighted(one, top, colours=colours), color=colours)


def _explanations(model: str, settings: dict[str, Any], given: Iterator[str]) -> Iterator[Explanation]:
    from sentiment_batch.explanation.attribution import explain_texts
    from sentiment_batch.scoring.scorer import Scorer

    with Scorer.load(model, **settings) as scorer:
        for some in iter(lambda: list(itertools.islice(given, TEXTS_AT_ONCE)), []):
            yield from explain_texts(scorer, some)


def _write(publication: Publication, explanations: list[Explanation], model: str, top: int) -> None:
    from sentiment_batch.report.words import render_explanation_page

    if len(explanations) > MOST_ON_A_PAGE:
        logger.warning("the page shows the first %s texts", f"{MOST_ON_A_PAGE:,}")
    pages.write(publication, render_explanation_page(explanations[:MOST_ON_A_PAGE], model, top))
