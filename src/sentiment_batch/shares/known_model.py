"""What is known of the model that scored a table: its labels, its errors on labelled rows, and what it said of the
texts. It comes from the manifest beside the table, or from the model's folder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sentiment_batch.scoring.added_columns import NEUTRAL
from sentiment_batch.scoring.likeness import check_confusion, find_confusion
from sentiment_batch.scoring.output.written_output import find_manifest, has_written_sizes
from sentiment_batch.scoring.trained_columns import get_trained_columns, read_model_meta


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownModel:
    """What is known of a model and of the run that scored a table with it."""

    source: str
    """Where this is known from, such as `the manifest`."""
    labels: tuple[str, ...] = ()
    """The model's labels in its order; empty if they are unknown."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """(K, K) labelled rows of class i that were taken for class j; None if they are unknown."""
    has_neutral_band: bool = False
    """True if rows were called neutral by a band of probabilities."""
    prefix: str | None = None
    """The column of the labels."""
    text_columns: tuple[str, ...] = ()
    """The columns of the text."""
    rows: int | None = None
    """Rows of the output that the manifest describes."""
    was_edited: bool = False
    """True if a file of the table has another size than the manifest says."""
    unlike: float | None = None
    """The share of texts that look unlike those of the training."""
    expected_accuracy: float | None = None
    """The accuracy by the calibrated probabilities."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """All labels that rows can have; None if they are unknown."""
        return (*self.labels, *[NEUTRAL] * self.has_neutral_band) or None


def read_known_model(location: str | None, model: str | None) -> KnownModel | None:
    """Read what is known of the model that scored a table; None if nothing is.

    Args:
        location: the table; None if it is a frame.
        model: a model folder or Hub id that the user named; its errors count more than those in the manifest.

    Raises:
        ModelError: the named model cannot be found.
    """
    stored = None if location is None else _read_stored(location)
    if model is None:
        return stored
    meta = read_model_meta(model) or {}
    mapping = meta.get("labels")
    # A stock model of other origin has no sentiment_batch.json. Then only its name is known.
    named = KnownModel(
        source=f"the model {model}",
        labels=_read_names(mapping.get("labels")) if isinstance(mapping, dict) else (),
        confusion=find_confusion(meta),
        text_columns=get_trained_columns(meta),
    )
    if stored is None:
        return named
    return replace(stored, source=named.source, labels=named.labels, confusion=named.confusion)


def _read_stored(location: str) -> KnownModel | None:
    """What the manifest beside a table says; None if there is none."""
    if (manifest := find_manifest(location)) is None:
        return None
    described = manifest.get("input") or {}
    return KnownModel(
        source="the manifest",
        labels=_read_names(manifest.get("labels")),
        confusion=check_confusion(manifest.get("confusion")),
        # Every manifest has `settings` and `rows`. Those of earlier releases may lack the other keys.
        has_neutral_band=manifest["settings"].get("neutral_band") is not None,
        prefix=manifest.get("sentiment_column"),
        text_columns=_read_names(described.get("text_columns")),
        rows=manifest["rows"],
        was_edited=not has_written_sizes(location, manifest),
        unlike=manifest.get("unlike"),
        expected_accuracy=manifest.get("expected_accuracy"),
    )


def _read_names(value: object) -> tuple[str, ...]:
    """`value` as names; none if it is no list of them."""
    return tuple(value) if isinstance(value, list) and all(isinstance(name, str) for name in value) else ()
