"""Finds out from the first rows of a table whether its first row names the columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from sentiment_batch.data.usual_names import LABEL_NAMES, TEXT_NAMES, simplify_name
from sentiment_batch.errors import InputError

MAX_HEADER_ROWS = 200
"""Number of rows at the beginning of a table that are compared with its first row."""
MAX_ROWS_ABOVE_HEADER = 20
"""Largest number of rows above a header that is looked for."""
_MAX_TITLE_ROWS = 5
"""Number of rows at the beginning of a table of one column among which its usual name is looked for."""
_OTHER_NAMES = (
    *("id", "index", "key", "number", "date", "time", "timestamp", "year", "user", "userid", "username", "author"),
    *("name", "title", "url", "product", "category", "country", "language", "source", "topic", "subject", "summary"),
)
USUAL_NAMES = frozenset((*TEXT_NAMES, *LABEL_NAMES, *_OTHER_NAMES))
"""Usual names of columns, as `simplify_name` gives them."""
_NUMBER = re.compile(r"[-+(]?\s*[$€£¥]?\s*\d[\d.,'\s\u00a0]*(e[-+]?\d+)?\s*[%$€£¥)]?", re.IGNORECASE)
_YEAR = re.compile(r"(19|20)\d\d")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(
    rf"\b\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}|\b\d?\d:\d\d|\b({_MONTHS})[a-z]*\.? \d?\d\b|\b\d?\d\.? ({_MONTHS})",
    re.IGNORECASE,
)
_URL = re.compile(r"(https?://|www\.)\S+|\S+@\S+\.\w+", re.IGNORECASE)
_TYPED = ("number", "date", "url")
"""The kinds of values that are rarely names. A name seldom stands above values of its own kind."""
_NO_VALUES = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "?", "\\n")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
"""A character of a script that is written without blanks between words, or of Hangul."""
_MIN_SHARE = 0.8
"""Share of the values of a column from which their most frequent kind is the kind of the column."""
_MIN_SURVEY_ROWS = 4
"""Number of rows below the header that show whether the first one of them is a second header."""
_MIN_PROSE_WORDS = 6
"""Number of words from which a value is prose, and not a name."""
_SURVEY_CELLS = ("open-ended response", '{"importid":')
"""What SurveyMonkey writes in the second row, and how the cells of the third row of Qualtrics begin."""


def check_header(name: str, rows: Sequence[Sequence[str]], numbers: Sequence[int], unit: str = "line") -> None:
    """Check that the first row of a table names its columns.

    Args:
        name: what messages call the table.
        rows: the cells of the first rows that are not blank.
        numbers: the number of each row in the file, from 1.
        unit: what is counted: lines or rows.

    Raises:
        InputError: the first row looks like data, or a later row looks like the header.
    """
    # First a survey with a row of questions. Its second row would look like the header below a title.
    is_survey = _is_second_header(rows)
    if is_survey and _names_questions(rows):
        raise _make_second_header_error(name, rows, numbers, unit)
    # Next is a title or comments above the header. Then the first row is no data, whatever it looks like.
    found = find_header_row(rows)
    if found:
        above, below = rows[:found], rows[found:]
        starts = {row[0][:1] for row in above if row}
        comments = starts == {"#"} and not any(row and row[0].startswith("#") for row in below)
        either = ' or with `comment="#"`' if comments else ""
        raise InputError(
            f"{name}: {unit} {numbers[found]} looks like the header ({_quote(rows[found])}). Skip what is above it "
            f"with `skip_rows={numbers[found] - 1}`{either}, or say that {unit} {numbers[0]} names the columns with "
            "`header=True`."
        )
    # Last is a table without a header, whose first row looks like the rows below it
    cell = find_data_cell(rows)
    if cell is not None:
        columns = ", ".join(f"column_{position}" for position in range(1, min(len(rows[0]), 3) + 1))
        more = " and so on" if len(rows[0]) > 3 else ""
        raise InputError(
            f"{name}: the first row looks like data, not like names of columns ({_quote([cell])}). Say that it is data "
            f"with `header=False`, which calls the columns {columns}{more}, or that it names the columns with "
            "`header=True`."
        )
    if is_survey:
        raise _make_second_header_error(name, rows, numbers, unit)


def rate_table(rows: Sequence[Sequence[str]]) -> int:
    """How much some rows look like a table of texts.

    2 if one of them holds a usual name of a text column, 1 if at least two rows hold two cells or more, else 0.
    """
    if any(map(_names_text, rows)):
        return 2
    return int(sum(sum(map(bool, map(str.strip, row))) >= 2 for row in rows) >= 2)


def find_header_row(rows: Sequence[Sequence[str]]) -> int:
    """The index of the row that looks like the header; 0 unless the rows above it look like a title or comments."""
    if not rows or len(list_usual(rows[0])) >= 2:
        return 0
    # Most rows below a title have the width of the table, and so has the header
    width = Counter(len(row) for row in rows[1:] or rows).most_common(1)[0][0]
    if width == 1:
        return next((at for at, row in enumerate(rows[:_MAX_TITLE_ROWS]) if _names_text(row)), 0)
    # A first row that fills all columns may itself be the header. So a later row needs two usual names to win.
    is_full = all(map(str.strip, rows[0])) and len(rows[0]) == width
    holds_names = _holds_names(rows[0], width)
    min_usual = 2 if is_full or holds_names else 0
    for at, row in enumerate(rows[1 : MAX_ROWS_ABOVE_HEADER + 1], 1):
        is_header = _holds_names(row, width) and len(list_usual(row)) >= min_usual
        if is_header and is_full and holds_names:  # the first row may be the header, and this one a row of words
            is_header = _stands_out(rows, at)
        if is_header and sum(_weigh_columns(rows[at : at + MAX_HEADER_ROWS])) >= 2:
            return at
    return 0


def find_data_cell(rows: Sequence[Sequence[str]]) -> str | None:
    """The cell that shows best that the first row is data; None if the row looks like names of columns.

    Each column has a weight. A number above numbers, a sentence above sentences, and a value that occurs again speak
    for data. A usual name, a word above numbers, and a word above sentences speak for names.
    """
    if not rows or not any(map(str.strip, rows[0])):
        return None
    # Rows that repeat the header come from joined files. They would count its names as values that occur again.
    weights = _weigh_columns([rows[0], *(row for row in rows[1:] if row != rows[0])])
    if sum(weights) >= 0:
        return None
    # The message quotes one cell: a sentence if there is one, else a number, a date or an address
    worst = [cell for cell, weight in zip(rows[0], weights, strict=True) if weight < 0]
    return max(worst, key=lambda cell: (find_kind(cell) == "prose", find_kind(cell) in _TYPED))


def _is_second_header(rows: Sequence[Sequence[str]]) -> bool:
    """True if the second row names the columns again, or explains their names, as the exports of surveys do.

    Then it holds words, a question or nothing in the columns of numbers and dates.
    """
    # A title or a cut row has another width, so only a row as wide as the names counts
    below = [row for row in rows[1:MAX_HEADER_ROWS] if len(row) == len(rows[0])]
    if below[:1] != list(rows[1:2]) or not any(map(any, below[:1])):
        return False
    if _is_of_survey(rows):
        return True
    if len(below) < _MIN_SURVEY_ROWS:
        return False
    # The third row of some exports holds the identifiers of the questions.
    typed = [column[0] for column in zip(*below, strict=True) if all(map(_is_typed, column[2:]))]
    # A data row may be empty in these columns, but then another cell holds prose.
    is_explained = any(map(find_kind, typed)) or not any(find_kind(cell) == "prose" for cell in rows[1])
    return len(typed) >= 2 and not _holds_typed(typed) and is_explained


def _is_of_survey(rows: Sequence[Sequence[str]]) -> bool:
    """True if the second or third row holds a cell that the export of a survey has below the names of its columns."""
    survey, identifier = _SURVEY_CELLS
    marked = any(cell.strip().casefold() == survey for row in rows[1:2] for cell in row)
    identified = any(cell.strip().casefold().startswith(identifier) for row in rows[1:3] for cell in row)
    return (marked or identified) and not _holds_typed(rows[1])


def _names_questions(rows: Sequence[Sequence[str]]) -> bool:
    """True if the row above a second header names the columns, and is no title above the header."""
    filled = [sum(map(bool, map(str.strip, row))) for row in rows[:2]]
    # A title fills few cells. The row of names fills half of the columns, and as many as the questions below it.
    is_fuller = filled[0] >= max(filled[1], len(rows[0]) / 2) or _is_of_survey(rows)
    return is_fuller and not _holds_typed(rows[0]) and all(len(list_usual(row)) < 2 for row in rows[1:3])


def _make_second_header_error(
    name: str, rows: Sequence[Sequence[str]], numbers: Sequence[int], unit: str
) -> InputError:
    """The error for a second header; the arguments are those of `check_header`."""
    return InputError(
        f"{name}: {unit} {numbers[1]} looks like a second header ({_quote(list(filter(None, rows[1])))}). Delete "
        "it, or say that it is data with `header=True`."
    )


def _holds_typed(cells: Sequence[str]) -> bool:
    return any(map(_is_typed, cells))


def _is_typed(cell: str) -> bool:
    return find_kind(cell) in (*_TYPED, "year")


def list_usual(row: Sequence[str]) -> list[str]:
    """Those of some names that are usual names of columns, simplified."""
    return [name for name in map(simplify_name, row) if name in USUAL_NAMES]


def find_kind(cell: str) -> str:
    """The kind of a value: empty, "number", "year", "date", "url", "prose" or "word"."""
    cell = cell.strip()
    if cell.casefold() in _NO_VALUES:
        return ""
    if _YEAR.fullmatch(cell):
        return "year"
    # The order matters: a year is also a number, and a date may also look like one
    words = _count_words(cell)
    if words <= _MIN_PROSE_WORDS and _DATE.search(cell):
        return "date"
    if _NUMBER.fullmatch(cell):
        return "number"
    if _URL.fullmatch(cell):
        return "url"
    return "prose" if _is_prose(cell, words) else "word"


def _is_prose(cell: str, words: int) -> bool:
    ends = cell[-1] in "!。！" or (cell[-1] in ".?…？" and words >= 3)
    clauses = words >= 4 and any(comma in cell for comma in (", ", "，", "、"))
    return ends or clauses or words >= _MIN_PROSE_WORDS or len(cell) > 60


def _count_words(cell: str) -> int:
    return len(cell.split()) + len(_UNSPACED.findall(cell)) // 3


def _holds_names(row: Sequence[str], width: int) -> bool:
    """True if a row as wide as most rows names at least half of the columns, and holds nothing else."""
    kinds = [kind for kind in map(find_kind, row) if kind]
    return len(row) == width and len(kinds) * 2 >= max(width, 2 * min(width, 2)) and set(kinds) == {"word"}


def _stands_out(rows: Sequence[Sequence[str]], at: int) -> bool:
    """True if a column holds names down to row `at`, and below it mostly numbers, dates, addresses or sentences."""
    # Rows of another width cannot be compared column by column
    even = [(number, row) for number, row in enumerate(rows[:MAX_HEADER_ROWS]) if len(row) == len(rows[at])]
    above = zip(*(row for number, row in even if number <= at), strict=True)
    below = zip(*(row for number, row in even if number > at), strict=True)
    kinds = zip(map(set, (map(find_kind, column) for column in above)), map(_find_common_kind, below), strict=False)
    return any(common in (*_TYPED, "prose") and common not in names for names, common in kinds)


def _names_text(row: Sequence[str]) -> bool:
    return any(simplify_name(cell) in TEXT_NAMES for cell in row)


def _weigh_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """The weight of each column: positive if its first cell looks like a name, negative if it looks like data."""
    below = [row for row in rows[1:MAX_HEADER_ROWS] if len(row) == len(rows[0])]
    columns = list(zip(*below, strict=True)) or [()] * len(rows[0])
    weights = [_weigh(cell, column) for cell, column in zip(rows[0], columns, strict=True)]
    if _count_up(rows[0]):  # names such as 1, 2, 3 stand above the counts of a pivot table
        weights = [0 if cell.strip().isdigit() else weight for cell, weight in zip(rows[0], weights, strict=True)]
    return weights


def _count_up(row: Sequence[str]) -> bool:
    """True for the names 0, 1, ... of a frame, and if at least three cells are numbers, each one more than the last."""
    numbers = [int(cell.strip()) for cell in row if cell.strip().isdecimal() and len(cell) < 10]
    names_all = numbers[:1] == [0] and len(numbers) == sum(map(bool, row)) > 1
    return (names_all or len(numbers) >= 3) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _weigh(cell: str, below: Sequence[str]) -> int:
    """1 or 2 if a first cell looks like a name above its column, -2 if it looks like data, and 0 if nothing shows."""
    # The cases come in the order of their strength. A usual name decides alone.
    kind, common = find_kind(cell), _find_common_kind(below)
    if list_usual([cell]):
        return 2
    if kind == "year":  # the names of a pivot table, unless there are years below
        years = sum(find_kind(value) == "year" for value in below)
        return 0 if years * 2 <= len(below) else -2
    if kind in _TYPED:
        # The names of percentiles, such as 25%, stand above plain numbers in the tables of `describe`
        is_percentile = cell.endswith("%") and not any("%" in value for value in below)
        return 2 * (common == "prose") if common not in (kind, None) or is_percentile else -2
    if kind and common in _TYPED:
        return 2
    if kind and cell in below:
        return -2
    if kind == "prose":
        words = sum(map(_count_words, below)) / max(1, len(below))
        is_question = cell.rstrip().endswith(("?", "\uff1f", ":"))  # the headers of surveys often are
        return -2 if common in ("prose", None) or (words >= 2 and not is_question) else 0
    return int(kind == "word" and common == "prose") or 2 * (cell == "" and common == "number")


def _find_common_kind(values: Sequence[str]) -> str | None:
    """The kind of most values; "mixed" if there is none, and None if no value is there."""
    kinds = Counter("number" if kind == "year" else kind for kind in map(find_kind, values) if kind)
    if not kinds:
        return None
    if kinds["prose"] * 2 >= kinds.total():  # among sentences there are always short ones
        return "prose"
    kind, count = kinds.most_common(1)[0]
    return kind if count >= _MIN_SHARE * kinds.total() else "mixed"


def _quote(cells: Sequence[str]) -> str:
    shown = [repr(cell if len(cell) <= 50 else f"{cell[:47]}...") for cell in cells[:4]]
    return ", ".join(shown) + ", ..." * (len(cells) > 4)
