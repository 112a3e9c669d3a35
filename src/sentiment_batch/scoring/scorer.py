"""Scores rows with one model: record batches in, the same rows with their probabilities out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sentiment_batch.data.columns import find_text, names_of, one_array
from sentiment_batch.errors import UsageError
from sentiment_batch.model import hub
from sentiment_batch.model.folder import load_backend
from sentiment_batch.scoring.added_columns import Columns
from sentiment_batch.scoring.backends.distributed import Distributed
from sentiment_batch.scoring.backends.local import LocalEngine, tokeniser_of
from sentiment_batch.scoring.backends.multi_device import Fleet
from sentiment_batch.scoring.backends.results import Counts, Description, OnRows, Scored, WindowScorer
from sentiment_batch.scoring.backends.row_blocks import Window, windows
from sentiment_batch.settings import LOCAL, ScoreSettings

if TYPE_CHECKING:
    from types import TracebackType

    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.records import Choice
    from sentiment_batch.tokenization.ragged import Tokens
    from sentiment_batch.tokenization.tokenizer import TextPolicy, Tokeniser


@dataclass(kw_only=True, slots=True, eq=False)
class Scorer:
    """A model that scores; open it with `Scorer.load`, close it with `with` or `close()`.

    It can be pickled and sent to another process, which loads the model again from the same place when it first scores,
    and once however many of its pickles arrive there. Several threads may call it at once.

    Example:
        with Scorer.load("sentiment-model") as scorer:
            annotated = scorer(frame)
    """

    model: str
    """The folder or Hub id it was loaded from."""
    settings: ScoreSettings
    counts: Counts = field(default_factory=Counts)
    _engine: WindowScorer | None = field(default=None, init=False, repr=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    """Held while the model is loaded and while a whole table is scored, for which one thread's call takes all cores."""

    @classmethod
    def load(cls, model: str, **settings: Any) -> Scorer:
        """Load a model for scoring.

        Args:
            model: a folder, or an id on the Hugging Face Hub.
            settings: the fields of `ScoreSettings`: device, dtype, batch_tokens, deterministic, compile, max_length,
                long_text, labels, probabilities, prefix, decimals, neutral_band.

        Raises:
            ModelError: the model cannot be used.
            DeviceError: the device is not there.
            UsageError: a setting is out of range.
        """
        scorer = cls(model=str(model), settings=settings_of(settings))
        try:
            _ = scorer.added  # loads the model, which may not suit a setting
        except BaseException:
            scorer.close()
            raise
        return scorer

    @property
    def engine(self) -> WindowScorer:
        """What scores; loaded now if this scorer came out of a pickle or was closed."""
        if (engine := self._engine) is not None:
            return engine
        with self._turn:
            self._engine = self._engine or _engine(self.model, self.settings)
            return self._engine

    @property
    def about(self) -> Description:
        """What the model is and how it is run: labels, device, dtype and their reasons."""
        return self.engine.description

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's labels in its order."""
        return self.about.labels

    @property
    def device(self) -> Choice:
        """Where it scores, and why."""
        return self.about.device

    @property
    def dtype(self) -> Choice:
        """In which dtype it scores, and why."""
        return self.about.dtype

    @property
    def policy(self) -> TextPolicy:
        """How much of a text it looks at."""
        return self.about.policy

    @property
    def added(self) -> Columns:
        """The columns that it adds."""
        return Columns(
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
            batches: the rows, all of one schema; read in a thread, ahead of what is yielded.
            text_columns: the columns that hold the text.
            on_rows: told as the work goes on how many more rows are done, in a thread.
            expected_rows: how many there will be, if that is known; of many, the model is compiled first.

        Yields:
            Runs of rows, in order, each with its probabilities (n, K), unrounded; NaN where a row has no text.
        """
        for scored in self.scored(windows(batches, text_columns), on_rows, expected_rows):
            for failure in scored.failures:
                raise failure.error(scored.window.start + failure.row)
            yield from scored.pieces()

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """Score a stream of windows; arguments as for `probabilities`. A text that fails alone is among `failures`."""
        for scored in self.engine.scored(stream, on_rows, expected_rows):
            self.counts.add(scored.counts)
            yield scored

    def columns_for(self, batches: Iterable[pa.RecordBatch], text_columns: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        """The added columns of all rows, by name; arguments as for `probabilities`. Threads take turns."""
        return self._columns(self.added, batches, text_columns)

    def output_schema(self, schema: pa.Schema, *, text_column: str | Sequence[str] | None = None) -> pa.Schema:
        """The schema that `annotate_batches` makes of `schema`: its fields, then the added ones, labels as strings.

        Args:
            schema: of a table with texts.
            text_column: the column or columns of the text; found by name if None.

        Raises:
            InputError: no such column, or it holds no text.
            UsageError: a column has the name of an added one.
        """
        find_text(schema, names_of(text_column))
        return self._plain.beside(schema)

    def annotate_batches(
        self, batches: Iterable[pa.RecordBatch], *, text_column: str | Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Annotate a stream of record batches while it is read, as `mapInArrow` of Spark wants it.

        Args:
            batches: of one schema, of any sizes; of none comes none.
            text_column: as for `output_schema`, whose errors this raises too.

        Yields:
            The rows in their order, with the added columns, in batches of other sizes.
        """
        source = iter(batches)
        first = next(source, None)
        if first is not None:
            self.output_schema(first.schema, text_column=text_column)
            found = find_text(first.schema, names_of(text_column))
            for rows in self.probabilities(chain([first], source), found):
                yield self._plain.annotated(*rows)

    def annotations_of(self, texts: pa.Array | pa.ChunkedArray) -> pa.StructArray:
        """The added columns for each text, as structs with labels as strings; such as a function in SQL returns.

        Args:
            texts: (N,) of any type of Arrow that holds text.

        Returns:
            (N,) with the fields that `added` names; each is null where there is no text.
        """
        batches = pa.table({"text": texts}).to_batches()
        columns = self._columns(self._plain, batches, ["text"])
        return pa.StructArray.from_arrays([one_array(column) for column in columns.values()], names=list(columns))

    def labels_of(self, texts: pa.Array | pa.ChunkedArray) -> pa.StringArray:
        """The label of each text (N,), null where there is none; `texts` as for `annotations_of`."""
        return self.annotations_of(texts).field(0)

    def __call__(self, frame: Any, *, text_column: str | Sequence[str] | None = None) -> Any:
        """The frame with its scores: the same kind, rows, order and index; the input is not changed.

        Args:
            frame: of any kind that `score` takes.
            text_column: the column or columns of the text; found by name if None.

        Raises:
            InputError: no such column, or it holds no text.
            UsageError: a column of the frame has the name of an added one.
        """
        from sentiment_batch.frames import annotate_frame

        return annotate_frame(frame, self, text_column)

    def local(self) -> LocalEngine:
        """The model in this process, for what looks into it; of one on several devices, that on the first of them."""
        if isinstance(self.engine, LocalEngine):
            return self.engine
        return LocalEngine(
            self.model,
            replace(
                self.settings, device=self.settings.device.partition(",")[0].strip(), engine=LOCAL, engine_options=()
            ),
        )

    @property
    def tokeniser(self) -> Tokeniser:
        """Turns texts into the tokens that the model sees; made anew where the model is in other processes."""
        if isinstance(self.engine, LocalEngine):
            return self.engine.tokeniser
        return tokeniser_of(load_backend(hub.resolve(self.model)), self.about.meta, self.policy)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """The tokens of `texts` (N,) as the model sees them."""
        return self.tokeniser(texts)

    def close(self) -> None:
        """Free the device's memory; the next call loads the model again."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, and a folder by its whole path: the other process may work in another one."""
        from sentiment_batch.scoring.scorer_cache import kept

        folder = Path(self.model).expanduser()
        return kept, (str(folder.absolute()) if folder.is_dir() else self.model, self.settings)

    def __dask_tokenize__(self) -> object:
        """What stands for it in the names of dask's tasks: what a pickle holds."""
        return self.__reduce__()

    @property
    def _plain(self) -> Columns:
        return replace(self.added, plain=True)

    def _columns(
        self, added: Columns, batches: Iterable[pa.RecordBatch], text_columns: Sequence[str]
    ) -> dict[str, pa.ChunkedArray]:
        with self._turn:
            parts = [added.arrays(probabilities) for _, probabilities in self.probabilities(batches, text_columns)]
        # Of no rows, still the right types: the list of labels is part of them.
        parts = parts or [added.arrays(np.empty((0, len(self.labels)), dtype=np.float32))]
        columns = zip(added.fields(), zip(*parts, strict=True), strict=True)
        return {field.name: pa.chunked_array(arrays, field.type) for field, arrays in columns}


def _engine(model: str, settings: ScoreSettings) -> WindowScorer:
    if settings.engine != LOCAL:
        return Distributed(model, settings)
    return Fleet(model, settings) if "," in settings.device else LocalEngine(model, settings)


def settings_of(chosen: dict[str, Any]) -> ScoreSettings:
    """The settings of these names and values.

    Raises:
        UsageError: there is no such setting, or it is out of range.
    """
    if isinstance(chosen.get("labels"), list):
        chosen = chosen | {"labels": tuple(chosen["labels"])}
    try:
        return replace(ScoreSettings(), **chosen)
    except TypeError as error:
        known = ", ".join(ScoreSettings.__dataclass_fields__)
        raise UsageError(f"{error}. The settings of scoring are {known}.") from error
