"""Saves a workbook of openpyxl such that the same rows give the same bytes at any time; it knows no tables."""

from __future__ import annotations

import datetime
import os
import shutil
import zipfile
from typing import Any, BinaryIO

from openpyxl.writer.excel import ExcelWriter

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first that a zip archive can hold."""


def save(book: Any, stream: BinaryIO) -> None:
    """Write the workbook; neither the archive nor its properties say when.

    Args:
        book: an `openpyxl.Workbook`; nothing can be added afterwards.
        stream: takes the bytes; it need not seek.
    """
    book.properties.created = book.properties.modified = datetime.datetime(*_DATE)
    ExcelWriter(book, _Dateless(stream, "w", zipfile.ZIP_DEFLATED)).save()


class _Dateless(zipfile.ZipFile):
    """An archive whose members all have the same date."""

    def writestr(self, name: Any, data: Any, *arguments: Any, **keywords: Any) -> None:
        """Add a member of these contents."""
        super().writestr(_member(name), data, *arguments, **keywords)

    def write(self, filename: Any, arcname: Any = None, *arguments: Any, **keywords: Any) -> None:
        """Add the contents of a file."""
        member = _member(arcname)
        member.file_size = os.path.getsize(filename)  # so that zipfile leaves room for more than 4 GB where it must
        with open(filename, "rb") as source, self.open(member, "w") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member
