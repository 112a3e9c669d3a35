"""Tables of every type, written and read back. The strategies are those of the tests of sentiment-batch."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from workbooks import read, write

from sentiment_batch import OutputError

FROM_ROOT = "run from the root of sentiment-batch's repository"
arrow_tables = pytest.importorskip("tests.arrow_tables", reason=FROM_ROOT)
forms = pytest.importorskip("tests.comparable_schemas", reason=FROM_ROOT)
value_parsers = pytest.importorskip("tests.value_parsers", reason=FROM_ROOT)

PACKED = [*arrow_tables.TEXT, pa.int64(), pa.float32(), pa.bool_(), pa.date32()]
SAYABLE = arrow_tables.types([*arrow_tables.PLAIN, *arrow_tables.EXTENSIONS], PACKED)
EXAMPLES = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def written(path, table):
    """Whether the table was written. If not, the refusal is one line and leaves nothing behind."""
    path.unlink(missing_ok=True)
    try:
        write(path, table)
    except OutputError as error:
        message = str(error)
    else:
        return True
    assert "\n" not in message
    assert not list(path.parent.iterdir())
    return False


@EXAMPLES
@given(arrow_tables.tables(SAYABLE, calendar=True))
def test_every_value_is_in_its_cell_or_there_as_text(tmp_path, table):
    # A workbook has no empty names, and no columns without cells.
    table = table.rename_columns([f"{number}{name}" for number, name in enumerate(table.schema.names)])
    refusals = [forms.text_refuses(kind) for kind in table.schema.types]
    if not written(tmp_path / "a.xlsx", table):
        assert True in refusals or None in refusals
        return
    assert True not in refusals
    back = read(tmp_path / "a.xlsx", header=True)
    assert back.schema.names == table.schema.names
    for kind, column, cells in zip(table.schema.types, forms.contents(table), back.columns, strict=True):
        values = cells.to_pylist() + [None] * (table.num_rows - back.num_rows)  # rows at the end that are empty
        assert [value_of(cell, kind) for cell in values] == [expected(value) for value in column]


def expected(value):
    """A value as a workbook can hold it. NaN and an empty text are an empty cell."""
    return value_parsers.storable(value, json=True) if value != "" else None


def value_of(cell, kind):
    """The value of a cell, in the form that `expected` returns."""
    kind = value_parsers.unpacked(kind)
    if cell is None:
        return None
    if isinstance(cell, str):
        return moment(cell) if is_moment(cell, kind) else value_parsers.in_csv(cell, kind)
    if isinstance(cell, datetime.datetime):
        return moment(cell.isoformat())
    if pa.types.is_decimal(kind):
        return decimal.Decimal(repr(cell))
    if pa.types.is_floating(kind):
        short = {pa.float16(): np.float16, pa.float32(): np.float32}.get(kind, float)(cell)
        return forms.exact(pa.scalar(float(short)))
    assert type(cell) is (bool if pa.types.is_boolean(kind) else int)
    return cell


def is_moment(text, kind):
    """Whether the cell is a date in a column with text, too, which the reader returns to the microsecond."""
    naive = pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)
    return naive and len(text) <= len("2024-02-29T13:14:15.678000")


def moment(text):
    since = datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
