"""`sentiment-batch train`: labelled reviews in, a model folder out."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import COLUMNS, INPUT, MODEL, OUTPUT, TEXTS, TRAINING, command, option, setting
from sentiment_batch.cli.messages import command_line, configure_logging
from sentiment_batch.display import terminal_width
from sentiment_batch.settings import CLASS_WEIGHTS, DEFAULT_MODEL_FOLDER, TrainSettings

if TYPE_CHECKING:
    from sentiment_batch.labels.settings import LabelSettings
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.training.result import Trained

_DEFAULTS = TrainSettings()


@command(
    short_help="Train a classifier on labelled reviews.",
    examples=(
        ("Train on a table with columns such as review and label:", "sentiment-batch train reviews.csv"),
        (
            "Train on the stars of two files, and keep the reviews of a film together in the split:",
            "sentiment-batch train 2024.csv 2025.csv --stars 2,4 --group-column film",
        ),
    ),
)
@click.argument("reviews", nargs=-1, required=True, metavar="REVIEWS...")
@option(OUTPUT, "-o --output", "The model folder to write.", metavar="FOLDER", default=DEFAULT_MODEL_FOLDER)
@option(OUTPUT, "--overwrite", "Replace the model at --output if it exists.", bool)
@option(OUTPUT, "--resume", "Continue the interrupted run of this --output.", bool)
@option(OUTPUT, "--restart", "Delete the interrupted run of this --output, and start over.", bool)
@option(OUTPUT, "--report/--no-report", "Put report.html, which shows texts, into the folder.", bool, default=True)
@setting(MODEL, _DEFAULTS, "base", "The encoder to start from: Hub id or folder of a DistilBERT, or minilm.", "MODEL")
@options.text_column
@options.label_column
@options.labels
@option(
    COLUMNS, "--group-column", "Keep rows with the same value here together in the split, such as film.", metavar="NAME"
)
@option(INPUT, "--val-file", "Validate on this table instead of on a share of the reviews.", metavar="FILE")
@setting(INPUT, _DEFAULTS, "val_size", "Share of the reviews that is held back for validation.", "SHARE")
@option(INPUT, "--test-file", "Measure the final model on this table.", metavar="FILE")
@setting(INPUT, _DEFAULTS, "limit", "Train on a random sample of N rows.", "N")
@options.reading
@setting(TRAINING, _DEFAULTS, "epochs", "How often training goes through the reviews.", "N")
@setting(TRAINING, _DEFAULTS, "patience", "Stop after N validations without a lower loss. 0 never stops early.", "N")
@setting(TRAINING, _DEFAULTS, "batch_size", "Texts per step. The default is 32 if the texts are short, else 16.", "N")
@setting(
    TRAINING,
    _DEFAULTS,
    "learning_rate",
    "Highest learning rate. The default depends on the encoder: 1e-4 for width 384, 5e-5 for 768.",
    "RATE",
)
@setting(TRAINING, _DEFAULTS, "warmup", "Share of the steps in which the learning rate rises from 0.", "SHARE")
@setting(TRAINING, _DEFAULTS, "weight_decay", "Weight decay of AdamW on the weight matrices.", "DECAY")
@setting(
    TRAINING,
    _DEFAULTS,
    "layer_decay",
    "Each layer learns at the rate of the layer above times this.",
    "FACTOR",
)
@setting(
    TRAINING,
    _DEFAULTS,
    "dropout",
    "Share of the values that dropout clears before the last linear layer.",
    "SHARE",
)
@setting(TRAINING, _DEFAULTS, "label_smoothing", "Share of each label that is spread over all classes.", "SHARE")
@setting(
    TRAINING, _DEFAULTS, "class_weights", "With auto, a rare class counts as much as others.", choices=CLASS_WEIGHTS
)
@setting(
    TRAINING,
    _DEFAULTS,
    "weight_average",
    "Save a moving average of the weights. 0 saves the last weights. The default is 0.999, and 0 if texts are short.",
    "DECAY",
)
@setting(
    TRAINING, _DEFAULTS, "calibrate", "Fit a temperature on the validation rows, and fold it into the saved model."
)
@setting(TRAINING, _DEFAULTS, "seed", "Seed of all random choices. The same seed gives the same model.", "N")
@setting(TEXTS, _DEFAULTS, "max_length", "Most tokens of a text to read. The default is all that the encoder can.", "N")
@setting(
    TEXTS,
    _DEFAULTS,
    "long_text",
    "What to read of a longer text: its head, its tail, or both.",
    choices=["head", "tail", "head-tail"],
)
@options.device
@options.dtype
@options.messages
def train(
    reviews: tuple[str, ...],
    output: str,
    text_columns: tuple[str, ...],
    label_column: str | None,
    group_column: str | None,
    label_settings: LabelSettings,
    val_file: str | None,
    test_file: str | None,
    patience: int,
    input_format: str | None,
    read: ReadOptions,
    overwrite: bool,
    resume: bool,
    restart: bool,
    report: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **settings: object,
) -> None:
    """Train a sentiment classifier on the labelled REVIEWS: CSV, Parquet, or any other format that can be read.

    Training saves the state with the lowest validation loss, measured as it will be after calibration. Labels may be
    words, 0/1, true/false or stars. The command prints how it read them, and stores that with the model.

    Use --resume to continue an interrupted run. Its final weights are bit-identical to those of an uninterrupted run.
    """
    configure_logging(quiet, verbose)
    # Built first, so that a wrong setting is reported before torch is loaded. A patience of 0 means no early stopping.
    chosen = TrainSettings(**settings, patience=patience or None)  # type: ignore[arg-type]
    from sentiment_batch.training.job import TrainJob
    from sentiment_batch.training.run import run_training

    job = TrainJob(
        reviews=reviews,
        output=output,
        settings=chosen,
        val=val_file,
        test=test_file,
        text_columns=text_columns,
        label_column=label_column,
        group_column=group_column,
        label_settings=label_settings,
        input_format=input_format,
        read_options=read,
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        report=report,
        quiet=quiet,
        command=command_line(),
    )
    trained = run_training(job)
    if as_json:
        click.echo(json.dumps(trained.to_json(), ensure_ascii=False))
    if not quiet:
        _print_result(trained)


def _print_result(trained: Trained) -> None:
    """Print the metrics, and the command that scores with the model, to standard error."""
    from sentiment_batch.evaluation.terminal import format_metrics

    width = terminal_width(sys.stderr)
    for name, metrics in (("validation", trained.validation), ("test", trained.test)):
        if metrics is not None:
            click.echo(f"\n{name}: {metrics}\n\n{format_metrics(metrics, width)}", err=True)
    command = shlex.join(["sentiment-batch", "score", "IN", "OUT", "--model", trained.path])
    click.echo(f"\nThe model is in {trained.path}. Score a table with it:\n\n    {command}\n", err=True)
