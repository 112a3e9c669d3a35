"""Makes the words of a label column classes, and refuses columns that mix words with numbers or with other words."""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.labels.mapping import LabelMapping
from sentiment_batch.labels.scales import MAX_SHOWN_VALUES, read_scale
from sentiment_batch.labels.stars import format_setting, is_star_column
from sentiment_batch.labels.values import (
    THOUSANDS,
    find_numbers,
    normalize_word,
    parse_number,
    parse_rating,
    split_ratings,
    strip_accents,
)
from sentiment_batch.labels.words import find_meaning, find_side, order_words

MAX_WORD_CLASSES = 100
"""Largest number of classes of a column of words."""
LETTERS_OF_SPELLING = 4
"""Words of one meaning that begin with the same letters are spellings of one word in several languages or forms."""
MIN_ROWS_PER_WORD = 2
"""Number of rows that make a word a class, so that training and validation both have one."""

MIN_SHARE_OF_DATES = 0.9
"""A column with dates in at least this share of its rows holds no labels."""
_MONTH = (
    "(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|fév(?:rier)?|mar(?:ch|s)?|märz?|mrz|apr(?:il)?|avr(?:il)?|abr|may|mai|"
    "mei|mag|maj|june?|juni|juin|giu|july?|juli|juil(?:let)?|lug|aug(?:ust)?|août|ago|sept?(?:ember)?|set|"
    "o[ck]t(?:ober)?|octobre|out|ott|nov(?:ember|embre)?|de[cz](?:ember)?|déc(?:embre)?|dic|ene|gen)"
)
_DATE = re.compile(
    rf"""\d{{4}}[-/.]\d\d?[-/.]\d\d?(?:[T ]\d.*)?|\d\d?([-/.])\d\d?\1(?:\d\d|\d{{4}})(?:\ \d.*)?
    |\d\d?\.?[-/ ]?{_MONTH}\.?(?:[-/ ]\d{{2,4}})?|{_MONTH}\.?[-/ ]\d{{1,4}}|\d\d?月\d\d?日""",
    re.IGNORECASE | re.VERBOSE,
)
"""A date as programs write it, and as spreadsheets show what they made of a rating such as 5/5 or 4.5."""

USUAL_CUTS = {5: "2,4", 10: "4,7"}
"""The usual meaning of stars by the top of their scale, as `stars` names it."""


def check_dates(counts: Mapping[str, int], column: str) -> None:
    """Refuse a column of dates.

    Raises:
        InputError: at least `MIN_SHARE_OF_DATES` of the rows hold dates.
    """
    dates = {value: count for value, count in counts.items() if _DATE.fullmatch(value)}
    if dates and sum(dates.values()) >= MIN_SHARE_OF_DATES * sum(counts.values()):
        raise InputError(
            f"column {column!r} holds dates such as {listed(sorted(dates)[:2])}, which are no labels. A spreadsheet "
            "may have made them of ratings such as 5/5 or 4.5. If so, format its column as text, and enter or import "
            "the ratings again. Else name the column of the labels with `label_column`."
        )


def map_words(counts: Mapping[str, int], column: str, *, chosen: bool = False) -> LabelMapping:
    """The mapping of a column of words; classes of one row are left out.

    Args:
        counts: the number of rows of each canonical value.
        column: the column's name.
        chosen: True if the user named the labels. Then words that mean the same may be different classes.

    Raises:
        InputError: the column holds too many different words.
        UsageError: the column holds numbers, too, two words are likely the same, or numbers have commas that may divide
            thousands.
    """
    # Spellings of one word, such as `Pos` and `POSITIVE`, are one class
    spellings: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for value, count in counts.items():
        spellings[normalize_word(value)][value] += count
    classes = {word: found for word, found in spellings.items() if found.total() >= MIN_ROWS_PER_WORD}
    _check_words(counts, spellings, classes, column)
    ordered = order_words(classes)
    # The most frequent spelling names the class. Ties are broken by the alphabet, not by the order of the rows.
    names = {word: min(classes[word], key=lambda value: (-classes[word][value], value)) for word in ordered}
    if not chosen:
        _check_spellings(sorted(names.values(), key=lambda label: -counts[label]), column)
    values = {value: names[word] for word in ordered for value in sorted(classes[word])}
    return LabelMapping(labels=tuple(names[word] for word in ordered), kind="words", values=values)


