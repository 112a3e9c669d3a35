"""The installed package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import sentiment_batch_excel
from workbooks import find_format


def test_the_package_is_installed_and_registers_the_format():
    (entry,) = entry_points(group="sentiment_batch", name="excel")
    assert entry.load() is sentiment_batch_excel
    assert find_format(sentiment_batch_excel.register_readers).suffixes == (".xlsx", ".xlsm")


def test_registering_imports_neither_openpyxl_nor_pyarrow():
    code = "import sys, sentiment_batch_excel; print({'openpyxl', 'pyarrow', 'fsspec'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
