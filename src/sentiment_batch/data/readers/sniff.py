"""Detects from a file's first bytes what it is, so that an error can say what a file under a wrong name really is."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass

from sentiment_batch.data.readers.encodings import detect_unmarked_encoding, find_marked_encoding
from sentiment_batch.errors import InputError

HEAD_BYTES = 4096
"""Number of bytes at the beginning of a file that are looked at."""

_SAVE_AS_CSV = "save the sheet as CSV"
_SAVE_AS_PARQUET = "save the table as Parquet"
_GIVE_TABLE = "give the file with the table itself"
_UNPACK = "unpack it first"
_GIVE_FORMAT = 'give `input_format="{}"`'


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is detected by its first bytes."""

    name: str
    """A short name; for the built-in formats the one that `input_format` takes."""
    what: str
    """What messages call it, with its article."""
    cure: str
    """What the user can do about it, as part of a sentence."""


_PARQUET = FileKind("parquet", "a Parquet file", _GIVE_FORMAT.format("parquet"))
_ARROW = FileKind("arrow", "an Arrow or Feather file", _GIVE_FORMAT.format("arrow"))
_OFFICE = FileKind("office", "an Excel workbook or another Office file", _SAVE_AS_CSV)
_HTML = FileKind("html", "a web page, not the data", "download the file itself, perhaps after signing in")

