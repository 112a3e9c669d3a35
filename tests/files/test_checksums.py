"""JSON files that hold their own digest."""

from __future__ import annotations

from sentiment_batch.files.checksums import checked_json, hash_file, parse_checked_json, read_checked_json


def test_json_with_a_digest_comes_back_or_not_at_all(tmp_path):
    content = {"a": 1, "b": [None, 2.5, "é"], "c": {}}
    data = checked_json(content)
    assert parse_checked_json(data) == content
    for bit in range(0, len(data) * 8, 3):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert parse_checked_json(bytes(damaged)) in (None, content)
    for cut in range(0, len(data) - 2):
        assert parse_checked_json(data[:cut]) is None
    (tmp_path / "a.json").write_bytes(data)
    assert read_checked_json(tmp_path / "a.json") is not None
    assert read_checked_json(tmp_path / "b.json") is None
    assert len(hash_file(tmp_path / "a.json")) == 64