def _check_words(
    counts: Mapping[str, int], spellings: Iterable[str], classes: Mapping[str, collections.Counter[str]], column: str
) -> None:
    """Refuse a column that mixes numbers with words, or whose words are too many or too rare to be labels."""
    numbers = sorted(word for word in classes if parse_rating(word) is not None)
    words = set(spellings)
    if commas := sorted(filter(THOUSANDS.fullmatch, classes)):
        raise UsageError(
            f"column {column!r} holds {listed(commas, 3)}, whose comma may divide thousands or be a decimal comma. "
            f"{_suggest_decimals(words)}, or name another column with `label_column`."
        )
    if numbers and (others := sorted(words.difference(numbers))):
        fewer = min(numbers, others, key=len)
        leave = format_setting(",".join(fewer), "no_answer") if len(fewer) <= MAX_SHOWN_VALUES else "`no_answer`"
        raise UsageError(
            f"column {column!r} holds numbers such as {listed(numbers, 3)} and words such as {listed(others, 3)}, "
            f"which are hardly labels of one kind. {_suggest_one_kind(numbers, others, column)}Leave those of one kind "
            f"out, such as with {leave}, or name another column with `label_column`."
        )
    # Texts and ids have too many values, or values that do not repeat
    rows, labelled = sum(counts.values()), sum(found.total() for found in classes.values())
    if len(classes) > MAX_WORD_CLASSES or 2 * labelled < rows or not classes:
        raise InputError(
            f"column {column!r} holds {len(words):,} different values in {rows:,} rows, which are hardly labels, "
            f"because a label needs at least {MIN_ROWS_PER_WORD} rows. Name the column of the labels with "
            "`label_column`, or give more rows."
        )


def _suggest_decimals(values: Iterable[str]) -> str:
    """What to do about numbers with a comma; with the usual cuts, if all values are stars with a decimal comma."""
    numbers = [parse_number(value.replace(",", ".")) for value in values]
    highest = max((math.inf if number is None else number for number in numbers), default=math.inf)
    if highest > max(USUAL_CUTS):
        return "Write these numbers with a point or without a comma"
    cuts = USUAL_CUTS[min(top for top in USUAL_CUTS if highest <= top)]
    return f"If it is a decimal comma, use {format_setting(cuts)}. Else write these numbers without a comma"


def _check_spellings(labels: Sequence[str], column: str) -> None:
    """Refuse classes, the largest first, of one meaning and almost one spelling, such as `positiv` and `positive`."""
    # The largest class of each meaning and beginning, and the smaller ones that are likely misspelt
    first: dict[tuple[str, str], str] = {}
    same: dict[str, str] = {}
    for label in labels:
        if meaning := find_meaning(label):
            other = first.setdefault((meaning, strip_accents(normalize_word(label))[:LETTERS_OF_SPELLING]), label)
            if other != label:
                same[label] = other
    if same:
        pairs = [f"{label!r} and {other!r}" for label, other in same.items()]
        one = format_setting(",".join(f"{label}={other}" for label, other in same.items()), "labels_map")
        two = format_setting(",".join(f"{label}={label}" for label in same), "labels_map")
        raise UsageError(
            f"column {column!r} holds both {', '.join(pairs)}, which mean the same. Make them one label with "
            f"{one}, or keep both with {two}."
        )


def _suggest_one_kind(numbers: Sequence[str], words: Sequence[str], column: str) -> str:
    """A sentence with the words that the numbers stand for, if they are on a scale that has these words, else none.

    A lone 0 is the middle of a scale whose ends are words or signs.
    """
    if list(numbers) == ["0"]:
        if {"+"}.issuperset(words):
            return f"If 0 is neutral, use {format_setting('-=negative,0=neutral,+=positive', 'labels_map')}. "
        if set(map(find_side, words)) == {"negative", "positive"}:
            return f"If 0 is neutral, use {format_setting('0=neutral', 'labels_map')}. "
    # The scale of the numbers, and for each number the word that means the same
    counts, top = split_ratings(dict.fromkeys(numbers, 1))
    scale = read_scale(find_numbers(counts), stars=is_star_column(column), top=top)
    sides = {find_side(word): word for word in words}
    if {"false", "true"}.issuperset(words):
        sides = {"negative": "false", "positive": "true"}
    found = {number: scale.find_label(number) for number in numbers} if scale else {}
    named = [f"{number}={sides.get(find_side(label))}" for number, label in found.items() if label]
    if not named or any(label and find_side(label) not in sides for label in found.values()):
        return ""
    return f"If both mean the same, use {format_setting(','.join(named), 'labels_map')}. "
