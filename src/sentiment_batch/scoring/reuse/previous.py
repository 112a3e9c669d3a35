"""Checks an earlier output whose scores are taken over. Its manifest says how it was scored, and if it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.column_paths import select_columns
from sentiment_batch.data.columns import BLANK_CHARACTERS, extract_texts, find_path
from sentiment_batch.data.readers.base import stream_batches
from sentiment_batch.data.readers.input_state import identify_input
from sentiment_batch.errors import InputError, UsageError, listed
from sentiment_batch.locations import without_password
from sentiment_batch.progress import show_progress
from sentiment_batch.report.formatting import format_quantity
from sentiment_batch.scoring.output import fingerprint
from sentiment_batch.scoring.output.manifest import locate_files, read_size_and_sha256
from sentiment_batch.scoring.output.verify import check_files
from sentiment_batch.scoring.output.written_output import find_output, open_written_file
from sentiment_batch.scoring.reuse.index import hash_texts
from sentiment_batch.scoring.reuse.taken_columns import restore_probabilities

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.scoring.added_columns import AddedColumns
    from sentiment_batch.scoring.backends.base import OnRows
    from sentiment_batch.scoring.output.paths import OutputPaths
    from sentiment_batch.scoring.reuse.index import ScoredTextIndex
    from sentiment_batch.scoring.scorer import Scorer

_SAME = ("model", "labels")
"""The values that must be equal in both runs, in addition to the added columns and some settings."""
_SAME_SETTINGS = ("max_length", "long_text", "decimals", "neutral_band")
_ROUNDING = ("sentiment-batch", "torch", "tokenizers", "transformers", "device", "dtype", "int8_calibration")
"""The values that may change the last digits of a score."""
_ROUNDING_SETTINGS = ("deterministic", "compile", "batch_tokens")
FLOAT32_TOLERANCE = 5e-6
"""The largest measured difference between float32 probabilities of different batches; see the page on determinism."""
REDUCED_TOLERANCE = 0.012
"""The largest measured difference of bfloat16 and other short dtypes from float32; see the page on determinism."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviousOutput:
    """An earlier output that a scorer may reuse."""

    paths: OutputPaths
    manifest: dict[str, Any]
    digest: str
    """The SHA-256 of the file of the manifest."""
    differences: tuple[str, ...]
    """The differences between both runs that may change the last digits of a score, each in a few words."""
    tolerance: float | None
    """The largest difference of its probabilities to those of this run; None if the runs do not differ."""

    @property
    def name(self) -> str:
        """The output, for messages."""
        return without_password(self.paths.destination)

    def fill(self, index: ScoredTextIndex, added: AddedColumns, *, quiet: bool) -> None:
        """Check that the output is whole, and add its texts with a score to an index.

        Args:
            index: the index.
            added: the columns that the scorer adds.
            quiet: show no progress.

        Raises:
            OutputError: a file is missing or was changed.
            InputError: a file cannot be read, or holds other rows than the manifest says.
            UsageError: the output lacks the column of the text.
        """
        is_folder = self.paths.is_folder
        files = list(locate_files(self.paths.destination, self.manifest["files"], is_folder=is_folder))
        # The files are read twice: for their digests, and for their rows. They must not change in between.
        before = [identify_input(location) for location, _ in files]
        check_files(self.paths, self.manifest)
        # JSON lines without rows have no columns to read.
        with show_progress(self.manifest["rows"], quiet=quiet, task="reading scored texts") as bar:
            rows = sum(self._add_file(location, index, added, bar.update) for location, entry in files if entry["rows"])
        if rows != self.manifest["rows"]:
            raise InputError(
                f"{self.name} has {format_quantity(rows, 'row')}, but {self.manifest['rows']:,} were written. "
                "Score again."
            )
        if before != [identify_input(location) for location, _ in files]:
            raise InputError(f"{self.name} was changed while it was read. Try again when nobody writes to it.")

    def _add_file(self, location: str, index: ScoredTextIndex, added: AddedColumns, on_rows: OnRows) -> int:
        """Add the texts of a file, and return the number of its rows."""
        output_format = self.manifest["settings"]["output_format"]
        if (reader := open_written_file(location, output_format)) is None:
            raise UsageError(
                f"`reuse` names {self.name}, but nothing reads the format {output_format!r}. Leave it out."
            )
        rows = 0
        with closing(reader):
            texts = self._find_texts(reader, added)
            # The other columns may be null then, because nothing reads them here
            select_columns(reader, [*texts, *added.names])
            for batch in stream_batches(reader):
                try:
                    add_rows(index, added, batch, texts)
                except InputError as error:
                    place = f"{without_password(location)}, from row {rows:,} on (rows counted from 0)"
                    raise InputError(f"{place}: {error}. Leave `reuse` out, or name another output.") from error
                rows += batch.num_rows
                on_rows(batch.num_rows)
        return rows

    def _find_texts(self, reader: Reader, added: AddedColumns) -> list[str]:
        """The columns of the text in a file of the output.

        Raises:
            InputError: the file has other columns than were written.
            UsageError: the columns of the text were left out.
        """
        # Other columns in the place of the added ones would give wrong scores without an error
        names = reader.schema.names
        if len(names) != len(self.manifest["output_columns"]) or names[-len(added.names) :] != added.names:
            raise InputError(f"{self.name} is read with the columns {listed(names)}, which are not those written.")
        texts = list(self.manifest["settings"]["text_column"])
        fields = pa.schema(list(reader.schema)[: -len(added.names)])
        missing = [name for name in texts if not find_path(fields, name)]
        if missing:
            raise UsageError(
                f"`reuse` names {self.name}, which does not hold its column of the text {missing[0]!r}. Name an output "
                "that keeps the text."
            )
        for name in texts:
            path = find_path(fields, name)
            if names.count(path[0].name) > 1 or pa.types.is_nested(path[-1].type):
                raise InputError(
                    f"{self.name} holds no text, or several columns, under the name {name!r}. Score again."
                )
        return texts


