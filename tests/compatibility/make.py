"""Makes the artefacts of this version, with which later versions are tested.

    python -m tests.compatibility.make

The script runs the installed program and writes the folder `artefacts/VERSION` beside this file. Run it once for each
release, and commit the folder. `artefacts/0.1.0` was made in this way by version 0.1.0, before the modules were moved
into packages.

    base/                      a DistilBERT with random weights: 2 layers, 16 wide
    reviews.csv                the reviews that `model` was trained on
    table.csv                  the table that was scored; one row is malformed
    model/                     the trained model
    scored.csv, .manifest.json, .problems.jsonl
    scored.jsonl/              the same rows as a folder, with its manifest
    unfinished/
        resumed.training/      the training of `model`, killed after its first state
        .resumed.csv.scoring/  the job of `scored.csv`, killed after its second part
        .resumed.jsonl.scoring/
    cache/                     a converted base and the outcome of probes; the weights are those of `base`
    scorer.pickle              a pickled `Scorer` of a model named `model`
    *.whl                      the plugin in `plugin/` and the Excel plugin
    expected.json              probabilities of some texts, versions, and the processor

What a run records of this machine is hidden: `/FOLDER` stands for the folder, and the lock files, which hold the name
of the machine, are left out. Nothing else is changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACEHOLDER = "/FOLDER"
MODIFIED = 1_750_000_000
"""The time of change of `table.csv`, in seconds; a resumed job compares it."""
CPU = ("--device", "cpu", "--dtype", "float32")
TRAIN = (
    *("train", "reviews.csv", "--base", "base", "--epochs", "2", "--batch-size", "8", "--learning-rate", "2e-2"),
    *("--val-size", "0.3", "--no-report", *CPU),
)
SCORE = (
    *("--model", "model", "--text-column", "review", "--on-bad-row", "mark", "--part-rows", "10"),
    *("--probabilities", *CPU),
)
TEXTS = (
    "the film was great",
    "a boring, awful plot",
    "",
    "not bad; but not good either",
    "loved it! " * 40,
    "😀 ünïcode",
)
GOOD = "loved great wonderful superb best fine warm funny".split()  # noqa: SIM905
BAD = "hated awful terrible boring worst dull poor weak".split()  # noqa: SIM905
OTHER = "the a film plot was and very not but it is too never ending music scene".split()  # noqa: SIM905
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
DIES = """
import os, signal, sys, runpy
work, ending, count = os.path.realpath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.argv = ["sentiment-batch", *sys.argv[4:]]
def dying(real):
    def call(source, target, **options):
        global count
        real(source, target, **options)
        place = os.path.realpath(os.fspath(target))
        count -= os.path.dirname(place) == work and place.endswith(ending)
        if not count:
            os.kill(os.getpid(), signal.SIGKILL)
    return call
os.replace, os.rename = dying(os.replace), dying(os.rename)
runpy.run_module("sentiment_batch", run_name="__main__", alter_sys=True)
"""
"""Runs the command line, and kills it right after so many files with an ending have been renamed into a folder."""
PROBABILITIES = """
import json, sys
import pyarrow as pa
from sentiment_batch import Scorer
texts = json.load(sys.stdin)
with Scorer.load("model", device="cpu", dtype="float32") as scorer:
    batches = pa.table({"text": texts}).to_batches()
    rows = [row for _, found in scorer.probabilities(batches, ["text"]) for row in found.tolist()]
    print(json.dumps({"labels": scorer.labels, "probabilities": rows}))
"""
PICKLE = """
import pickle
from sentiment_batch import Scorer, ScoreSettings
settings = ScoreSettings(device="cpu", dtype="float32", probabilities=True, decimals=6)
with open("scorer.pickle", "wb") as file:
    pickle.dump(Scorer(model="model", settings=settings), file, protocol=4)
"""


def main():
    target = HERE / "artefacts" / version("sentiment-batch")
    if target.exists():
        raise SystemExit(
            f"{target} exists. Artefacts of a version are made once; delete the folder to make them again."
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.path.realpath(scratch)) / "artefacts"
        folder.mkdir()
        make_base(folder / "base")
        make_tables(folder)
        run_python(folder, PICKLE)  # before there is a folder `model`, whose absolute path it would hold
        make_model_and_output(folder)
        make_unfinished(folder)
        make_cache(folder)
        make_wheels(folder, Path(scratch))
        expected = json.loads(run_python(folder, PROBABILITIES, given=json.dumps(TEXTS)))
        about = {name: version(name) for name in ("sentiment-batch", "torch", "transformers", "tokenizers", "pyarrow")}
        expected |= {"texts": TEXTS, "versions": about, "processor": processor(), "modified": MODIFIED}
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
        hide_the_machine(folder)
        shutil.copytree(folder, target)
    print(f"{target}: {sum(path.stat().st_size for path in target.rglob('*') if path.is_file()):,} bytes")


def make_base(folder):
    """Write a DistilBERT with random weights and a vocabulary of words and letters."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = dict.fromkeys([*special, *OTHER, *GOOD, *BAD, *letters, *(f"##{letter}" for letter in letters), *".,!?;"])
    torch.manual_seed(11)
    size = {"max_position_embeddings": 48, "n_layers": 2, "n_heads": 2, "dim": 16, "hidden_dim": 32}
    config = DistilBertConfig(vocab_size=len(words), initializer_range=0.2, **size)
    DistilBertModel(config).save_pretrained(folder)
    backend = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    DistilBertTokenizerFast(tokenizer_object=backend, model_max_length=48).save_pretrained(folder)


