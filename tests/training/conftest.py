from collections.abc import Callable

import numpy as np
import pytest

from sentiment_batch.data.labelled_rows import LabelledRows
from sentiment_batch.labels.settings import LabelSettings
from sentiment_batch.settings import TrainSettings
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer
from sentiment_batch.training import loop, report_data
from sentiment_batch.training.batches import TokenizedTexts
from sentiment_batch.training.checkpoint import state
from sentiment_batch.training.job import TrainJob
from sentiment_batch.training.run import run_training
from tests.conftest import BAD, GOOD, WORDS
from tests.training.run_results import result


@pytest.fixture(autouse=True)
def no_word_weights(monkeypatch):
    """Reports show no weights of words, which would take a third of each tiny training. tests/cli trains with them."""
    monkeypatch.setattr(report_data, "_weigh_words", lambda *arguments: None)


@pytest.fixture
def reviews() -> Callable[..., LabelledRows]:
    """Makes labelled reviews, each with words of its class: `reviews(60, {"negative": BAD, "positive": GOOD})`."""

    def make(
        count: int = 60, classes=None, *, name: str = "reviews.csv", column: str = "label", start: int = 0
    ) -> LabelledRows:
        classes = classes or {"negative": BAD, "positive": GOOD}
        texts, labels = [], []
        for n in range(start, start + count):
            label = list(classes)[n % len(classes)]
            words = classes[label]
            texts.append(f"the {WORDS[n % 40]} film {n} was {words[n % len(words)]} and {words[(n + 3) % len(words)]}")
            labels.append(label)
        return LabelledRows(
            name=name,
            texts=texts,
            labels=labels,
            groups=None,
            text_columns=("text",),
            label_column=column,
            num_blank=0,
        )

    return make


@pytest.fixture
def settings(tiny_base) -> Callable[..., TrainSettings]:
    """Settings of a quick run on the CPU in float32."""

    def make(**chosen) -> TrainSettings:
        quick = {"base": str(tiny_base), "device": "cpu", "dtype": "float32", "epochs": 2, "batch_size": 8, "folds": 0}
        return TrainSettings(**quick | chosen)

    return make


@pytest.fixture
def learner(tiny_base) -> Callable[..., tuple]:
    """A new classifier and a function that makes its training texts out of labelled ones."""

    def make(num_labels: int = 2, dropout: float = 0.0, seed: int = 3):
        import torch

        from sentiment_batch.model.classifier import EncoderClassifier, load_base

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder, base_tokenizer = load_base(tiny_base)
            encoder.config.dropout = 0.0
            for module in encoder.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            classifier = EncoderClassifier(encoder, num_labels, dropout)
            torch.nn.init.normal_(classifier.linear.weight, std=0.5)
        tokenizer = TextTokenizer(
            base_tokenizer.backend_tokenizer, TextPolicy(max_length=32, long_text="head"), special_as_text=True
        )

        def texts(rows, codes) -> TokenizedTexts:
            return TokenizedTexts(tokenizer(rows), np.array(codes, dtype=np.int64), base_tokenizer.pad_token_id)

        return classifier, texts

    return make


@pytest.fixture
def often(monkeypatch):
    """A state is saved at every step."""
    monkeypatch.setattr(state, "MIN_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(state, "MAX_SAVING_SHARE", 1e9)


@pytest.fixture
def train(tmp_path, settings, reviews):
    """Trains into the test's folder."""

    def train(output="model", rows=None, *, val=None, test=None, stars=None, **chosen):
        how = {
            name: chosen.pop(name)
            for name in ("overwrite", "resume", "restart", "report", "baseline")
            if name in chosen
        }
        unlabelled = chosen.pop("unlabelled", None)
        small = {"epochs": 3, "batch_size": 18, "patience": None} | chosen
        rows = rows or reviews()
        tables = {"reviews": [rows], "val": val, "test": test}
        job = TrainJob(
            **tables,
            output=tmp_path / output,
            settings=settings(**small),
            label_settings=LabelSettings(stars=stars),
            unlabelled=() if unlabelled is None else [unlabelled],
            quiet=True,
            **how,
        )
        return run_training(job)

    return train


@pytest.fixture
def whole(train, tmp_path):
    """What the run that nobody interrupts leaves: the sum of its weights, and its history."""
    return result(train("whole"))


@pytest.fixture
def interrupted(train, monkeypatch):
    """Trains, and is interrupted in the middle of the step after so many."""

    def interrupted(steps: int, output="model", end=KeyboardInterrupt, **chosen):
        take_step, done = loop.take_step, 0

        def until(*arguments):
            nonlocal done
            if done == steps:
                raise end
            done += 1
            return take_step(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "take_step", until)
            with pytest.raises(end):
                train(output, **chosen)

    return interrupted
