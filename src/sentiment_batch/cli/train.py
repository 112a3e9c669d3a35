"""`sentiment-batch train`: labelled reviews in, a model folder out."""

from __future__ import annotations

import functools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import COLUMNS, INPUT, MODEL, OUTPUT, SPEED, TEXTS, TRAINING, command, option, setting
from sentiment_batch.cli.label_issues import publish_label_issues, write_label_issues
from sentiment_batch.cli.messages import command_line, print_block, print_json
from sentiment_batch.display import escape_line, terminal_width
from sentiment_batch.errors import UsageError
from sentiment_batch.memory import respect_address_limit
from sentiment_batch.settings import (
    CLASS_WEIGHTS,
    DEFAULT_MODEL_FOLDER,
    TRAIN_DTYPES,
    WORK_FOLDER_ENDING,
    TrainSettings,
)

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions
    from sentiment_batch.training.result import Trained

train_setting = functools.partial(setting, TrainSettings())
"""The option for a field of `TrainSettings`; see `help.setting`."""


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
@option(OUTPUT, "--overwrite", "Replace the model at --output, and the table of --label-issues, if they exist.", bool)
@option(OUTPUT, "--resume", "Continue the interrupted run of this --output.", bool)
@option(OUTPUT, "--restart", "Delete the interrupted run of this --output, and start over.", bool)
@option(OUTPUT, "--report/--no-report", "Put report.html, which shows texts, into the folder.", bool, default=True)
@option(
    OUTPUT,
    "--baseline/--no-baseline",
    "Compare the model with a bag of words, which takes seconds.",
    bool,
    default=True,
)
@option(
    OUTPUT,
    "--label-issues",
    "Also write the validated rows whose labels are likely wrong, such as issues.csv.",
    metavar="FILE",
)
@train_setting(
    MODEL, "base", "The encoder to start from: Hub id or folder of a DistilBERT or BERT, or minilm.", "MODEL"
)
@options.labelled_columns
@option(
    COLUMNS, "--group-column", "Keep rows with the same value here together in the split, such as film.", metavar="NAME"
)
@option(INPUT, "--val-file", "Validate on this table instead of on a share of the reviews.", metavar="FILE")
@train_setting(
    INPUT,
    "val_size",
    "Share of the reviews to hold back for validation. The default is 0.1, and folds for fewer than 1,000 reviews.",
    "SHARE",
)
@train_setting(
    INPUT,
    "folds",
    "Divide the reviews into N parts. Each validates a model of the other parts. The final model learns from all. 0 "
    "makes no parts.",
    "N",
)
@option(INPUT, "--test-file", "Measure the final model on this table.", metavar="FILE")
@option(
    INPUT,
    "--unlabelled",
    "Also learn from the texts of this table, which need no labels, if that makes the model better. May be repeated.",
    metavar="FILE",
    several=True,
)
@train_setting(
    INPUT,
    "unlabelled_limit",
    "Unlabelled texts to use at most. The default is 20 for each labelled review, and at most 100,000.",
    "N",
)
@train_setting(INPUT, "limit", "Train on a random sample of N rows.", "N")
@options.reading
@train_setting(
    TRAINING, "epochs", "How often training goes through the reviews. The default is 3, and more for few.", "N"
)
@train_setting(TRAINING, "patience", "Stop after N validations without a lower loss. 0 never stops early.", "N")
@train_setting(TRAINING, "batch_size", "Texts per step. The default is 32 for many short texts, else 16.", "N")
@train_setting(
    TRAINING,
    "learning_rate",
    "Highest learning rate. The default depends on the encoder: with 6 layers, 1e-4 for width 384, 5e-5 for 768.",
    "RATE",
)
@train_setting(TRAINING, "warmup", "Share of the steps in which the learning rate rises from 0.", "SHARE")
@train_setting(TRAINING, "weight_decay", "Weight decay of AdamW on the weight matrices.", "DECAY")
@train_setting(TRAINING, "layer_decay", "Each layer learns at the rate of the layer above times this.", "FACTOR")
@train_setting(TRAINING, "dropout", "Share of the values that dropout clears before the last linear layer.", "SHARE")
@train_setting(TRAINING, "label_smoothing", "Share of each label that is spread over all classes.", "SHARE")
@train_setting(
    TRAINING,
    "random_crops",
    "Cut a text of more than 48 tokens to a random part with this probability, each time it is learned from. The "
    "default is 0.7 for fewer than 500 texts to learn from, else 0.5 for a student with --unlabelled, else 0.",
    "SHARE",
)
@train_setting(TRAINING, "class_weights", "With auto, a rare class counts as much as others.", choices=CLASS_WEIGHTS)
@train_setting(
    TRAINING,
    "weight_average",
    "Save a moving average of the weights. 0 saves the last weights. The default is 0.999, and 0 if texts are short.",
    "DECAY",
)
@train_setting(TRAINING, "calibrate", "Fit a temperature on the validation rows, and fold it into the saved model.")
@train_setting(
    TRAINING,
    "learning_curve",
    "Also train on a quarter and on half of the reviews, to see what more of them would bring.",
)
@train_setting(
    TRAINING,
    "ensemble",
    "Train N models with different seeds, and one that learns from them, if that makes it better.",
    "N",
)
@train_setting(
    TRAINING,
    "unlabelled_confidence",
    "Learn from unlabelled texts with at least this probability of a label. The default is 0.8.",
    "PROBABILITY",
)
@train_setting(
    TRAINING,
    "unlabelled_weight",
    "How much an unlabelled text counts, where a labelled review counts 1. The default is 0.5.",
    "WEIGHT",
)
@train_setting(TRAINING, "seed", "Seed of all random choices. The same seed gives the same model.", "N")
@train_setting(TEXTS, "max_length", "Most tokens of a text to read. The default is all that the encoder can.", "N")
@train_setting(
    TEXTS,
    "long_text",
    "What to read of a longer text: its head, its tail, or both.",
    choices=["head", "tail", "head-tail"],
)
@train_setting(SPEED, "device", "Where to compute: auto, cpu, cuda or cuda:N.", "DEVICE")
@train_setting(SPEED, "dtype", "Number format of the computation. auto suits the device.", choices=TRAIN_DTYPES)
@options.messages
def train(
    reviews: tuple[str, ...],
    output: str,
    columns: dict[str, Any],
    group_column: str | None,
    val_file: str | None,
    test_file: str | None,
    unlabelled: tuple[str, ...],
    patience: int,
    input_format: str | None,
    read: ReadOptions,
    overwrite: bool,
    resume: bool,
    restart: bool,
    report: bool,
    baseline: bool,
    label_issues: str | None,
    quiet: bool,
    as_json: bool,
    **settings: object,
) -> None:
    """Train a sentiment classifier on the labelled REVIEWS: CSV, Parquet, or any other format that can be read.

    The model is the state of the training with the lowest validation loss after calibration. With fewer than 1,000
    reviews, folds measure the model, and it is the last state of a training on all reviews. Labels may be words, 0/1,
    true/false or stars. The command prints how it read them, and stores that with the model.

    Use --resume to continue an interrupted run. Its final weights are bit-identical to those of an uninterrupted run.
    """
    # Built first, so that a wrong setting is reported before torch is loaded. A patience of 0 means no early stopping.
    chosen = TrainSettings(**settings, patience=patience or None)  # type: ignore[arg-type]
    respect_address_limit()
    from sentiment_batch.training.job import TrainJob
    from sentiment_batch.training.run import run_training

    job = TrainJob(
        reviews=reviews,
        output=output,
        settings=chosen,
        val=val_file,
        test=test_file,
        unlabelled=unlabelled,
        **columns,
        group_column=group_column,
        input_format=input_format,
        read_options=read,
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        report=report,
        baseline=baseline,
        quiet=quiet,
        command=command_line(),
    )
    # The table of label issues is opened before the training, so that a place that cannot be written costs no hours
    tables = [name for name in (*reviews, val_file, test_file, *unlabelled) if name is not None]
    _check_place(label_issues, output)
    with publish_label_issues(label_issues, tables, overwrite=overwrite) as issue_writer:
        trained = run_training(job)
        if issue_writer is not None:
            if trained.likely_wrong_labels is None:
                raise UsageError(
                    f"{output} was finished by an earlier run, which keeps no texts, so its `label_issues` are not "
                    "known. Train again with `overwrite=True`."
                )
            write_label_issues(issue_writer, trained.likely_wrong_labels)
    if as_json:
        print_json(trained.to_json())
    if not quiet:
        _print_result(trained)


