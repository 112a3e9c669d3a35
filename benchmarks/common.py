"""What the benchmarks share: texts, runs in turn, quiet peers, and a record of the machine and the versions."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20_260_101
"""Of the shuffle: the same rows at each run."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The rows of a benchmark."""

    table: str
    column: str
    texts: list[str]

    def record(self) -> dict[str, Any]:
        """A record that identifies these rows."""
        digest = hashlib.sha256("\0".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()
        return {"table": self.table, "text_column": self.column, "rows": len(self.texts), "sha256": digest}


def choose_texts(table: str, column: str | None, rows: int | None) -> Texts:
    """`rows` different texts of a table, in an order drawn with a fixed seed; all of them if None.

    No text occurs twice, because sentiment-batch would score it once and its peers twice.
    """
    from sentiment_batch.data import formats
    from sentiment_batch.data.columns import extract_texts, is_blank
    from sentiment_batch.data.text_columns import detect_text_columns

    reader = formats.open_reader(table)
    try:
        (name,) = detect_text_columns(reader, (column,) if column else ())
        found: dict[str, None] = {}
        for split in reader.splits():
            for batch in reader.batches(split):
                found |= dict.fromkeys(text for text in extract_texts(batch, [name]).to_pylist() if text)
    finally:
        reader.close()
    texts = [text for text in found if not is_blank(text)]
    order = np.random.default_rng(SEED).permutation(len(texts))
    return Texts(table=table, column=name, texts=[texts[place] for place in order[:rows]])


def in_turn(contestants: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """The seconds of `runs` rounds. In each, every contestant runs once (A B A B). Warm them up before."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(runs):
        for name, run in contestants.items():
            report_progress(f"run {number + 1} of {runs}: {name}")
            seconds[name].append(timed(run))
    return seconds


def timed(run: Callable[[], object]) -> float:
    """The seconds that `run` takes. Its result must be on the host, so that the device has finished."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def spread(values: list[float]) -> dict[str, float]:
    """The median, least and greatest of some figures."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill. It becomes `target` when the block ends without an error, and is removed otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        filling = Path(scratch) / target.name
        filling.mkdir()
        yield filling
        filling.rename(target)


def report_progress(message: str) -> None:
    """Report progress on standard error, because the table is on standard output."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the messages and warnings of the peers off the terminal."""
    from sentiment_batch.model.folder import quiet_transformers

    before = logging.root.manager.disable
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def save(path: str | None, device: str, arguments: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """If a path is given, write the figures as JSON, with everything that is needed to repeat them."""
    if path is None:
        return
    record = {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": _git("status", "--porcelain").splitlines(),
        "machine": machine(device),
        "versions": dict(sorted((one.name, one.version) for one in importlib.metadata.distributions())),
        "settings": vars(arguments),
        **figures,
    }
    part = Path(f"{path}.part")
    part.write_text(json.dumps(without_folders(record), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)  # what is stopped in the middle leaves the figures that were there


def without_folders(value: Any) -> Any:
    """The same with absolute paths cut to their names, because folders of this machine mean nothing to others."""
    if isinstance(value, Mapping):
        return {name: without_folders(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def machine(device: str) -> dict[str, Any]:
    """The processor, its instructions and cores, and the device."""
    from sentiment_batch.model.device import describe_hardware

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "instructions": describe_hardware("cpu"),
        "cores": cores,
        "device": _device_name(device),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _device_name(device: str) -> str:
    if device == "cpu":
        return device
    import torch

    return f"{device}: {torch.cuda.get_device_name(device)}"


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    try:
        run = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return ""
    return run.stdout.strip()
