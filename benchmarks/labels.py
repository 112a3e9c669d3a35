"""Compares the labels of int8 with those of float32 on many rows, and shows how well the error band fits.

All texts are scored in both, block by block. The rule of the band and of the audit is then applied to the logits: a
text inside the band, or audited, has float32's label. On a CPU without fast 8-bit products the same integers are
multiplied as floats, so the labels count there, too. A run that is stopped (Ctrl-C) ends with the blocks that are done.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.emulated_int8 import emulate_int8
from sentiment_batch.model.forward.batches import Budget, compute_segment_logits, open_thread_pool
from sentiment_batch.model.forward.int8_labels import Int8Strategy, find_audited, find_margins
from sentiment_batch.model.probabilities import average_segments, softmax
from sentiment_batch.model.torch_operators import has_fast_int8

BUDGET = 2_048
"""Tokens of a batch, as in the calibration."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Logits (N, K) of the N texts in both dtypes."""

    int8: Any
    float32: Any
    audited: Any
    """(N,) True for the texts that are scored in both ways, whatever their margin."""


def main(argv: list[str] | None = None) -> None:
    """Compare the labels of the rows of a table; print the figures, write one JSON if asked."""
    arguments = _arguments(argv)
    data = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
    with contextlib.ExitStack() as stack, common.quietly():
        if not has_fast_int8():
            stack.enter_context(emulate_int8())
        strategy, tokenizer, reason = _load(arguments)
        scores = _score(strategy, tokenizer, data.texts, arguments.block)
    figures = _compare(scores, strategy.band)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):42} {value:.5g}")
    if arguments.logits:
        np.savez(arguments.logits, **vars(scores))
    products = "by 8-bit instructions" if has_fast_int8() else "the same integers, multiplied as floats"
    about = {"data": data.record(), "products": products, "reason": reason, "results": figures}
    common.save(arguments.json, "cpu", arguments, about)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.labels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder")
    parser.add_argument("--table", required=True, help="what to score")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, help="of it; default: all different texts")
    parser.add_argument("--block", type=int, default=500, help="rows of a block (default: %(default)s)")
    parser.add_argument("--max-length", type=int, help="tokens of a text; default: as trained")
    parser.add_argument("--logits", help="write the logits of both dtypes here, as npz")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _load(arguments: argparse.Namespace) -> tuple[Int8Strategy, Any, str]:
    """The model in both dtypes, its tokenizer, and what is known of the band in words."""
    from sentiment_batch.scoring.backends.model_start import start_model
    from sentiment_batch.settings import ScoreSettings

    settings = ScoreSettings(device="cpu", dtype="int8", max_length=arguments.max_length)
    started = start_model(arguments.model, "cpu", settings)
    if not isinstance(started.strategy, Int8Strategy):
        raise SystemExit(f"{arguments.model} is not scored in int8: {started.dtype.reason}")
    return started.strategy, started.texts.tokenizer, started.dtype.reason


def _score(strategy: Int8Strategy, tokenizer: Any, texts: list[str], size: int) -> Scores:
    """Score the blocks in both dtypes, in turn."""
    found: list[tuple[Any, ...]] = []
    with contextlib.suppress(KeyboardInterrupt), open_thread_pool("cpu", single=False) as pool:
        for start in range(0, len(texts), size):
            common.report_progress(f"{start:,} of {len(texts):,} rows")
            tokens = tokenizer(texts[start : start + size])
            pair = [compute_segment_logits(one, tokens, Budget(BUDGET), pool) for one in (strategy, strategy.exact)]
            logits = (average_segments(one, tokens.owners, tokens.lengths) for one in pair)
            found.append((*logits, find_audited(tokens)))
    int8, float32, audited = (np.concatenate(one) for one in zip(*found, strict=True))
    return Scores(int8=int8, float32=float32, audited=audited)


def _compare(scores: Scores, band: float) -> dict[str, float]:
    """The figures of the rows that were scored."""
    margins = find_margins(scores.int8)
    again = (margins < band) | scores.audited
    other = scores.int8.argmax(axis=1) != scores.float32.argmax(axis=1)
    errors = np.ptp(scores.int8.astype(np.float64) - scores.float32, axis=1)
    moved = np.abs(softmax(scores.int8) - softmax(scores.float32))[~again]
    return {
        "rows": len(margins),
        "other_labels": int((other & ~again).sum()),
        "scored_twice": float(again.mean()),
        "band": band,
        "other_labels_without_the_band": int(other.sum()),
        "widest_margin_of_another_label": float(margins[other].max(initial=0.0)),
        "largest_error_of_a_margin": float(errors.max()),
        "usual_error_of_a_margin": float(np.sqrt((errors**2).mean())),
        "largest_change_of_a_probability": float(moved.max(initial=0.0)),
    }


if __name__ == "__main__":
    main()
