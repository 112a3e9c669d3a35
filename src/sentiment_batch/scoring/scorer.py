"""A model that scores: record batches or frames in, the same rows with their scores out."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import to_column_names, to_single_array
from sentiment_batch.data.text_columns import TextColumns, choose_text_columns
from sentiment_batch.model import hub
from sentiment_batch.model.folder import load_rust_tokenizer
from sentiment_batch.model.forward.int8_labels import Int8LabelError
from sentiment_batch.scoring.added_columns import AddedColumns
from sentiment_batch.scoring.backends.distributed import DistributedBackend
from sentiment_batch.scoring.backends.local import LocalBackend
from sentiment_batch.scoring.backends.multi_device import MultiDeviceBackend
from sentiment_batch.scoring.backends.row_blocks import Counts, RowBlock, ScoredBlock, split_into_row_blocks
from sentiment_batch.scoring.backends.text_setup import make_tokenizer
from sentiment_batch.scoring.default_model import locate_model
from sentiment_batch.scoring.likeness import TextCheck, judge_texts
from sentiment_batch.scoring.trained_columns import get_trained_columns, read_trained_columns
from sentiment_batch.settings import LOCAL, ScoreSettings, make_settings, to_model_name

if TYPE_CHECKING:
    from sentiment_batch.data.readers.base import Reader
    from sentiment_batch.keywords import ScoreKeywords
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.records import Choice
    from sentiment_batch.scoring.backends.base import Backend, Description, OnRows
    from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer

logger = logging.getLogger("sentiment_batch")


@dataclass(kw_only=True, slots=True, eq=False, repr=False)
class Scorer:
    """A model that scores; open it with `Scorer.load`, close it with `with` or `close()`.

    It can be pickled and sent to another process. The model is loaded there from the same place at the first use, and
    only once even if several pickles arrive. Several threads may share a scorer.

    Example:
        with Scorer.load("sentiment-model") as scorer:
            annotated = scorer(frame)
    """

    model: str
    """The folder or Hub id of the model."""
    settings: ScoreSettings
    counts: Counts = field(default_factory=Counts)
    """What was counted since the scorer was made."""
    _backend: Backend | None = field(default=None, init=False, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    """Held while the model is loaded and while a table is scored, because one call takes all cores."""

    def __repr__(self) -> str:
        """The model and the settings that are not the defaults."""
        values = ((field.name, getattr(self.settings, field.name), field.default) for field in fields(self.settings))
        changed = [f", {name}={value!r}" for name, value, default in values if value != default]
        return f"Scorer(model={self.model!r}{''.join(changed)})"

    @classmethod
    def load(cls, model: str | os.PathLike[str], **settings: Unpack[ScoreKeywords]) -> Scorer:
        """Load a model for scoring.

        Args:
            model: a folder, or an id on the Hugging Face Hub, or what `train` returned.
            settings: the fields of `ScoreSettings`: device, dtype, batch_tokens, deterministic, compile, max_length,
                long_text, labels, probabilities, prefix, decimals, neutral_band.

        Raises:
            ModelError: the model cannot be used.
            DeviceError: the device is not there.
            UsageError: a setting is out of range.
        """
        return cls(model=to_model_name(model), settings=make_settings(ScoreSettings, settings, "scoring")).open()

    def open(self) -> Scorer:
        """Load the model now, and check that it suits the settings; returns this scorer.

        Raises:
            SentimentBatchError: as for `load`; the scorer is closed then.
        """
        try:
            _ = self.added  # loads the model, and checks that a neutral band suits its labels
        except BaseException:
            self.close()
            raise
        return self

    @property
    def backend(self) -> Backend:
        """The loaded model; it is loaded now if the scorer was closed, or came out of a pickle."""
        # Without the lock, because another thread may score for hours. The second look under the lock decides.
        if (backend := self._backend) is not None:
            return backend
        with self._turn:
            self._backend = self._backend or _load_backend(self.model, self.settings)
            return self._backend

    @property
    def description(self) -> Description:
        """What the model is, and how it is run: labels, device, dtype and their reasons."""
        return self.backend.description

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the model's order."""
        return self.description.labels

    @property
    def device(self) -> Choice:
        """The device, and why it was chosen."""
        return self.description.device

    @property
    def dtype(self) -> Choice:
        """The dtype of the computation, and why it was chosen."""
        return self.description.dtype

    @property
    def policy(self) -> TextPolicy:
        """How much of a text the model reads."""
        return self.description.policy

    @property
    def added(self) -> AddedColumns:
        """The columns that the scorer adds."""
        return AddedColumns(
            labels=self.labels,
            prefix=self.settings.prefix,
            probabilities=self.settings.probabilities,
            decimals=self.settings.decimals,
            neutral_band=self.settings.neutral_band,
        )

    def probabilities(
        self,
        batches: Iterable[pa.RecordBatch],
        text_columns: Sequence[str],
        on_rows: OnRows | None = None,
        expected_rows: int | None = None,
    ) -> Iterator[tuple[pa.RecordBatch, Floats]]:
        """Score a stream of record batches.

        Args:
            batches: the rows, all with one schema; they are read in a thread, ahead of what is yielded.
            text_columns: the columns that hold the text.
            on_rows: called in a thread with the number of rows that were scored since its last call.
            expected_rows: the number of rows in the stream, None if it is unknown. For many rows the model may be
                compiled first.

        Yields:
            The rows in their order, in batches of other sizes, each with its probabilities (rows, labels), unrounded;
            NaN if a row has no text.

        Raises:
            ModelError, DeviceError: a text cannot be scored.
        """
        for scored in self.score_blocks(split_into_row_blocks(batches, text_columns), on_rows, expected_rows):
            for failure in scored.failures:
                raise failure.make_error(scored.block.start + failure.row)
            yield from scored.batches()

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it, and count what is done."""
        for scored in self.backend.score_blocks(blocks, on_rows, expected_rows):
            self.counts.add(scored.counts)
            yield scored

    def columns_for(
        self, batches: Iterable[pa.RecordBatch], text_columns: Sequence[str], *, plain: bool = False
    ) -> dict[str, pa.ChunkedArray]:
        """The added columns by name; arguments as for `probabilities`. If `plain`, labels are strings."""
        # Threads take turns, because one call takes all cores
        with self._turn:
            added = self._plain_added if plain else self.added
            batches = list(batches) if self.dtype.value == "int8" else batches  # all rows may be read twice
            try:
                parts = [added.arrays(scores) for _, scores in self.probabilities(batches, text_columns)]
            except Int8LabelError as error:
                logger.warning("%s All rows are scored again in float32", error)
                self.close()
                # From now on in float32, because the next table would only fail again
                self.settings = replace(self.settings, dtype="float32")
                parts = [added.arrays(scores) for _, scores in self.probabilities(batches, text_columns)]
        # Without rows there are still the right types: the list of labels is part of them.
        parts = parts or [added.arrays(np.empty((0, len(self.labels)), dtype=np.float32))]
        columns = zip(added.fields(), zip(*parts, strict=True), strict=True)
        return {field.name: pa.chunked_array(arrays, field.type) for field, arrays in columns}

    def output_schema(self, schema: pa.Schema, *, text_column: str | Sequence[str] | None = None) -> pa.Schema:
        """The schema of what `annotate_batches` yields: the given fields, then the added ones, with labels as strings.

        Args:
            schema: the schema of a table with texts.
            text_column: the column or columns of the text; None takes those of the training, else finds them by name.

        Raises:
            InputError: there is no such column, or it holds no text.
            UsageError: a column has the name of an added one.
        """
        self.choose_text_columns(schema, text_column)
        return self._plain_added.append_to_schema(schema)

    def annotate_batches(
        self, batches: Iterable[pa.RecordBatch], *, text_column: str | Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Annotate a stream of record batches while it is read; suits `mapInArrow` of Spark.

        Args:
            batches: the rows, all with one schema, in batches of any sizes.
            text_column: as for `output_schema`, whose errors this raises, too.

        Yields:
            The rows in their order, with the added columns, in batches of other sizes; none if there are no batches.
        """
        from sentiment_batch.frames.arrow import peek_rows
        from sentiment_batch.frames.base import find_texts

        first, stream = peek_rows(batches)
        if first is not None:
            found = find_texts(self, first, to_column_names(text_column), batches)
            added = self._plain_added
            added.check_names(first.schema.names)
            for rows in self.probabilities(stream, found):
                yield added.append_to_batch(*rows)

    def annotations_of(self, texts: pa.Array | pa.ChunkedArray) -> pa.StructArray:
        """The added columns for each text, as structs with labels as strings, such as a function in SQL returns.

        Args:
            texts: (N,) of any Arrow type that holds text; another type is an InputError.

        Returns:
            (N,) with the fields that `added` names; each is null for a row without a text.
        """
        from sentiment_batch.frames.arrow import to_text_table

        columns = self.columns_for(to_text_table(texts).to_batches(), ["text"], plain=True)
        return pa.StructArray.from_arrays([to_single_array(column) for column in columns.values()], names=list(columns))

    def labels_of(self, texts: pa.Array | pa.ChunkedArray) -> pa.StringArray:
        """The label of each text (N,), null for a row without a text; `texts` as for `annotations_of`."""
        return self.annotations_of(texts).field(0)

    def __call__(self, frame: Any, *, text_column: str | Sequence[str] | None = None) -> Any:
        """A frame with its scores: the same kind, rows, order and index. The given frame is not changed.

        Args:
            frame: a frame of any kind that `score` takes.
            text_column: the column or columns of the text; None takes those of the training, else finds them by name.

        Raises:
            InputError: there is no such column, or it holds no text.
            UsageError: a column of the frame has the name of an added one.
        """
        from sentiment_batch.frames import annotate_frame

        return annotate_frame(frame, self, text_column)

    def local(self) -> LocalBackend:
        """The model in this process, on the first of its devices, for callers that look inside it."""
        if isinstance(self.backend, LocalBackend):
            return self.backend
        # The model of other processes cannot be looked into, so a second copy is loaded here
        device = self.settings.device.partition(",")[0].strip()
        return LocalBackend(self.model, replace(self.settings, device=device, engine=LOCAL, engine_options=()))

    def choose_text_columns(self, table: Reader | pa.Schema, text_column: object = None) -> TextColumns:
        """The text columns of an open table or a schema: as named, else those of the training, else found by name.

        Raises:
            InputError: there is no such column, or it holds no text.
        """
        return choose_text_columns(table, to_column_names(text_column), lambda: self.trained_columns)

    @property
    def trained_columns(self) -> tuple[str, ...]:
        """The text columns that the model was trained with; none if they are unknown. It need not be loaded."""
        # A mistake in the name of a column is then reported before the model is loaded
        if self._backend is None and self.settings.engine == LOCAL:
            return read_trained_columns(self.model)
        return get_trained_columns(self.description.meta)

    def judge_texts(self, before: Counts) -> TextCheck:
        """What is known of the texts that were scored since the counts of this scorer were those of `before`."""
        return judge_texts(self.description.meta, self.settings, self.counts.subtract(before))

    @property
    def tokenizer(self) -> TextTokenizer:
        """Turns texts into the tokens that the model sees; made here if the model is in other processes."""
        if isinstance(self.backend, LocalBackend):
            return self.backend.tokenizer
        return make_tokenizer(load_rust_tokenizer(hub.resolve_model(self.model)), self.description.meta, self.policy)

    def close(self) -> None:
        """Free the device's memory; the next call loads the model again."""
        if self._backend is not None:
            self._backend.close()
        self._backend = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @classmethod
    def cached(cls, model: str, settings: ScoreSettings) -> Scorer:
        """The cached scorer of this process for a model and settings; pickles load through this method."""
        from sentiment_batch.scoring.scorer_cache import get_cached_scorer

        return get_cached_scorer(model, settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the place and the settings; a folder by its absolute path, because other processes work elsewhere."""
        return Scorer.cached, (locate_model(self.model), self.settings)

    def __dask_tokenize__(self) -> object:
        """What identifies the scorer in the names of dask's tasks: the content of its pickle."""
        return self.__reduce__()[1]

    @property
    def _plain_added(self) -> AddedColumns:
        return replace(self.added, plain=True)


Scorer.__module__ = "sentiment_batch"  # pickles name the public place of the class, so that this module can move


def _load_backend(model: str, settings: ScoreSettings) -> Backend:
    if settings.engine != LOCAL:
        return DistributedBackend(model, settings)
    return MultiDeviceBackend(model, settings) if "," in settings.device else LocalBackend(model, settings)
