"""Dates become periods; how they are written is found, or asked for."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from sentiment_batch import InputError, UsageError
from sentiment_batch.shares.periods import find_period_column


def periods(values, every="month", date_format=None, more=()):
    """The period of each value, and how they are read; the form is found by `values`, `more` are later rows."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    batch = pa.record_batch({"date": array})
    column = find_period_column("date", batch, every=every, date_format=date_format)
    read = pa.record_batch({"date": pa.array(more, array.type)}) if more else batch
    return column.name_periods(read, 100).to_pylist(), str(column)


@pytest.mark.parametrize(
    ("every", "named"),
    [
        ("day", ["2026-01-04", "2026-12-31"]),
        ("week", ["2025-12-29", "2026-12-28"]),
        ("month", ["2026-01", "2026-12"]),
        ("quarter", ["2026-Q1", "2026-Q4"]),
        ("year", ["2026", "2026"]),
    ],
)
def test_each_period_has_a_name_that_sorts_in_time(every, named):
    assert periods([date(2026, 1, 4), date(2026, 12, 31)], every)[0] == named
    assert periods(["2026-01-04", "2026-12-31T23:59"], every)[0] == named


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (["2026-04-03"], "months of date, by the time as it is written"),
        (["2026-04-03T01:30:00+02:00"], "months of date, in the time zone UTC"),
        (["30/04/2026", "01/04/2026", "13/04/2026"], "%d/%m/%Y (assumed)"),
        (["04/30/2026"], "%m/%d/%Y (assumed)"),
        (["30.4.2026 12:30"], "%d.%m.%Y %H:%M (assumed)"),
        (["2026/04/03"], "%Y/%m/%d (assumed)"),
        (["20260403"], "%Y%m%d (assumed)"),
        (["Apr 3, 2026"], "%b %d, %Y (assumed)"),
        (["1. April 2026, 09:05", "30. Apr 2026, 00:00"], "%d. %b %Y, %H:%M (assumed)"),
        (["4/3/26 01:05 PM", "04/30/26 12:00 AM"], "%m/%d/%y %I:%M %p (assumed)"),
        (["Fri Apr 03 09:15:00 +0000 2026"], "%a %b %d %H:%M:%S +0000 %Y (assumed)"),
    ],
)
def test_the_form_of_texts_is_found_and_shown(values, written):
    named, shown = periods([*values, "", None])
    assert named == ["2026-04"] * len(values) + [None, None]
    assert written in shown


def test_day_and_month_in_either_order_are_asked_for():
    with pytest.raises(InputError, match=r"'03/04/2026', could be '%d/%m/%Y', '%m/%d/%Y'. Name .* `date_format`"):
        periods(["03/04/2026"])
    assert periods(["03/04/2026"], date_format="%m/%d/%Y")[0] == ["2026-03"]


@pytest.mark.parametrize(
    ("values", "forms"),
    [
        (["24-01-12", "24-02-03"], "'%d-%m-%y', '%y-%m-%d'"),
        (["24.01.12", "24.02.03"], "'%d.%m.%y', '%y.%m.%d'"),
        (["24-01-12 10:30"], "'%d-%m-%y %H:%M', '%y-%m-%d %H:%M'"),
        (["01-02-03"], "'%d-%m-%y', '%m-%d-%y', '%y-%m-%d'"),
    ],
)
def test_a_year_of_two_digits_at_either_end_is_asked_for(values, forms):
    with pytest.raises(InputError, match=f"could be {forms}. Name .* `date_format`"):
        periods(values)
    assert periods(["24-01-12"], date_format="%y-%m-%d")[0] == ["2024-01"]


@pytest.mark.parametrize("mark", ["-", ".", "/"])
@pytest.mark.parametrize("order", ["%y{0}%m{0}%d", "%d{0}%m{0}%y", "%m{0}%d{0}%y"])
def test_enough_dates_show_where_their_years_are(order, mark):
    form = order.format(mark)
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(60)]
    named, shown = periods([day.strftime(form) for day in days])
    assert named == [f"{day:%Y-%m}" for day in days]
    assert f"written as {form} (assumed)" in shown


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("99-12-31", "%y-%m-%d"),
        ("99/12/31", "%y/%m/%d"),
        ("26/04/03", "%d/%m/%y"),
        ("01.02.2024", "%d.%m.%Y"),
        ("04.30.2024", "%m.%d.%Y"),
    ],
)
def test_a_rare_form_is_read_if_no_other_one_fits(value, form):
    assert f"written as {form} (assumed)" in periods([value])[1]


