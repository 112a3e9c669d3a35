"""Tells from a file's first bytes what it is, so that a file under the wrong name is named for what it is."""

from __future__ import annotations

from dataclasses import dataclass

from sentiment_batch.errors import InputError

HEAD = 4096
"""Bytes from the beginning of a file that are enough to tell."""

_SHEET = "save the sheet as CSV"
_UNPACK = "unpack it first"
_GIVE = "give --input-format {}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of file that is known by its first bytes."""

    name: str
    """A short name; for our own formats the one that `--input-format` takes."""
    what: str
    """What a person calls it, with its article."""
    cure: str
    """What to do about it."""


def _kind(name: str, what: str, cure: str) -> Kind:
    return Kind(name=name, what=what, cure=cure)


_PARQUET = _kind("parquet", "a Parquet file", _GIVE.format("parquet"))
_ARROW = _kind("arrow", "an Arrow or Feather file", _GIVE.format("arrow"))
_OFFICE = _kind("office", "an Excel workbook or another Office file", _SHEET)
_ZIP = _kind("zip", "a ZIP archive", _UNPACK)
_HTML = _kind("html", "a web page, not the data", "download the file itself, perhaps after signing in")

_BY_START = (
    (b"ARROW1", _ARROW),
    (b"FEA1\0", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    (b"\x1f\x8b", _kind("gzip", "compressed with gzip", "give it the ending .gz, or unpack it first with gunzip")),
    (b"\x28\xb5\x2f\xfd", _kind("zstd", "compressed with zstd", "give it the ending .zst, or unpack it first")),
    (b"\xfd7zXZ\0", _kind("xz", "compressed with xz", "give it the ending .xz, or unpack it first")),
    (b"BZh91AY&SY", _kind("bz2", "compressed with bzip2", "give it the ending .bz2, or unpack it first")),
    (b"Rar!\x1a\x07", _kind("rar", "a RAR archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", _kind("7z", "a 7z archive", _UNPACK)),
    (b"%PDF-", _kind("pdf", "a PDF document", "copy its table into a CSV file")),
    (b"SQLite format 3\0", _kind("sqlite", "an SQLite database", "export the table as CSV")),
    (b"version https://git-lfs.github.com/", _kind("lfs", "a Git LFS pointer, not the data", "run git lfs pull")),
    (b"\x89HDF\r\n\x1a\n", _kind("hdf5", "an HDF5 file", "save the table as Parquet")),
    (b"\x93NUMPY", _kind("numpy", "a NumPy array", "save the table as Parquet")),
    (b"Obj\x01", _kind("avro", "an Avro file", "save the table as Parquet")),
)
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_PICKLE = _kind("pickle", "a Python pickle", "save the table as Parquet; pickles are never opened, they can run code")


def kind_of(head: bytes) -> Kind | None:
    """What a file is that begins with `head`, or None where that cannot be told, as with text."""
    # A text may begin with these four letters, but what follows them in a Parquet file is binary.
    if head[:4] in (b"PAR1", b"PARE") and head[4:5] < b" " and head[4:5] not in (b"", b"\t", b"\n", b"\r"):
        return _PARQUET
    if head.startswith(b"PK\x03\x04"):
        office = b"[Content_Types].xml" in head or b"application/vnd.oasis" in head or b"xl/" in head
        return _OFFICE if office else _ZIP
    if head.startswith(_PICKLES):
        return _PICKLE
    if head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return _HTML
    return next((kind for start, kind in _BY_START if head.startswith(start)), None)


def refuse_foreign(name: str, head: bytes, *, own: str | None = None) -> None:
    """Check that a file is not of another format than the one it is about to be read as.

    Args:
        name: what messages call the file.
        head: its first bytes.
        own: the kind that it should be; None for text, which has no signature.

    Raises:
        InputError: the file is of another kind; the message says which.
    """
    kind = kind_of(head)
    if kind is not None and kind.name != own:
        raise InputError(f"{name} is {kind.what}; {kind.cure}.")
