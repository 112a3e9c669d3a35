"""The peers: other ways to score texts with a stock model folder, from texts to probabilities, tokenizing included.

Each is loaded in one dtype and then called with the texts and a batch size. A peer is imported when it is loaded, so
that peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import new_folder

Floats = npt.NDArray[np.float32]
Score = Callable[[list[str], int], Floats]
"""Texts (n,) and a batch size in, probabilities (n, K) in the order of the texts out."""

AS_THEY_COME, BY_LENGTH, ITS_OWN = "as they come", "by length", "sorts by itself"
OPSET = 17
"""Of the ONNX export; has layer normalization as one operator."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """The model to score with, and its device."""

    model: str
    device: str
    max_length: int
    has_bfloat16: bool
    """Whether the device computes in it by hardware."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A way to use a peer. Its best dtype, order and batch size are searched."""

    name: str
    load: Callable[[Place, str], Score]
    dtypes: tuple[str, ...]
    orders: tuple[str, ...] = (ITS_OWN,)
    needs: tuple[str, ...] = ()
    """Packages."""
    cpu_only: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {' or '.join(self.dtypes)}"

    def why_not(self, place: Place) -> str | None:
        """Why this peer cannot run here; None if it can."""
        missing = [package for package in self.needs if importlib.util.find_spec(package) is None]
        if missing:
            return f"not installed: {', '.join(missing)}"
        if self.cpu_only and place.device != "cpu":
            return "measured on a CPU only"
        return None if self.dtypes_on(place) else "this device has no bfloat16"

    def dtypes_on(self, place: Place) -> tuple[str, ...]:
        """The dtypes of this peer, without those that the device only emulates."""
        return tuple(dtype for dtype in self.dtypes if dtype != "bfloat16" or place.has_bfloat16)


def count_tokens(place: Place, texts: list[str]) -> int:
    """Tokens that the peers compute, padding not counted."""
    return sum(map(len, _tokenizer(place)(texts, truncation=True)["input_ids"]))


def sorted_first(score: Score) -> Score:
    """The same with the longest texts first, as users do who know about padding."""

    def run(texts: list[str], size: int) -> Floats:
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        return _in_place([order], [score([texts[row] for row in order], size)])

    return run


