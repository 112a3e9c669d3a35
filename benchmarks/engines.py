"""Scores one table from Parquet to Parquet by this machine alone and by an engine on the same cores, in turn.

Both are loaded and warmed up on the same rows before they are measured. Rows per second are those of the whole run,
with reading, writing and publication. The ratio is the engine's rows per second divided by those of this machine alone,
round by round.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import common
from benchmarks.common import report_progress

if TYPE_CHECKING:
    from sentiment_batch import Scorer

LOCAL = "local"


def main(argv: list[str] | None = None) -> None:
    """Measure and print one table; write one JSON if asked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arguments = _arguments(argv)
    texts = common.choose_texts(arguments.table, arguments.text_column, arguments.rows)
    names = (LOCAL, arguments.engine)
    with common.quietly(), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder)))
        source = folder / "in.parquet"
        pq.write_table(pa.table({"text": texts.texts}), source, row_group_size=arguments.part_rows)
        runs = {}
        for name in names:
            report_progress(f"loading the model: {name}")
            scorer = stack.enter_context(_scorer(name, arguments))
            runs[name] = partial(_run, scorer, source, folder / f"{name}.parquet", arguments.part_rows)
            report_progress(f"warming up: {name}")
            runs[name]()
        seconds = common.in_turn(runs, arguments.runs)
        same = (folder / f"{LOCAL}.parquet").read_bytes() == (folder / f"{arguments.engine}.parquet").read_bytes()
    rates = {name: common.spread([len(texts.texts) / one for one in seconds[name]]) for name in names}
    pairs = zip(seconds[LOCAL], seconds[arguments.engine], strict=True)
    ratio = common.spread([alone / shared for alone, shared in pairs])
    print(f"{len(texts.texts):,} rows in parts of {arguments.part_rows:,}, {arguments.runs} runs of each in turn")
    for name in names:
        print(f"{name:10} {rates[name]['median']:10,.1f} rows/s ({_ends(rates[name])})")
    print(f"ratio      {ratio['median']:10.2f}        ({_ends(ratio)})")
    print(f"the outputs are {'the same bytes' if same else 'not the same bytes'}")
    figures = {"data": texts.record(), "rows_per_second": rates, "ratio": ratio, "same_bytes": same}
    common.save(arguments.json, arguments.device, arguments, figures)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--text-column")
    parser.add_argument("--engine", default="ray")
    parser.add_argument("--engine-option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rows", type=int, default=2_000, help="(default: %(default)s)")
    parser.add_argument("--part-rows", type=int, default=250, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--folder", help="for the tables; all workers must see it; default: the system's")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args(argv)


def _scorer(name: str, arguments: argparse.Namespace) -> Scorer:
    from sentiment_batch import Scorer

    settings = {"device": arguments.device, "dtype": arguments.dtype}
    if name == LOCAL:
        return Scorer.load(arguments.model, **settings)
    options = dict(one.split("=", 1) for one in arguments.engine_option)
    return Scorer.load(arguments.model, engine=name, engine_options=options, **settings)


def _run(scorer: Scorer, source: Path, destination: Path, part_rows: int) -> None:
    from sentiment_batch.records import WriteOptions
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.pipeline import score_table

    options = WriteOptions(overwrite=True)
    job = ScoreJob(source=str(source), destination=str(destination), part_rows=part_rows, quiet=True, write=options)
    score_table(job, lambda: scorer)


def _ends(values: dict[str, float]) -> str:
    return f"{values['least']:,.2f} - {values['greatest']:,.2f}"


if __name__ == "__main__":
    main()