_SIGNATURES = (
    # The first two are files, the third is the mark before each message of an Arrow stream
    (b"ARROW1", _ARROW),
    (b"FEA1\0", _ARROW),
    (b"\xff\xff\xff\xff", _ARROW),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    (b"\x1f\x8b", FileKind("gzip", "compressed with gzip", "give it the ending .gz, or unpack it first with gunzip")),
    (b"\x28\xb5\x2f\xfd", FileKind("zstd", "compressed with zstd", "give it the ending .zst, or unpack it first")),
    (b"\xfd7zXZ\0", FileKind("xz", "compressed with xz", "give it the ending .xz, or unpack it first")),
    (b"BZh91AY&SY", FileKind("bz2", "compressed with bzip2", "give it the ending .bz2, or unpack it first")),
    (b"\x04\x22\x4d\x18", FileKind("lz4", "compressed with lz4", _UNPACK)),
    (b"\x1f\x9d", FileKind("compress", "compressed with compress", "unpack it first with uncompress")),
    (b"Rar!\x1a\x07", FileKind("rar", "a RAR archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("7z", "a 7z archive", _UNPACK)),
    (b"PK\x05\x06", FileKind("zip", "an empty ZIP archive", "make it again")),
    (b"%PDF-", FileKind("pdf", "a PDF document", "copy its table into a CSV file")),
    (b"{\\rtf", FileKind("rtf", "a rich text document", "save it as plain text")),
    (b"SQLite format 3\0", FileKind("sqlite", "an SQLite database", "export the table as CSV")),
    (b"version https://git-lfs.github.com/", FileKind("lfs", "a Git LFS pointer, not the data", "run git lfs pull")),
    (b"\x89HDF\r\n\x1a\n", FileKind("hdf5", "an HDF5 file", _SAVE_AS_PARQUET)),
    (b"\x93NUMPY", FileKind("numpy", "a NumPy array", _SAVE_AS_PARQUET)),
    (b"Obj\x01", FileKind("avro", "an Avro file", _SAVE_AS_PARQUET)),
    (b"<stata_dta>", FileKind("stata", "a Stata file", _SAVE_AS_PARQUET)),
    (b"$FL2@(#)", FileKind("spss", "an SPSS file", _SAVE_AS_PARQUET)),
    (b"\x89PNG\r\n\x1a\n", FileKind("png", "a PNG image", _GIVE_TABLE)),
    (b"\xff\xd8\xff", FileKind("jpeg", "a JPEG image", _GIVE_TABLE)),
    (b"GIF87a", FileKind("gif", "a GIF image", _GIVE_TABLE)),
    (b"GIF89a", FileKind("gif", "a GIF image", _GIVE_TABLE)),
    (b"[InternetShortcut]", FileKind("url", "a link to a web page", "download what it leads to")),
    (b"L\0\0\0\x01\x14\x02\0", FileKind("lnk", "a Windows shortcut", "give the file that it leads to")),
    (b"bplist00", FileKind("plist", "a property list of macOS", "give the file that it leads to")),
    (
        b"\0\x05\x16\x07",
        FileKind("appledouble", "a macOS metadata file, not the data", "give the one without ._ before its name"),
    ),
)
_DUMPS = re.compile(
    rb"(/\*[^\n]{0,80}\*/\s*)?(--\s+)+[^\n]{0,60}(sql|database|mariadb) dump|pgdmp"
    rb"|(create|drop) (table|database) [^,;\t|]{1,200}[(;]"
)
"""The first comment or statement of the SQL dumps of several databases, in lower case."""
_SQL = FileKind("sql", "an SQL dump", "load it into a database and export the table as CSV")
_XML = FileKind("xml", "an XML document", "export its records as CSV or JSON lines")
_DENIED = FileKind("xml", "a server's error message, not the data", "check the address and your permissions")

_JSON_LINES = FileKind("jsonl", "JSON lines", _GIVE_FORMAT.format("jsonl"))
_JSON_ARRAY = FileKind("json array", "a JSON array", _GIVE_FORMAT.format("jsonl"))
_JSON_SPREAD = FileKind("json", "JSON with an object over several lines", _GIVE_FORMAT.format("jsonl"))
_TEXT = FileKind("csv", "text, such as CSV", _GIVE_FORMAT.format("csv"))

_OBJECT_START = re.compile(r'\{\s*"(?>[^"\\]+|\\.)*+"\s*:')
_ARRAY_START = re.compile(r"\[\s*\{")
_BLANKS = " \t\r\n\ufeff"
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\f\r\x0e\x0f\x1a\x1b"))
"""Bytes that hardly occur in texts. 0x1a may occur: it is the end-of-file mark of DOS. ISO 2022 needs three others."""
_MIN_CONTROLS = 8
"""A text may hold a few control characters by mistake."""
_MAX_CONTROL_SHARE = 0.03
"""Texts hold a smaller share of control characters. Random bytes hold 0.09."""


def detect_kind(head: bytes) -> FileKind | None:
    """The kind of a file that begins with `head`, or None if it is not known, as for CSV and JSON."""
    # A file with an encrypted footer begins with PARE. A text may begin with these four letters, too, but in a Parquet
    # file binary data follows them.
    if head[:4] in (b"PAR1", b"PARE") and head[4:5] < b" " and head[4:5] not in (b"", b"\t", b"\n", b"\r"):
        return _PARQUET
    if head.startswith(b"PK\x03\x04"):
        office = b"[Content_Types].xml" in head or b"application/vnd.oasis" in head or b"xl/" in head
        return _OFFICE if office else FileKind("zip", "a ZIP archive", "give it the ending .zip, or unpack it first")
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return FileKind("pickle", "a Python pickle", f"{_SAVE_AS_PARQUET}; pickles are never opened, they can run code")
    # POSIX puts this mark behind the fields of the first entry
    if head[257:262] == b"ustar":
        return FileKind("tar", "a tar archive", _UNPACK)
    # The letters may begin a text. In an ORC file binary data follows them.
    if head.startswith(b"ORC") and any(byte < 9 for byte in head[:64]):
        return FileKind("orc", "an ORC file", _SAVE_AS_PARQUET)
    if _is_dbase(head):
        return FileKind("dbase", "a dBASE table", "export it as CSV")
    if head and not head.strip(b"\0"):
        return FileKind("zeros", "nothing but zero bytes, as an interrupted copy leaves them", "get the file again")
    signed = next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)
    return signed or _detect_markup(head)


def _is_dbase(head: bytes) -> bool:
    """True for DBF files, which begin with a version, a date, the numbers of rows and of bytes, and zeros."""
    is_date = len(head) > 32 and 1 <= head[2] <= 12 and 1 <= head[3] <= 31
    return is_date and head[0] in b"\x02\x03\x04\x30\x31\x83\x8b\x8e\xf5" and not any(head[12:14])


def _detect_markup(head: bytes) -> FileKind | None:
    """HTML, XML or SQL that begins with `head`, or None."""
    # The signatures below are ASCII, but programs of Windows export markup in UTF-16
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode()
    start = head[:1024].lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head>")) or (start.startswith(b"<?xml") and b"<html" in start):
        return _HTML
    if start.startswith((b"<?xml", b"<rss", b"<feed", b"<!doctype")):
        # Old Excel files may be XML, and the error pages of object stores are XML with an <Error>
        if b"excel.sheet" in start or b"office:spreadsheet" in start:
            return _OFFICE
        return _DENIED if b"<error>" in start else _XML
    return _SQL if _DUMPS.match(start) else None


def refuse_other_formats(name: str, head: bytes, *, own: str | None = None) -> None:
    """Check that a file is of the format as which it is going to be read.

    Args:
        name: what messages call the file.
        head: its first bytes.
        own: the name of the expected kind; None for text, which has no signature.

    Raises:
        InputError: the file is of another kind, which the message names.
    """
    kind = detect_kind(head)
    if kind is not None and kind.name != own:
        raise InputError(f"{name} is {kind.what}; {kind.cure}.")


def detect_json_kind(text: str) -> FileKind | None:
    """The kind of JSON that begins with `text`, or None if it is not JSON."""
    text = text.lstrip(_BLANKS)
    if _ARRAY_START.match(text):
        return _JSON_ARRAY
    found = _OBJECT_START.match(text)
    if found is None:
        return None
    return _JSON_SPREAD if "\n" in found[0] else _JSON_LINES


def refuse_json(name: str, text: str) -> None:
    """Check that a file that is going to be read as CSV is not JSON.

    Args:
        name: what messages call the file.
        text: its beginning.

    Raises:
        InputError: it is JSON; the message names the kind.
    """
    kind = detect_json_kind(text)
    if kind is not None:
        raise InputError(f"{name} is {kind.what}, not CSV; {kind.cure}.")


def refuse_binary(name: str, head: bytes) -> None:
    """Check that a file that is going to be read as text is text: that it holds few control characters.

    Args:
        name: what messages call the file.
        head: its first bytes, in another encoding than UTF-16 and UTF-32.

    Raises:
        InputError: it is binary data of a kind that is not known.
    """
    # `translate` deletes all control characters in C, so the difference in length counts them
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls >= max(_MIN_CONTROLS, _MAX_CONTROL_SHARE * len(head)):
        raise InputError(f"{name} is binary data, not text. Check what it is; save its table as CSV or Parquet.")


def detect_text_kind(head: bytes) -> FileKind | None:
    """The kind of a text file that begins with `head`, or None if it is not text."""
    # The encoding is only guessed, because this text is named in an error and not read
    encoding = find_marked_encoding(head) or detect_unmarked_encoding(head) or "utf-8"
    text = head.decode(encoding, "replace")
    if not head or any(chr(control) in text for control in _CONTROLS):
        return None
    # In other encodings than UTF-8 the ASCII characters still decode. A file with few of them is not text.
    if text.count("\ufffd") * 2 > len(text):
        return None
    return detect_json_kind(text) or _TEXT


def refuse_text(name: str, head: bytes) -> None:
    """Check that a file that is going to be read as a binary format is not text.

    Args:
        name: what messages call the file.
        head: its first bytes.

    Raises:
        InputError: it is text; the message explains how to read it.
    """
    kind = detect_text_kind(head)
    if kind is not None:
        raise InputError(f"{name} is {kind.what}; {kind.cure}.")


def is_json(text: str) -> bool:
    """True if `text` is one JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
