"""Scores many rows from Parquet to Parquet, and shows the seconds of each stage and the share of the device's peak.

The stages work side by side, so the slowest one sets the pace: reading, tokenizing, launching the model, waiting for
the device, writing. Peers score the first of the same rows, in turn with ours, because they would need minutes for all.
A peer goes from a list of str to probabilities. The ratio is that of the rows per second.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import common, flops, models, score
from benchmarks.common import report_progress, spread
from benchmarks.peers import PEERS, Place, Score
from benchmarks.stage_clock import StageClock


def main(argv: list[str] | None = None) -> None:
    """Measure and print one table; write one JSON if asked."""
    arguments = _arguments(argv)
    with common.quietly(), tempfile.TemporaryDirectory() as scratch:
        chosen = _choose_texts(arguments)
        source = Path(scratch) / "texts.parquet"
        pq.write_table(pa.table({"text": pa.array(chosen.texts, pa.large_string())}), source)
        figures = _measure(models.chosen(arguments), chosen.texts, source, arguments)
    _print(figures)
    common.save(arguments.json, figures["device"], arguments, {"data": chosen.record()} | figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models.add_options(parser)
    parser.add_argument("--table", default=models.SAMPLE, help="the texts (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, default=25_000, help="at most (default: %(default)s)")
    parser.add_argument("--characters", type=int, help="cut texts into pieces of so many; 130 make 30 tokens")
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each, after a warm-up")
    parser.add_argument("--compile", action="store_true", help="compile the model first, which takes up to a minute")
    parser.add_argument("--peers", default="pipeline,loop", help="which, by comma, or none (default: %(default)s)")
    parser.add_argument("--peer-rows", type=int, default=2_048, help="rows of the peers (default: %(default)s)")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 128], help="of the peers, to search")
    parser.add_argument("--search-rows", type=int, default=256, help="sample of that search (default: %(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", help="write the figures here")
    arguments = parser.parse_args(argv)
    arguments.peers = [] if arguments.peers == "none" else arguments.peers.split(",")
    if unknown := set(arguments.peers) - set(PEERS):
        parser.error(f"--peers: no {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return arguments


def _choose_texts(arguments: argparse.Namespace) -> common.Texts:
    """Different texts, or different pieces of texts."""
    found = common.choose_texts(
        arguments.table, arguments.text_column, None if arguments.characters else arguments.rows
    )
    if not arguments.characters:
        return found
    size = arguments.characters
    pieces = (text[start : start + size] for text in found.texts for start in range(0, len(text), size))
    different = dict.fromkeys(piece for piece in pieces if piece.strip())
    return dataclasses.replace(found, texts=list(different)[: arguments.rows])


def _measure(model: str, texts: list[str], source: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures. Ours and the peers take turns, after all are warm."""
    from sentiment_batch.model.device import has_bfloat16
    from sentiment_batch.scoring.scorer import Scorer

    few = texts[: arguments.peer_rows]
    with Scorer.load(model, device=arguments.device, long_text="head", compile=arguments.compile or None) as scorer:
        device, dtype = scorer.device.value, scorer.dtype.value
        place = Place(
            model=model, device=device, max_length=scorer.policy.max_length, has_bfloat16=has_bfloat16(device)
        )
        peers, search, left_out = _find_peers(place, few, arguments)
        agreement = _compare(scorer, peers, few)
        report_progress("warming up")
        _score(scorer, source)
        runs: list[dict[str, Any]] = []
        seconds: dict[str, list[float]] = {one.name: [] for one in peers}
        for number in range(arguments.runs):
            report_progress(f"run {number + 1} of {arguments.runs}")
            runs.append(_score(scorer, source))
            for one in peers:
                seconds[one.name].append(common.timed(one.run))
        lengths = scorer.backend.tokenizer(texts).lengths
        batch_tokens = scorer.description.batch_tokens
    rates = [len(texts) / run["seconds"] for run in runs]
    return {
        "model": Path(model).name,
        "device": device,
        "dtype": dtype,
        "batch_tokens": batch_tokens,
        "compiled": arguments.compile,
        "rows": len(texts),
        "tokens": int(lengths.sum()),
        "rows_per_second": spread(rates),
        "tokens_per_second": spread([int(lengths.sum()) / run["seconds"] for run in runs]),
        **_compute_shares(flops.measure_peak(device, dtype), flops.count_operations(model, lengths), runs),
        "runs": runs,
        "peers": {
            one.name: {
                "setting": one.setting,
                "rows": len(few),
                "rows_per_second": spread([len(few) / theirs for theirs in seconds[one.name]]),
                # round by round, because a slow moment of the machine then slows both
                "ratio": spread([r * theirs / len(few) for r, theirs in zip(rates, seconds[one.name], strict=True)]),
                **agreement[one.name],
            }
            for one in peers
        },
        "search": search,
        "left_out": left_out,
    }


