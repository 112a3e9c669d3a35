"""Turns the dates of a column into the names of periods, such as `2026-04`.

The date format of a text column is detected from the first rows; if it is ambiguous, the user is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.columns import decode_dictionary, drop_blanks, extract_values, holds_text, read_column
from sentiment_batch.data.readers.utf8_repair import repair_utf8
from sentiment_batch.errors import InputError, UsageError, listed, reason

FIRST_YEAR = 1000
"""The first year that is a date. `%Y` would also read 26 as a year."""
_YEARS_1_TO_9999 = (-62_135_596_800, 253_402_300_800)
"""The seconds from 1970 to the beginnings of the years 1 and 10000."""
_ISO = {"2026-04-03 or 2026-04-03T12:30": pa.timestamp("us"), "2026-04-03T12:30Z": pa.timestamp("us", "UTC")}
"""The forms of ISO 8601, without and with a zone."""
_NANOSECONDS = r"(\.\d{6})\d{1,3}"
"""Digits of a second that no `timestamp("us")` holds."""
_ORDERS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%m{0}%d", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d")
_DAYS = [order.format(mark) for order in _ORDERS for mark in "/.-"]
_DAYS += ["%Y%m%d", "%d %b %Y", "%b %d, %Y", "%d. %b %Y", "%d-%b-%Y", "%d-%b-%y"]
_TIMES = ("", " %H:%M", " %H:%M:%S", ", %H:%M", " %I:%M %p")
FORMATS = [*(day + time for day in _DAYS for time in _TIMES), "%a %b %d %H:%M:%S +0000 %Y"]
"""The other forms that are tried, as `strptime` takes them."""
_RARE = ("%m.%d.", "%y/%m/")
"""Beginnings of forms that are written so rarely that any other form that fits comes before them."""
_MAX_YEARS = 25
"""Number of years over which the dates of a column may spread in a likely form. If days are read as years, they spread
over some 30 years."""
EPOCH = "%s"
"""The form of a number of seconds since 1970 in UTC. It is read if the user names it, and never found."""
_FIRST_MILLISECONDS = 10**11
"""From this number on, a number counts milliseconds. As seconds, it would lie in the year 5138."""
_MAX_EPOCH = 10**15
"""No number of milliseconds within the years 1 to 9999 is so large."""
_MIN_EPOCH_DIGITS = 9
"""Number of digits of a value that may be meant as seconds since 1970: those from March 1973 on."""
_MONTHS = ("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b %Y")
_COARSE_FORMATS = {"month": _MONTHS, "quarter": _MONTHS, "year": (*_MONTHS, "%Y")}
"""The forms without a day that are tried for periods that need none. Arrow reads the names of months short and long."""
_NEEDED = {"day": 3, "week": 3, "month": 2, "quarter": 2, "year": 1}
"""How many of year, month and day a form must have for each period."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodColumn:
    """A column of dates, and how they become periods."""

    column: str
    every: str
    """One of `PERIODS`."""
    written: str | None
    """How the dates are written: a key of `_ISO` or a format of `strptime`; None if the column holds dates."""
    zone: str
    """The time zone of the periods, in words."""
    assumed: bool
    """True if the first rows showed how the dates are written."""

    def __str__(self) -> str:
        form = "" if self.written in (None, *_ISO) else f", written as {self.written}"
        return f"{self.every}s of {self.column}{form}{' (assumed)' if self.assumed else ''}, {self.zone}"

    def name_periods(self, batch: pa.RecordBatch, start: int) -> pa.DictionaryArray:
        """The period of each row: (n,), null for a row without a date.

        Args:
            batch: some rows.
            start: the number of the first row, for messages.

        Raises:
            InputError: a value is no date in the form of the others, or its period cannot be found.
        """
        values = _read_dates(batch, self.column, start)
        times = values if self.written is None else _parse(values, self.written)
        # A cell without a value has no period. A cell with a value that cannot be read is an error.
        bad = pc.and_(pc.is_null(times), pc.is_valid(drop_blanks(values)))
        if self.written is not None and pc.any(bad).as_py():
            row = pc.index(bad, True).as_py()
            what = "number of seconds since 1970" if self.written == EPOCH else f"date like {self.written}"
            raise InputError(
                f"column {self.column!r} holds {values[row].as_py()!r} in row {start + row:,} (rows counted from 0), "
                f"which is no {what}. Repair the row, or name the form with `date_format`."
            )
        times = self._to_microseconds(times, start)
        try:
            return _name_times(times, self.every)
        except pa.ArrowException as error:  # this machine does not know the time zone
            raise InputError(
                f"column {self.column!r} holds {values.type}, whose periods cannot be found: {reason(error)}. Convert "
                "it to another time zone such as UTC, or name another column with `over`."
            ) from error

    def _to_microseconds(self, times: pa.Array, start: int) -> pa.Array:
        """Times or dates (n,) in microseconds, rounded down; `start` is the number of the first row.

        Raises:
            InputError: one lies outside of the years 1 to 9999, whose names would not sort in time.
        """
        zone = getattr(times.type, "tz", None)
        # The zone is taken off, because the bounds have none, and put on again at the end.
        if zone is not None:
            times = times.view(pa.timestamp(times.type.unit))
        if times.type == pa.timestamp("ns"):  # holds the years 1677 to 2262
            # The cast rounds towards 1970. So a time before 1970 may fall into a later period.
            whole = times.cast(pa.timestamp("us"), safe=False)
            too_late = pc.greater(whole.cast(times.type), times)
            return pc.subtract(whole.view(pa.int64()), too_late.cast(pa.int64())).view(pa.timestamp("us", zone))
        first, end = pa.array(_YEARS_1_TO_9999, pa.timestamp("s")).cast(times.type)
        row = pc.index(pc.or_(pc.less(times, first), pc.greater_equal(times, end)), True).as_py()
        if row >= 0:
            raise InputError(
                f"column {self.column!r} holds a time outside of the years 1 to 9999 in row {start + row:,} (rows "
                "counted from 0). Repair the row, or name another column with `over`."
            )
        return times.cast(pa.timestamp("us")).view(pa.timestamp("us", zone))