@pytest.mark.parametrize(
    "values",
    [
        ["1700000000", " 1700006400.0 "],
        ["1700000000000", "1700006400123"],
        [1_700_000_000, 1_700_006_400],
        [1.7e12, 1.7000064e12],
    ],
)
def test_seconds_since_1970_are_read_if_they_are_named(values):
    named, shown = periods([*values, None], "day", date_format="%s")
    assert named == ["2023-11-14", "2023-11-15", None]
    assert shown == "days of date, written as %s, in the time zone UTC"
    with pytest.raises(InputError, match=r"seconds since 1970.* `date_format=\"%s\"`"):
        periods(values)


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint16(), pa.float32(), pa.decimal128(10, 0)])
def test_years_in_numbers_are_years(kind):
    for date_format in (None, "%Y"):
        named, shown = periods(pa.array([2024, 1999, None], kind), "year", date_format=date_format)
        assert named == ["2024", "1999", None]
        assert "written as %Y" in shown
    with pytest.raises(InputError, match="holds '2024', which names no month"):
        periods(pa.array([2024], kind), "month")


def test_days_in_whole_numbers_are_days():
    assert periods([20260403, 20251231], "month")[0] == ["2026-04", "2025-12"]
    assert periods([20260403.0, 20251231.0], "day", date_format="%Y%m%d")[0] == ["2026-04-03", "2025-12-31"]
    with pytest.raises(InputError, match="no date in a known form"):
        periods([1, 2])


def test_what_counts_no_seconds_is_named():
    assert periods(["-1", ""], "year", date_format="%s")[0] == ["1969", None]
    assert periods([float("nan"), 0.5], "year", date_format="%s")[0] == [None, "1970"]
    for values in (["1700000000", "soon"], ["0", "1700000000000000"], [0, 2**62], [0.0, 1e300], [0.0, float("inf")]):
        with pytest.raises(InputError, match=r"in row 101 .* which is no number of seconds since 1970"):
            periods(values, date_format="%s")
    with pytest.raises(InputError, match="outside of the years 1 to 9999"):
        periods(["253402300800000"], date_format="%s")
    with pytest.raises(InputError, match="no date in a known form"):
        periods(["45000", "45001"])
    with pytest.raises(UsageError, match="names no year"):
        periods(["1 1"], date_format="%s %d")


@pytest.mark.parametrize("value", ["2026-04", "2026/04", "04/2026", "4/2026", "04-2026", "Apr 2026", "April 2026"])
def test_months_need_no_day(value):
    assert [periods([value, ""], every)[0][0] for every in ("month", "quarter", "year")] == [
        "2026-04",
        "2026-Q2",
        "2026",
    ]
    with pytest.raises(InputError, match=r"which names no day, but `every` is 'week'. Take `every=\"month\"`"):
        periods([value], "week")


def test_years_need_no_month():
    assert periods(["2026", "1999"], "year")[0] == ["2026", "1999"]
    assert periods(["2026"], "year", date_format="%Y")[0] == ["2026"]
    with pytest.raises(
        InputError, match=r"'2026', which names no month, but `every` is 'quarter'. Take `every=\"year\"`"
    ):
        periods(["2026"], "quarter")
    with pytest.raises(InputError, match="'26' in row"):
        periods(["2026"], "year", more=["26"])


def test_a_later_value_of_another_form_is_named():
    with pytest.raises(InputError, match=r"'12/31/2026' in row 101 .* no date like %d/%m/%Y"):
        periods(["31/12/2026"], more=["30/12/2026", "12/31/2026"])
    with pytest.raises(InputError, match="'soon' in row 100"):
        periods(["2026-04-03"], more=["soon"])


@pytest.mark.parametrize("day", ["2026-02-30", "31/04/2026", "20260230", "29. February 2026", "Apr 31, 2026"])
def test_a_day_that_its_month_lacks_is_no_date(day):
    with pytest.raises(InputError, match="which is no date in a known form"):
        periods([day])


def test_a_later_day_that_its_month_lacks_is_named():
    with pytest.raises(InputError, match=r"'30/02/2026' in row 101 .*no date like %d/%m/%Y"):
        periods(["13/04/2026"], more=["13/04/2026", "30/02/2026"])


def test_times_of_a_format_with_an_offset_are_in_utc():
    named, shown = periods(["01/03/2026 +02:00"], date_format="%d/%m/%Y %z")
    assert named == ["2026-02"]
    assert shown.endswith("written as %d/%m/%Y %z, in the time zone UTC")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2026-04-03", "yesterday"], "'2026-04-03', which is a date like 2026-04-03 or .*, but also 'yesterday'"),
        (["13/04/2026", "14/04/2026", "04/13/2026"], "'13/04/2026', .* like %d/%m/%Y, but also '04/13/2026'"),
    ],
)
def test_the_value_that_is_no_date_like_the_others_is_named(values, words):
    with pytest.raises(InputError, match=words):
        periods(values)


