"""`sentiment-batch train`: labelled reviews in, a model folder and the command to run next out."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime

import pytest

from tests.cli.helpers import CPU, failed

WORDS = [("wunderbar", "positive"), ("furchtbar", "negative")]
FAST = ("--epochs", "1", "--folds", "0", "--batch-size", "8", "--max-length", "16")


@pytest.fixture
def train(cli, tiny_base, tmp_path):
    """Runs `train` on the tiny base into the test's folder."""
    return lambda *arguments: cli("train", "--base", tiny_base, "-o", tmp_path / "model", *CPU, *FAST, *arguments)


def test_training_ends_with_the_command_to_run_next_and_it_works(train, cli, reviews_csv, tmp_path):
    result = train(reviews_csv)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    for part in ("  label      label (assumed): negative, positive", "validation: accuracy", "macro F1", "precision"):
        assert part in result.stderr
    command = result.stderr.rstrip().splitlines()[-1].strip()
    words = shlex.split(command)
    assert words[:4] == ["sentiment-batch", "score", "IN", "OUT"]
    ready = {"IN": reviews_csv, "OUT": tmp_path / "out.csv"}
    scored = cli(*[ready.get(word, word) for word in words[1:]], *CPU, "--columns", "id")
    assert scored.exit_code == 0, scored.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 61


def test_json_prints_what_was_learned_and_quiet_nothing_else(train, reviews_csv):
    result = train(reviews_csv, "--json", "--quiet", "--no-baseline")
    learned = json.loads(result.stdout)
    assert learned["labels"] == ["negative", "positive"]
    assert set(learned) >= {"path", "best", "history", "validation", "test", "device", "dtype"}
    assert result.stderr.startswith("warning: Only 6 rows validate")
    assert result.stderr.count("\n") == 2, "one warning, in two lines"


def test_a_test_file_is_measured(train, reviews_csv):
    result = train(reviews_csv, "--test-file", reviews_csv, "--val-file", reviews_csv, "--json", "--quiet")
    learned = json.loads(result.stdout)
    assert (learned["validation"]["rows"], learned["test"]["rows"]) == (60, 60)


def test_an_existing_model_is_replaced_only_if_asked(train, reviews_csv, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("precious")
    failed(train(reviews_csv), "model", "holds other things")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "model" / name).touch()
    failed(train(reviews_csv), "model", "--overwrite")
    assert (tmp_path / "model" / "mine").read_text() == "precious"


def test_an_early_interrupt_says_that_nothing_is_kept(train, reviews_csv, tmp_path, monkeypatch):
    from sentiment_batch.training import trainings

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings, "fit", interrupted)
    result = train(reviews_csv)
    assert result.exit_code == 130
    assert "nothing of this run was saved yet, so that it must begin again" in result.stderr
    assert not list(tmp_path.glob("model*"))


def test_a_language_that_the_base_does_not_know_is_a_warning(train, tmp_path):
    rows = [f"Das Essen war {word} und die Bedienung auch {n},{label}" for n in range(30) for word, label in WORDS]
    (tmp_path / "de.csv").write_text("\n".join(["review,label", *rows]), encoding="utf-8")
    result = train(tmp_path / "de.csv")
    assert result.exit_code == 0, result.stderr
    advice = "--base distilbert/distilbert-base-multilingual-cased"
    assert advice in " ".join(result.stderr.split())
    description = json.loads((tmp_path / "model" / "sentiment_batch.json").read_text(encoding="utf-8"))
    assert "multilingual" in description["data"]["findings"][-1]["text"]