def find_period_column(
    column: str, first: pa.RecordBatch | None, *, every: str, date_format: str | None
) -> PeriodColumn:
    """Find how the dates of a column are written.

    Args:
        column: the column of the dates.
        first: the first rows; None if there are none.
        every: one of `PERIODS`.
        date_format: the form of the dates as `strptime` takes it; None finds it from the first rows.

    Raises:
        UsageError: no date fits the format.
        InputError: the column holds no dates, or their day and month could be meant in either order.
    """
    values = pa.nulls(0, pa.string()) if first is None else _read_dates(first, column, 0)
    kind = values.type
    as_written = "by the time as it is written"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        in_zone = as_written if zone is None else f"in the time zone {zone}"
        return PeriodColumn(column=column, every=every, written=None, zone=in_zone, assumed=False)
    if not holds_text(kind) and not pa.types.is_null(kind):
        raise InputError(
            f"column {column!r} holds {kind}, not dates. Convert it to dates such as 2026-04-03 first, name another "
            "column with `over`, or take its values as they are with `by`."
        )
    # Only texts and numbers are left. The user's form comes first, else one must fit all values of the first rows.
    if date_format is not None:
        _check_format(date_format, every)
        zone = "in the time zone UTC" if "%z" in date_format or date_format == EPOCH else as_written
        return PeriodColumn(column=column, every=every, written=date_format, zone=zone, assumed=False)
    written = _find_form(column, values, every)
    zone = "in the time zone UTC" if getattr(_ISO.get(written), "tz", None) else as_written
    return PeriodColumn(column=column, every=every, written=written, zone=zone, assumed=written not in _ISO)


def _check_format(date_format: str, every: str) -> None:
    """Raise UsageError for a format without what a period needs: a year, for some a month, and for days a day."""
    if date_format == EPOCH:
        return
    parts = (("year", "Yy"), ("month", "mbB"), ("day", "d"))
    missing = [name for name, codes in parts[: _NEEDED[every]] if not any(f"%{code}" in date_format for code in codes)]
    if missing and "%F" not in date_format:
        raise UsageError(
            f"`date_format` is {date_format!r}, which names no {missing[0]}, but `every` is {every!r}. Write it as in "
            "'%d.%m.%Y' or '%m/%d/%Y %H:%M'."
        )