def find_previous(location: str, scorer: Scorer) -> PreviousOutput:
    """The earlier output at a location, if a scorer may reuse it. Its files are not read yet.

    Raises:
        InputError: it has no manifest, or a damaged one.
        UsageError: it was scored in a way that gives other columns; the message names each difference.
    """
    paths, manifest = find_output(location)
    added = scorer.added.fields()
    # The columns before the added ones are those of the earlier input, which may be another one
    old = manifest | {"output_columns": (manifest.get("output_columns") or [])[-len(added) :]}
    new = fingerprint.describe_scoring(scorer, added)
    # Differences that give other columns or other scores: always refused
    changes = _compare(old, new, (*_SAME, "output_columns"), _SAME_SETTINGS)
    # Escaped texts have other digests than the texts of the input
    if manifest["settings"].get("escape_formulas") and manifest["settings"]["output_format"] == "csv":
        changes.append("its texts were changed by `escape_formulas=True`")
    if not manifest["settings"].get("text_column"):
        changes.append("its manifest names no column of the text")
    is_exact = scorer.settings.deterministic
    # Deterministic runs give the same bits for any number of tokens in a batch, and are never compiled.
    differences = _compare(old, new, _ROUNDING, ("deterministic",) if is_exact else _ROUNDING_SETTINGS)
    # The output may itself have taken over scores of runs that differ.
    differences = list(dict.fromkeys([*(manifest.get("reuse_differences") or []), *differences]))
    refused = changes + differences if is_exact else changes
    if refused:
        raise UsageError(
            f"`reuse` names {without_password(location)}, which was scored in another way: {'; '.join(refused)}. "
            "Score as that run did, or leave it out."
        )
    is_precise = old.get("dtype") == new.get("dtype") == "float32"
    tolerance = FLOAT32_TOLERANCE if is_precise else REDUCED_TOLERANCE
    # Each output stores the larger tolerance, so that it also holds for a chain of outputs
    return PreviousOutput(
        paths=paths,
        manifest=manifest,
        digest=read_size_and_sha256(str(paths.manifest))[1],
        differences=tuple(differences),
        tolerance=max(tolerance, manifest.get("reuse_tolerance") or 0.0) if differences else None,
    )


def describe_reuse(previous: PreviousOutput | None) -> dict[str, Any]:
    """What a manifest holds of an earlier output, beside its digest; None stands for a run without one."""
    differences, tolerance = (None, None) if previous is None else (list(previous.differences), previous.tolerance)
    return {"reuse_differences": differences, "reuse_tolerance": tolerance}


def add_rows(index: ScoredTextIndex, added: AddedColumns, batch: pa.RecordBatch, texts: list[str]) -> Floats:
    """Add the rows of an earlier table that have a score to an index.

    Args:
        index: the index.
        added: the added columns, which are the last columns of the table.
        batch: rows of the table.
        texts: the columns of the text.

    Returns:
        The restored probabilities (rows, labels), NaN for a row that was not added.

    Raises:
        InputError: a label or a number is none; the message has no full stop.
    """
    first = batch.num_columns - len(added.names)
    probabilities = restore_probabilities(added, batch.columns[first:])
    values = extract_texts(batch, texts, on_bad_row=lambda problem: None)
    # No run scores a blank text, but somebody may have emptied a text of a frame since
    is_text = pc.not_equal(pc.utf8_trim(values, characters=BLANK_CHARACTERS), "")
    has_score = ~np.isnan(probabilities[:, 0]) & pc.fill_null(is_text, False).to_numpy(zero_copy_only=False)
    # Rows without a text or a restored score are left to the model
    index.add(hash_texts(values.filter(pa.array(has_score))), probabilities[has_score])
    probabilities[~has_score] = np.nan
    return probabilities


def _compare(old: dict[str, Any], new: dict[str, Any], names: Iterable[str], settings: Iterable[str]) -> list[str]:
    """The differences between two descriptions of a scoring, as far as these names and settings go."""
    pairs = [
        {name: one.get(name) for name in names} | {"settings": {name: one["settings"].get(name) for name in settings}}
        for one in (old, new)
    ]
    return fingerprint.list_changes(*pairs)
