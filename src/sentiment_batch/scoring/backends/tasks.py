"""What an engine sends to its workers, and what comes back: frozen records that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.backends.row_blocks import Counts, Failure
    from sentiment_batch.scoring.job import ScoreJob
    from sentiment_batch.scoring.output.part_files import Part


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockTask:
    """A block of texts to score; its result is a `BlockResult`."""

    texts: bytes
    """The texts as `RowBlock.pack_texts` packs them."""
    expected_rows: int | None
    """Rows of the whole stream, None if the number is unknown."""
    hardware: str
    """What the engine's description names; a worker with another kind of CPU or GPU is refused."""
    number: int = 0
    """The number of the task among those of its backend. The result repeats it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockResult:
    """The scores of a block."""

    probabilities: Floats
    """(rows, labels), unrounded; NaN if a row has no text."""
    counts: Counts
    failures: tuple[Failure, ...]
    number: int = 0
    """The number of the task, which shows that the engine did not mix up two results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartsPlan:
    """What all parts of one run have in common."""

    run: str
    """A name for the run that no other run has."""
    job: ScoreJob
    """The job, with an absolute path for its input and without a callback for bad rows."""
    text_columns: tuple[str, ...]
    part_rows: int
    identity: Any
    """What the input was when the run began, see `fingerprint.read_input_state`."""
    scoring: dict[str, Any]
    """What decides the scores; a worker with other values is refused."""
    expected_rows: int | None
    """Rows of the whole run, which decide whether a worker compiles its model; None if the number is unknown."""
    file_format: str | None
    """The format of the files of an output folder; None if the workers return scores only."""
    file_suffix: str
    """The suffix of the names of those files."""
    folder: str | None
    """The folder in which workers leave those files; None if they send them back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartTask:
    """A part to read and score, and to write if the output is a folder; its result is a `PartAttempt`."""

    plan: PartsPlan
    index: int
    start: int
    """The number of the part's first row in the input, from 0."""
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PartAttempt:
    """What a worker made of a part. It becomes the part when the journal adopts it."""

    part: Part
    """The record of the part."""
    data: bytes | str
    """The scores or the file itself; or the name of a file in the plan's folder."""
    problems: bytes
    """The bad rows, as JSON lines."""
    counts: Counts
    host: str
    """The name of the worker's machine, for messages."""


Task = BlockTask | PartTask
TaskResult = BlockResult | PartAttempt
