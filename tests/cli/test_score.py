"""`sentiment-batch score`: data on standard output, words on standard error, and every mistake is one line."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from tests.cli.helpers import CPU, command, failed

CSV = "id,review\n007,the film was great\n008,\n009,boring and dull\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def score(cli, tiny_model):
    """Runs `score` with the tiny model on the CPU."""
    return lambda *arguments, **options: cli("score", "-m", tiny_model, *CPU, *arguments, **options)


def test_a_table_is_annotated_and_summarized_on_standard_error(score, table, tmp_path, tiny_model):
    result = score(table, tmp_path / "out.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"model: {tiny_model} (as named)" in result.stderr
    assert "3 rows (" in result.stderr
    assert "1 without a text" in result.stderr
    assert "device cpu (as asked), at work " in result.stderr
    assert "; dtype float32 (as asked); packed without padding" in result.stderr
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "id,review,sentiment,sentiment_score"
    assert lines[2] == "008,,,"
    assert lines[1].startswith("007,the film was great,")


def test_quiet_prints_nothing(score, table, tmp_path):
    result = score(table, tmp_path / "out.csv", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_json_prints_one_object_on_standard_output(score, table, tmp_path):
    result = score(table, tmp_path / "out.parquet", "--json", "--probabilities", "--prefix", "p", "--decimals", "2")
    summary = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert (summary["rows"], summary["null"], summary["text_columns"]) == (3, 1, ["review"])
    assert set(summary["labels"]) == {"negative", "positive"}
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["id", "review", "p", "p_score", "p_negative", "p_positive"]


def test_standard_input_and_output_are_a_dash(score, table, tmp_path):
    score(table, tmp_path / "expected.csv")
    piped = score("-", "-", "--input-format", "csv", input=CSV)
    assert piped.exit_code == 0
    assert piped.stdout_bytes == (tmp_path / "expected.csv").read_bytes()
    named = score(table, "-")  # the format of the input
    assert named.stdout_bytes == piped.stdout_bytes
    lines = score(table, "-", "--output-format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["007", "008", "009"]


def test_a_table_without_a_text_in_any_row_is_warned_of(score, tmp_path):
    (tmp_path / "blank.csv").write_text("id,review\n1,\n2, \n")
    result = score(tmp_path / "blank.csv", tmp_path / "out.csv", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "warning: no row has a text in 'review', so no row has a label\n")


def test_columns_and_limit(score, table, tmp_path):
    score(table, tmp_path / "out.csv", "--columns", "review", "--limit", 1)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "review,sentiment,sentiment_score"
    assert len(lines) == 2


def test_an_existing_out_is_replaced_only_if_asked(score, table, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    failed(score(table, tmp_path / "out.csv"), "out.csv exists already", "--overwrite")
    assert (tmp_path / "out.csv").read_text() == "old"
    assert score(table, tmp_path / "out.csv", "--overwrite").exit_code == 0
    assert (tmp_path / "out.csv").read_text().startswith("id,review,sentiment")


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["{tmp}/nowhere.csv", "{out}"], 1, ["nowhere.csv is not there", "Check the path"]),
        (["{tmp}", "{out}", "--input-format", "parquet"], 1, ["is text, such as CSV"]),
        (["{tmp}/folder.csv", "{out}"], 1, ["is a folder"]),
        (["{in}", "{tmp}/folder.csv"], 1, ["is a folder"]),
        (["{in}", "{tmp}/no/such/out.csv"], 1, ["there is no folder"]),
        (
            ["{in}", "{out}", "--text-column", "reviw"],
            1,
            ["no column 'reviw'; did you mean 'review'?", "--text-column"],
        ),
        (["{in}", "{out}", "--columns", "id,x"], 1, ["no column 'x'", "--columns"]),
        (["{in}", "{tmp}/out.docx"], 2, ["does not show the format", "--output-format"]),
        (["{in}", "{out}", "--input-format", "cvs"], 2, ["no format is called 'cvs'", "--input-format"]),
        (["-", "{out}"], 2, ["--input-format"]),
        (["{in}", "-", "--json"], 2, ["--json", "standard output"]),
        (["{in}", "{out}", "--batch-tokens", "many"], 2, ["--batch-tokens", "auto or a number"]),
        (["{in}", "{out}", "--batch-tokens", "0"], 2, ["--batch-tokens is 0"]),
        (["{in}", "{out}", "--batch-tokens", "-5"], 2, ["--batch-tokens"]),
        (["{in}", "{out}", "--limit", "-1"], 2, ["--limit is -1"]),
        (["{in}", "{out}", "--limit", "9" * 20], 2, ["--limit is 99999999999999999999; it must be at most"]),
        (["{in}", "{out}", "--labels", ",b"], 2, ["--labels is '', 'b', of which one is empty"]),
        (["{in}", "{out}", "--decimals", "8"], 2, ["--decimals is 8"]),
        (["{in}", "{out}", "--prefix", ""], 2, ["--prefix is empty"]),
        (["{in}", "{out}", "--max-length", "2"], 2, ["--max-length is 2"]),
        (["{in}", "{out}", "--max-length", "100"], 2, ["--max-length is 100, but the model takes 64"]),
        (["{in}", "{out}", "--long-text", "middle"], 2, ["--long-text"]),
        (["{in}", "{out}", "--delimiter", "ab"], 2, ["delimiter"]),
        (["{in}", "{out}", "--encoding", "klingon"], 2, ["klingon"]),
        (["{in}", "{out}", "--device", "tpu"], 2, ["--device is 'tpu'"]),
        (["{in}", "{out}", "--device", "cuda:99"], 1, ["--device is 'cuda:99'", "Set --device to auto or cpu"]),
        (["{in}", "{out}", "--dtype", "float16"], 2, ["--dtype is float16", "on a CPU"]),
        (["{in}", "{out}", "--labels", "a,b,c"], 2, ["needs 2 different ones"]),
        (["{in}", "{out}", "-m", "./nowhere"], 1, ["no model folder is at ./nowhere"]),
        (["{in}", "{out}", "-m", "{in}"], 1, ["is a file; a model is a folder"]),
        (["{in}", "{out}", "-m", "{tmp}"], 1, ["holds no config.json"]),
        (["{in}"], 2, ["Missing argument 'OUT'"]),
        (["{in}", "{in}", "{out}"], 2, ["there are 3 arguments", "a pattern in quotes, such as '*.csv'"]),
        (["{in}", "{out}", "--colour"], 2, ["No such option"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(score, table, tmp_path, arguments, code, parts):
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    filled = [word.format(**{"tmp": tmp_path, "in": table, "out": tmp_path / "out.csv"}) for word in arguments]
    result = score(*filled)
    line = failed(result, code=code)
    for part in parts:
        assert any(choice in line for choice in part.split("|")), line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_clash_names_the_prefix(score, tmp_path):
    (tmp_path / "in.csv").write_text("text,sentiment\na,b\n")
    failed(
        score(tmp_path / "in.csv", tmp_path / "out.csv"),
        "already has the columns 'sentiment'",
        "--prefix predicted",
        code=2,
    )


def test_options_can_stand_in_the_environment(score, table, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_PREFIX", "mood")
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_TEXT_COLUMN", "id")
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_PROBABILITIES", "1")
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_JSON", "1")
    result = score(table, tmp_path / "out.csv")
    assert json.loads(result.stdout)["text_columns"] == ["id"]
    assert (tmp_path / "out.csv").read_text().startswith("id,review,mood,mood_score,mood_negative,mood_positive\n")
    score(table, tmp_path / "named.csv", "--prefix", "p")  # what is named wins
    assert (tmp_path / "named.csv").read_text().startswith("id,review,p,p_score")
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_LIMIT", "soon")
    failed(score(table, tmp_path / "limited.csv"), "--limit", code=2)


def test_blanks_belong_to_the_value_of_a_variable(score, tmp_path, monkeypatch):
    (tmp_path / "in.csv").write_text("review text,my title\ngreat,good\n")
    for value, columns in (("review text", ["review text"]), ("review text\nmy title\n", ["review text", "my title"])):
        monkeypatch.setenv("SENTIMENT_BATCH_SCORE_TEXT_COLUMN", value)
        result = score(tmp_path / "in.csv", tmp_path / "out.csv", "--json", "--overwrite")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["text_columns"] == columns


def test_every_option_of_every_command_has_its_own_variable():
    from sentiment_batch.cli import group

    for name, one in group.commands.items():
        for option in one.params:
            assert not option.multiple or option.type.split_envvar_value("a b\nc") == ["a b", "c"]
            if option.param_type_name == "option":
                expected = max(option.opts, key=len).lstrip("-").replace("-", "_").upper()
                assert option.envvar == f"SENTIMENT_BATCH_{name.upper()}_{expected}"


def test_the_model_is_chosen_in_order_and_the_reason_is_shown(cli, table, tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def choice(*arguments):
        result = cli("score", table, tmp_path / "out.csv", "--overwrite", *CPU, *arguments)
        return next(line for line in result.stderr.splitlines() if line.startswith("model: "))

    hub = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
    assert choice() == f"model: {hub} (the default, because no model was named or trained here)"
    shutil.copytree(tiny_model, tmp_path / "sentiment-model")
    assert choice() == "model: sentiment-model (a folder of that name is here)"
    monkeypatch.setenv("SENTIMENT_BATCH_MODEL", str(tiny_model))
    assert choice() == f"model: {tiny_model} ($SENTIMENT_BATCH_MODEL)"
    monkeypatch.setenv("SENTIMENT_BATCH_SCORE_MODEL", "sentiment-model")
    assert choice().startswith("model: sentiment-model (")
    assert choice("-m", tiny_model) == f"model: {tiny_model} (as named)"
    failed(cli("score", table, tmp_path / "new.csv", *CPU, "-m", " "), "--model is empty. Name a model", code=2)


def test_a_bug_keeps_its_traceback(score, table, tmp_path, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("sentiment_batch.scoring.pipeline.score_table", broken)
    result = score(table, tmp_path / "out.csv")
    assert isinstance(result.exception, ZeroDivisionError)


def test_nothing_but_our_words_reaches_standard_error(table, tmp_path, tiny_model):
    run = command("score", table, "-", "-m", tiny_model, *CPU, "--quiet")
    out, err = run.communicate(timeout=120)
    assert (run.returncode, err) == (0, b"")
    assert out.decode().startswith("id,review,sentiment,sentiment_score\n007,")


def test_a_column_named_twice_comes_out_once_and_none_is_refused(score, table, tmp_path):
    score(table, tmp_path / "out.csv", "--columns", "id,id")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("id,sentiment,sentiment_score\n")
    (tmp_path / "comma.csv").write_text('"a,b",review\n1,good\n', encoding="utf-8")
    assert score(tmp_path / "comma.csv", tmp_path / "comma_out.csv", "--columns", '"a,b", review').exit_code == 0
    assert (tmp_path / "comma_out.csv").read_text(encoding="utf-8").startswith('"a,b",review,sentiment')
    for nothing in ("", ","):
        failed(score(table, tmp_path / "other.csv", "--columns", nothing), "--columns names no column", code=2)


def test_bad_rows_of_a_labelled_table_are_reported(cli, tiny_model, tmp_path):
    rows = [b"text,label", *[b"great,positive"] * 3, b"caf\xe9,negative", b"dull,negative", b"short", *[b"x,y,z"] * 9]
    (tmp_path / "in.csv").write_bytes(b"\n".join(rows))
    arguments = ("evaluate", tmp_path / "in.csv", "--model", tiny_model, *CPU)
    failed(cli(*arguments), "line 5", "--on-bad-row mark")
    result = cli(*arguments, "--on-bad-row", "mark", "--json")
    assert result.exit_code == 0
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert [" line " in line for line in warnings] == [True] * 5 + [False] * 2
    assert json.loads(result.stdout)["rows"] == 5
