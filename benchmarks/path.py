"""Counts the source files that run while one batch goes from its CSV read, through a model, to its CSV write.

A reader who wants to follow one batch has to open each of these files. Opening, publishing and loading are left out:
the model is loaded, the input is opened, its text column is named and the output is created before the count begins.

    python -m benchmarks.path
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import sentiment_batch
from sentiment_batch.data.formats import open_reader, open_writer
from sentiment_batch.scoring.scorer import Scorer
from sentiment_batch.testing.tiny import write_tiny_model

SOURCES = Path(sentiment_batch.__file__).parent
MAX_FILES = 25
MAX_LINES = 350
"""The targets: so many files on the path, none of them longer."""
TEXTS = ("a fine film", "a dull film", "", "the plot is thin, the music is not", "no")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the files and their line counts here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = files_of_one_batch(Path(folder))
    for name, lines in counted.items():
        print(f"{lines:5}  {name}")
    longest = max(counted.values())
    print(f"{len(counted)} files (target: at most {MAX_FILES}), the longest of {longest} lines (at most {MAX_LINES})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"files": len(counted), "lines": counted}, indent=1) + "\n")


def files_of_one_batch(folder: Path) -> dict[str, int]:
    """The files on the path of one batch and their numbers of lines, sorted by name."""
    source = folder / "reviews.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(TEXTS)])
    with Scorer.load(str(write_tiny_model(folder / "model")), dtype="float32", device="cpu") as scorer:
        score_file(scorer, source, folder / "first.csv")  # what only the first batch does is not counted
        names = score_file(scorer, source, folder / "second.csv")
    return {name: len((SOURCES / name).read_text(encoding="utf-8").splitlines()) for name in sorted(names)}


def score_file(scorer: Scorer, source: Path, destination: Path) -> set[str]:
    """Score a CSV file into another; returns the source files that ran from the read to the write."""
    reader = open_reader(str(source))
    writer = open_writer(str(destination), scorer.output_schema(reader.schema))
    (split,), added = reader.splits(), scorer.added
    with recorded_files() as names:
        for rows in scorer.probabilities(reader.batches(split), ["text"]):
            writer.write(added.append_to_batch(*rows))
    writer.commit()
    reader.close()
    return names


@contextmanager
def recorded_files() -> Iterator[set[str]]:
    """The set of source files, relative to the package, in which any thread runs a function meanwhile."""
    names: set[str] = set()
    prefix = f"{SOURCES}/"

    def record(frame: FrameType, event: str, argument: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(prefix):
            names.add(path.removeprefix(prefix))

    threading.setprofile(record)  # for the threads that scoring starts
    sys.setprofile(record)
    try:
        yield names
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


if __name__ == "__main__":
    main()
