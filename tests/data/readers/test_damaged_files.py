"""Every cut and every flipped bit of our own files is found, or provably did no harm."""

import json
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.data.readers.damage_files import CUTS, FLIPS, written


def outcomes(name, folder):
    """What reading each damaged file gave, as (what, position, outcome)."""
    command = [sys.executable, "-m", "tests.data.readers.damage_files", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=120)
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it ended with {done.returncode} after {found[-1:]}: {done.stderr}"
    assert Counter(what for what, _, _ in found) == {"cut": CUTS, "flip": FLIPS}
    return found


def test_no_damage_to_our_parquet_gives_other_values_in_silence(tmp_path):
    data = written(tmp_path / "whole.parquet")
    footer = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    found = outcomes("a.parquet", tmp_path)
    assert {outcome for what, _, outcome in found if what == "cut"} == {"refused"}
    flips = [(position, outcome) for what, position, outcome in found if what == "flip"]
    # The pages have checksums. Their heads have none, but hold nothing of which a change goes unnoticed and matters.
    pages = Counter(outcome for position, outcome in flips if position < footer)
    assert set(pages) <= {"refused", "same"}
    assert pages["refused"] > 100
    # Nor has the footer: a changed name or type shows in the schema, and other values come under another type only.
    assert {outcome for position, outcome in flips if position >= footer} <= {
        "refused",
        "same",
        "schema",
        "values and schema",
    }


def test_no_damage_to_gzip_gives_other_values(tmp_path):
    found = outcomes("a.csv.gz", tmp_path)
    assert {outcome for what, _, outcome in found if what == "cut"} == {"refused"}
    flips = Counter(outcome for what, _, outcome in found if what == "flip")
    assert set(flips) <= {"refused", "same"}  # the same: the head has a time and a name, which mean nothing here
    assert flips["refused"] > FLIPS * 0.9


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.arrow", "a.arrows"])
def test_damage_without_a_checksum_never_crashes(tmp_path, name):
    found = outcomes(name, tmp_path)
    # Neither Arrow nor the zstd frames that pyarrow writes have checksums: another value is another value.
    known = {"refused", "same", "values", "schema", "values and schema"}
    assert {outcome for _, _, outcome in found} <= known
    assert Counter(outcome for what, _, outcome in found if what == "flip")["refused"] > 30
    cuts = Counter(outcome for what, _, outcome in found if what == "cut")
    # A stream of Arrow may end after any batch; there is a warning then.
    assert cuts["refused"] == CUTS - (name == "a.arrows")
