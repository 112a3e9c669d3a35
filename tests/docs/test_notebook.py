"""The notebook of the tutorial runs in a kernel, from the first cell to the last, and shows pages and progress."""

from __future__ import annotations

import re
import shutil
import warnings

import pytest

from tests.docs import pages

NOTEBOOK = pages.DOCS / "tutorial" / "notebook.ipynb"
SETTINGS = "epochs=1, folds=0, limit=48, max_length=48"
"""So that training takes seconds."""


@pytest.fixture(scope="module")
def ran(tiny_base, tmp_path_factory):
    """The notebook with its outputs, from a folder with the sample data; it trains on few rows, from the tiny base."""
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    desk = tmp_path_factory.mktemp("desk")
    shutil.copytree(pages.ROOT / "sample_data", desk / "sample_data")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (training,) = (cell for cell in notebook.cells if 'base="minilm"' in cell.source and cell.cell_type == "code")
    training.source = training.source.replace('base="minilm"', f"base={str(tiny_base)!r}, {SETTINGS}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own, about its event loop
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(desk)}}).execute()
    return notebook


def outputs(notebook):
    """The code of each cell with the HTML that it shows; the empty string if it shows none."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield cell.source, "".join(one.get("data", {}).get("text/html", "") for one in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["train(", "evaluate(", "summarize(", "explain("])
def test_a_result_shows_its_page(ran, call):
    (shown,) = [html for source, html in outputs(ran) if call in source and "import " not in source]
    assert shown.startswith("<iframe sandbox ")
    assert "&lt;!doctype html&gt;" in shown.lower()


@pytest.mark.slow
def test_frames_are_shown_as_tables(ran):
    assert ["<table" in html for _, html in outputs(ran)].count(True) == 2


@pytest.mark.slow
def test_progress_is_a_bar_in_a_notebook(ran):
    (cell,) = [cell for cell in ran.cells if "train(" in cell.source and "import " not in cell.source]
    text = "".join(one.get("text", "") + one.get("data", {}).get("text/plain", "") for one in cell.outputs)
    assert re.search(r"training: +\d+%", text)


def test_the_notebook_is_stored_without_outputs():
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