def test_times_with_a_zone_are_in_their_own_months():
    late = pa.array([datetime(2026, 1, 31, 23, 30)], pa.timestamp("us", "UTC"))
    assert periods(late) == (["2026-01"], "months of date, in the time zone UTC")
    berlin = late.cast(pa.timestamp("us", "Europe/Berlin"))
    assert periods(berlin) == (["2026-02"], "months of date, in the time zone Europe/Berlin")


@pytest.mark.parametrize("values", [[1.5], [1_700_000_000], [True], ["soon", "later"]])
def test_what_is_no_date_is_refused_by_name(values):
    with pytest.raises(InputError, match="column 'date' holds"):
        periods(values)


def test_a_format_without_what_the_period_needs_is_refused():
    with pytest.raises(UsageError, match="names no month"):
        periods(["2026"], date_format="%Y %d")
    with pytest.raises(UsageError, match="names no day, but `every` is 'day'"):
        periods(["2026-04"], "day", date_format="%Y-%m")
    assert periods(["2026-04"], "quarter", date_format="%Y-%m")[0] == ["2026-Q2"]


def test_a_column_without_dates_has_no_periods():
    assert periods(pa.array([None, None], pa.string()))[0] == [None, None]
    assert periods(pa.nulls(2))[0] == [None, None]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_nanoseconds_have_their_period(zone):
    times = pa.array([1_700_000_000 * 10**9 + 123, None, -1, -(2**63)], pa.int64()).view(pa.timestamp("ns", zone))
    assert periods(times, "year")[0] == ["2023", None, "1970" if zone == "Europe/Berlin" else "1969", "1677"]
    assert periods(times.dictionary_encode(), "week")[0][:2] == ["2023-11-13", None]


@pytest.mark.parametrize("end", ["", "Z", "+02:00"])
def test_nanoseconds_in_text_have_their_period(end):
    texts = [f"2026-04-03 03:30:15.123456789{end}", f"2026-04-03T03:30:15.5{end}"]
    assert periods(texts, "day")[0] == ["2026-04-03"] * 2
    assert periods([*texts, None, "2026-04-03T03:30"] if not end else texts, "day")[0][0] == "2026-04-03"


@pytest.mark.parametrize("every", ["day", "week", "month", "quarter", "year"])
def test_an_unknown_time_zone_is_named(every):
    with pytest.raises(InputError, match=r"column 'date' holds timestamp\[us, tz=Mars/Base\], .* such as UTC, or name"):
        periods(pa.array([0], pa.timestamp("us", "Mars/Base")), every)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us"), pa.date32(), pa.date64()]
)
@pytest.mark.parametrize("year", [0, 10_000, 12_000])
def test_a_time_in_no_year_of_four_digits_is_named(kind, year):
    seconds = pa.array([None, 0, (year - 1970) * 31_556_952 + 86_400 * (3 if year else -3)], pa.timestamp("s"))
    with pytest.raises(InputError, match=r"'date' holds a time outside of the years 1 to 9999 in row 102 .*`over`"):
        periods(seconds.cast(kind))


@pytest.mark.parametrize("seconds", [2**62, -(2**62), 10**13])
def test_a_time_that_no_microseconds_count_is_named(seconds):
    with pytest.raises(InputError, match="outside of the years 1 to 9999 in row 100"):
        periods(pa.array([seconds], pa.timestamp("s")))


def test_the_first_and_the_last_day_of_all_years_have_periods():
    assert periods(pa.array([date(1, 1, 1), date(9999, 12, 31)]), "year")[0] == ["0001", "9999"]
    assert periods([datetime(9999, 12, 31, 23, 59, 59)])[0] == ["9999-12"]


def test_spans_of_time_are_no_dates():
    for values in (
        pa.array([pa.MonthDayNano([1, 2, 3])]),
        pa.array([5], pa.duration("s")),
        pa.array([5], pa.time32("s")),
    ):
        with pytest.raises(InputError, match=r"column 'date' holds .*, not dates. .* name another column with `over`"):
            periods(values)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_that_are_not_utf8_are_named(kind):
    assert periods(pa.array([b"2026-04-03"], kind))[0] == ["2026-04"]
    with pytest.raises(InputError, match=r"'date' holds bytes that are not UTF-8 in row 1 .* Repair the row, or name"):
        periods(pa.array([b"2026-04-03", b"\xff"], kind))
    with pytest.raises(InputError, match="in row 101"):
        periods(pa.array([b"2026-04-03"], kind), more=[b"2026-04-03", b"\xff"])
