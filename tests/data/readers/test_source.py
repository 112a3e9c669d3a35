import bz2
import contextlib
import gzip
import io
import lzma
import os
import re
import sys
import threading
import zipfile

import fsspec
import pyarrow as pa
import pytest

from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.data.readers.source import Source
from sentiment_batch.errors import InputError


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def archive(data: bytes, *names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names or ("reviews.csv",):
            file.writestr(name, data)
    return sink.getvalue()


COMPRESSORS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}
# Not a repetition, so that half of the compressed bytes is not all of the data.
DATA = b"".join(b"line %d of the reviews\n" % (number * number) for number in range(10_000))


def everything(location) -> bytes:
    source = Source(str(location))
    try:
        with source.open() as stream:
            return stream.read()
    finally:
        source.close()


def test_a_local_file_is_read_as_it_is(tmp_path):
    (tmp_path / "a.csv").write_bytes(DATA)
    assert everything(tmp_path / "a.csv") == DATA


def test_a_file_url_is_a_local_file(tmp_path):
    (tmp_path / "a.csv").write_bytes(DATA)
    assert everything(f"file://{tmp_path}/a.csv") == DATA


def test_a_remote_file_is_read_through_fsspec(memory):
    assert everything(memory.put("a.csv", DATA)) == DATA


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_compressed_files_are_unpacked_by_their_ending(tmp_path, memory, ending):
    packed = COMPRESSORS[ending](DATA)
    (tmp_path / f"a.csv{ending}").write_bytes(packed)
    assert everything(tmp_path / f"a.csv{ending}") == DATA
    assert everything(memory.put(f"a.csv{ending.upper()}", packed)) == DATA


def test_the_only_file_of_a_zip_archive_is_read(tmp_path, memory):
    packed = archive(DATA, "folder/", "folder/.DS_Store", "__MACOSX/._reviews.csv", "folder/reviews.csv")
    (tmp_path / "a.csv.zip").write_bytes(packed)
    for location in (f"{tmp_path}/a.csv.zip", memory.put("a.csv.ZIP", packed)):
        assert everything(location) == DATA
        source = Source(location)
        assert source.member_name() == "folder/reviews.csv"
        assert source.open_random().read(6) == DATA[:6]
        source.close()


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (archive(DATA, "a.csv", "b.csv"), "holds 2 files: 'a.csv', 'b.csv'. Unpack it first, and name one file."),
        (archive(b"", "folder/"), "holds no file"),
        (archive(b"")[:40], "is damaged or incomplete"),
        (archive(DATA, "[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook"),
        (b"text\ngood\n", "is not compressed with zip"),
        (archive(DATA).replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"), "has a password"),
    ],
)
def test_other_zip_archives_are_refused_with_their_files(tmp_path, packed, expected):
    (tmp_path / "a.csv.zip").write_bytes(packed)
    with pytest.raises(InputError, match=re.escape(f"a.csv.zip {expected}")):
        everything(tmp_path / "a.csv.zip")


def test_no_flipped_bit_of_a_zip_archive_is_a_bug(tmp_path):
    packed = archive(DATA[:400])
    for place in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[place // 8] ^= 1 << place % 8
        (tmp_path / "a.csv.zip").write_bytes(damaged)
        with contextlib.suppress(InputError):  # any other error fails the test
            everything(tmp_path / "a.csv.zip")


@pytest.mark.parametrize("inner", [gzip.compress(DATA), archive(DATA, "reviews.csv")], ids=["gzip", "zip"])
def test_a_file_that_is_packed_twice_is_refused(tmp_path, inner):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(inner))
    with pytest.raises(InputError, match=r"a\.csv\.gz holds a file that is .* again\. Unpack it first\."):
        everything(tmp_path / "a.csv.gz")


def test_damage_inside_a_zip_archive_is_named(tmp_path):
    packed = bytearray(archive(DATA))
    packed[1000:1040] = bytes(40)
    (tmp_path / "a.csv.zip").write_bytes(packed)
    with pytest.raises(InputError, match="damaged or incomplete"):
        everything(tmp_path / "a.csv.zip")


@pytest.mark.parametrize("ending", COMPRESSORS)
def test_files_of_several_compressed_members_are_read_to_the_end(tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(COMPRESSORS[ending](DATA) + COMPRESSORS[ending](b"the end"))
    assert everything(tmp_path / f"a{ending}") == DATA + b"the end"


@pytest.mark.parametrize("ending", COMPRESSORS)
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_compressed_file_is_named(tmp_path, ending, kept):
    packed = COMPRESSORS[ending](DATA)
    (tmp_path / f"a.csv{ending}").write_bytes(packed[: int(len(packed) * kept)])
    with pytest.raises(InputError, match=rf"a\.csv{ending} is damaged or incomplete: .* Get the file again"):
        everything(tmp_path / f"a.csv{ending}")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])  # our zstd data has no checksum
