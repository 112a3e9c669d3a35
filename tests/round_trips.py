"""Writes tables through the writer and reads them through the reader, by the name of the file, as a run does."""

from __future__ import annotations

from sentiment_batch.data import formats
from sentiment_batch.errors import OutputError
from sentiment_batch.records import ReadOptions, WriteOptions
from tests.data.readers.helpers import read_splits


def written(path, batches, schema, **options):
    """Write `path` anew; gives it back, or None where the table is refused in one line and nothing is left."""
    path.unlink(missing_ok=True)
    before = set(path.parent.iterdir())
    try:
        return _written(path, batches, schema, WriteOptions(**options))
    except OutputError as error:
        message = str(error)
    assert "\n" not in message
    assert message.endswith(".")
    assert set(path.parent.iterdir()) == before
    return None


def _written(path, batches, schema, options):
    writer = formats.open_writer(str(path), schema, options=options)
    try:
        for batch in batches:
            writer.write(batch)
        writer.commit()
    except BaseException:
        writer.abort()
        raise
    return path


def read(path):
    """All rows of `path`."""
    options = formats.find_reader_format(str(path)).options
    reader = formats.open_reader(str(path), options=ReadOptions(header=True if "header" in options else None))
    try:
        return read_splits(reader)
    finally:
        reader.close()
