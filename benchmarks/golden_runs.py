"""The commands and calls whose results are recorded."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.golden_processes import ForkedCommands
from benchmarks.golden_record import VARIES, Results, leaves, sha256

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"
REVIEWS, HOLDOUT, UNLABELLED = (f"sample_data/{name}" for name in ("reviews.csv", "holdout.csv", "unlabelled.parquet"))
TEXTS = (
    "A warm, funny film.",
    "I want those two hours back.",
    "",
    "Not bad, but not good either; the ending is dull.",
    "Great acting! " * 40,
)
MALFORMED = (
    b"id,review\n"
    b"1,A quiet triumph.\n"
    b"2,Too many,fields,here\n"
    b"3\n"
    b"4,Caf\xe9 noir is dull.\n"
    b'5,"Two\nlines, both great."\n'
    b"6,\n"
)
"""A CSV in which one row has too many fields, one has too few, and one is not UTF-8."""
TRAIN = (
    f"train {REVIEWS} --base minilm --text-column review --label-column label --val-file {HOLDOUT} "
    f"--test-file {HOLDOUT} --limit 96 --epochs 3 --batch-size 16 --max-length 32 --learning-rate 3e-4 "
    "--device cpu --dtype float32 --json"
)
"""This training overfits on purpose, because only then has the calibration something to correct."""
STARS = (
    f"train {REVIEWS} --base minilm --text-column title --text-column review --label-column stars "
    "--stars negative=1,neutral=2-4,positive=5 --limit 64 --epochs 1 --batch-size 8 --max-length 24 --long-text head "
    "--val-size 0.25 --group-column title --class-weights auto --label-smoothing 0.1 --layer-decay 0.9 "
    "--weight-average 0.9 --seed 7 --device cpu --dtype float32 --no-report --json"
)
SCORE = "--device cpu --dtype float32 --text-column review --part-rows 25"


class Golden:
    """Runs the commands in one folder, under relative paths, and collects the results.

    Args:
        folder: an empty folder to work in.
        tell: prints what runs now.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self.results: Results = {}
        self._commands = ForkedCommands(folder, tell)

    def run(self) -> Results:
        """All results by name, in the order in which they were made."""
        shutil.copytree(SAMPLE_DATA, self.folder / "sample_data")
        (self.folder / "malformed.csv").write_bytes(MALFORMED)
        self._train()
        self._make_stock_model()
        self._score()
        self._score_streams()
        self._resume_scoring()
        self._look_at_texts()
        self._call_from_python()
        return self.results

    def _train(self) -> None:
        self._record_json("train/json", self._commands.run(*TRAIN.split(), "--output", "model"))
        self._record_model("model")
        killed = (*TRAIN.split(), "--output", "resumed")
        self._commands.kill(*killed, work="resumed.training", json_files=1)
        self._record_json("train-resumed/json", self._commands.run(*killed, "--resume"))
        self._record_model("resumed")
        self._record_json("train-stars/json", self._commands.run(*STARS.split(), "--output", "stars"))
        self._record_model("stars")
        for path in sorted((self.folder / "cache").rglob("*.safetensors")):
            self.results[f"converted-base/{path.name}"] = sha256(path.read_bytes())

    def _record_model(self, name: str) -> None:
        folder = self.folder / name
        self.results[f"model/{name}/files"] = sorted(path.name for path in folder.iterdir())
        for file in ("model.safetensors", "tokenizer.json"):
            self.results[f"model/{name}/{file}"] = sha256((folder / file).read_bytes())
        for file in ("config.json", "tokenizer_config.json", "sentiment_batch.json"):
            self._record_json(f"model/{name}/{file}", (folder / file).read_bytes())
        rows = list(csv.DictReader(io.StringIO((folder / "training_log.csv").read_text(encoding="utf-8"))))
        self._record(f"model/{name}/training_log.csv", rows)

    def _make_stock_model(self) -> None:
        """A BERT with random weights, which is not ours, so that padded batches of the stock code are scored too."""

        def make() -> None:
            import torch
            from transformers import BertConfig, BertForSequenceClassification

            torch.manual_seed(3)
            config = BertConfig(
                vocab_size=30_522,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
                initializer_range=0.3,
                id2label={0: "NEGATIVE", 1: "POSITIVE"},
                label2id={"NEGATIVE": 0, "POSITIVE": 1},
            )
            BertForSequenceClassification(config).save_pretrained("stock")

        self._commands.call("make a stock model", make)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(self.folder / "model" / name, self.folder / "stock")

    def _score(self) -> None:
        some = ("--limit", "60")
        self._score_table(UNLABELLED, "scored.csv", "--probabilities")
        self._score_table(REVIEWS, "scored.parquet", "--limit", "120", "--probabilities", "--decimals", "6")
        self._score_table(REVIEWS, "scored.jsonl", *some, "--prefix", "mood", "--columns", "id,review")
        self._score_table(UNLABELLED, "scored.arrow", *some, "--neutral-band", "0.6")
        self._score_table(HOLDOUT, "scored.csv.gz", *some, "--max-length", "16", "--long-text", "tail")
        self._score_table(UNLABELLED, "folder.parquet/", "--limit", "90")
        self._score_table(REVIEWS, "windows.csv", "--limit", "30", "--long-text", "windows")
        self._score_table(REVIEWS, "deterministic.csv", *some, "--deterministic", "--probabilities")
        self._score_table(REVIEWS, "half.csv", "--limit", "30", "--dtype", "bfloat16", "--probabilities")
        self._score_table(REVIEWS, "stars.parquet", *some, "--probabilities", model="stars")
        self._score_table(REVIEWS, "stock.parquet", *some, "--probabilities", "--decimals", "6", model="stock")
        self._score_table("malformed.csv", "marked.csv", "--on-bad-row", "mark", "--escape-formulas")
        shutil.copy(self.folder / HOLDOUT, self.folder / "in_place.csv")
        self._score_table("in_place.csv", "in_place.csv", "--overwrite")

    def _score_table(self, source: str, destination: str, *options: str, model: str = "model") -> None:
        command = ("score", source, destination, "--model", model, *SCORE.split(), "--json", *options)
        self._record_json(f"score/{destination}/json", self._commands.run(*command))
        self._record_output(destination)

    def _record_output(self, destination: str) -> None:
        name = destination.rstrip("/")
        path = self.folder / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            self.results[f"output/{file.relative_to(self.folder)}"] = sha256(file.read_bytes())
        manifest = json.loads(Path(f"{path}.manifest.json").read_bytes())["content"]
        if re.fullmatch("[0-9a-f]{64}", str(manifest.get("model"))):
            manifest["model"] = VARIES  # the digest covers the seconds that the training took
        self._record(f"manifest/{name}", manifest)
        problems = Path(f"{path}.problems.jsonl")
        if problems.exists():
            self._record_json(f"problems/{name}", problems.read_bytes())
        self._record_json(f"verify/{name}", self._commands.run("verify", destination, "--json"))

    def _score_streams(self) -> None:
        model = ("--model", "model", *SCORE.split())
        streamed = self._commands.run("score", REVIEWS, "-", "--output-format", "csv", "--limit", "30", *model)
        self.results["output/standard output as csv"] = sha256(streamed)
        given = (self.folder / HOLDOUT).read_bytes()
        formats = ("--input-format", "csv", "--output-format", "jsonl")
        streamed = self._commands.run("score", "-", "-", *formats, "--limit", "30", *model, stdin=given)
        self.results["output/standard input and output"] = sha256(streamed)

    def _resume_scoring(self) -> None:
        for destination in ("resumed.csv", "resumed.parquet", "resumed.jsonl/"):
            options = ("--model", "model", *SCORE.split(), "--json", "--limit", "120", "--probabilities")
            command = ("score", REVIEWS, destination, *options)
            self._commands.kill(*command, work=f".{destination.rstrip('/')}.scoring", json_files=3)
            self._record_json(f"score/{destination}/json", self._commands.run(*command))
            self._record_output(destination)

    def _look_at_texts(self) -> None:
        lines = "".join(f"{text}\n" for text in TEXTS).encode()
        options = ("--model", "model", "--device", "cpu", "--json")
        self._record_json("predict", self._commands.run("predict", *TEXTS, *options))
        self._record_json("predict/standard input", self._commands.run("predict", *options, stdin=lines))
        self._record_json("explain", self._commands.run("explain", *TEXTS, *options))
        self._record_json("explain/stars", self._commands.run("explain", *TEXTS[:2], "--model", "stars", "--json"))
        columns = ("--text-column", "review", "--label-column")
        evaluated = self._commands.run("evaluate", HOLDOUT, *columns, "label", "--by", "stars", *options)
        self._record_json("evaluate", evaluated)
        stars = ("--stars", "negative=1,neutral=2-4,positive=5")
        evaluated = self._commands.run("evaluate", HOLDOUT, *columns, "stars", *stars, "--model", "stars", "--json")
        self._record_json("evaluate/stars", evaluated)

    def _call_from_python(self) -> None:
        def call() -> None:
            import pandas as pd
            import pyarrow as pa

            from sentiment_batch import Scorer, evaluate, score

            frame = pd.read_csv(REVIEWS, nrows=60, dtype={"id": str})
            scored = score(frame, model="model", text_column="review", probabilities=True)
            with Scorer.load("model", dtype="float32", decimals=6) as scorer:
                table = scorer(pa.Table.from_pandas(frame), text_column="review")
            found = {
                "score/columns": {name: str(kind) for name, kind in scored.dtypes.items()},
                "score/rows": scored.to_csv(index=False),
                "scorer/columns": [f"{field.name}: {field.type}" for field in table.schema],
                "scorer/rows": table.select(["sentiment", "sentiment_score"]).to_pandas().to_csv(index=False),
                "evaluate": evaluate(frame, model="model", text_column="review", label_column="label").to_json(),
            }
            Path("python.json").write_text(json.dumps(found), encoding="utf-8")

        self._commands.call("call the functions from Python", call)
        found = json.loads((self.folder / "python.json").read_bytes())
        for name in ("score/rows", "scorer/rows"):
            found[name] = sha256(found[name].encode())
        self._record("api", found)

    def _record_json(self, name: str, data: bytes) -> None:
        """Record a JSON document, or JSON lines."""
        documents = [json.loads(line) for line in data.splitlines()] if data.count(b"\n{") else [json.loads(data)]
        self._record(name, documents[0] if len(documents) == 1 else documents)

    def _record(self, name: str, value: Any) -> None:
        self.results.update(leaves(name, value))