def _find_form(column: str, values: pa.Array, every: str) -> str:
    """The one form in which all values can be read."""
    known = drop_blanks(values).drop_null()
    if not len(known):
        return next(iter(_ISO))
    forms = (*_ISO, *FORMATS, *_COARSE_FORMATS.get(every, ()))
    # A form fits only if it reads every value. 03.04.2026 fits two forms, but 13.04.2026 fits only one of them.
    fitting = _drop_unlikely(known, [form for form in forms if not _parse(known, form).null_count])
    example = known[0].as_py()
    if not fitting:
        raise _make_date_format_error(column, known, every)
    # ISO 8601 is not ambiguous, so it comes first whatever else fits.
    if len(fitting) == 1 or fitting[0] in _ISO:
        return fitting[0]
    raise InputError(
        f"the dates of column {column!r}, such as {example!r}, could be {listed(fitting)}. Name the right one with "
        "`date_format`."
    )


def _drop_unlikely(known: pa.Array, fitting: list[str]) -> list[str]:
    """`fitting` without forms in which days were taken for years, and without rare forms if another one is left.

    With enough dates such as 30.04.26 and 01.05.26, one reading has dates of a few years, and the other one of 30.
    """
    years = {form: pc.year(_parse(known, form)) for form in fitting}
    spans = {form: pc.subtract(pc.max(one), pc.min(one)).as_py() for form, one in years.items()}
    likely = [form for form in fitting if spans[form] <= max(_MAX_YEARS, min(spans.values()))]
    return [form for form in likely if not form.startswith(_RARE)] or likely


def _make_date_format_error(column: str, known: pa.Array, every: str) -> InputError:
    """The error for values that no one form fits, with a value that shows why."""
    # First the likely mistakes: dates that are coarser than the periods, and numbers of seconds.
    coarse = [form for form in _COARSE_FORMATS["year"] if not _parse(known, form).null_count]
    if coarse:
        fine, longer = ("month", "year") if coarse == ["%Y"] else ("day", "month")
        return InputError(
            f"column {column!r} holds {known[0].as_py()!r}, which names no {fine}, but `every` is {every!r}. Take "
            f'`every="{longer}"`, or name another column with `over`.'
        )
    form, times = max(((form, _parse(known, form)) for form in (*_ISO, *FORMATS)), key=lambda one: -one[1].null_count)
    if times.null_count == len(known) and _may_be_epoch(known):
        return InputError(
            f"column {column!r} holds {known[0].as_py()!r}, which may be a number of seconds since 1970. Read it with "
            f'`date_format="{EPOCH}"`, or name another column with `over`.'
        )
    if times.null_count == len(known):
        return InputError(
            f"column {column!r} holds {known[0].as_py()!r}, which is no date in a known form. Name the form with "
            "`date_format`, such as '%d.%m.%Y', or name another column with `over`."
        )
    # The form that reads most values shows a value that is a date, and one that is not.
    date, other = (known[pc.index(pc.is_valid(times), value).as_py()].as_py() for value in (True, False))
    return InputError(
        f"column {column!r} holds {date!r}, which is a date like {form}, but also {other!r}. Write all dates in one "
        "form, leave the cells without a date empty, or name another column with `over`."
    )


def _may_be_epoch(known: pa.Array) -> bool:
    """True if all texts (n,) may be meant as seconds or milliseconds since 1970."""
    is_long: bool = pc.min(pc.utf8_length(known)).as_py() >= _MIN_EPOCH_DIGITS
    return is_long and not _parse(known, EPOCH).null_count


def _read_dates(batch: pa.RecordBatch, column: str, start: int) -> pa.Array:
    """The dates and times of the column, or the texts and numbers as texts: (n,); `start` is the first row's number.

    Raises:
        InputError: a text is not UTF-8.
    """
    values, is_json = read_column(batch, column)
    if is_json:
        return pa.array([None if one is None else str(one) for one in extract_values(batch, column)], pa.large_string())
    values = decode_dictionary(values)
    if any(holds(values.type) for holds in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)):
        return _write_numbers(values)
    if not holds_text(values.type):
        return values
    texts, bad = repair_utf8(values.cast(pa.large_binary()).view(pa.large_string()))
    if bad:
        raise InputError(
            f"column {column!r} holds bytes that are not UTF-8 in row {start + min(bad):,} (rows counted from 0). "
            "Repair the row, or name another column with `over`."
        )
    return texts


