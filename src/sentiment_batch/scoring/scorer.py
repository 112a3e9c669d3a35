"""The loaded model as users hold it: `Scorer.load(...)`, then frames or streams of record batches in, scores out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from sentiment_batch import assemble, bases
from sentiment_batch.device import batch_tokens, choose_device
from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.inputs import is_blank
from sentiment_batch.model import Loaded, load_classifier
from sentiment_batch.scoring.forward import forward
from sentiment_batch.scoring.probe import to_device
from sentiment_batch.scoring.windows import Window, windows
from sentiment_batch.settings import ScoreSettings
from sentiment_batch.tokenise import TextPolicy, Tokeniser, Tokens

if TYPE_CHECKING:
    from types import TracebackType

    import numpy.typing as npt

    from sentiment_batch.records import Choice

logger = logging.getLogger("sentiment_batch")


@dataclass(kw_only=True, slots=True)
class Counts:
    """What a scorer has seen so far."""

    rows: int = 0
    tokens: int = 0
    """Tokens that the model computed, padding not counted."""
    null: int = 0
    """Rows without a text: null, empty or white space."""
    repeated: int = 0
    """Rows whose score was taken from an equal text in the same window."""
    cut: int = 0
    """Different texts that were longer than what the model takes."""
    seconds: float = 0.0
    """Spent scoring, the reading of the input included."""


@dataclass(kw_only=True, slots=True)
class _Ready:
    """A window whose texts are tokenised."""

    window: Window
    rows: npt.NDArray[np.int64]
    """(n,) which distinct text each row has, -1 where it has none."""
    tokens: Tokens


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
    _loaded: Loaded | None = field(default=None, init=False, repr=False)
    _tokeniser: Tokeniser | None = field(default=None, init=False, repr=False)
    _device: Choice | None = field(default=None, init=False, repr=False)
    _dtype: Choice | None = field(default=None, init=False, repr=False)

    @classmethod
    def load(cls, model: str, **settings: Any) -> Scorer:
        """Load a model for scoring.

        Args:
            model: a folder, or an id on the Hugging Face Hub.
            settings: the fields of `ScoreSettings`: device, dtype, batch_tokens, max_length, long_text, labels,
                probabilities, prefix, decimals.

        Raises:
            ModelError: the model cannot be used.
            DeviceError: the device is not there.
            UsageError: a setting is out of range.
        """
        scorer = cls(model=str(model), settings=_settings(settings))
        scorer._open()
        return scorer

    def _open(self) -> None:
        folder = bases.resolve(self.model)
        device = choose_device(self.settings.device)
        loaded = load_classifier(folder, self.settings.labels)
        policy = _policy(self.settings, loaded)
        own = bool(loaded.meta and loaded.meta["text"].get("special_tokens_as_text"))
        self._tokeniser = Tokeniser(loaded.backend, policy, special_as_text=own)
        digest = bases.digest(folder)
        try:
            self._loaded, self._dtype = to_device(loaded, self._tokeniser, digest, device.value, self.settings.dtype)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"the memory of {device.value} does not hold {self.model}. Take a smaller model, or --device cpu."
            ) from error
        self._device = device

    @property
    def loaded(self) -> Loaded:
        """The model itself; loaded now if this scorer came out of a pickle or was closed."""
        if self._loaded is None:
            self._open()
        assert self._loaded is not None
        return self._loaded

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's labels in its order."""
        return self.loaded.labels

    @property
    def device(self) -> Choice:
        """Where it scores, and why."""
        assert self.loaded
        assert self._device is not None
        return self._device

    @property
    def dtype(self) -> Choice:
        """In which dtype it scores, and why."""
        assert self.loaded
        assert self._dtype is not None
        return self._dtype

    @property
    def policy(self) -> TextPolicy:
        """How much of a text it looks at."""
        assert self.loaded
        assert self._tokeniser is not None
        return self._tokeniser.policy

    @property
    def budget(self) -> int:
        """Tokens per batch, padding included."""
        return self.settings.batch_tokens or batch_tokens(self.device.value, self.loaded.width)

    @property
    def added(self) -> assemble.Columns:
        """The columns that it adds."""
        return assemble.Columns(
            labels=self.labels,
            prefix=self.settings.prefix,
            probabilities=self.settings.probabilities,
            decimals=self.settings.decimals,
        )

    def probabilities(
        self,
        batches: Iterable[pa.RecordBatch],
        text_columns: Sequence[str],
        on_rows: Callable[[int], object] | None = None,
    ) -> Iterator[tuple[pa.RecordBatch, assemble.Floats]]:
        """Score a stream of record batches.

        Args:
            batches: the rows, all of one schema.
            text_columns: the columns that hold the text.
            on_rows: told as the work goes on how many more rows are done; rows are weighed by their tokens, so that an
                estimate of the time left made from it holds.

        Yields:
            Runs of rows, in order, each with its probabilities (n, K), unrounded; NaN where a row has no text.
        """
        # Held here: the caller may close this scorer between two windows, and must not find it open again.
        loaded, device, dtype, budget = self.loaded, self.device.value, self.dtype.value, self.budget
        started = time.perf_counter()
        for ready in self._ahead(windows(batches, text_columns)):
            logits = forward(loaded, ready.tokens, device, budget, _telling(on_rows, ready))
            distinct = assemble.softmax(assemble.combine(logits, ready.tokens.owners, ready.tokens.lengths))
            if not np.isfinite(distinct).all():
                raise ModelError(
                    f"{self.model} gives scores that are no numbers: its weights are damaged, or too large for "
                    f"{dtype}. Try --dtype float32, or another model."
                )
            # One more row of NaN, which the rows without a text (-1) pick.
            padded = np.concatenate([distinct, np.full((1, len(loaded.labels)), np.nan, dtype=np.float32)])
            result = padded[ready.rows]
            self._count(ready, time.perf_counter() - started)
            start = 0
            for batch in ready.window.batches:
                yield batch, result[start : start + batch.num_rows]
                start += batch.num_rows
            started = time.perf_counter()

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

    def _ahead(self, stream: Iterable[Window]) -> Iterator[_Ready]:
        """Tokenise one window beside the device while it works on the one before."""
        tokeniser = self._tokeniser
        assert tokeniser is not None
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenise") as executor:
            waiting = None
            for window in stream:
                coming = executor.submit(_prepare, window, tokeniser)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
            if waiting is not None:
                yield waiting.result()

    def _count(self, ready: _Ready, seconds: float) -> None:
        null = int((ready.rows < 0).sum())
        counts = self.counts
        counts.rows += len(ready.rows)
        counts.null += null
        counts.tokens += len(ready.tokens.ids)
        counts.cut += int(ready.tokens.cut.sum())
        counts.repeated += len(ready.rows) - null - len(ready.tokens.cut)
        counts.seconds += seconds

    def close(self) -> None:
        """Free the device's memory; the next call loads the model again."""
        self._loaded = self._tokeniser = self._device = self._dtype = None

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
        self.close()


