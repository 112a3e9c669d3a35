"""What an engine hands to its workers, and what comes back: frozen records that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.results import Counts, Failure
    from sentiment_batch.scoring.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowTask:
    """Texts to score together, which come to a `WindowDone`."""

    texts: bytes
    """As `Window.pack_texts` gives them."""
    expected_rows: int | None
    """Of the whole stream, as far as that is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowDone:
    """What a model makes of a window."""

    probabilities: Floats
    """(n, K), unrounded; NaN where a row has no text."""
    counts: Counts
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What all parts of one run have in common."""

    run: str
    """A name for the run, which no other has."""
    job: Job
    """The input's path is absolute, and nothing is told of bad rows."""
    texts: tuple[str, ...]
    """The columns of the text."""
    part_rows: int
    identity: Any
    """What the input was when the run began."""
    scoring: dict[str, Any]
    """What decides the scores; a worker's own must be the same."""
    expected_rows: int | None
    """What the choice to compile the model goes by."""
    writing: str | None
    """The format of the files of an output that is a folder; None where only scores are wanted."""
    ending: str
    """Of the files' names."""
    folder: str | None
    """Where a worker leaves its files; None: they come back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartTask:
    """A part to read, score and, for an output that is a folder, write; it comes to a `PartDone`."""

    plan: Plan
    index: int
    start: int
    """The number of its first row in the input."""
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PartDone:
    """One attempt at a part; it becomes a part when the journal adopts it."""

    index: int
    rows: int
    data: bytes | str
    """The scores or the file; or, as a text, the name of the file in the plan's folder."""
    size: int
    """Of the data, in bytes."""
    sha256: str
    tally: dict[str, Any]
    """The fields of `Tally`."""
    problems: bytes
    """JSON lines."""
    counts: Counts
    host: str
    """The machine, for messages."""


Task = WindowTask | PartTask
Done = WindowDone | PartDone
