"""One model on one device: windows of rows in, their probabilities out, with every stage running ahead of the next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from sentiment_batch.data.labelled_rows import is_blank
from sentiment_batch.errors import DeviceError, ModelError, UsageError
from sentiment_batch.model import hub
from sentiment_batch.model.device import batch_tokens, choose_device
from sentiment_batch.model.forward.batches import Budget, Launched, launch
from sentiment_batch.model.forward.parity import to_device
from sentiment_batch.model.forward.strategies import PackedRoad, Road
from sentiment_batch.model.forward.thread_pool import Workers, workers
from sentiment_batch.model.probabilities import combine, softmax
from sentiment_batch.model.stock import Loaded, load_classifier
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.results import Counts, Description, Failure, OnRows, Scored, passed
from sentiment_batch.settings import DETERMINISTIC_BATCH, META
from sentiment_batch.tokenization.packing import Shape
from sentiment_batch.tokenization.tokenizer import TextPolicy, Tokeniser

if TYPE_CHECKING:
    import numpy.typing as npt
    from tokenizers import Tokenizer

    from sentiment_batch.scoring.backends.row_blocks import Window
    from sentiment_batch.settings import ScoreSettings
    from sentiment_batch.tokenization.ragged import Tokens

logger = logging.getLogger("sentiment_batch")

COMPILE_PAYS = 5e16
"""Floating-point operations from which on compiling is worth its time: minutes of work for the fastest device."""


@dataclass(kw_only=True, slots=True)
class _Ready:
    """A window whose texts are tokenised."""

    window: Window
    rows: npt.NDArray[np.int64]
    """(n,) which distinct text each row has, -1 where it has none."""
    tokens: Tokens
    seconds: float


class LocalEngine:
    """A model in this process, on one device.

    Args:
        model: a folder or Hub id.
        settings: how to load it.

    Raises:
        ModelError: the model cannot be used.
        DeviceError: the device is not there, or its memory does not hold the model.
        UsageError: a setting is out of range for this model.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        device = choose_device(settings.device)
        if settings.compile and device.value == "cpu":
            raise UsageError("--compile is for CUDA; on a CPU it gains nothing. Leave it out.")
        folder = hub.resolve(model)
        loaded = load_classifier(folder, settings.labels)
        policy = _policy(settings, loaded)
        shape = _shape(loaded, policy) if settings.deterministic else None
        self._model = model
        self._settings = settings
        self._tokeniser = tokeniser_of(loaded.backend, loaded.meta, policy)
        digest = hub.digest(folder)
        try:
            prepared = to_device(loaded, self._tokeniser, digest, device.value, settings.dtype, shape)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"the memory of {device.value} does not hold {model}. Take a smaller model, or --device cpu."
            ) from error
        self.loaded = prepared.loaded
        self.road: Road = prepared.road
        tokens = shape.tokens if shape else settings.batch_tokens or batch_tokens(device.value, loaded.width)
        self._budget = Budget(tokens)
        self._gave_numbers = False
        self.description = Description(
            labels=loaded.labels,
            meta=loaded.meta,
            device=device,
            dtype=prepared.dtype,
            policy=policy,
            road=prepared.road_reason,
            batch_tokens=tokens,
            digest=digest,
            hardware=torch.cuda.get_device_name(device.value) if device.value != "cpu" else "cpu",
        )

    @property
    def tokeniser(self) -> Tokeniser:
        """Turns texts into this model's tokens."""
        return self._tokeniser

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """The windows in their order, each with its probabilities; reading, tokenising and the model run side by side.

        Args:
            stream: the windows; read in a thread.
            on_rows: told how many more rows are done; rows are weighed by their tokens, so that an estimate of the time
                left made from it holds. It is called in a thread.
            expected_rows: how many there will be, None if nobody knows; of many, the model is compiled first.

        Raises:
            ModelError: the model gives no numbers, or has no embedding for a token of its own tokeniser.
        """
        with Stages() as stages, workers(self.road.device, single=self.road.shape is not None) as pool:
            read = stages.ahead(stream, "read")
            ready = stages.ahead((_prepare(window, self._tokeniser, stages.check) for window in read), "tokenise")
            planned = self._planned(ready, expected_rows)
            launched = stages.ahead((self._launched(one, pool, stages, on_rows) for one in planned), "model")
            for one, batches in launched:
                yield passed(one.window) if batches is None else self._finished(one, batches)

    def _planned(self, windows: Iterator[_Ready], expected_rows: int | None) -> Iterator[_Ready]:
        """Compile the model before the first window if that pays, judged by the tokens of that window."""
        looked = False
        for ready in windows:
            if not looked and ready.window.known is None:
                looked = True
                self._compile((expected_rows or 0) * len(ready.tokens.ids) // max(1, len(ready.rows)))
            yield ready

    def _compile(self, expected_tokens: int) -> None:
        """Fixed shapes and fused kernels from here on; never in a deterministic run, whose bits no size may change."""
        road, wanted = self.road, self._settings.compile
        if not isinstance(road, PackedRoad) or road.device == "cpu" or road.shape or road.fill or wanted is False:
            return
        if wanted or expected_tokens * road.model.flops_per_token >= COMPILE_PAYS:
            logger.info("compiling the model for packs of %s tokens, which takes up to a minute", self._budget.tokens)
            self.road = road.compiled(self._budget.tokens)

    def _launched(
        self, ready: _Ready, pool: Workers | None, stages: Stages, on_rows: OnRows | None
    ) -> tuple[_Ready, Launched | None]:
        if ready.window.known is not None:
            return ready, None
        self.loaded.check_ids(ready.tokens.ids)
        tell = _telling(ready, on_rows, stages.check)
        return ready, launch(self.road, ready.tokens, self._budget, pool, tell)

    def _finished(self, ready: _Ready, batches: Launched) -> Scored:
        distinct = softmax(combine(batches.logits(), ready.tokens.owners, ready.tokens.lengths))
        numbers = np.isfinite(distinct.sum(axis=1))
        self._gave_numbers = self._gave_numbers or bool(numbers.any())
        if not numbers.all() and not self._gave_numbers and not batches.refused:
            raise ModelError(
                f"{self._model} gives scores that are no numbers: its weights are damaged, or too large for "
                f"{self.description.dtype.value}. Try --dtype float32, or another model."
            )
        distinct[~numbers] = np.nan
        # One more row of NaN, which the rows without a text (-1) pick.
        padded = np.concatenate([distinct, np.full((1, distinct.shape[1]), np.nan, dtype=np.float32)])
        null = int((ready.rows < 0).sum())
        counts = Counts(
            rows=len(ready.rows),
            tokens=len(ready.tokens.ids),
            null=null,
            repeated=len(ready.rows) - null - len(ready.tokens.cut),
            cut=int(ready.tokens.cut.sum()),
            tokenising_seconds=ready.seconds,
            compiled=len(ready.rows) * (isinstance(self.road, PackedRoad) and bool(self.road.fill)),
            model_seconds=batches.seconds(),
        )
        failures = () if numbers.all() else tuple(self._failures(ready, batches, numbers))
        return Scored(window=ready.window, probabilities=padded[ready.rows], counts=counts, failures=failures)

    def _failures(self, ready: _Ready, batches: Launched, numbers: npt.NDArray[np.bool_]) -> Iterator[Failure]:
        """The rows of the texts without numbers, each with its reason."""
        refused = {int(ready.tokens.owners[segment]): why for segment, why in batches.refused.items()}
        for row, text in enumerate(ready.rows.tolist()):
            if text < 0 or numbers[text]:
                continue
            if text in refused:
                yield Failure(
                    row=row,
                    reason=refused[text],
                    cure="Take a smaller --max-length, or --device cpu",
                    kind=DeviceError,
                )
            else:
                dtype = self.description.dtype.value
                yield Failure(
                    row=row,
                    reason=f"the model gives no numbers for its text in {dtype}",
                    cure="Try --dtype float32",
                    kind=ModelError,
                )

    def close(self) -> None:
        """Nothing outlives this object."""


def tokeniser_of(backend: Tokenizer, meta: dict[str, Any] | None, policy: TextPolicy) -> Tokeniser:
    """The tokeniser of a model whose sentiment_batch.json says `meta`."""
    return Tokeniser(backend, policy, special_as_text=bool(meta and meta["text"].get("special_tokens_as_text")))


def _prepare(window: Window, tokeniser: Tokeniser, check: Callable[[], object]) -> _Ready:
    started = time.perf_counter()
    if window.known is not None:
        return _Ready(window=window, rows=np.empty(0, dtype=np.int64), tokens=tokeniser([], check), seconds=0.0)
    encoded = pa.chunked_array(window.texts, type=pa.large_string()).combine_chunks().dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    blank = np.array([is_blank(text) for text in texts], dtype=np.bool_)
    numbers = np.where(blank, -1, np.cumsum(~blank) - 1)  # of the distinct texts, counting only those to score
    indices = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    tokens = tokeniser([text for text, empty in zip(texts, blank, strict=True) if not empty], check)
    return _Ready(
        window=window, rows=np.append(numbers, -1)[indices], tokens=tokens, seconds=time.perf_counter() - started
    )


def _telling(ready: _Ready, on_rows: OnRows | None, check: Callable[[], object]) -> Callable[[int], object]:
    """Turns tokens done into rows done, for a window; and ends the work when nobody wants it any more."""
    tokens, rows = len(ready.tokens.ids), len(ready.rows)
    if on_rows is not None and not tokens:
        on_rows(rows)
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        check()
        before, done = done, done + more
        if on_rows is not None:
            on_rows(rows * done // tokens - rows * before // tokens)

    return tell


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


def _shape(loaded: Loaded, policy: TextPolicy) -> Shape:
    """The batch of a deterministic run: the model's own if it names one; the longest text always fits."""
    kept = (loaded.meta or {}).get("batch", DETERMINISTIC_BATCH)
    try:
        tokens, texts = int(kept["tokens"]), int(kept["texts"])
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(f"{META} is damaged: its batch is {kept!r}. Restore it, or train again.") from error
    return Shape(tokens=max(tokens, policy.max_length), texts=max(texts, 1), longest=policy.max_length)