def pipeline(place: Place, dtype: str) -> Score:
    """The pipeline that model cards of Transformers show."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(place.model, model_max_length=place.max_length)
    stock: Any = transformers.pipeline(
        "text-classification",
        model=place.model,
        tokenizer=tokenizer,
        device=place.device,
        dtype=getattr(torch, dtype),
        top_k=None,
    )
    names = [stock.model.config.id2label[number] for number in range(stock.model.config.num_labels)]

    def score(texts: list[str], size: int) -> Floats:
        rows = stock(texts, batch_size=size, truncation=True)
        found = [{one["label"]: one["score"] for one in row} for row in rows]
        return np.array([[row[name] for name in names] for row in found], dtype=np.float32)

    return score


def cross_encoder(place: Place, dtype: str) -> Score:
    """The classifier of sentence-transformers, which sorts by length itself."""
    import torch
    from sentence_transformers import CrossEncoder

    model: Any = CrossEncoder(
        place.model,
        device=place.device,
        local_files_only=True,
        max_length=place.max_length,
        model_kwargs={"dtype": getattr(torch, dtype), "attn_implementation": "sdpa"},
    )
    # It is made for pairs, and takes a list of strings for one of them. Told that its input is never a single one, it
    # gives each string to the tokenizer as it is: the tokens are those of the other peers.
    model.is_singular_input = lambda inputs: False

    def score(texts: list[str], size: int) -> Floats:
        found: Floats = model.predict(texts, batch_size=size, apply_softmax=True, show_progress_bar=False)
        return found

    return score


def padded_loop(place: Place, dtype: str) -> Score:
    """A loop written by hand in PyTorch: tokenize all, sort by tokens, pad each batch to its longest text."""
    import torch

    network = _network(place).to(device=place.device, dtype=getattr(torch, dtype))
    tokenizer = _tokenizer(place)

    @torch.inference_mode()
    def score(texts: list[str], size: int) -> Floats:
        places, found = [], []
        for rows, ids, mask in _padded(tokenizer, texts, size):
            batch = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            logits = network(**{name: value.to(place.device) for name, value in batch.items()}).logits
            places.append(rows)
            found.append(logits.float().softmax(dim=-1))
        return _in_place(places, [torch.cat(found).cpu().numpy()])

    return score


def onnxruntime(place: Place, dtype: str) -> Score:
    """ONNX Runtime on all cores; int8 is its dynamic quantization."""
    import onnxruntime as runtime

    path = _exported(place)
    if dtype == "int8":
        path = _quantized(path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    tokenizer = _tokenizer(place)

    def score(texts: list[str], size: int) -> Floats:
        places, found = [], []
        for rows, ids, mask in _padded(tokenizer, texts, size):
            places.append(rows)
            found.append(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        return _in_place(places, [_softmax(np.concatenate(found))])

    return score


def openvino(place: Place, dtype: str) -> Score:
    """OpenVINO on all cores, with its queue of requests and the throughput hint, its fastest mode here."""
    import openvino as runtime

    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    compiled = runtime.Core().compile_model(str(_exported(place)), "CPU", hints)
    tokenizer = _tokenizer(place)

    def score(texts: list[str], size: int) -> Floats:
        places: list[list[int]] = []
        found: dict[int, Floats] = {}

        def keep(request: Any, number: int) -> None:
            found[number] = request.get_output_tensor(0).data.copy()

        queue = runtime.AsyncInferQueue(compiled)
        queue.set_callback(keep)
        for number, (rows, ids, mask) in enumerate(_padded(tokenizer, texts, size)):
            places.append(rows)
            queue.start_async({"input_ids": ids, "attention_mask": mask}, number)
        queue.wait_all()
        return _in_place(places, [_softmax(np.concatenate([found[number] for number in range(len(places))]))])

    return score


FLOAT32_LOOP = Kind(name="padded loop", load=padded_loop, dtypes=("float32",))
"""Also the reference that all probabilities are compared with."""
HALF = ("float32", "bfloat16")
PEERS: dict[str, tuple[Kind, ...]] = {
    "pipeline": (
        Kind(name="pipeline as people call it", load=pipeline, dtypes=("float32",), orders=(AS_THEY_COME,)),
        Kind(name="pipeline tuned by hand", load=pipeline, dtypes=HALF, orders=(AS_THEY_COME, BY_LENGTH)),
    ),
    "crossencoder": (
        Kind(name="CrossEncoder.predict", load=cross_encoder, dtypes=HALF, needs=("sentence_transformers",)),
    ),
    "loop": (
        Kind(name="padded loop", load=padded_loop, dtypes=("bfloat16",)),
        FLOAT32_LOOP,
    ),
    "onnxruntime": tuple(
        Kind(
            name="ONNX Runtime",
            load=onnxruntime,
            dtypes=(dtype,),
            needs=("onnxruntime", "onnx"),
            cpu_only=True,
        )
        for dtype in ("float32", "int8")
    ),
    "openvino": tuple(
        Kind(name="OpenVINO", load=openvino, dtypes=(dtype,), needs=("openvino", "onnx"), cpu_only=True)
        for dtype in HALF
    ),
}


def _network(place: Place) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(
        place.model, attn_implementation="sdpa", dtype=torch.float32
    ).eval()


def _tokenizer(place: Place) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place.model, model_max_length=place.max_length)


def _padded(tokenizer: Any, texts: list[str], size: int) -> Iterator[tuple[list[int], Any, Any]]:
    """Batches of texts of about one length, longest first: their rows, ids (B, T) and mask (B, T)."""
    encoded = tokenizer(texts, truncation=True)["input_ids"]
    order = sorted(range(len(texts)), key=lambda row: -len(encoded[row]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        longest = len(encoded[rows[0]])
        ids = np.full((len(rows), longest), tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(encoded[row])] = encoded[row]
            mask[place, : len(encoded[row])] = 1
        yield rows, ids, mask


def _in_place(places: list[list[int]], found: list[Floats]) -> Floats:
    """The probabilities in the order of the texts."""
    scores = np.concatenate(found)
    result = np.empty_like(scores)
    result[[row for rows in places for row in rows]] = scores
    return result


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def _exported(place: Place) -> Path:
    """The model as ONNX with batches and lengths of any size; exported once."""
    import torch

    from benchmarks.models import FOLDER
    from sentiment_batch.model import hub

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network(place)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask).logits
            return logits

    folder = FOLDER / f"benchmark-onnx-{hub.hash_model_folder(Path(place.model))[:16]}-torch{torch.__version__}"
    if not folder.exists():
        names = ["input_ids", "attention_mask"]
        mask = torch.ones((3, 16), dtype=torch.int64)
        mask[0, 8:] = 0  # without padding the export would leave the mask out
        with new_folder(folder) as filling:
            torch.onnx.export(
                Logits().eval(),
                (mask + 5, mask),
                str(filling / "model.onnx"),
                input_names=names,
                output_names=["logits"],
                dynamic_axes={name: {0: "batch", 1: "length"} for name in names},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter's graph came out 15 % slower here, and needs onnxscript
            )
    return folder / "model.onnx"


def _quantized(path: Path) -> Path:
    """The exported model with its weights as int8."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name("model-int8.onnx")
    if not target.exists():
        part = path.with_name("model-int8.part.onnx")
        quantize_dynamic(str(path), str(part), weight_type=QuantType.QInt8)
        part.rename(target)
    return target
