"""Tells from a file's first bytes what it is, so that a file under the wrong name is named for what it is."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from sentiment_batch.errors import InputError

HEAD_BYTES = 4096
"""Bytes from the beginning of a file that are enough to tell."""

_SHEET = "save the sheet as CSV"
_UNPACK = "unpack it first"
_GIVE = "give --input-format {}"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileKind:
    """A kind of file that is known by its first bytes."""

    name: str
    """A short name; for our own formats the one that `--input-format` takes."""
    what: str
    """What a person calls it, with its article."""
    cure: str
    """What to do about it."""


def _kind(name: str, what: str, cure: str) -> FileKind:
    return FileKind(name=name, what=what, cure=cure)


_PARQUET = _kind("parquet", "a Parquet file", _GIVE.format("parquet"))
_ARROW = _kind("arrow", "an Arrow or Feather file", _GIVE.format("arrow"))
_OFFICE = _kind("office", "an Excel workbook or another Office file", _SHEET)
_ZIP = _kind("zip", "a ZIP archive", _UNPACK)
_AS_PARQUET = "save the table as Parquet"
_IMAGE = "give the table it was taken for"
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
    (b"\x04\x22\x4d\x18", _kind("lz4", "compressed with lz4", _UNPACK)),
    (b"\x1f\x9d", _kind("compress", "compressed with compress", "unpack it first with uncompress")),
    (b"Rar!\x1a\x07", _kind("rar", "a RAR archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", _kind("7z", "a 7z archive", _UNPACK)),
    (b"PK\x05\x06", _kind("zip", "an empty ZIP archive", "make it again")),
    (b"%PDF-", _kind("pdf", "a PDF document", "copy its table into a CSV file")),
    (b"{\\rtf", _kind("rtf", "a rich text document", "save it as plain text")),
    (b"SQLite format 3\0", _kind("sqlite", "an SQLite database", "export the table as CSV")),
    (b"version https://git-lfs.github.com/", _kind("lfs", "a Git LFS pointer, not the data", "run git lfs pull")),
    (b"\x89HDF\r\n\x1a\n", _kind("hdf5", "an HDF5 file", _AS_PARQUET)),
    (b"\x93NUMPY", _kind("numpy", "a NumPy array", _AS_PARQUET)),
    (b"Obj\x01", _kind("avro", "an Avro file", _AS_PARQUET)),
    (b"<stata_dta>", _kind("stata", "a Stata file", _AS_PARQUET)),
    (b"$FL2@(#)", _kind("spss", "an SPSS file", _AS_PARQUET)),
    (b"\x89PNG\r\n\x1a\n", _kind("png", "a PNG image", _IMAGE)),
    (b"\xff\xd8\xff", _kind("jpeg", "a JPEG image", _IMAGE)),
    (b"GIF87a", _kind("gif", "a GIF image", _IMAGE)),
    (b"GIF89a", _kind("gif", "a GIF image", _IMAGE)),
    (b"[InternetShortcut]", _kind("url", "a link to a web page", "download what it leads to")),
    (b"L\0\0\0\x01\x14\x02\0", _kind("lnk", "a Windows shortcut", "give the file that it leads to")),
    (b"bplist00", _kind("plist", "a property list of macOS", "give the file that it leads to")),
    (
        b"\0\x05\x16\x07",
        _kind("appledouble", "what macOS keeps beside a file", "give the one without ._ before its name"),
    ),
)
_DUMPS = re.compile(
    rb"(/\*[^\n]{0,80}\*/\s*)?(--\s+)+[^\n]{0,60}(sql|database|mariadb) dump|pgdmp"
    rb"|(create|drop) (table|database) [^,;\t|]{1,200}[(;]"
)
"""In lower case: the first comment of the dumps of several databases, or their first statement."""
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_PICKLE = _kind("pickle", "a Python pickle", "save the table as Parquet; pickles are never opened, they can run code")
_SQL = _kind("sql", "an SQL dump", "load it into a database and export the table as CSV")
_TAR = _kind("tar", "a tar archive", _UNPACK)
_ORC = _kind("orc", "an ORC file", _AS_PARQUET)
_XML = _kind("xml", "an XML document", "export its records as CSV or JSON lines")
_DENIED = _kind("xml", "a server's error message, not the data", "check the address and your permissions")
_NOTHING = _kind("zeros", "nothing but zero bytes, as an interrupted copy leaves them", "get the file again")


def detect_kind(head: bytes) -> FileKind | None:
    """What a file is that begins with `head`, or None where that cannot be told, as with text."""
    # A text may begin with these four letters, but what follows them in a Parquet file is binary.
    if head[:4] in (b"PAR1", b"PARE") and head[4:5] < b" " and head[4:5] not in (b"", b"\t", b"\n", b"\r"):
        return _PARQUET
    if head.startswith(b"PK\x03\x04"):
        office = b"[Content_Types].xml" in head or b"application/vnd.oasis" in head or b"xl/" in head
        return _OFFICE if office else _ZIP
    if head.startswith(_PICKLES):
        return _PICKLE
    if head[257:262] == b"ustar":
        return _TAR
    if head.startswith(b"ORC") and any(byte < 9 for byte in head[:64]):
        return _ORC
    if head and not head.strip(b"\0"):
        return _NOTHING
    by_start = next((kind for start, kind in _BY_START if head.startswith(start)), None)
    return by_start or _markup(head)


def _markup(head: bytes) -> FileKind | None:
    """What text with marks in it `head` is the beginning of."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode()
    start = head[:1024].lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head>")) or (start.startswith(b"<?xml") and b"<html" in start):
        return _HTML
    if start.startswith((b"<?xml", b"<rss", b"<feed", b"<!doctype")):
        if b"excel.sheet" in start or b"office:spreadsheet" in start:
            return _OFFICE
        return _DENIED if b"<error>" in start else _XML
    return _SQL if _DUMPS.match(start) else None


def refuse_other_formats(name: str, head: bytes, *, own: str | None = None, cure: str | None = None) -> None:
    """Check that a file is not of another format than the one it is about to be read as.

    Args:
        name: what messages call the file.
        head: its first bytes.
        own: the kind that it should be; None for text, which has no signature.
        cure: what to do, instead of what is to be done about a file of that kind.

    Raises:
        InputError: the file is of another kind; the message says which.
    """
    kind = detect_kind(head)
    if kind is not None and kind.name != own:
        raise InputError(f"{name} is {kind.what}; {cure or kind.cure}.")
