"""Where an output lies, and which places no output can have."""

from __future__ import annotations

import pytest

from sentiment_batch.errors import UsageError
from sentiment_batch.plugins.registry import Format
from sentiment_batch.scoring.output.paths import locate_output, part_file_suffix

DATABASE = Format(name="db", open=print, suffixes=(), schemes=("db",), description="", options=(), owner="databases")
LINES = Format(name="lines", open=print, suffixes=(".txt",), schemes=(), description="", options=(), owner="lines")


@pytest.mark.parametrize("place", ["{}/out/", "s3://bucket/out/", "file://{}/out/"])
def test_a_format_without_files_makes_no_folder_of_files(tmp_path, place):
    paths = locate_output(place.format(tmp_path), DATABASE)
    with pytest.raises(UsageError, match=r"out/ ends with /, .* the format 'db' writes no files\. Name another format"):
        paths.check()


@pytest.mark.parametrize("place", ["db://host/out/", "{}/out", "-"])
def test_a_format_without_files_may_have_other_places(tmp_path, place):
    locate_output(place.format(tmp_path), DATABASE).check()


def test_the_files_of_a_folder_end_as_their_format(tmp_path):
    locate_output(f"{tmp_path}/out/", LINES).check()
    assert part_file_suffix("out/", LINES) == ".txt"
    assert part_file_suffix("out.txt.gz/", LINES) == ".txt.gz"
