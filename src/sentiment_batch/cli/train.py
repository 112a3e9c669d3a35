"""`sentiment-batch train`: labelled reviews in, a model folder out."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import COLUMNS, MODEL, OUTPUT, READING, TEXTS, TRAINING, command, option
from sentiment_batch.cli.messages import configure_logging
from sentiment_batch.settings import CLASS_WEIGHTS, DEFAULT_MODEL_FOLDER, LONG_TEXT, TrainSettings

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.training.result import Trained

DEFAULTS = TrainSettings()


@command(
    short_help="Train a classifier on labelled reviews.",
    examples=(
        ("Train on a table with columns such as review and label:", "sentiment-batch train reviews.csv"),
        (
            "Train on stars, keep the reviews of a film together, and measure on other rows:",
            "sentiment-batch train 2024.parquet 2025.parquet -o my-model --stars 2,4 --group-column film "
            "--test-file test.csv",
        ),
    ),
)
@click.argument("reviews", nargs=-1, required=True, metavar="REVIEWS...")
@option(
    "-o",
    "--output",
    default=DEFAULT_MODEL_FOLDER,
    show_default=True,
    heading=OUTPUT,
    help="The model folder to write.",
)
@option("--overwrite", is_flag=True, heading=OUTPUT, help="Replace the model at --output if it exists.")
@option("--resume", is_flag=True, heading=OUTPUT, help="Continue the interrupted run of this --output.")
@option("--restart", is_flag=True, heading=OUTPUT, help="Delete the interrupted run of this --output, and start over.")
@option(
    "--report/--no-report",
    default=True,
    show_default=True,
    heading=OUTPUT,
    help="Put report.html into the model folder. It shows some of the texts.",
)
@option(
    "--base",
    default=DEFAULTS.base,
    show_default=True,
    heading=MODEL,
    help="The encoder to start from: the Hub id or folder of a DistilBERT, or minilm.",
)
@options.text_column
@options.label_column
@options.stars
@option(
    "--group-column",
    metavar="NAME",
    heading=COLUMNS,
    help="Keep rows with the same value of this column on one side of the split, such as film or author.",
)
@option(
    "--val-file", metavar="FILE", heading=READING, help="Validate on this table instead of on a share of the reviews."
)
@option(
    "--val-size",
    type=float,
    default=DEFAULTS.val_size,
    show_default=True,
    heading=READING,
    help="Share of the reviews that is held back for validation.",
)
@option("--test-file", metavar="FILE", heading=READING, help="Measure the final model on this table.")
@option("--limit", type=int, metavar="N", heading=READING, help="Train on a random sample of N rows.")
@options.reading
@option(
    "--epochs",
    type=int,
    default=DEFAULTS.epochs,
    show_default=True,
    heading=TRAINING,
    help="How often training goes through the reviews.",
)
@option(
    "--patience",
    type=int,
    default=DEFAULTS.patience,
    show_default=True,
    heading=TRAINING,
    help="Stop after this many validations without a lower loss. 0 never stops early.",
)
@option(
    "--batch-size",
    type=int,
    metavar="N",
    heading=TRAINING,
    help="Texts per step. The default is 32 if the texts are short, else 16.",
)
@option(
    "--learning-rate",
    type=float,
    heading=TRAINING,
    help="Highest learning rate. The default is 0.0384 divided by the width of the encoder: 1e-4 at 384, 5e-5 at 768.",
)
@option(
    "--warmup",
    type=float,
    default=DEFAULTS.warmup,
    show_default=True,
    heading=TRAINING,
    help="Share of the steps in which the learning rate rises from 0.",
)
@option(
    "--weight-decay",
    type=float,
    default=DEFAULTS.weight_decay,
    show_default=True,
    heading=TRAINING,
    help="Weight decay of AdamW on the weight matrices.",
)
@option(
    "--layer-decay",
    type=float,
    default=DEFAULTS.layer_decay,
    show_default=True,
    heading=TRAINING,
    help="The learning rate of each layer is that of the layer above times this.",
)
@option(
    "--dropout",
    type=float,
    default=DEFAULTS.dropout,
    show_default=True,
    heading=TRAINING,
    help="Dropout before the linear layer of the head.",
)
@option(
    "--label-smoothing",
    type=float,
    default=DEFAULTS.label_smoothing,
    show_default=True,
    heading=TRAINING,
    help="Share of each label that is spread over all classes.",
)
@option(
    "--class-weights",
    type=click.Choice(CLASS_WEIGHTS),
    default=DEFAULTS.class_weights,
    show_default=True,
    heading=TRAINING,
    help="With auto, a rare class counts as much as a frequent one in the training loss.",
)
@option(
    "--weight-average",
    type=float,
    metavar="DECAY",
    heading=TRAINING,
    help="Validate and save a moving average of the weights. 0 uses the weights as they are. The default is 0.999, "
    "and 0 if the texts are short.",
)
@option(
    "--calibrate/--no-calibrate",
    default=DEFAULTS.calibrate,
    show_default=True,
    heading=TRAINING,
    help="Fit a temperature on the validation rows, and fold it into the saved model.",
)
@option(
    "--seed",
    type=int,
    default=DEFAULTS.seed,
    show_default=True,
    heading=TRAINING,
    help="Seed of all random choices. The same seed gives the same model.",
)
@option(
    "--max-length",
    type=int,
    metavar="N",
    heading=TEXTS,
    help="Most tokens of a text that are read. The default is the number of positions of the encoder.",
)
@option(
    "--long-text",
    type=click.Choice([policy for policy in LONG_TEXT if policy != "windows"]),
    default=DEFAULTS.long_text,
    show_default=True,
    heading=TEXTS,
    help="What to read of a longer text: its head, its tail, or both.",
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
    stars: str | None,
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

    An interrupted run is continued with --resume. Its final weights are bit-identical to those of an uninterrupted run.
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
        stars=stars,
        input_format=input_format,
        read_options=read,
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        report=report,
        quiet=quiet,
    )
    trained = run_training(job)
    if as_json:
        click.echo(json.dumps(trained.to_json(), ensure_ascii=False))
    if not quiet:
        _print_result(trained)


def _print_result(trained: Trained) -> None:
    """Print the metrics, and the command that scores with the model, to standard error."""
    from sentiment_batch.evaluation.terminal import format_metrics, terminal_width

    width = terminal_width(sys.stderr)
    for name, metrics in (("validation", trained.validation), ("test", trained.test)):
        if metrics is not None:
            click.echo(f"\n{name}: {metrics}\n\n{format_metrics(metrics, width)}", err=True)
    command = shlex.join(["sentiment-batch", "score", "IN", "OUT", "--model", trained.path])
    click.echo(f"\nThe model is in {trained.path}. Score a table with it:\n\n    {command}\n", err=True)
