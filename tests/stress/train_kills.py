"""Kills training at random times and resumes it until it is done, over and over; the outcome must be that of one run.

Usage: python -m tests.stress.train_kills --kills 50 --work DIR

Every run is a process of its own, which trains a tiny model made here, and saves a state at every step. Half of the
kills are SIGKILL, the others SIGINT and SIGTERM. After each run that comes to its end, the SHA-256 of its weights and
its history (but for the seconds) are compared with those of a run that nobody killed. Exits with 1 if any differ.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from tests.conftest import BAD, GOOD, WORDS

ROOT = Path(__file__).parents[2]
EXPECTED = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGINT: {130, -signal.SIGINT},
    signal.SIGTERM: {143, -signal.SIGTERM},
}
"""How a process may end; by the signal itself where it came before Python or torch was loaded."""
CHILD = """
import sys
from sentiment_batch.cli import main
from sentiment_batch.training.checkpoint import state
state.MIN_SECONDS_BETWEEN_SAVES, state.MAX_SAVING_SHARE = 0.0, 1e9
print("ready", flush=True)
main()
"""


def make_base(folder: Path) -> None:
    """A random DistilBERT with a small vocabulary."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(11)
    config = DistilBertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=64, n_layers=2, n_heads=2, dim=64, hidden_dim=128
    )
    DistilBertModel(config).save_pretrained(folder)
    backend = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    DistilBertTokenizerFast(tokenizer_object=backend, model_max_length=64).save_pretrained(folder)


def make_reviews(path: Path, count: int = 400) -> None:
    """Labelled reviews, one telling word each."""
    lines = ["review,label"]
    for n in range(count):
        words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
        lines.append(f"the {WORDS[n % 40]} film {n} was {words[n % 8]} and {words[(n + 3) % 8]},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def start(work: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    """A training run as a process; it has said that all is imported when this comes back."""
    settings = ["--epochs", "4", "--folds", "0", "--batch-size", "16", "--patience", "0"]
    settings += ["--device", "cpu", "--dtype", "float32"]
    data = ["train", str(work / "reviews.csv"), "--base", str(work / "base"), "-o", str(output), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *data, *settings, *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def outcome(output: Path) -> tuple[str, list[dict[str, str]]]:
    """The digest of the weights and the history without its seconds."""
    with (output / "training_log.csv").open(newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest(), rows


class Storm:
    """One series of kills."""

    def __init__(self, work: Path, kills: int, seed: int, log: TextIO | None) -> None:
        self.work, self.kills, self._log = work, kills, log
        self.chance = random.Random(seed)
        self.done = self.finished = self.different = self.odd = 0

    def run(self) -> bool:
        """Whether every run ended as the one that was let alone."""
        make_base(self.work / "base")
        make_reviews(self.work / "reviews.csv")
        begun = time.perf_counter()
        self._wait(start(self.work, self.work / "whole"))
        longest = time.perf_counter() - begun
        expected = outcome(self.work / "whole")
        self._say(f"unkilled: {longest:.1f} s, weights {expected[0][:16]}, {len(expected[1])} validations")
        while self.done < self.kills:
            output = self.work / "model"
            self._to_the_end(output, longest)
            found = outcome(output)
            same = found == expected and not (self.work / "model.training").exists()
            self.finished += 1
            self.different += not same
            self._say(f"run {self.finished}: weights {found[0][:16]} {'equal' if same else 'DIFFERENT'}")
            shutil.rmtree(output)
        self._say(
            f"{self.done} kills, {self.finished} runs resumed to their end: {self.different} different, "
            f"{self.odd} kills with a wrong exit code or a traceback"
        )
        return not self.different and not self.odd

    def _to_the_end(self, output: Path, longest: float) -> None:
        """Start, kill and resume until a run is through; no kill when all have been made."""
        while True:
            process = start(self.work, output, "--resume")
            if self.done < self.kills:
                number = self.chance.choice([signal.SIGKILL] * 2 + [signal.SIGINT, signal.SIGTERM])
                delay = self.chance.uniform(0.0, 0.7 * longest)
                try:
                    process.wait(delay)
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
                    self._killed(process, number, delay)
                    continue
            self._wait(process)
            return

    def _killed(self, process: subprocess.Popen[str], number: signal.Signals, delay: float) -> None:
        self.done += 1
        error = process.communicate()[1]
        state = sorted(path.name for path in self.work.glob("model.training/state-*"))
        where = "published" if (self.work / "model").exists() else state[-1] if state else "no state"
        self._say(f"kill {self.done}: {number.name} after {delay:.2f} s, exit {process.returncode}, {where}")
        if process.returncode not in EXPECTED[number] | {0} or "Traceback" in error:
            self.odd += 1
            self._say(error)

    def _say(self, text: str) -> None:
        for stream in filter(None, (sys.stdout, self._log)):
            print(text, file=stream, flush=True)

    def _wait(self, process: subprocess.Popen[str]) -> None:
        error = process.communicate()[1]
        if process.returncode:
            sys.exit(f"a run that nobody killed ended with {process.returncode}:\n{error}")


def main() -> None:
    """Read the options and begin."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--work", type=Path, help="an empty folder to work in; default: a temporary one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="write what is printed here too")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        log = stack.enter_context(chosen.log.open("w")) if chosen.log else None
        work = chosen.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        if any(work.iterdir()):
            sys.exit(f"{work} is not empty. Give --work an empty or new folder.")
        sys.exit(0 if Storm(work, chosen.kills, chosen.seed, log).run() else 1)


if __name__ == "__main__":
    main()
