"""`sentiment-batch explain`: shows the words of a text that weigh in its label."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options, pages, texts
from sentiment_batch.cli.help import AT_LEAST_ZERO, OUTPUT, command, option
from sentiment_batch.cli.messages import command_line, fit_lines, print_json
from sentiment_batch.errors import UsageError

if TYPE_CHECKING:
    from sentiment_batch.data.writers.publish import Publication
    from sentiment_batch.explanation.words import Explanation

logger = logging.getLogger("sentiment_batch")

TEXTS_PER_BLOCK = 32
"""Texts that are explained before the first one is shown. They are few, because the user waits for it."""
MAX_TEXTS_ON_PAGE = 1_000
"""Texts on a page, because a browser becomes slow with more."""


@command(
    short_help="Show which words of a text weigh in its sentiment.",
    examples=(
        ("Explain a text on the terminal:", 'sentiment-batch explain "A dull plot, but wonderful actors."'),
        (
            "Explain each line of a file on a page for a browser:",
            "sentiment-batch explain --html words.html < lines.txt",
        ),
    ),
)
@click.argument("arguments", nargs=-1, metavar="[TEXT]...")
@options.scoring
@option(OUTPUT, "--top", "How many words for the label, and against it, to name.", AT_LEAST_ZERO, "N", default=5)
@option(OUTPUT, "--html page", "Also write a page for a browser, such as words.html.", metavar="FILE")
@option(OUTPUT, "--overwrite", "Replace FILE if it exists.", bool)
@options.messages
def explain(
    arguments: tuple[str, ...],
    page: str | None,
    overwrite: bool,
    top: int,
    model: str | None,
    settings: dict[str, Any],
    quiet: bool,
    as_json: bool,
) -> None:
    """Show the sentiment of each TEXT, or of each line of standard input, and the words with the largest weights in it.

    The weight of a word is gradient times input for the log-odds of the label (integrated gradients). The largest
    weight of a text is 1. --json prints one object for each text. Its words joined are the text, and the weight of a
    word that was cut is null.
    """
    if page == "-" and as_json:
        raise UsageError("--json and --html - would both go to standard output. Name a file for the page.")
    given = texts.require_one(texts.read_texts(arguments))
    with pages.publish_page(page, overwrite) as publication:
        from sentiment_batch.scoring.default_model import choose_model

        chosen = choose_model(model)
        logger.info("model: %s", chosen)
        show = _json_printer(top) if as_json else _text_printer(top)
        on_page: list[Explanation] = []
        for explanation in _explain(chosen.value, settings, given):
            if page != "-":
                show(explanation)
            if publication is not None and len(on_page) <= MAX_TEXTS_ON_PAGE:
                on_page.append(explanation)
        if publication is not None:
            _write_page(publication, on_page, chosen.value, top)
    if page not in {None, "-"}:
        logger.info("page: %s", page)


def _json_printer(top: int) -> Callable[[Explanation], None]:
    return lambda one: print_json(one.to_json(top))


def _text_printer(top: int) -> Callable[[Explanation], None]:
    from sentiment_batch.cli.highlight import highlight_text, wants_colours

    colours = wants_colours()

    def show(one: Explanation) -> None:
        click.echo(fit_lines(highlight_text(one, top, colours=colours), sys.stdout, indent=""), color=colours)

    return show


def _explain(model: str, settings: dict[str, Any], given: Iterator[str]) -> Iterator[Explanation]:
    from sentiment_batch.explanation.attribution import explain_texts
    from sentiment_batch.scoring.scorer import Scorer

    with Scorer.load(model, **settings) as scorer:
        for some in iter(lambda: list(itertools.islice(given, TEXTS_PER_BLOCK)), []):
            yield from explain_texts(scorer, some)


def _write_page(publication: Publication, explanations: list[Explanation], model: str, top: int) -> None:
    from sentiment_batch.report.words import render_explanation_page

    if len(explanations) > MAX_TEXTS_ON_PAGE:
        logger.warning("the page shows the first %s texts", f"{MAX_TEXTS_ON_PAGE:,}")
    pages.write_page(publication, render_explanation_page(explanations[:MAX_TEXTS_ON_PAGE], model, top, command_line()))
