"""Shows single texts: the most confident errors with their heaviest words, and labels that are likely wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sentiment_batch.display import collapse_line, shortened
from sentiment_batch.report.formatting import ROWS, format_percent, format_row_location, quote_label, to_number
from sentiment_batch.report.words import mark_words

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_EXAMPLES_OPEN = 5
"""Examples that are shown at once; more unfold on demand."""
MAX_MARKED_WORDS = 60
"""Words of a text that keep their weight, the heaviest; more marks would hide each other."""
MIN_GAP_WORD_WEIGHT = 0.3
"""Weight from which a word that is left out is named in the gap."""

Pieces = list[tuple[str, float | None]]
"""A text in pieces, with the weight of each; None if the model did not see the piece."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One text with what is known about it."""

    facts: Sequence[tuple[str, str]]
    row: str
    """Where it stands, such as `row 7 of reviews.csv, review_id 42`; empty if that is unknown."""
    text: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleList:
    """Texts of one kind."""

    title: str
    introduction: str
    open: Sequence[Example]
    folded: Sequence[Example]
    """The examples that the page shows after a click."""
    not_shown: int
    """The number of further cases, which the page does not show."""
    legend: bool
    """True if words are marked, so that the marks must be explained."""


def build_errors(cases: Sequence[Mapping[str, Any]], max_characters: int, max_cases: int) -> ExampleList | None:
    """The most confident errors; None if there are none.

    Args:
        cases: the errors, the most confident first.
        max_characters: characters to show of a text.
        max_cases: errors to show.
    """
    marked = any(case.get("words") for case in cases[:max_cases])
    introduction = f"Wrong predictions, the most confident first. {ROWS}"
    introduction += " In the legend, the label is the predicted one." if marked else ""
    names = ("predicted", "predicted")
    return _build_list("Most confident errors", introduction, cases, names, max_characters, max_cases, marked)


def build_likely_wrong(cases: Sequence[Mapping[str, Any]], max_characters: int, max_cases: int) -> ExampleList | None:
    """The labels that are likely wrong; None if there are none. The arguments are those of `build_errors`."""
    introduction = (
        "The model gives another label with a high probability to these texts. The figures above count them as errors. "
        f"If you agree with the model, correct the label in the table. {ROWS}"
    )
    names = ("the model says", "suggested")
    return _build_list("Likely wrong labels", introduction, cases, names, max_characters, max_cases, False)


def _build_list(
    title: str,
    introduction: str,
    cases: Sequence[Mapping[str, Any]],
    names: tuple[str, str],
    max_characters: int,
    max_cases: int,
    legend: bool,
) -> ExampleList | None:
    if not cases:
        return None
    examples = [_build_example(case, names, max_characters) for case in cases[:max_cases]]
    return ExampleList(
        title=title,
        introduction=introduction,
        open=examples[:MAX_EXAMPLES_OPEN],
        folded=examples[MAX_EXAMPLES_OPEN:],
        not_shown=len(cases) - len(examples),
        legend=legend,
    )


def _build_example(case: Mapping[str, Any], names: tuple[str, str], max_characters: int) -> Example:
    """An example; `names` are the word for the other label and its key."""
    facts = (
        ("labelled", quote_label(case.get("label"))),
        (names[0], quote_label(case.get(names[1]))),
        ("probability", format_percent(case.get("score"))),
    )
    pieces = split_into_pieces(case.get("words"), str(case.get("text") or ""), max_characters)
    return Example(facts=facts, row=format_row_location(case), text=mark_words(pieces))


def split_into_pieces(words: Any, text: str, max_characters: int) -> Pieces:
    """The pieces to show of a text: both ends if it is longer than `max_characters`, the heaviest words weighted.

    Args:
        words: pairs of text and weight, which joined are the text; or None.
        text: the text.
        max_characters: characters to show.
    """
    if not words:
        return [(shortened(text, max_characters), 0.0)]
    weighted = [(str(piece), None if weight is None else to_number(weight) or 0.0) for piece, weight in words]
    return _join_unmarked(_take_ends(_keep_heaviest(weighted), max_characters))


def _keep_heaviest(words: Pieces) -> Pieces:
    """The same pieces; all but the `MAX_MARKED_WORDS` heaviest have the weight 0."""
    amounts = sorted((abs(weight) for _, weight in words if weight), reverse=True)
    least = amounts[MAX_MARKED_WORDS - 1] if len(amounts) > MAX_MARKED_WORDS else 0.0
    return [(piece, 0.0 if weight is not None and abs(weight) < least else weight) for piece, weight in words]


def _take_ends(words: Pieces, max_characters: int) -> Pieces:
    """The pieces of the first and last `max_characters / 2` characters; between them a note about what is left out."""
    total = sum(len(piece) for piece, _ in words)
    if total <= max_characters:
        return words
    half = max_characters // 2
    head = _take_front(words, half)
    backwards = ((piece[-half:][::-1], weight) for piece, weight in words[::-1])
    tail = [(piece[::-1], weight) for piece, weight in _take_front(backwards, half)]
    middle = words[len(head) : len(words) - len(tail)]
    weighty = [(abs(weight or 0.0), piece) for piece, weight in middle if abs(weight or 0.0) >= MIN_GAP_WORD_WEIGHT]
    weighty.sort(key=lambda word: -word[0])
    named = ", ".join(f"“{collapse_line(piece[:24])}”" for _, piece in weighty[:3])
    gap = f" [… {total - 2 * half:,} characters{f', among them {named}' if named else ''} …] "
    return [*head, (gap, 0.0), *tail[::-1]]


def _take_front(words: Iterable[tuple[str, float | None]], max_characters: int) -> Pieces:
    """The pieces of the first `max_characters` characters; the last piece may be cut."""
    front: Pieces = []
    for piece, weight in words:
        front.append((piece[:max_characters], weight))
        max_characters -= len(piece)
        if max_characters <= 0:
            break
    return front


def _join_unmarked(words: Pieces) -> Pieces:
    """The same text; neighbours without weight become one piece, and so do neighbours that were not seen."""
    joined: Pieces = []
    for key, run in groupby(words, key=lambda word: word[1] or (None if word[1] is None else 0.0)):
        if key:
            joined += run
        else:
            joined.append(("".join(piece for piece, _ in run), key))
    return joined
