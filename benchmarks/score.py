"""Scores the same rows of text with sentiment-batch and with its peers, in turn, and compares time and probabilities.

sentiment-batch goes from Parquet to Parquet, reading and writing included. A peer goes from a list of str to an array
of probabilities, its tokenizing included. All have the same rows, model folder and tokens (the head of a long text).
The best settings of each peer are searched on a sample. Then all take turns (A B A B). The ratio is the result, because
an absolute figure holds only for one machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import common, models
from benchmarks.common import report_progress
from benchmarks.peers import (
    BY_LENGTH,
    FLOAT32_LOOP,
    ITS_OWN,
    PEERS,
    Floats,
    Kind,
    Place,
    Score,
    count_tokens,
    sorted_first,
)

OURS = "sentiment-batch"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a peer is called."""

    dtype: str
    order: str
    batch_size: int

    def __str__(self) -> str:
        return f"{'' if self.order == ITS_OWN else f'{self.order}, '}batches of {self.batch_size}"


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to score: `run` is what is timed, and `scores` gives the probabilities (n, K) of all rows."""

    name: str
    dtype: str
    setting: str
    run: Callable[[], object]
    scores: Callable[[], Floats]


def main(argv: list[str] | None = None) -> None:
    """Run the comparison and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly(), tempfile.TemporaryDirectory() as scratch:
        texts = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
        source = Path(scratch) / "texts.parquet"
        pq.write_table(pa.table({"text": pa.array(texts.texts, pa.large_string())}), source)
        ours, place, tokens = _ours(models.chosen(arguments), source, arguments)
        peer_tokens = count_tokens(place, texts.texts)
        loaded = functools.cache(lambda load, dtype: load(place, dtype))
        others, search, left_out = _peers(place, texts.texts, arguments, loaded)
        results = _compare([*ours, *others], _reference(texts.texts, place, loaded), arguments)
    _print(results, left_out, len(texts.texts), tokens, arguments.tolerance)
    if tokens != peer_tokens:
        print(f"the peers read {peer_tokens:,} tokens, which is not the same: do not compare these figures")
    figures = {
        "data": texts.record() | {"tokens": tokens, "tokens_of_peers": peer_tokens},
        "model": dataclasses.asdict(place),
        "results": results,
        "left_out": left_out,
        "search": search,
    }
    common.save(arguments.json, place.device, arguments, figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models.add_options(parser)
    parser.add_argument("--table", default=models.SAMPLE, help="the texts (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, default=600, help="how many of them, shuffled (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each, after a warm-up")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, by comma (default: %(default)s)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="to search; default: 1 4 16, on a GPU 1 to 256")
    parser.add_argument("--search-rows", type=int, help="sample of the search; default: 64, on a GPU 2,048")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.02,
        help="a label may differ where the two likeliest are within twice this (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--max-length", type=int, help="tokens per text; default: the model's")
    parser.add_argument(
        "--quick", action="store_true", help="40 rows, one run, batches of 8: only to see that it works"
    )
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if arguments.quick:
        arguments.rows, arguments.runs = min(arguments.rows, 40), 1
        arguments.batch_sizes, arguments.search_rows = arguments.batch_sizes or [8], 8
    return arguments


def _ours(model: str, source: Path, arguments: argparse.Namespace) -> tuple[list[Contestant], Place, int]:
    """sentiment-batch by default, in float32 and in int8; what the peers need; and the tokens of the rows."""
    from sentiment_batch.model.device import choose_device, has_bfloat16
    from sentiment_batch.scoring.bench.measure import list_dtypes
    from sentiment_batch.scoring.scorer import Scorer

    found: list[Contestant] = []
    dtypes = list_dtypes(choose_device(arguments.device).value)
    for dtype in ("auto", *(one for one in ("float32", "int8") if one in dtypes)):
        scorer = Scorer.load(
            model, device=arguments.device, dtype=dtype, max_length=arguments.max_length, long_text="head"
        )
        if found and found[0].dtype == dtype:
            continue  # it is the default
        name = f"{OURS}, {scorer.dtype.value}"
        report_progress(f"warming up {name}")
        summary = _score_table(scorer, source)
        found.append(
            Contestant(
                name=name,
                dtype=scorer.dtype.value,
                setting="as asked" if found else "default",
                run=functools.partial(_score_table, scorer, source),
                scores=functools.partial(_our_scores, scorer, source),
            )
        )
    device = scorer.device.value
    place = Place(
        model=model,
        device=device,
        max_length=scorer.policy.max_length,
        has_bfloat16=has_bfloat16(device),
    )
    return found, place, summary.tokens


def _score_table(scorer: Any, source: Path) -> Any:
    """The whole job of a user, except for loading the model."""
    from sentiment_batch.records import WriteOptions
    from sentiment_batch.scoring.pipeline import ScoreJob, score_table

    job = ScoreJob(
        source=str(source),
        destination=str(source.with_name("scored.parquet")),
        text_columns=("text",),
        quiet=True,
        write=WriteOptions(overwrite=True),
    )
    return score_table(job, load=lambda: scorer)


def _our_scores(scorer: Any, source: Path) -> Floats:
    batches = pq.ParquetFile(source).iter_batches()
    return np.concatenate([scores for _, scores in scorer.probabilities(batches, ["text"])])


def _peers(
    place: Place, texts: list[str], arguments: argparse.Namespace, loaded: Callable[..., Score]
) -> tuple[list[Contestant], dict[str, dict[str, float | str]], dict[str, str]]:
    """The peers with their best settings, the figures of that search, and why other peers are left out."""
    on_cpu = place.device == "cpu"
    sizes = arguments.batch_sizes or ([1, 4, 16] if on_cpu else [2**power for power in range(9)])
    sample = texts[: arguments.search_rows or (64 if on_cpu else 2_048)]
    contestants: list[Contestant] = []
    search: dict[str, dict[str, float | str]] = {}
    left_out: dict[str, str] = {}
    for kind in (kind for name in arguments.peers.split(",") for kind in PEERS[name]):
        why = kind.why_not(place)
        if why is None:
            report_progress(f"searching the best settings of {kind}")
            best, search[str(kind)] = _best(kind, place, sample, sizes, loaded)
            why = None if best else "; ".join(sorted({str(outcome) for outcome in search[str(kind)].values()}))
        if why is not None:
            left_out[str(kind)] = why
            continue
        scores = functools.partial(_ordered(loaded(kind.load, best.dtype), best.order), texts, best.batch_size)
        name = f"{kind.name}, {best.dtype}"
        contestants.append(Contestant(name=name, dtype=best.dtype, setting=str(best), run=scores, scores=scores))
    return contestants, search, left_out


def _best(
    kind: Kind, place: Place, sample: list[str], sizes: list[int], loaded: Callable[..., Score]
) -> tuple[Setting | None, dict[str, float | str]]:
    """The fastest setting on the sample; and the seconds of each setting, or why it failed."""
    seconds: dict[Setting, float] = {}
    failed: dict[Setting, str] = {}
    for dtype in kind.dtypes_on(place):
        for order in kind.orders:
            for size in sizes:
                setting = Setting(dtype=dtype, order=order, batch_size=size)
                try:
                    score = _ordered(loaded(kind.load, dtype), order)
                    score(sample, size)  # in full: some prepare for each shape of a batch
                    seconds[setting] = common.timed(functools.partial(score, sample, size))
                except Exception as error:  # out of memory, or an export that fails with other versions
                    failed[setting] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    outcomes = {f"{setting.dtype}, {setting}": outcome for setting, outcome in (seconds | failed).items()}
    return (min(seconds, key=lambda setting: seconds[setting]) if seconds else None), outcomes


def _ordered(score: Score, order: str) -> Score:
    return sorted_first(score) if order == BY_LENGTH else score


def _reference(texts: list[str], place: Place, loaded: Callable[..., Score]) -> Floats:
    """The probabilities of the stock model in float32, in small batches."""
    report_progress("scoring the reference")
    return loaded(FLOAT32_LOOP.load, "float32")(texts, 8 if place.device == "cpu" else 32)


def _compare(contestants: list[Contestant], reference: Floats, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds and probabilities of each contestant. The probabilities are computed first, as a warm-up."""
    agreements = {}
    for one in contestants:
        report_progress(f"warming up {one.name}")
        agreements[one.name] = _agreement(one.scores(), reference, arguments.tolerance)
    used: dict[str, list[float]] = {one.name: [] for one in contestants}
    seconds = common.in_turn({one.name: _clock(one.run, used[one.name]) for one in contestants}, arguments.runs)
    first = contestants[0].name
    return {
        one.name: {
            "dtype": one.dtype,
            "setting": one.setting,
            "seconds": common.spread(seconds[one.name]),
            # Round by round: what slows the whole machine down for a while then slows both.
            "ratio": _ratio(seconds[one.name], seconds[first]),
            "processor_seconds": common.spread(used[one.name]),
            "processor_ratio": _ratio(used[one.name], used[first]),
            **agreements[one.name],
        }
        for one in contestants
    }


def _clock(run: Callable[[], object], used: list[float]) -> Callable[[], object]:
    """The same, which also notes for how long the threads of this process used the cores, whatever runs beside it."""

    def clocked() -> None:
        started = time.process_time()
        run()
        used.append(time.process_time() - started)

    return clocked


def _ratio(theirs: list[float], ours: list[float]) -> dict[str, float]:
    return common.spread([one / other for one, other in zip(theirs, ours, strict=True)])


def _agreement(scores: Floats, reference: Floats, tolerance: float) -> dict[str, Any]:
    """How the probabilities compare with the reference.

    A label can differ only if its two likeliest probabilities are within twice the largest difference of a probability.
    So that check would always pass for the difference that was measured. The tolerance is set beforehand.
    """
    highest = np.sort(reference, axis=1)
    margins = highest[:, -1] - highest[:, -2]
    differ = scores.argmax(axis=1) != reference.argmax(axis=1)
    return {
        "largest_difference": float(np.abs(scores - reference).max()),
        "labels_that_differ": int(differ.sum()),
        "widest_margin_that_differs": float(margins[differ].max(initial=0.0)),
        "labels_outside_tolerance": int((differ & (margins > 2 * tolerance)).sum()),
        "rows": len(scores),
    }


def _print(results: dict[str, Any], left_out: dict[str, str], rows: int, tokens: int, tolerance: float) -> None:
    print(
        f"{rows:,} texts of {tokens / rows:,.0f} tokens; median (fastest - slowest) seconds; ratio: their time by ours"
    )
    print("cores: the same ratio of the time for which the threads used the cores, whatever ran beside them")
    print(f"against the stock model in float32; outside: labels that differ where it is surer than {2 * tolerance:g}")
    width = max(len(f"{name} ({one['setting']})") for name, one in results.items())
    print(
        f"{'':{width}}  seconds                     rows/s   tokens/s  ratio  cores  difference  labels differ  outside"
    )
    for name, one in results.items():
        seconds = one["seconds"]
        times = f"{seconds['median']:8.2f} ({seconds['least']:8.2f} -{seconds['greatest']:8.2f})"
        speed = f"{rows / seconds['median']:9,.1f} {tokens / seconds['median']:10,.0f} {one['ratio']['median']:6.2f}"
        cores = f"{one['processor_ratio']['median']:6.2f}"
        labels = f"{one['labels_that_differ']:14} {one['labels_outside_tolerance']:8}"
        setting = f"{name} ({one['setting']})"
        print(f"{setting:{width}} {times} {speed} {cores} {one['largest_difference']:11.1e} {labels}")
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")


if __name__ == "__main__":
    main()