def make_tables(folder):
    """Write the reviews to train on, and the table to score."""
    reviews, rows = ["id,review,label"], ["id,review"]
    for n in range(60):
        words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
        reviews.append(f"{n:03d},the {OTHER[n % 16]} film {n} was {words[n % 8]} and {words[(n + 3) % 8]},{label}")
    for n in range(40):
        words = (GOOD, BAD, OTHER)[n % 3]
        text = " ".join([OTHER[n % 16], "film", words[n % 7], "and", words[(n * 5 + 1) % 8]] * (1 + n % 12))
        rows.append(f"{n:03d}," + ("" if n == 7 else f"{text},one,field,more" if n == 13 else f'"{text}, {n % 9}"'))
    (folder / "reviews.csv").write_text("\n".join(reviews) + "\n", encoding="utf-8")
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    os.utime(folder / "table.csv", (MODIFIED, MODIFIED))


def make_model_and_output(folder):
    run(folder, *TRAIN, "--output", "model")
    run(folder, "score", "table.csv", "scored.csv", *SCORE)
    run(folder, "score", "table.csv", "scored.jsonl/", *SCORE)
    run(folder, "verify", "scored.csv")
    run(folder, "verify", "scored.jsonl/")


def make_unfinished(folder):
    """Kill the same three runs, and check on a copy that they can be finished to the same bytes."""
    unfinished = folder / "unfinished"
    unfinished.mkdir()
    kill(folder, "resumed.training", "state.json", 1, *TRAIN, "--output", "resumed")
    shutil.move(folder / "resumed.training", unfinished)
    for name in ("resumed.csv", "resumed.jsonl/"):
        work = f".{name.rstrip('/')}.scoring"
        kill(folder, work, ".json", 3, "score", "table.csv", name, *SCORE)
        shutil.move(folder / work, unfinished)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        shutil.copytree(unfinished, Path(scratch) / "unfinished")
        for path in unfinished.iterdir():
            shutil.copytree(path, folder / path.name)
        run(folder, *TRAIN, "--output", "resumed", "--resume")
        run(folder, "score", "table.csv", "resumed.csv", *SCORE)
        run(folder, "score", "table.csv", "resumed.jsonl/", *SCORE)
    files = ["model.safetensors", "part-00000.jsonl", "part-00003.jsonl"]
    pairs = [("resumed", "model"), ("resumed.jsonl", "scored.jsonl"), ("resumed.jsonl", "scored.jsonl")]
    both = [(folder / one / name, folder / other / name) for (one, other), name in zip(pairs, files, strict=True)]
    for one, other in [*both, (folder / "resumed.csv", folder / "scored.csv")]:
        assert one.read_bytes() == other.read_bytes(), f"{one} was not finished to the same bytes"
    for path in folder.glob("resumed*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_cache(folder):
    """Keep the outcome of the model's probes."""
    given = ("predict", "a great film", "--model", "model", *CPU)
    run(folder, *given, SENTIMENT_BATCH_CACHE=str(folder / "cache"))


def make_wheels(folder, scratch):
    for source in (HERE / "plugin", ROOT / "plugins" / "sentiment-batch-excel"):
        copy = shutil.copytree(source, scratch / f"source of {source.name}")  # because the build leaves files there
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run([*pip, "--wheel-dir", folder, copy], check=True)


def hide_the_machine(folder):
    for path in folder.rglob("lock"):
        path.unlink()
    for path in [*folder.glob("*.manifest.json"), *folder.glob("unfinished/*/job.json")]:
        rewrite(path, lambda text: text.replace(json.dumps(str(folder))[1:-1], PLACEHOLDER))
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(folder).encode() not in path.read_bytes(), f"{path} holds the path of this machine"


def rewrite(path, change):
    """Change a file of JSON that holds its own SHA-256.

    Args:
        path: of the file.
        change: takes the content as JSON text, and gives the new text.
    """
    content = json.loads(change(json.dumps(json.loads(path.read_bytes())["content"])))
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    checked = {"content": content, "sha256": hashlib.sha256(canonical.encode()).hexdigest()}
    path.write_text(json.dumps(checked, indent=1) + "\n", encoding="utf-8")


def run(folder, *arguments, **environment):
    python(folder, ["-m", "sentiment_batch", *map(str, arguments)], environment)


def kill(folder, work, ending, count, *arguments):
    given = ["-c", DIES, str(folder / work), ending, str(count), *map(str, arguments)]
    status = python(folder, given, {}, check=False).returncode
    assert status < 0, f"{arguments} ended with status {status}"


def run_python(folder, code, given=""):
    return python(folder, ["-c", code], {}, given=given).stdout


def python(folder, arguments, environment, check=True, given=""):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("SENTIMENT_BATCH_")}
    settings |= {"SENTIMENT_BATCH_CACHE": str(folder.parent / "unused-cache")} | ENVIRONMENT | environment
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=settings, input=given, **both)
    if check and done.returncode:
        raise SystemExit(f"{arguments} ended with status {done.returncode}:\n{done.stderr}")
    return done


def processor():
    """The name of the processor, as far as the system gives one."""
    with contextlib.suppress(OSError):  # only Linux has the file
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