def test_damage_inside_a_compressed_file_is_named(tmp_path, ending):
    packed = bytearray(COMPRESSORS[ending](DATA))
    for at in range(len(packed) // 2, len(packed) // 2 + 40):
        packed[at] ^= 0x5A
    (tmp_path / f"a.csv{ending}").write_bytes(packed)
    with pytest.raises(InputError, match="damaged or incomplete"):
        everything(tmp_path / f"a.csv{ending}")


def test_the_kind_of_a_file_that_is_not_compressed_is_named(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match="a Git LFS pointer, not the data; run git lfs pull"):
        everything(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv.zst").write_bytes(b"text\ngood\n")
    with pytest.raises(InputError, match="not compressed with zstd"):
        everything(tmp_path / "b.csv.zst")


def test_a_missing_file_is_named(tmp_path, memory):
    for location in (f"{tmp_path}/none.csv", f"{memory.url}/none.csv"):
        with pytest.raises(InputError, match=r"none\.csv is not there\. Check the path"):
            everything(location)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match=r"is a folder\. Name a file in it"):
        everything(tmp_path)


def test_a_file_without_permission_is_named(memory, monkeypatch):
    url = memory.put("a.csv", DATA)

    def refuse(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "open", refuse)  # chmod would not stop root
    with pytest.raises(InputError, match=r"a\.csv may not be read. Check its permissions, and your credentials"):
        everything(url)


def test_an_impossible_path_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        everything(tmp_path / ("x" * 5000))
    with pytest.raises(InputError, match="cannot be opened"):
        everything("a\0b.csv")


def test_the_error_for_a_missing_package_says_what_to_install(monkeypatch):
    def refuse(location):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(InputError, match=r"s3:// is not installed\. Install it with: pip install s3fs\.$"):
        everything("s3://bucket/a.csv")


def test_an_unknown_scheme_is_an_input_error():
    with pytest.raises(InputError, match=r"gopher://host/a\.csv cannot be opened: .*gopher"):
        everything("gopher://host/a.csv")


def test_errors_of_a_remote_file_system_become_input_errors(memory, monkeypatch):
    url = memory.put("a.csv", DATA)

    class Broken:
        def read(self, size):
            raise RuntimeError("connection\nreset")

        def close(self):
            pass

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "open", lambda *_: Broken())
    with pytest.raises(InputError, match=r"a\.csv cannot be read: connection reset\."):
        everything(url)


def test_standard_input_is_read_twice_and_stays_open(stdin):
    stream = stdin(DATA)
    source = Source("-")
    for _ in range(2):
        with source.open() as opened:
            assert opened.read() == DATA
    source.close()
    assert not stream.closed
    assert source.name == "standard input"


def test_standard_input_may_be_missing(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="there is no standard input"):
        everything("-")


def test_standard_input_can_seek_when_asked_to(stdin):
    stdin(DATA)
    source = Source("-")
    with source.open_random() as file:
        assert file.size() == len(DATA)
        file.seek(len(DATA) - 7)
        assert file.read() == DATA[-7:]
        file.seek(0)
        assert file.read(4) == DATA[:4]
    source.close()


def test_a_pipe_gives_what_was_sent_so_far(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as receiver, os.fdopen(writing, "wb", buffering=0) as sender:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": receiver}))
        source = Source("-")
        sender.write(b"first\n")
        with source.open() as stream:
            assert stream.readline() == b"first\n"  # would wait for ever if it asked for more than is there
            sender.write(b"second\n")
            sender.close()
            assert stream.read() == b"second\n"
        source.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_read_twice(tmp_path):
    os.mkfifo(tmp_path / "a.csv.gz")
    sender = threading.Thread(target=(tmp_path / "a.csv.gz").write_bytes, args=(gzip.compress(DATA),))
    sender.start()
    source = Source(f"{tmp_path}/a.csv.gz")
    for _ in range(2):
        with source.open() as stream:
            assert stream.read() == DATA
    source.close()
    sender.join()


@pytest.mark.parametrize("memory_map", [True, False])
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_any_place_can_be_read_in_any_order(tmp_path, memory, ending, memory_map):
    packed = COMPRESSORS[ending](DATA) if ending else DATA
    (tmp_path / f"a.arrow{ending}").write_bytes(packed)
    for location in (f"{tmp_path}/a.arrow{ending}", memory.put(f"a.arrow{ending}", packed)):
        source = Source(location)
        with source.open_random(memory_map=memory_map) as file:
            file.seek(len(DATA) - 5)
            assert file.read() == DATA[-5:]
            file.seek(3)
            assert file.read(5) == DATA[3:8]
        source.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only Unicode names")
def test_a_name_that_is_no_utf_8_can_be_opened(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.arrow"
    with open(path, "wb") as file:
        file.write(DATA)
    source = Source(os.fsdecode(path))
    with source.open_random() as file:
        assert file.read() == DATA
    source.close()


def test_closing_closes_what_is_still_open_and_may_be_repeated(tmp_path, stdin):
    (tmp_path / "a.csv").write_bytes(DATA)
    stdin(DATA)
    for location in (f"{tmp_path}/a.csv", "-"):
        source = Source(location)
        streams = [source.open(), source.open_random()]
        source.close()
        source.close()
        assert all(stream.closed for stream in streams)


def test_a_full_disk_for_the_copy_of_standard_input_is_named(stdin, monkeypatch):
    class Full:
        def seek(self, position):
            pass

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    stdin(DATA)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(InputError, match=r"No space left on device\. Set TMPDIR to a folder with room"):
        everything("-")


def test_a_remote_stream_that_cannot_seek_is_copied_first(memory, monkeypatch):
    url = memory.put("a.arrow", DATA)
    opened = fsspec.open(url, "rb").open().getvalue()

    class Stream(io.BytesIO):
        def seek(self, *_):
            raise ValueError("Cannot seek streaming HTTP file")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "open", lambda *_: Stream(opened))
    source = Source(url)
    with source.open_random() as file:
        file.seek(len(DATA) - 5)
        assert file.read() == DATA[-5:]
    source.close()


def test_a_remote_folder_that_cannot_be_listed_is_named(memory, monkeypatch):
    def refuse(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "isdir", refuse)
    with pytest.raises(InputError, match=r"may not be read\. Check its permissions"):
        find_files(f"{memory.url}/data", (".parquet",))