def _compute_shares(peak: float, operations: float, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The shares of the peak: of the whole time, and of the time in which the device worked."""
    return {
        "peak": peak,
        "share_of_peak": spread([operations / run["seconds"] / peak for run in runs]),
        "share_of_peak_at_work": spread([operations / run["device_seconds"] / peak for run in runs]),
    }


def _score(scorer: Any, source: Path) -> dict[str, Any]:
    """Seconds of one run, of its stages and of the device."""
    clock = StageClock()
    started = dataclasses.replace(scorer.counts)
    with clock.measure():
        seconds = common.timed(functools.partial(score._score_table, scorer, source))
    counts = scorer.counts.subtract(started)
    return {"seconds": seconds, "device_seconds": counts.model_seconds, "stages": clock.seconds()}


def _find_peers(
    place: Place, texts: list[str], arguments: argparse.Namespace
) -> tuple[list[score.Contestant], dict[str, Any], dict[str, str]]:
    if not arguments.peers:
        return [], {}, {}

    @functools.cache
    def loaded(load: Any, dtype: str) -> Score:
        found: Score = load(place, dtype)
        return found

    given = argparse.Namespace(**vars(arguments) | {"peers": ",".join(arguments.peers)})
    return score._peers(place, texts, given, loaded)


def _compare(scorer: Any, peers: list[score.Contestant], texts: list[str]) -> dict[str, dict[str, float]]:
    """How far the probabilities of each peer are from ours."""
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    ours = np.concatenate([found for _, found in scorer.probabilities([batch], ["text"])])
    found = {}
    for one in peers:
        theirs = one.scores()
        differ = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
        found[one.name] = {"largest_difference": float(np.abs(ours - theirs).max()), "labels_that_differ": differ}
    return found


def _print(figures: dict[str, Any]) -> None:
    best = min(figures["runs"], key=lambda run: run["seconds"])
    compiled = ", compiled" if figures["compiled"] else ""
    rows, tokens = figures["rows"], figures["tokens"]
    print(
        f"{figures['model']} on {figures['device']} in {figures['dtype']}{compiled}, batches of "
        f"{figures['batch_tokens']:,} tokens; {rows:,} rows of {tokens / rows:.0f} tokens"
    )
    print(f"rows/s {_told(figures['rows_per_second'])}; tokens/s {_told(figures['tokens_per_second'])}")
    print(
        f"of a measured peak of {figures['peak'] / 1e12:,.1f} TFLOP/s: {figures['share_of_peak']['median']:.1%}; while "
        f"the device works {figures['share_of_peak_at_work']['median']:.1%}"
    )
    print(f"the best run took {best['seconds']:.2f} s, the device worked for {best['device_seconds']:.2f} s; stages:")
    for name, seconds in best["stages"].items():
        print(f"    {name:20} {seconds:7.2f} s   {rows / max(seconds, 1e-9):12,.0f} rows/s")
    for name, one in figures["peers"].items():
        print(
            f"{name} ({one['setting']}): {_told(one['rows_per_second'])} rows/s of {one['rows']:,}; ratio "
            f"{one['ratio']['median']:.1f}; {one['labels_that_differ']} labels differ, probabilities by at most "
            f"{one['largest_difference']:.1e}"
        )
    for name, why in figures["left_out"].items():
        print(f"left out: {name} ({why})")


def _told(one: dict[str, float]) -> str:
    return f"{one['median']:,.0f} ({one['least']:,.0f} - {one['greatest']:,.0f})"


if __name__ == "__main__":
    main()