def _write_numbers(values: pa.Array) -> pa.Array:
    """Numbers (n,) as texts, so that years and days such as 20260403 are read as in a CSV; null for NaN."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values.cast(pa.float64()))
        is_whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), _MAX_EPOCH))
        whole = pc.if_else(is_whole, values, None).cast(pa.int64()).cast(pa.large_string())
        return pc.coalesce(whole, values.cast(pa.large_string()))
    return values.cast(pa.large_string())


def _parse(values: pa.Array, form: str) -> pa.Array:
    """The times that texts (n,) write in a form; null where there is none."""
    texts = drop_blanks(values)
    if form == EPOCH:
        return _parse_epoch(texts)
    if not holds_text(texts.type):
        return pa.nulls(len(texts), pa.timestamp("us"))
    if form not in _ISO:
        times = pc.strptime(texts, format=form, unit="us", error_is_null=True)
        return _drop_overflows(texts, pc.if_else(pc.less(pc.year(times), FIRST_YEAR), None, times), form)
    # One cast reads all texts, but fails for all if one is no date. Then each text is cast by itself, which is slow.
    try:
        texts = pc.replace_substring_regex(texts, _NANOSECONDS, r"\1")
        return texts.cast(_ISO[form])
    except pa.ArrowInvalid:
        return _parse_each(texts, _ISO[form])


def _parse_epoch(values: pa.Array) -> pa.Array:
    """The times that texts (n,) of seconds or milliseconds since 1970 name; null where there is none."""
    values = pc.if_else(pc.match_substring_regex(values, r"^-?\d{1,15}(\.\d+)?$"), values, None)
    numbers = values.cast(pa.float64())  # holds whole numbers below `_MAX_EPOCH` exactly
    whole = pc.floor(pc.if_else(pc.less(pc.abs(numbers), _MAX_EPOCH), numbers, None)).cast(pa.int64())
    is_seconds = pc.less(pc.abs(whole), _FIRST_MILLISECONDS)
    return pc.if_else(is_seconds, pc.multiply(whole, 1000), whole).view(pa.timestamp("ms"))


def _drop_overflows(texts: pa.Array, times: pa.Array, form: str) -> pa.Array:
    """`times` with null for days that their month lacks, because Arrow reads 30 February as 2 March."""
    if "%z" in form:  # such times are in UTC, so their numbers are not those of the text
        return times
    # The time is written again and compared with the text. A day too many becomes the 1st, 2nd or 3rd of the next
    # month, so all later days are right.
    written = pc.strftime(times.cast(pa.timestamp("s"), safe=False), format=form)
    same = pc.equal(_read_numbers(texts), _read_numbers(written))
    return pc.if_else(pc.or_(pc.greater(pc.day(times), 3), same), times, None)


def _read_numbers(texts: pa.Array) -> pa.Array:
    """The numbers in texts (n,), without leading zeros and divided by blanks."""
    numbers = pc.replace_substring_regex(texts.cast(pa.large_string()), pattern=r"\D+", replacement=" ")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(numbers, pattern=r"\b0+(\d)", replacement=r"\1"))


def _parse_each(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """The times of texts of which some are none."""
    times = []
    for text in texts:
        try:
            times.append(text.cast(kind).as_py())
        except pa.ArrowInvalid:
            times.append(None)
    return pa.array(times, kind)


def _name_times(times: pa.Array, every: str) -> pa.DictionaryArray:
    """The names of the periods of times (n,), each once in the dictionary."""
    # Encoded before the names are made, because a table has far fewer periods than rows.
    floors = pc.floor_temporal(times, unit=every).dictionary_encode()
    dates = floors.dictionary
    names = pc.strftime(dates, format={"month": "%Y-%m", "quarter": "%Y", "year": "%Y"}.get(every, "%Y-%m-%d"))
    if every == "quarter":
        names = pc.binary_join_element_wise(names, pc.quarter(dates).cast(pa.string()), "-Q")
    return pa.DictionaryArray.from_arrays(floors.indices, names.cast(pa.large_string()))
