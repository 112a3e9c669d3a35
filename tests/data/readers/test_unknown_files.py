"""A file whose name shows no format is named for what its first bytes show."""

from __future__ import annotations

import gzip
import re

import pyarrow as pa
import pyarrow.orc as orc
import pytest

from sentiment_batch.data.formats import find_reader_format, open_reader
from sentiment_batch.errors import InputError, UsageError


@pytest.mark.parametrize("name", ["a.orc", "a", "a.parquet", "a.dat"])
def test_an_orc_file_is_named_whatever_its_ending(tmp_path, name):
    orc.write_table(pa.table({"text": ["good"]}), tmp_path / name)
    for location in (str(tmp_path / name), f"file://{tmp_path}/{name}"):
        with pytest.raises(InputError, match=rf"{re.escape(name)} is an ORC file; save the table as Parquet\.$"):
            open_reader(location)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.avro", b"Obj\x01\x04", "an Avro file; save the table as Parquet"),
        ("a.pdf", b"%PDF-1.7\n", "a PDF document; copy its table into a CSV file"),
        ("a.dat", b"ARROW1\0\0", 'an Arrow or Feather file; give `input_format="arrow"`'),
        ("a.orc.gz", gzip.compress(b"ORC\x0a\x06\x12\x04\x08"), "an ORC file; save the table as Parquet"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=re.escape(f"{name} is {said}.")):
        find_reader_format(str(tmp_path / name))


def test_a_text_without_an_ending_still_needs_the_format(tmp_path):
    (tmp_path / "reviews.log").write_text("good\n")
    with pytest.raises(UsageError, match=r"does not show the format; give `input_format` with one of"):
        find_reader_format(str(tmp_path / "reviews.log"))
