"""Compressed files of several streams: each one is read, or the file is refused."""

from __future__ import annotations

import bz2
import lzma
import re

import pytest

from sentiment_batch.data.readers.source import Source
from sentiment_batch.errors import InputError
from tests.data.readers.test_source import COMPRESSORS, DATA, everything


@pytest.fixture
def file(tmp_path):
    """Writes a file with an ending, and gives its path."""

    def file(ending, packed):
        (tmp_path / f"a.csv{ending}").write_bytes(packed)
        return tmp_path / f"a.csv{ending}"

    return file


def refused(path):
    return pytest.raises(
        InputError, match=rf"{re.escape(path.name)} is damaged or incomplete: .+\. Get the file again\."
    )


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_a_second_stream_without_its_first_bytes_is_refused(file, ending):
    first, second = COMPRESSORS[ending](DATA), COMPRESSORS[ending](b"the end")
    for place in range(3):
        damaged = bytearray(second)
        damaged[place] ^= 1
        path = file(ending, first + damaged)
        with refused(path):
            everything(path)


@pytest.mark.parametrize("ending", COMPRESSORS)
@pytest.mark.parametrize("more", [b"B", b"\xfd7z", b"other bytes" * 1_000])
def test_what_follows_the_last_stream_is_not_passed_over(file, ending, more):
    path = file(ending, COMPRESSORS[ending](DATA) + more)
    with refused(path):
        everything(path)


@pytest.mark.parametrize("ending", [".bz2", ".xz"])
def test_a_second_stream_that_is_cut_off_is_refused(file, ending):
    first, second = COMPRESSORS[ending](b"text\n"), COMPRESSORS[ending](DATA)
    for kept in (1, 5, len(second) // 2, len(second) - 1):
        path = file(ending, first + second[:kept])
        with refused(path):
            everything(path)


@pytest.mark.parametrize("zeros", [4, 1 << 21])
def test_xz_streams_may_have_zeros_between_and_after_them(file, zeros):
    padding = bytes(zeros)
    path = file(".xz", lzma.compress(DATA) + padding + lzma.compress(b"the end") + padding)
    assert everything(path) == DATA + b"the end"


@pytest.mark.parametrize("more", [bytes(3), bytes(5), bytes(3) + lzma.compress(b"the end")])
def test_xz_padding_that_is_no_multiple_of_four_is_refused(file, more):
    path = file(".xz", lzma.compress(DATA) + more)
    with refused(path):
        everything(path)


def test_zeros_after_a_gzip_stream_are_no_damage(file):
    assert everything(file(".gz", COMPRESSORS[".gz"](DATA) + bytes(5))) == DATA


@pytest.mark.parametrize("ending", [".bz2", ".xz"])
def test_empty_streams_and_small_reads_lose_nothing(file, ending):
    compress = COMPRESSORS[ending]
    source = Source(str(file(ending, compress(b"") + compress(DATA) + compress(b"") + compress(b"the end"))))
    with source.open() as stream:
        assert b"".join(iter(lambda: stream.read(999), b"")) == DATA + b"the end"
        assert stream.read(1) == b""
    source.close()


def test_a_file_of_many_streams_is_read_to_the_end(file):
    assert everything(file(".bz2", bz2.compress(b"a row\n") * 300)) == b"a row\n" * 300
