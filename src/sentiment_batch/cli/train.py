"""`sentiment-batch train`: labelled reviews in, a model folder out."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.messages import configure_logging
from sentiment_batch.settings import CLASS_WEIGHTS, DEFAULT_MODEL_FOLDER, LONG_TEXT, TrainSettings

if TYPE_CHECKING:
    from sentiment_batch.records import ReadOptions

DEFAULTS = TrainSettings()


@click.command(short_help="Train a classifier on labelled reviews.")
@click.argument("reviews", nargs=-1, required=True, metavar="REVIEWS...")
@click.option("-o", "--output", default=DEFAULT_MODEL_FOLDER, show_default=True, help="The model folder to make.")
@click.option("--base", default=DEFAULTS.base, show_default=True, help="Hub id or folder of a DistilBERT, or minilm.")
@options.columns
@options.label_column
@click.option("--group-column", metavar="NAME", help="Rows of equal value here stay on one side of the split.")
@options.stars
@click.option("--val-file", metavar="FILE", help="Validate on this instead of a share of the reviews.")
@click.option(
    "--val-size", type=float, default=DEFAULTS.val_size, show_default=True, help="Share held back to validate."
)
@click.option("--test-file", metavar="FILE", help="Measure the final model on this.")
@click.option("--epochs", type=int, default=DEFAULTS.epochs, show_default=True, help="Times through the reviews.")
@click.option("--batch-size", type=int, metavar="N", help="Texts per step; default: 32 where texts are short, else 16.")
@click.option("--learning-rate", type=float, help="Peak; default: 0.0384 / encoder width, so 1e-4 at 384, 5e-5 at 768.")
@click.option(
    "--weight-decay", type=float, default=DEFAULTS.weight_decay, show_default=True, help="Of weight matrices."
)
@click.option("--warmup", type=float, default=DEFAULTS.warmup, show_default=True, help="Share of steps to the peak.")
@click.option(
    "--layer-decay",
    type=float,
    default=DEFAULTS.layer_decay,
    show_default=True,
    help="Learning rate of a layer: that of the one above times this.",
)
@click.option(
    "--label-smoothing",
    type=float,
    default=DEFAULTS.label_smoothing,
    show_default=True,
    help="Share of each label spread over all classes.",
)
@click.option(
    "--weight-average",
    type=float,
    metavar="DECAY",
    help="Save a moving average of the weights; default: 0.999, and none (0) where texts are short.",
)
@click.option("--dropout", type=float, default=DEFAULTS.dropout, show_default=True, help="Before the linear layer.")
@click.option("--max-length", type=int, metavar="N", help="Tokens per text; default: the encoder's positions.")
@click.option(
    "--long-text",
    type=click.Choice([policy for policy in LONG_TEXT if policy != "windows"]),
    default=DEFAULTS.long_text,
    show_default=True,
    help="What is kept of a text that does not fit.",
)
@click.option(
    "--patience", type=int, default=DEFAULTS.patience, show_default=True, help="Validations without gain; 0: all."
)
@click.option(
    "--class-weights",
    type=click.Choice(CLASS_WEIGHTS),
    default=DEFAULTS.class_weights,
    show_default=True,
    help="auto: in the training loss, a rare class counts as much as a frequent one.",
)
@click.option(
    "--calibrate/--no-calibrate",
    default=DEFAULTS.calibrate,
    show_default=True,
    help="Fit a temperature on the validation rows, and fold it into the saved model.",
)
@click.option("--seed", type=int, default=DEFAULTS.seed, show_default=True, help="The same seed gives the same model.")
@options.device
@click.option("--limit", type=int, metavar="N", help="Train on a random sample of N rows.")
@options.reading
@click.option("--overwrite", is_flag=True, help="Replace the model at --output.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run of this --output.")
@click.option("--restart", is_flag=True, help="Delete the interrupted run of this --output, and start over.")
@click.option(
    "--report/--no-report",
    default=True,
    show_default=True,
    help="Put report.html into the model folder; it shows some texts.",
)
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
    """Train a sentiment classifier on labelled REVIEWS: CSV, Parquet and whatever `formats` lists.

    The state with the lowest validation loss, as it will be once calibrated, is saved as soon as it is reached, and is
    what remains. Labels may be words, 0/1, true/false or stars; how they were read is printed and stored. A run that
    was interrupted goes on with --resume, to the same weights as if it had not been.
    """
    configure_logging(quiet, verbose)
    # Wrong settings are found before torch is loaded; of patience, 0 means to go through all epochs.
    chosen = TrainSettings(**settings, patience=patience or None)  # type: ignore[arg-type]
    from sentiment_batch.data import formats, labelled_rows
    from sentiment_batch.training.checkpoint.work_folder import Checkpoint

    how = {"overwrite": overwrite, "resume": resume, "restart": restart}
    Checkpoint(output, **how).close()  # what cannot be is said before a long table is read

    def table(location: str, *, split: bool = False) -> labelled_rows.LabelledRows:
        reader = formats.open_reader(location, format=input_format, options=read)
        try:
            return labelled_rows.read_labelled_rows(
                reader,
                location,
                text_columns=text_columns,
                label_column=label_column,
                group_column=group_column,
                group_optional=not split,
                others=True,
            )
        finally:
            reader.close()

    tables = [table(location, split=True) for location in reviews]
    val, test = (table(location) if location else None for location in (val_file, test_file))
    from sentiment_batch.training.run import train_labelled

    trained = train_labelled(tables, output, chosen, val=val, test=test, stars=stars, report=report, quiet=quiet, **how)
    if as_json:
        click.echo(json.dumps(trained.to_json(), ensure_ascii=False))
    if not quiet:
        click.echo(f"\nvalidation: {trained.validation}\n\n{trained.validation.table()}", err=True)
        if trained.test:
            click.echo(f"\ntest: {trained.test}\n\n{trained.test.table()}", err=True)
        command = shlex.join(["sentiment-batch", "score", "IN", "OUT", "--model", trained.path])
        click.echo(f"\nThe model is in {trained.path}. Score a table with it:\n\n    {command}\n", err=True)
