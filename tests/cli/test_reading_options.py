"""The questions about a table name the options that answer them, and each answer reads the table."""

from __future__ import annotations

import pytest

from tests.cli.helpers import CPU, failed

ROWS = ["the film was great, truly!", "boring and dull, all of it."]


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (f'1,"{ROWS[0]}"\n2,"{ROWS[1]}"\n', [("--no-header", "--text-column", "column_2")]),
        (f'"{ROWS[0]}"\n"{ROWS[1]}"\n"{ROWS[0]}"\n', [("--no-header",), ("--header",)]),
        (f'# tool\nid,text\n1,"{ROWS[0]}"\n2,"{ROWS[1]}"\n', [("--skip-rows", "1"), ("--comment", "#")]),
        (f'id,text\n1,"{ROWS[0]} \\"yes\\""\n2,"{ROWS[1]}"\n', [("--escape", "\\")]),
        (f'id,text\n1,"{ROWS[0]}"\nid,text\n', [("--on-bad-row", "mark")]),
    ],
)
def test_every_answer_that_a_question_names_reads_the_table(cli, tiny_model, tmp_path, data, answers):
    (tmp_path / "in.csv").write_text(data, encoding="utf-8")
    line = failed(cli("score", "-m", tiny_model, *CPU, tmp_path / "in.csv", tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()
    for answer in answers:
        assert answer[0] in line
        result = cli("score", "-m", tiny_model, *CPU, tmp_path / "in.csv", tmp_path / "out.csv", "--overwrite", *answer)
        assert result.exit_code == 0, result.stderr
        assert " rows (" in result.stderr