def _check_place(label_issues: str | None, output: str) -> None:
    """Refuse a table inside the model folder, which is replaced as a whole."""
    model = Path(output).absolute()
    folders = Path(label_issues or "").absolute().parents
    if label_issues and (model in folders or model.with_name(model.name + WORK_FOLDER_ENDING) in folders):
        raise UsageError(
            f"`label_issues` is {label_issues}, inside the model folder, which is written as a whole. Name a file "
            "beside that folder."
        )


def _print_result(trained: Trained) -> None:
    """Print the metrics, and the command that scores with the model, to standard error."""
    from sentiment_batch.evaluation.terminal import format_metrics
    from sentiment_batch.training.baseline import format_floor
    from sentiment_batch.training.learning_curve.curve import format_learning_curve

    width = terminal_width(sys.stderr)
    floors = trained.baseline.comparisons if trained.baseline else {}
    for name, metrics in (("validation", trained.validation), ("test", trained.test)):
        if metrics is not None:
            floor = f"\n{format_floor(floors[name])}" if name in floors else ""
            name += f" in {trained.folds} folds" if name == "validation" and trained.folds else ""
            print_block(f"\n{name}: {metrics}{floor}\n\n{format_metrics(metrics, width)}", to_stderr=True)
    if trained.self_training:
        print_block(f"\n{trained.self_training.verdict}", to_stderr=True)
    if trained.learning_curve:
        print_block(f"\n{format_learning_curve(trained.learning_curve)}", to_stderr=True)
    command = shlex.join(["sentiment-batch", "score", "IN", "OUT", "--model", trained.path])
    doubtful = trained.baseline is not None and trained.baseline.verdict is not None
    advice = "Mind the warning above before you score a table with it:" if doubtful else "Score a table with it:"
    print_block(
        f"\nThe model is in {escape_line(trained.path)}. {advice}\n\n    {escape_line(command)}\n", to_stderr=True
    )
