"""Damaged files of models: the model folder, the work folder of a training, and the caches."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from sentiment_batch import Scorer
from sentiment_batch.model.torch_operators import has_fast_int8
from sentiment_batch.settings import TrainSettings
from sentiment_batch.tokenization import text_encoder
from sentiment_batch.training import loop
from sentiment_batch.training.checkpoint import state
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.run import run_training
from tests.conftest import BAD, GOOD, WORDS
from tests.scoring.simulated_kills import killed_at
from tests.stress.scenes import Scene, refusal_of

ROWS = 60
TEXTS = pa.table({"text": [f"the {WORDS[n]} film was {(GOOD + BAD)[n % 16]}" for n in range(40)]})
CACHE_KINDS = {
    "fast-start": "record for a fast start",
    "parity-checks": "answer of a parity check",
    "int8": "calibration of int8",
    "tokenizer-checks": "answer of a check of the tokenizer",
}


class CutOffError(Exception):
    """Ends a training in the middle."""


def write_reviews(path: Path, seed: int = 0) -> Path:
    """Labelled reviews, one telling word each."""
    lines = ["review,label"]
    for n in range(seed, seed + ROWS):
        words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
        lines.append(f"the {WORDS[n % 40]} film {n} was {words[n % 8]} and {words[(n + 3) % 8]},{label}")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def train(base: Path, reviews: Path, output: Path, *, resume: bool = False, steps: int | None = None) -> None:
    """Train a tiny model, whose state is saved at each step; `steps` ends the run in the middle of the next one."""
    settings = TrainSettings(
        base=str(base), device="cpu", dtype="float32", epochs=2, folds=0, batch_size=27, patience=None
    )
    job = TrainJob(
        reviews=[str(reviews)],
        output=output,
        settings=settings,
        resume=resume,
        report=False,
        baseline=False,
        quiet=True,
    )
    with pytest.MonkeyPatch.context() as patch, killed_at(None):
        patch.setattr(state, "MIN_SECONDS_BETWEEN_SAVES", 0.0)
        patch.setattr(state, "MAX_SAVING_SHARE", 1e9)
        if steps is None:
            run_training(job)
            return
        real, left = loop.take_step, [None] * steps

        def take_step(*arguments):
            if not left:
                raise CutOffError
            left.pop()
            return real(*arguments)

        patch.setattr(loop, "take_step", take_step)
        with pytest.raises(CutOffError):
            run_training(job)


def probabilities(model: Path, dtype: str = "float32") -> tuple[tuple[str, ...], bytes]:
    """The labels of a model, and the bits of the probabilities that it gives some texts."""
    with Scorer.load(str(model), device="cpu", dtype=dtype) as scorer:
        found = [numbers for _, numbers in scorer.probabilities(TEXTS.to_batches(), ["text"])]
        return scorer.description.labels, np.concatenate(found).tobytes()


class TrainingScene(Scene):
    """The work folder of a training that was interrupted after three of its four steps."""

    def __init__(self, folder: Path, base: Path) -> None:
        super().__init__(folder, "checkpoint")
        self._base, self._reviews = base, write_reviews(folder / "reviews.csv")
        self.place.mkdir()
        train(base, self._reviews, self._output)
        self._whole = self._weights()
        shutil.rmtree(self._output)
        train(base, self._reviews, self._output, steps=1)
        self.keep(stale=True)
        train(base, self._reviews, self._output, resume=True, steps=2)
        self.keep()

    @property
    def _output(self) -> Path:
        return self.place / "model"

    def kind_of(self, path: Path) -> str | None:
        if path.name.startswith("state-"):
            return "tensors of a checkpoint"
        if path.parent.name in {"best", "old"}:
            return f"best model: {path.name}"
        return f"checkpoint: {path.name}"

    def attempt(self) -> str:
        message = refusal_of(lambda: train(self._base, self._reviews, self._output, resume=True))
        if message:
            assert not self._output.exists(), "refused, but a model was published"
            return "refused"
        assert self._weights() == self._whole, "another model was published"
        return "harmless"

    def _weights(self) -> bytes:
        return (self._output / "model.safetensors").read_bytes()


class ModelScene(Scene):
    """A model folder that was trained here."""

    def __init__(self, folder: Path, base: Path) -> None:
        super().__init__(folder, "model folder")
        self.place.mkdir()
        train(base, write_reviews(folder / "earlier.csv", seed=7), self._model)
        self.keep(stale=True)
        shutil.rmtree(self._model)
        train(base, write_reviews(folder / "reviews.csv"), self._model)
        self._whole = probabilities(self._model)
        self.keep()

    @property
    def _model(self) -> Path:
        return self.place / "model"

    def kind_of(self, path: Path) -> str | None:
        return f"model: {path.name}"

    def attempt(self) -> str:
        found = None

        def score() -> None:
            nonlocal found
            found = probabilities(self._model)

        if refusal_of(score):
            return "refused"
        assert found == self._whole, "other scores"
        return "harmless"


class CacheScene(Scene):
    """The answers about a model in the cache, one kind of them.

    Args:
        folder: an empty folder to work in.
        model: a model folder. A cache of another model gives the contents to swap.
        kind: how the name of the kind's folder begins.
    """

    def __init__(self, folder: Path, model: Path, kind: str) -> None:
        super().__init__(folder, f"cache {kind}")
        self._model, self._kind = model, kind
        self._dtype = "int8" if kind == "int8" else "float32"
        self._fill(copy_with_other_weights(model, folder / "another"))
        self._of_another = [path.read_bytes() for path in sorted(self.place.glob(f"{kind}*/**/*.json"))]
        shutil.rmtree(self.place)
        self._whole = self._fill(model)
        if kind != "fast-start":  # which reads none of the others
            for path in self.place.glob("fast-start*"):
                shutil.rmtree(path)
        self.keep()

    def kind_of(self, path: Path) -> str | None:
        top = path.relative_to(self._sound).parts[0]
        return CACHE_KINDS[self._kind] if top.startswith(self._kind) else None

    def others(self, kind: str, name: str) -> list[bytes]:
        return self._of_another

    def attempt(self) -> str:
        damaged = {name: self._read(name) for names in self.files().values() for name in names}
        found = None

        def score() -> None:
            nonlocal found
            found = self._fill(self._model)

        if refusal_of(score):
            return "refused"
        assert found == self._whole, "other scores"
        return "harmless" if damaged == {name: self._read(name) for name in damaged} else "redone"

    def _fill(self, model: Path) -> tuple[tuple[str, ...], bytes]:
        """Score with this cache."""
        self.place.mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch, killed_at(None):
            patch.setenv("SENTIMENT_BATCH_CACHE", str(self.place))
            patch.setattr(text_encoder, "MIN_CHARACTERS", 0)  # the library of a long job is chosen
            return probabilities(model, self._dtype)

    def _read(self, name: str) -> bytes | None:
        path = self.place / name
        return path.read_bytes() if path.is_file() else None


def copy_with_other_weights(model: Path, folder: Path) -> Path:
    """A copy of a model whose scores are others."""
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    changed = {name: tensor * 1.5 if name.startswith("classifier") else tensor for name, tensor in weights.items()}
    save_file(changed, folder / "model.safetensors", {"format": "pt"})
    return folder


def list_cache_kinds() -> list[str]:
    """The kinds that this machine writes."""
    return [kind for kind in CACHE_KINDS if kind != "int8" or has_fast_int8()]
