"""The record of results: what varies is left out, and each difference is named. The record itself takes minutes."""

from __future__ import annotations

import pytest

from benchmarks import golden_record


def test_each_value_has_the_path_of_its_key():
    document = {"rows": 3, "best": {"loss": 0.5, "seconds": 1.2}, "classes": [{"f1": 1.0}, {"f1": 0.5}]}
    assert dict(golden_record.leaves("json", document)) == {
        "json/rows": 3,
        "json/best/loss": 0.5,
        "json/best/seconds": golden_record.VARIES,
        "json/classes/0/f1": 1.0,
        "json/classes/1/f1": 0.5,
    }


def test_a_long_list_becomes_a_digest_and_a_path_its_name():
    found = dict(golden_record.leaves("json", {"edges": list(range(100)), "IN": "/somewhere/table.csv", "few": [1, 2]}))
    assert len(found["json/edges"]) == 64
    assert found["json/IN"] == "table.csv"
    assert found["json/few"] == [1, 2]


@pytest.mark.parametrize(
    ("earlier", "now", "status", "printed"),
    [
        ({"a": 1}, {"a": 1}, 0, "every earlier result is unchanged"),
        ({"a": 1}, {"a": 2}, 1, "differs  a: 1 -> 2"),
        ({"a": 1}, {}, 1, "missing  a: it was 1"),
        ({}, {"a": 1}, 0, "new      a: 1"),
        ({"json/road": "packed"}, {"json/batching": "packed"}, 1, "missing  json/road: it was packed"),
        ({"json/dtype/reason": "as asked"}, {"json/dtype/reason": "as given"}, 0, "wording"),
    ],
)
def test_each_difference_is_printed(capsys, earlier, now, status, printed):
    assert golden_record.compare(earlier, now) == status
    assert printed in capsys.readouterr().out
