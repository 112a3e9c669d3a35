"""Scores rows with one model: record batches in, the same rows with their probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sentiment_batch import assemble
from sentiment_batch.errors import UsageError
from sentiment_batch.scoring.distributed import Distributed
from sentiment_batch.scoring.engine import LocalEngine
from sentiment_batch.scoring.fleet import Fleet
from sentiment_batch.scoring.results import Counts, Description, OnRows, Scored, WindowScorer
from sentiment_batch.scoring.windows import Window, windows
from sentiment_batch.settings import LOCAL, ScoreSettings

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

    from sentiment_batch.records import Choice
    from sentiment_batch.tokenise import TextPolicy
    from sentiment_batch.tokens import Tokens


@dataclass(kw_only=True, slots=True, eq=False)
class Scorer:
    """A model that scores; open it with `Scorer.load`, close it with `with` or `close()`.

    It can be pickled and sent to another process, which loads the model again from the same place when it first scores.

    Example:
        with Scorer.load("sentiment-model") as scorer:
            annotated = scorer(frame)
    """

    model: str
    """The folder or Hub id it was loaded from."""
    settings: ScoreSettings
    counts: Counts = field(default_factory=Counts)
    _engine: WindowScorer | None = field(default=None, init=False, repr=False)

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
        scorer = cls(model=str(model), settings=_settings(settings))
        try:
            _ = scorer.added  # loads the model, which may not suit a setting
        except BaseException:
            scorer.close()
            raise
        return scorer

    @property
    def engine(self) -> WindowScorer:
        """What scores; loaded now if this scorer came out of a pickle or was closed."""
        if self._engine is None:
            self._engine = _engine(self.model, self.settings)
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
    def added(self) -> assemble.Columns:
        """The columns that it adds."""
        return assemble.Columns(
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
    ) -> Iterator[tuple[pa.RecordBatch, assemble.Floats]]:
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

    def __call__(self, frame: Any, *, text_column: str | Sequence[str] | None = None) -> Any:
        """The frame with its scores: the same kind, rows, order and index; the input is not changed.

        Args:
            frame: a pandas, polars or pyarrow table or series, or anything with `__arrow_c_stream__`.
            text_column: the column or columns of the text; found by name if None.

        Raises:
            InputError: no such column, or it holds no text.
            UsageError: a column of the frame has the name of an added one.
        """
        from sentiment_batch.frames import annotate_frame

        return annotate_frame(frame, text_column, self.added, self.probabilities)

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

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """The tokens of `texts` (N,) as the model sees them."""
        return self.local().tokeniser(texts)

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

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model, self.settings = state["model"], state["settings"]
        self.counts = Counts()
        self._engine = None


def _engine(model: str, settings: ScoreSettings) -> WindowScorer:
    if settings.engine != LOCAL:
        return Distributed(model, settings)
    return Fleet(model, settings) if "," in settings.device else LocalEngine(model, settings)


def _settings(chosen: dict[str, Any]) -> ScoreSettings:
    if isinstance(chosen.get("labels"), list):
        chosen = chosen | {"labels": tuple(chosen["labels"])}
    try:
        return replace(ScoreSettings(), **chosen)
    except TypeError as error:
        known = ", ".join(ScoreSettings.__dataclass_fields__)
        raise UsageError(f"{error}. The settings of scoring are {known}.") from error
