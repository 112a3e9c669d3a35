"""A short run of the fuzzing of the readers, with the same cases each time."""

from __future__ import annotations

import random
import sys

import pytest

from sentiment_batch.data.readers import encoding_candidates
from tests.stress.fuzz_documents import Case, make_case

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def test_mutated_files_are_read_or_refused_in_one_line(tmp_path):
    from tests.stress.reader_fuzz import read_case

    outcomes = {read_case(make_case(random.Random(f"short {number}"), []), tmp_path) for number in range(100)}
    assert {"read", "marked", "InputError"} <= outcomes


def test_mutated_manifests_and_records_are_used_or_refused(tmp_path):
    from tests.stress.reader_fuzz import Records

    records = Records(tmp_path / "records")
    outcomes = {records.read_mutated(random.Random(number)) for number in range(60)}
    assert {"refused", "verified", "no part"} <= outcomes


def test_a_case_can_be_stored_and_read_again():
    case = make_case(random.Random(1), [])
    assert Case.from_json(case.to_json()) == case


def test_the_script_of_a_letter_is_looked_up_once():
    encoding_candidates.rank_encodings("naïve Größe, déjà vu".encode("cp1252") * 20)
    found = encoding_candidates._find_script.cache_info()
    assert found.hits > 10 * found.misses
