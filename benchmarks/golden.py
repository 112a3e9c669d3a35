"""Records what the program computes, so that a change of the code can be shown to change no result.

    python -m benchmarks.golden before.json
    python -m benchmarks.golden after.json --against before.json

The script uses only the command line and the public functions, with the offline encoder and the sample reviews. It
trains, kills and resumes a training, scores into every built-in format, kills and resumes three of these jobs, and
predicts, evaluates and explains. It records the SHA-256 of all weights and outputs, and each value of the JSON
documents under its own name. A renamed key therefore shows as one missing entry and one new entry.

Values that differ between two runs of the same code, such as seconds, are recorded as `(varies)`. The other values are
equal in each run on one machine. Another processor, or another version of torch, may give other bits.

Each command runs in a process that is forked from this one after the libraries are imported. This saves seconds for
each command, and needs a system that has `fork`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import re
import runpy
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"
REVIEWS, HOLDOUT, UNLABELLED = (f"sample_data/{name}" for name in ("reviews.csv", "holdout.csv", "unlabelled.parquet"))
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # sums depend on the number of threads in their last bits
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "SENTIMENT_BATCH_CACHE": "cache",
}
VARIES = "(varies)"
"""Stands for a value that differs between two runs of the same code."""
VARYING_KEYS = re.compile(
    r"seconds|.*_per_second|model_busy|version|versions|sentiment-batch|torch|transformers|tokenizers|python|run"
    r"|transformers_version|modified|sha256"
)
"""Names of values that depend on the time, on versions, or on values that do. Digests of files are recorded apart."""
WORDING = re.compile(r"(^|.*[/_])(reason|message)$|.*/findings/\d+/text$|verify/.*/input$")
"""Names of values that are sentences for people. Their difference is printed and is no failure."""
MAX_LISTED = 12
"""A longer list of plain values is recorded as its digest."""
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

Results = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Run every command and write the record; compare it with an earlier one where asked.

    Returns:
        1 if a result differs from the earlier record or is missing, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.golden", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", metavar="OUT.json", help="where the record is written")
    parser.add_argument("--against", metavar="EARLIER.json", help="print each difference from this earlier record")
    arguments = parser.parse_args(argv)
    os.environ.update(ENVIRONMENT)

    from benchmarks import common

    _import_libraries()
    with tempfile.TemporaryDirectory() as scratch:
        results = Golden(Path(scratch), common.report_progress).run()
    common.save(arguments.out, "cpu", arguments, {"results": results})
    print(f"{len(results):,} results in {arguments.out}")
    if arguments.against is None:
        return 0
    now, earlier = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (arguments.out, arguments.against))
    for name in ("processor", "cores"):
        if now["machine"][name] != earlier["machine"][name]:
            print(f"another machine: {name} was {earlier['machine'][name]} and is {now['machine'][name]}")
    return compare(earlier["results"], now["results"])


def compare(earlier: Results, now: Results) -> int:
    """Print each difference between two sets of results; gives 1 if one is more than new or other wording, else 0."""
    worst = 0
    for name in dict.fromkeys([*earlier, *now]):
        if name not in now:
            print(f"missing  {name}: it was {_short(earlier[name])}")
            worst = 1
        elif name not in earlier:
            print(f"new      {name}: {_short(now[name])}")
        elif earlier[name] != now[name]:
            is_wording = WORDING.fullmatch(name) is not None
            print(f"{'wording' if is_wording else 'differs':8} {name}: {_short(earlier[name])} -> {_short(now[name])}")
            worst = worst if is_wording else 1
    if not worst:
        print("every earlier result is unchanged")
    return worst


class Golden:
    """Runs the commands in one folder, under relative paths, and collects the results.

    Args:
        folder: an empty folder to work in.
        tell: prints what runs now.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self.results: Results = {}
        self._tell = tell

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
        self._record_json("train/json", self._command(*TRAIN.split(), "--output", "model"))
        self._record_model("model")
        killed = (*TRAIN.split(), "--output", "resumed")
        self._kill(*killed, work="resumed.training", json_files=1)
        self._record_json("train-resumed/json", self._command(*killed, "--resume"))
        self._record_model("resumed")
        self._record_json("train-stars/json", self._command(*STARS.split(), "--output", "stars"))
        self._record_model("stars")
        for path in sorted((self.folder / "cache").rglob("*.safetensors")):
            self.results[f"converted-base/{path.name}"] = _sha256(path.read_bytes())

    def _record_model(self, name: str) -> None:
        folder = self.folder / name
        self.results[f"model/{name}/files"] = sorted(path.name for path in folder.iterdir())
        for file in ("model.safetensors", "tokenizer.json"):
            self.results[f"model/{name}/{file}"] = _sha256((folder / file).read_bytes())
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

        self._python("make a stock model", make)
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
        self._record_json(f"score/{destination}/json", self._command(*command))
        self._record_output(destination)

    def _record_output(self, destination: str) -> None:
        name = destination.rstrip("/")
        path = self.folder / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            self.results[f"output/{file.relative_to(self.folder)}"] = _sha256(file.read_bytes())
        manifest = json.loads(Path(f"{path}.manifest.json").read_bytes())["content"]
        if re.fullmatch("[0-9a-f]{64}", str(manifest.get("model"))):
            manifest["model"] = VARIES  # the digest covers the seconds that the training took
        self._record(f"manifest/{name}", manifest)
        problems = Path(f"{path}.problems.jsonl")
        if problems.exists():
            self._record_json(f"problems/{name}", problems.read_bytes())
        self._record_json(f"verify/{name}", self._command("verify", destination, "--json"))

    def _score_streams(self) -> None:
        model = ("--model", "model", *SCORE.split())
        streamed = self._command("score", REVIEWS, "-", "--output-format", "csv", "--limit", "30", *model)
        self.results["output/standard output as csv"] = _sha256(streamed)
        given = (self.folder / HOLDOUT).read_bytes()
        formats = ("--input-format", "csv", "--output-format", "jsonl")
        streamed = self._command("score", "-", "-", *formats, "--limit", "30", *model, stdin=given)
        self.results["output/standard input and output"] = _sha256(streamed)

    def _resume_scoring(self) -> None:
        for destination in ("resumed.csv", "resumed.parquet", "resumed.jsonl/"):
            options = ("--model", "model", *SCORE.split(), "--json", "--limit", "120", "--probabilities")
            command = ("score", REVIEWS, destination, *options)
            self._kill(*command, work=f".{destination.rstrip('/')}.scoring", json_files=3)
            self._record_json(f"score/{destination}/json", self._command(*command))
            self._record_output(destination)

    def _look_at_texts(self) -> None:
        lines = "".join(f"{text}\n" for text in TEXTS).encode()
        options = ("--model", "model", "--device", "cpu", "--json")
        self._record_json("predict", self._command("predict", *TEXTS, *options))
        self._record_json("predict/standard input", self._command("predict", *options, stdin=lines))
        self._record_json("explain", self._command("explain", *TEXTS, *options))
        self._record_json("explain/stars", self._command("explain", *TEXTS[:2], "--model", "stars", "--json"))
        columns = ("--text-column", "review", "--label-column")
        evaluated = self._command("evaluate", HOLDOUT, *columns, "label", "--by", "stars", *options)
        self._record_json("evaluate", evaluated)
        stars = ("--stars", "negative=1,neutral=2-4,positive=5")
        evaluated = self._command("evaluate", HOLDOUT, *columns, "stars", *stars, "--model", "stars", "--json")
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

        self._python("call the functions from Python", call)
        found = json.loads((self.folder / "python.json").read_bytes())
        for name in ("score/rows", "scorer/rows"):
            found[name] = _sha256(found[name].encode())
        self._record("api", found)

    def _record_json(self, name: str, data: bytes) -> None:
        """Record a JSON document, or JSON lines."""
        documents = [json.loads(line) for line in data.splitlines()] if data.count(b"\n{") else [json.loads(data)]
        self._record(name, documents[0] if len(documents) == 1 else documents)

    def _record(self, name: str, value: Any) -> None:
        self.results.update(leaves(name, value))

    def _command(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a command prints on standard output; it must succeed."""
        self._tell(" ".join(arguments)[:150])
        status = self._forked(lambda: _command_line(arguments), stdin)
        if status != 0:
            raise SystemExit(f"{' '.join(arguments)} ended with status {status}:\n{self._standard_error()}")
        return (self.folder / "stdout").read_bytes()

    def _kill(self, *arguments: str, work: str, json_files: int) -> None:
        """Run a command and kill it after so many JSON files were put into its work folder."""
        self._tell(f"kill {' '.join(arguments)}"[:150])

        def run() -> None:
            _die_after(self.folder / work, json_files)
            _command_line(arguments)

        status = self._forked(run, b"")
        if status != -signal.SIGKILL or not (self.folder / work).is_dir():
            raise SystemExit(f"{' '.join(arguments)} was to be killed and ended with status {status}")

    def _python(self, what: str, call: Callable[[], None]) -> None:
        self._tell(what)
        if self._forked(call, b"") != 0:
            raise SystemExit(f"{what}:\n{self._standard_error()}")

    def _forked(self, call: Callable[[], object], stdin: bytes) -> int:
        """The exit status of a child that calls `call` in the folder; negative if a signal ended it."""
        (self.folder / "stdin").write_bytes(stdin)
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        status = 1
        try:
            os.chdir(self.folder)
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
                os.dup2(os.open(name, flags, 0o666), number)
            call()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _standard_error(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")[-3000:]


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each plain value of a JSON document under its path; a long list of plain values as its digest."""
    key = name.rpartition("/")[2]
    if VARYING_KEYS.fullmatch(key):
        yield name, VARIES
    elif isinstance(value, dict):
        for part, inner in value.items():
            yield from leaves(f"{name}/{part}", inner)
    elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        for number, one in enumerate(value):
            yield from leaves(f"{name}/{number}", one)
    elif isinstance(value, list) and len(value) > MAX_LISTED:
        yield name, _sha256(json.dumps(value).encode())
    elif isinstance(value, str) and Path(value).is_absolute():
        yield name, Path(value).name
    else:
        yield name, value


def _import_libraries() -> None:
    """Import what each command needs, once; none of it starts a thread."""
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import tokenizers  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.distilbert.modeling_distilbert  # noqa: F401


def _command_line(arguments: Sequence[str]) -> None:
    """Be `python -m sentiment_batch` with these arguments."""
    sys.argv = ["sentiment-batch", *arguments]
    runpy.run_module("sentiment_batch", run_name="__main__", alter_sys=True)


def _die_after(work: Path, json_files: int) -> None:
    """Kill this process right after so many JSON files have been renamed into `work`."""
    count = 0
    folder = os.path.realpath(work)

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(source: Any, target: Any, **options: Any) -> None:
            nonlocal count
            real(source, target, **options)
            place = os.path.realpath(os.fspath(target))
            count += os.path.dirname(place) == folder and place.endswith(".json")
            if count == json_files:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)  # type: ignore[assignment]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}..."


if __name__ == "__main__":
    raise SystemExit(main())