def _prepare(window: Window, tokeniser: Tokeniser) -> _Ready:
    encoded = pa.chunked_array(window.texts, type=pa.large_string()).combine_chunks().dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    blank = np.array([is_blank(text) for text in texts], dtype=np.bool_)
    numbers = np.where(blank, -1, np.cumsum(~blank) - 1)  # of the distinct texts, counting only those to score
    indices = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return _Ready(
        window=window,
        rows=np.append(numbers, -1)[indices],
        tokens=tokeniser([text for text, empty in zip(texts, blank, strict=True) if not empty]),
    )


def _telling(on_rows: Callable[[int], object] | None, ready: _Ready) -> Callable[[int], object] | None:
    """Turns tokens done into rows done, for a window."""
    if on_rows is None:
        return None
    tokens, rows = len(ready.tokens.ids), len(ready.rows)
    if not tokens:
        on_rows(rows)
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        before, done = done, done + more
        on_rows(rows * done // tokens - rows * before // tokens)

    return tell


def _settings(chosen: dict[str, Any]) -> ScoreSettings:
    if isinstance(chosen.get("labels"), list):
        chosen = chosen | {"labels": tuple(chosen["labels"])}
    try:
        return replace(ScoreSettings(), **chosen)
    except TypeError as error:
        known = ", ".join(ScoreSettings.__dataclass_fields__)
        raise UsageError(f"{error}. The settings of scoring are {known}.") from error


def _policy(settings: ScoreSettings, loaded: Loaded) -> TextPolicy:
    """The text policy: what the user says, else what the model was trained with, else what its tokeniser would do."""
    trained = loaded.meta["text"] if loaded.meta else {}
    wanted = settings.max_length or trained.get("max_length") or loaded.positions
    if wanted > loaded.positions and settings.max_length:
        raise UsageError(f"--max-length is {wanted}, but the model takes {loaded.positions} tokens. Take fewer.")
    return TextPolicy(
        max_length=min(wanted, loaded.positions),
        long_text=settings.long_text or trained.get("long_text") or loaded.long_text,
    )
