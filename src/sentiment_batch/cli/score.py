"""`sentiment-batch score`: annotates a table with the sentiment of each row."""

from __future__ import annotations

import csv
import logging
import re
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import COLUMNS, INPUT, OUTPUT, SPEED, command, option
from sentiment_batch.cli.messages import print_json
from sentiment_batch.cli.options import score_setting
from sentiment_batch.display import BLOCK
from sentiment_batch.errors import UsageError, listed
from sentiment_batch.locations import suffix_of
from sentiment_batch.settings import ScoreSettings

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

logger = logging.getLogger("sentiment_batch")


@command(
    short_help="Annotate a table with the sentiment of each row.",
    examples=(
        ("Score a CSV file with the model in ./sentiment-model:", "sentiment-batch score reviews.csv scored.parquet"),
        (
            "Score only the texts that yesterday's output does not hold:",
            "sentiment-batch score reviews.csv today.parquet --reuse yesterday.parquet",
        ),
    ),
)
@click.argument("source", metavar="IN")
@click.argument("destination", metavar="OUT")
@click.argument("further", nargs=-1, metavar="")
@options.scoring
@options.neutral_band
@options.text_column
@option(COLUMNS, "--columns", "Columns of IN that OUT keeps, such as id,review, instead of all.", metavar="A,B,...")
@score_setting(COLUMNS, "probabilities", "Add a column for each label with its probability.")
@score_setting(COLUMNS, "prefix", "The first part of the name of every added column.", "NAME")
@score_setting(COLUMNS, "decimals", "Decimals of the scores and probabilities, 0 to 7.", "N")
@option(INPUT, "--limit", "Score only the first N rows, to try something out.", int, "N")
@options.reading
@options.output_format
@option(OUTPUT, "--overwrite", "Replace OUT if it exists.", bool)
@option(
    OUTPUT,
    "--reuse",
    "An earlier output with its manifest. Rows whose text the same model scored there take their scores from it.",
    metavar="OLD",
)
@option(OUTPUT, "--restart", "Delete what an interrupted run left of OUT, and start over.", bool)
@option(
    OUTPUT,
    "--part-rows",
    "Rows in a part. A resumed run repeats only the unfinished part. The default is 16384 on a CPU and 262144 on CUDA.",
    int,
    "N",
)
@option(OUTPUT, "--escape-formulas", "In CSV, put an apostrophe before text that looks like a formula.", bool)
@score_setting(SPEED, "engine", "What scores the rows: local, which is this machine, or an engine of a plugin.", "NAME")
@option(
    SPEED,
    "--engine-option engine_options",
    "Options of the engine, such as address=auto,actors=8.",
    metavar="NAME=VALUE,...",
    several=True,
)
@options.fail_if("'share(negative) > 0.3' or 'unlike > 20%'")
@options.messages
def score(
    source: str,
    destination: str,
    further: tuple[str, ...],
    model: str | None,
    settings: dict[str, Any],
    text_columns: tuple[str, ...],
    columns: str | None,
    neutral_band: float | None,
    probabilities: bool,
    prefix: str,
    decimals: int,
    limit: int | None,
    input_format: str | None,
    read: ReadOptions,
    output_format: str | None,
    overwrite: bool,
    reuse: str | None,
    part_rows: int | None,
    restart: bool,
    engine: str,
    engine_options: tuple[str, ...],
    escape_formulas: bool,
    fail_if: tuple[str, ...],
    quiet: bool,
    as_json: bool,
) -> None:
    """Annotate the table IN with the sentiment of each row and write it to OUT.

    OUT has all columns of IN, plus `sentiment` and `sentiment_score`. The rows keep their order. Rows without a text
    get nulls. OUT appears whole or not at all.

    IN and OUT are files in any format that `sentiment-batch formats` lists, URLs, or - for standard input and output.
    A folder or a pattern in quotes, such as 'day-*.csv', is read as one table. If OUT ends in /, it is a folder with a
    file for each part. With --neutral-band, the score of a neutral row is still the probability of the likelier label.

    If a run was interrupted, the same command resumes it. With --on-bad-row mark, malformed rows and texts that cannot
    be scored stay in their place, and OUT.problems.jsonl lists them.

    With --reuse OLD, texts that OLD holds are not scored again. OLD may be OUT itself, with --overwrite.

    The conditions of --fail-if take rows, share(LABEL), no_text, bad_rows, unlike and expected_accuracy.
    """
    if further:
        raise UsageError(
            f"there are {len(further) + 2} arguments, but there is one IN and one OUT. To score several files "
            f"together, put a pattern in quotes, such as '*{suffix_of(source)}', so that the shell does not expand it."
        )
    if as_json and destination == "-":
        raise UsageError("--json and the table cannot both go to standard output. Name a file for OUT.")
    from sentiment_batch.gates.conditions import apply_gates, parse_gates, raise_failed
    from sentiment_batch.records import WriteOptions
    from sentiment_batch.scoring.figures import SCORE_FIGURES, list_score_figures
    from sentiment_batch.scoring.job import ScoreJob

    job = ScoreJob(
        source=source,
        destination=destination,
        model=model,
        settings=ScoreSettings(
            **settings,
            neutral_band=neutral_band,
            probabilities=probabilities,
            prefix=prefix,
            decimals=decimals,
            engine=engine,
            engine_options=_split_engine_options(engine_options),
        ),
        text_columns=text_columns,
        keep=_split_columns(columns),
        limit=limit,
        input_format=input_format,
        output_format=output_format,
        read=read,
        write=WriteOptions(overwrite=overwrite, escape_formulas=escape_formulas),
        on_bad_row="fail" if read.on_bad_row is None else "mark",
        part_rows=part_rows,
        reuse=reuse,
        restart=restart,
        quiet=quiet,
        gates=parse_gates(fail_if, SCORE_FIGURES),
    )

    from sentiment_batch.scoring.pipeline import score_table  # after the checks, because it imports torch

    summary = score_table(job)
    logger.info("%s", summary, extra=BLOCK)
    if summary.rows and summary.null == summary.rows:
        logger.warning("no row has a text in %s, so no row has a label", listed(summary.text_columns))
    # The output is published by now. A gate decides only about the exit code.
    results = apply_gates(job.gates, list_score_figures(summary))
    if as_json:
        print_json(summary.to_json() | {"gates": [one.to_json() for one in results]})
    raise_failed(results)


def _split_engine_options(options: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The names and values in `--engine-option`; a comma divides them if a name follows."""
    pairs = [one.partition("=") for option in options for one in re.split(r",(?=\w+=)", option)]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"--engine-option is {','.join(options)!r}; it takes NAME=VALUE, such as actors=8.")
    return tuple((name.strip(), value) for name, _, value in pairs)


def _split_columns(columns: str | None) -> tuple[str, ...]:
    """The names in `--columns`, each once; none if the option is not given, which keeps all columns.

    As in a CSV, a name with a comma stands in double quotes.
    """
    if columns is None:
        return ()
    names = next(csv.reader([columns], skipinitialspace=True), [])
    keep = tuple(dict.fromkeys(name for name in names if name))
    if not keep:
        raise UsageError("--columns names no column. Name some, as in --columns id,review, or leave it out.")
    return keep