def test_an_interrupted_run_is_refused_resumed_and_restarted(train, reviews_csv, tmp_path, monkeypatch):
    from sentiment_batch.training import run

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "measure_all", interrupted)  # after the last step
        result = train(reviews_csv)
    assert result.exit_code == 130
    assert "Repeat it with --resume to continue from step 7 of 7" in result.stderr
    assert "the best model so far is in" in result.stderr
    failed(train(reviews_csv), "was interrupted at step 7 of 7", "--resume", "--restart")
    failed(train(reviews_csv, "--resume", "--restart"), "--resume", "--restart", code=2)
    failed(train(reviews_csv, "--resume", "--seed", "1"), "--seed: 42 before, 1 now", "--restart")
    resumed = train(reviews_csv, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert "resuming from step 7 of 7" in resumed.stderr
    again = train(reviews_csv, "--resume", "--json")
    assert "finished already" in again.stderr
    assert json.loads(again.stdout) == json.loads(resumed.stdout)
    (tmp_path / "model.training" / "best").mkdir(parents=True)
    assert train(reviews_csv, "--restart", "--overwrite", "--quiet").exit_code == 0
    assert not (tmp_path / "model.training").exists()


def test_a_run_with_nothing_to_resume_starts_with_a_notice(train, reviews_csv):
    result = train(reviews_csv, "--resume")
    assert result.exit_code == 0
    assert "there is no state to resume from, so training starts from the beginning" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{tmp}/folder.csv"], 1, "is a folder"),
        (["{in}", "--text-column", "revue"], 1, "reviews.csv: no column 'revue'"),
        (["{tmp}/none.csv", "-o", "{in}/model"], 1, "reviews.csv is a file, so"),
        (["{in}", "--label-column", "stars"], 1, "no column 'stars'"),
        (["{in}", "--label-column", "review"], 1, "both the text and the label"),
        (["{in}", "--group-column", "film"], 1, "no column 'film'"),
        (["{in}", "--label-column", "id", "--stars", "a,b"], 2, "--stars"),
        (["{in}", "--base", "./nowhere"], 1, "no model folder is at"),
        (["{in}", "--base", "{in}"], 1, "is a file"),
        (["{in}", "--epochs", "0"], 2, "--epochs is 0"),
        (["{in}", "--batch-size", "0"], 2, "--batch-size is 0"),
        (["{in}", "--learning-rate", "2"], 2, "--learning-rate is 2"),
        (["{in}", "--val-size", "1"], 2, "--val-size is 1"),
        (["{in}", "--dropout", "1"], 2, "--dropout is 1"),
        (["{in}", "--seed", "-1"], 2, "--seed is -1"),
        (["{in}", "--max-length", "65"], 2, "--max-length is 65, but the encoder has 64 positions"),
        (["{in}", "--long-text", "windows"], 2, "--long-text"),
        (["{in}", "--dtype", "float16"], 2, "'float16' is not one of 'auto', 'float32', 'bfloat16'"),
        (["{in}", "--limit", "1"], 2, "--limit is 1"),
        (["{in}", "--val-file", "{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{in}", "--unlabelled", "{tmp}/nowhere.csv"], 1, "nowhere.csv is not there"),
        (["{in}", "--unlabelled", "{in}"], 1, "holds no text that is not labelled: 60 rows"),
        (["{in}", "--unlabelled-weight", "0.3"], 2, "--unlabelled-weight is about unlabelled texts. Name their table"),
        (["{in}", "--ensemble", "1"], 2, "--ensemble is 1"),
        ([], 2, "Missing argument 'REVIEWS...'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(train, reviews_csv, tmp_path, arguments, code, part):
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    failed(train(*[word.format(**{"tmp": tmp_path, "in": reviews_csv}) for word in arguments]), part, code=code)
    assert sorted(tmp_path.rglob("*")) == before


def test_unlabelled_texts_are_read_and_what_they_gain_is_printed(train, reviews_csv, tmp_path):
    (tmp_path / "more.jsonl").write_text("".join(f'{{"content": "a fine film {n}"}}\n' for n in range(9)), "utf-8")
    sure = ("--unlabelled-confidence", "0.5", "--no-report", "--no-baseline")
    result = train(reviews_csv, "--unlabelled", tmp_path / "more.jsonl", *sure, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["self_training"]
    assert (found["unlabelled"]["rows"], sum(found["sure"].values())) == (9, 9)
    assert "more.jsonl is read as\n  text       content (assumed)" in result.stderr
    assert result.stderr.count(found["verdict"]) == 2, "when it is decided, and with the figures"
    assert "See --unlabelled-confidence and --unlabelled-weight" in result.stderr


def test_the_learning_curve_is_printed(train, reviews_csv):
    result = train(reviews_csv, "--learning-curve", "--no-report", "--no-baseline", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["learning_curve"]
    assert len(found["points"]) == 3
    assert f"learning curve, on {found['validation_rows']} validation rows:\ntrained on  accuracy" in result.stderr
    assert " ".join(result.stderr.split()).count(found["verdict"]) == 1


def test_options_can_stand_in_the_environment(train, reviews_csv, monkeypatch):
    monkeypatch.setenv("SENTIMENT_BATCH_TRAIN_SEED", "-3")
    failed(train(reviews_csv), "--seed is -3", code=2)


def test_files_that_are_not_split_need_no_group_column(train, reviews_csv, tmp_path):
    held = tmp_path / "held.csv"
    held.write_text("review,label\nfine,positive\npoor,negative\n", encoding="utf-8")
    result = train(reviews_csv, "--group-column", "id", "--val-file", held, "--test-file", held)
    assert result.exit_code == 0, result.stderr


def test_how_tables_are_read_is_printed_stored_and_used_again(train, cli, tmp_path):
    words = ("loved", "hated")
    lines = [f"{n},Film {n},I {words[n % 2]} it all {n},{5 - 4 * (n % 2)}" for n in range(60)]
    for name, separator in (("reviews.csv", ";"), ("test.csv", ",")):
        rows = [line.replace(",", separator) for line in ("review_id,title,body,stars", *lines)]
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    columns = ("--text-column", "title", "--text-column", "body")
    result = train(tmp_path / "reviews.csv", "--test-file", tmp_path / "test.csv", *columns, "--json")
    assert result.exit_code == 0, result.stderr
    assert (
        f"{tmp_path / 'reviews.csv'} is read as\n"
        "  text       title and body\n"
        "  label      stars (assumed): 1-2 -> negative, 4-5 -> positive (assumed)\n"
        "  delimiter  ; (assumed)\n"
    ) in result.stderr
    assert f"{tmp_path / 'test.csv'} is read as\n" in result.stderr
    found = json.loads(result.stdout)["input"]
    meta = json.loads((tmp_path / "model" / "sentiment_batch.json").read_text())
    assert meta["input"] == found
    assert (found["text_columns"], found["delimiter"]) == (["title", "body"], ";")
    assert {"label_column", "label_mapping", "delimiter"} <= set(found["assumed"])

    page = (tmp_path / "model" / "report.html").read_text()
    assert "What was read" in page
    assert "sentiment-batch train --base" in page
    assert datetime.now(UTC).date().isoformat() in page
    rows = re.findall(rf"row (\d+) of {tmp_path}/\w+\.csv \(review_id (\d+)\)", page)
    assert all(row == number for row, number in rows)
    assert "row –" not in page

    test = (tmp_path / "test.csv", "-m", tmp_path / "model", *CPU)
    measured = cli("evaluate", *test, "--json")
    assert json.loads(measured.stdout)["input"]["text_columns"] == ["title", "body"]
    assert "  label      stars: 1-2 -> negative, 4-5 -> positive\n" in measured.stderr
    scored = cli("score", test[0], tmp_path / "out.csv", *test[1:])
    assert "  text       title and body\n" in scored.stderr
