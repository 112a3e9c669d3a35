"""`sentiment-batch predict`: texts from the command line or standard input, their sentiment on standard output."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.errors import InputError, UsageError
from sentiment_batch.settings import ScoreSettings

if TYPE_CHECKING:
    from sentiment_batch.scoring.scorer import Scorer

logger = logging.getLogger("sentiment_batch")
LINES_AT_ONCE = 1_024


@click.command(short_help="Tell the sentiment of texts given here or on standard input.")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@options.scoring
@options.neutral_band
@options.talking
def predict(
    texts: tuple[str, ...],
    model: str | None,
    settings: dict[str, Any],
    neutral_band: float | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Tell the sentiment of each TEXT, or of each line of standard input.

    A table for people; with --json one object a line, with the probability of every label.
    """
    options.show_messages(quiet, verbose)
    if not texts and sys.stdin.isatty():
        raise UsageError("there is no text. Give some in quotes, or pipe lines into standard input.")
    settings |= {"neutral_band": neutral_band}
    ScoreSettings(**settings)  # what is wrong shows before a model is loaded
    from sentiment_batch.scoring.choice import choose_model
    from sentiment_batch.scoring.scorer import Scorer

    chosen = choose_model(model)
    logger.info("model: %s", chosen)
    with Scorer.load(chosen.value, **settings) as scorer:
        for result in _results(scorer, iter(texts) if texts else _lines()):
            click.echo(json.dumps(result, ensure_ascii=False) if as_json else _line(result))


def _lines() -> Iterator[str]:
    """The lines of standard input; nothing but a line feed ends one."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"line {number} of standard input is not UTF-8 ({error.reason}). Convert it first."
            ) from error


def _results(scorer: Scorer, texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    for some in iter(lambda: list(itertools.islice(texts, LINES_AT_ONCE)), []):
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in some]  # arguments may hold bad bytes
        batch = pa.record_batch({"text": pa.array(clean, pa.large_string())})
        for part, probabilities in scorer.probabilities([batch], ["text"]):
            arrays = scorer.added.arrays(probabilities)
            rows = zip(
                part.column(0).to_pylist(),
                arrays[0].to_pylist(),
                arrays[1].to_numpy(False),
                probabilities,
                strict=False,
            )
            for text, label, score, row in rows:
                yield {
                    "text": text,
                    "sentiment": label,
                    "sentiment_score": None if label is None else float(str(score)),  # 0.9876, not 0.98760002
                    "probabilities": None if label is None else _named(scorer, row),
                }


def _named(scorer: Scorer, row: Any) -> dict[str, float]:
    decimals = scorer.settings.decimals
    return {label: round(float(value), decimals) for label, value in zip(scorer.labels, row, strict=True)}


def _line(result: dict[str, Any]) -> str:
    text = " ".join(result["text"].split())
    room = max(20, shutil.get_terminal_size((100, 24)).columns - 26)
    short = text if len(text) <= room else text[: room - 3] + "..."
    if result["sentiment"] is None:
        return f"{'-':>8}  {'(no text)':14}  {short}"
    return f"{result['sentiment_score']:8.4f}  {result['sentiment']:14}  {short}"
