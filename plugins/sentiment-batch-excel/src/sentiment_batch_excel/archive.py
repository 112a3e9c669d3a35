"""Saves a workbook of openpyxl without dates, so that the same rows always give the same bytes."""

from __future__ import annotations

import datetime
import os
import shutil
import zipfile
from typing import Any, BinaryIO

from openpyxl.writer.excel import ExcelWriter

_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip archive can hold."""


def save(book: Any, stream: BinaryIO) -> None:
    """Write the workbook with a fixed date in the archive and in its properties.

    Args:
        book: an `openpyxl.Workbook`. Nothing can be added afterwards.
        stream: takes the bytes. It need not seek.
    """
    book.properties.created = book.properties.modified = datetime.datetime(*_DATE)
    ExcelWriter(book, _Dateless(stream, "w", zipfile.ZIP_DEFLATED)).save()


class _Dateless(zipfile.ZipFile):
    """A zip archive whose members all have the same date."""

    def writestr(self, name: Any, data: Any, *arguments: Any, **keywords: Any) -> None:
        """Add a member with this content."""
        super().writestr(_member(name), data, *arguments, **keywords)

    def write(self, filename: Any, arcname: Any = None, *arguments: Any, **keywords: Any) -> None:
        """Add a file."""
        member = _member(arcname)
        member.file_size = os.path.getsize(filename)  # so that zipfile can store more than 4 GB
        with open(filename, "rb") as source, self.open(member, "w") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
