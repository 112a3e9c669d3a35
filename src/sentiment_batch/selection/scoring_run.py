"""Finds out how a table was scored, from the manifest beside it or from the names of its columns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentiment_batch.data.scored_names import find_added_columns, name_score_column
from sentiment_batch.records import Choice
from sentiment_batch.scoring.default_model import choose_model
from sentiment_batch.scoring.output.written_output import find_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoringRun:
    """The run that scored a table. Fields are empty or None where nothing is known."""

    added: tuple[str, ...] = ()
    """The columns that the run added. The column of the labels is the first."""
    text_columns: tuple[str, ...] = ()
    """The columns of the text."""
    model: str | None = None
    """The folder or Hub id of the model."""
    digest: str | None = None
    """The digest of the model."""

    @property
    def prefix(self) -> str | None:
        """The column of the labels."""
        return self.added[0] if self.added else None

    def choose_model(self, named: str | None) -> Choice:
        """The named model, else the one of this run, else the one that every command takes."""
        # The manifest may be from another machine, where the model had another folder. A Hub id holds everywhere.
        if not named and self.model and (not os.path.isabs(self.model) or os.path.isdir(self.model)):
            return Choice(value=self.model, reason="it scored the table, by the manifest")
        return choose_model(named)

    def list_added(self, names: Sequence[str], label: str, labels: Sequence[str]) -> list[str]:
        """The columns of a table that scoring added.

        Args:
            names: the columns of the table.
            label: the column of the labels.
            labels: the labels of the model, after which columns of probabilities are named.
        """
        by_name = [label, name_score_column(label), *(f"{label}_{one}" for one in labels)]
        # The manifest knows the columns of its own run only. Those of another run are found by their names.
        wanted = set(self.added if label == self.prefix else by_name)
        return [name for name in names if name in wanted]


UNKNOWN = ScoringRun()


def read_scoring_run(location: str) -> ScoringRun:
    """Read the manifest beside the table at a path or URL."""
    manifest = find_manifest(location) or {}  # without one, the names of the columns show what was added
    reading = manifest.get("input")
    texts = reading.get("text_columns") if isinstance(reading, Mapping) else None
    return ScoringRun(
        added=find_added_columns(manifest.get("output_columns")),
        text_columns=tuple(map(str, texts)) if isinstance(texts, list) else (),
        model=_text_or_none(manifest.get("model_location")),
        digest=_text_or_none(manifest.get("model")),
    )


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None
