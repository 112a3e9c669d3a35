"""`sentiment-batch predict`: prints the sentiment of texts from the command line or from standard input."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import command
from sentiment_batch.cli.messages import print_block, print_json
from sentiment_batch.cli.texts import read_texts
from sentiment_batch.display import fit_text, pad_text
from sentiment_batch.settings import ScoreSettings

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")
MAX_TEXTS_AT_A_TIME = 1_024
"""Texts that are scored together, before their results are printed."""


@command(
    short_help="Show the sentiment of texts given here or on standard input.",
    examples=(
        ("Score a text:", 'sentiment-batch predict "What a wonderful film."'),
        ("Score each line of a file, with all probabilities:", "sentiment-batch predict --json - < lines.txt"),
    ),
)
@click.argument("arguments", nargs=-1, metavar="[TEXT]...")
@options.scoring
@options.neutral_band
@options.messages
def predict(
    arguments: tuple[str, ...],
    model: str | None,
    settings: dict[str, Any],
    neutral_band: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show the sentiment of each TEXT. If there is none, or only -, each line of standard input is a text.

    The output is a table to read. With --json it is one object for each text, with the probability of every label.
    """
    texts = read_texts(arguments)
    chosen = ScoreSettings(**settings, neutral_band=neutral_band)  # checked before anything heavy is imported
    from sentiment_batch.scoring.default_model import choose_model
    from sentiment_batch.scoring.scorer import Scorer

    choice = choose_model(model)
    logger.info("model: %s", choice)
    with Scorer(model=choice.value, settings=chosen).open() as scorer:
        for result in _predict_texts(scorer, texts):
            if as_json:
                print_json(result)
            else:
                print_block(_format_result(result))


def _predict_texts(scorer: Scorer, texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The result of each text, in the form of `--json`."""
    import pyarrow as pa

    added = dataclasses.replace(scorer.added, probabilities=True)
    # Texts are taken in groups, so that standard input may be endless
    for some in iter(lambda: list(itertools.islice(texts, MAX_TEXTS_AT_A_TIME)), []):
        batch = pa.record_batch({"text": pa.array(some, pa.large_string())})
        for part, probabilities in scorer.probabilities([batch], ["text"]):
            labels, *numbers = added.arrays(probabilities)
            rows = zip(*(column.to_numpy(False) for column in numbers), strict=True)
            for text, label, row in zip(part.column(0).to_pylist(), labels.to_pylist(), rows, strict=True):
                score, *of_labels = (float(str(number)) for number in row)  # 0.9876, not 0.98760002
                yield {
                    "text": text,
                    "sentiment": label,
                    "sentiment_score": None if label is None else score,
                    "probabilities": None if label is None else dict(zip(scorer.labels, of_labels, strict=True)),
                }


def _format_result(result: dict[str, Any]) -> str:
    """One line with the score, the label, and as much of the text as fits the terminal."""
    room = max(20, shutil.get_terminal_size((100, 24)).columns - 26)
    short, label = fit_text(result["text"], room), result["sentiment"]
    if label is None:
        return f"{'-':>8}  {'(no text)':14}  {short}"
    return f"{result['sentiment_score']:8.4f}  {pad_text(label, 14)}  {short}"
