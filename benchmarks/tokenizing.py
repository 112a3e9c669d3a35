"""Compares the two libraries that tokenize, on one thread, in turn: their speed, and each token that they give.

`tokenizers` is the reference. Both tokenize each table in full, then texts that are made to be difficult, and each
character of Unicode in four surroundings. All tokens are compared, under both readings of a literal "[SEP]": as text,
as our own models read it, and as the special token, as stock models do.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from benchmarks import common, models
from sentiment_batch.tokenization.fast_library import LIBRARY_VARIABLE
from sentiment_batch.tokenization.odd_texts import make_odd_texts
from sentiment_batch.tokenization.text_encoder import MIN_CHARACTERS
from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer

LIBRARIES = {"tokenizers": "tokenizers", "nanotoken": "auto"}
"""The setting that chooses each."""
MAX_LENGTH = 512
AT_ONCE = 4_000
"""Texts that are made and compared together."""
SURROUNDINGS = ("a{}b", "{} good", "the{}", "\u00e9{}\u0301")


def main(argv: list[str] | None = None) -> None:
    """Measure and compare; print one table, write one JSON if asked."""
    arguments = _arguments(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread
    backend = Tokenizer.from_file(f"{arguments.model or models.small()}/tokenizer.json")
    # Named by the folder and the file, because absolute paths of this machine mean nothing to others.
    speeds = {"/".join(Path(one).parts[-2:]): _measure_table(backend, one, arguments) for one in arguments.table}
    made = {}
    for special_as_text in (True, False):
        encoders = _make_both(backend, "windows", special_as_text=special_as_text)
        reading = "as text" if special_as_text else "as token"
        made[f"odd texts, [SEP] {reading}"] = _compare(encoders, _list_odd_texts(backend, arguments.odd))
        made[f"each character, [SEP] {reading}"] = _compare(encoders, _list_characters(arguments.step))
    for name, found in made.items():
        print(f"{name:34}{found['texts']:11,} texts {found['tokens']:13,} tokens {found['differing']:7,} texts differ")
    common.save(arguments.json, "cpu", arguments, {"tables": speeds, "made": made})


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tokenizing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help="folder with BERT's word pieces; default: a small one under .demo/")
    parser.add_argument("--table", nargs="+", default=[models.SAMPLE], help="tables (default: %(default)s)")
    parser.add_argument("--text-column", help="default: found by name")
    parser.add_argument("--rows", type=int, help="of each table; default: all different texts")
    parser.add_argument("--odd", type=int, default=100_000, help="difficult texts to make (default: %(default)s)")
    parser.add_argument("--step", type=int, default=1, help="compare each nth character only (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds that are timed (default: %(default)s)")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _make_both(backend: Tokenizer, long_text: str, *, special_as_text: bool = True) -> dict[str, TextTokenizer]:
    """The tokenizer with each library, warmed up."""
    made = {}
    for library, setting in LIBRARIES.items():
        os.environ[LIBRARY_VARIABLE] = setting
        policy = TextPolicy(max_length=MAX_LENGTH, long_text=long_text)  # type: ignore[arg-type]
        made[library] = TextTokenizer(backend, policy, special_as_text=special_as_text)
    made["nanotoken"]([" " * 10_000] * (MIN_CHARACTERS // 10_000 + 1))  # it is loaded after so many characters
    if not made["nanotoken"].library.value.startswith("nanotoken"):
        raise SystemExit(f"nothing to compare: {made['nanotoken'].library}")
    return made


def _measure_table(backend: Tokenizer, table: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The tokens per second of each library under the policy of scoring, and the texts with other tokens."""
    data = common.choose_texts(table, arguments.text_column, arguments.rows)
    encoders = _make_both(backend, "head-tail")
    tokens = len(encoders["nanotoken"](data.texts).ids)
    calls = {name: lambda encode=encode: encode(data.texts) for name, encode in encoders.items()}
    seconds = common.in_turn(calls, arguments.runs)
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    found = {name: common.spread([tokens / one for one in times]) for name, times in seconds.items()}
    found |= {"ratio": common.spread(ratios), "data": data.record(), "tokens": tokens}
    found["compared"] = _compare(_make_both(backend, "windows"), [data.texts])
    line = "   ".join(f"{name} {found[name]['median']:12,.0f} tokens/s" for name in encoders)
    print(f"{Path(table).parent.name[-34:]:34} {line}   {found['ratio']['median']:5.1f} times")
    print(f"{'':34} {found['compared']['differing']:,} of {len(data.texts):,} texts differ", flush=True)
    return found


def _compare(encoders: dict[str, TextTokenizer], blocks: Iterable[list[str]]) -> dict[str, Any]:
    """How many texts have other tokens; with examples."""
    texts = tokens = differing = 0
    examples: list[str] = []
    for block in blocks:
        one, other = (encode(block) for encode in encoders.values())
        texts, tokens = texts + len(block), tokens + len(one.ids)
        if np.array_equal(one.ids, other.ids) and np.array_equal(one.offsets, other.offsets):
            continue
        for text in block:
            if not np.array_equal(*(encode([text]).ids for encode in encoders.values())):
                differing += 1
                examples += [ascii(text)][: 10 - len(examples)]
    return {"texts": texts, "tokens": tokens, "differing": differing, "examples": examples}


def _list_odd_texts(backend: Tokenizer, number: int) -> Iterator[list[str]]:
    for seed, start in enumerate(range(0, number, AT_ONCE), 1):  # seed 0 is that of the check itself
        common.report_progress(f"odd texts: {start:,} of {number:,}")
        yield make_odd_texts(backend, min(AT_ONCE, number - start), seed)


def _list_characters(step: int) -> Iterator[list[str]]:
    """Each character but lone surrogates, which are no text, in each surrounding."""
    points = [point for point in range(0, 0x110000, step) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(points), AT_ONCE):
        yield [around.format(chr(point)) for point in points[start : start + AT_ONCE] for around in SURROUNDINGS]


if __name__ == "__main__":
    main()
