"""The optional library `nanotoken`: BERT's word pieces, many times as fast as with `tokenizers`."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sentiment_batch.errors import UsageError
from sentiment_batch.files.cache import cache_folder, read_record, write_record
from sentiment_batch.records import Choice
from sentiment_batch.tokenization.packing import Ids, Integers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[list[str]], tuple[Ids, Integers]]
"""Gives all ids of texts (N,), one text after the other, and the number of each text's ids (N,)."""

LIBRARY_VARIABLE = "SENTIMENT_BATCH_TOKENIZER"
CACHED_WORDS = 131_072
"""Words whose tokens `nanotoken` keeps, in 25 MiB. Its default of eight times as many takes up to 130 (measured)."""
CHECK_FOLDER = "tokenizer-checks-2"
"""Its number rises when other texts are compared, or the files change."""


def choose_library() -> Choice:
    """The library that encodes texts in word pieces on this machine, with its version, and why.

    Raises:
        UsageError: the environment variable holds something else than the two values that it may hold.
    """
    slow, wanted = name_library("tokenizers"), os.environ.get(LIBRARY_VARIABLE) or "auto"
    if wanted == "tokenizers":
        return Choice(value=slow, reason=f"{LIBRARY_VARIABLE} says so")
    if wanted != "auto":
        raise UsageError(f"{LIBRARY_VARIABLE} is {wanted!r}. Set it to auto or tokenizers.")
    try:
        fast, here = name_library("nanotoken"), locate_check("*")
    except importlib.metadata.PackageNotFoundError:
        return Choice(value=slow, reason="nanotoken is not installed; it comes with sentiment-batch[fast]")
    # The file names begin with the digest of a tokenizer and end with the versions, so `*` finds all tokenizers.
    answers = [read_check(path) for path in here.parent.glob(here.name)]
    checked = f"it gives the tokens of {slow} for {answers.count(True)} of {len(answers)} models that were checked here"
    return Choice(value=fast, reason=checked if answers else f"it is compared with {slow} when a model is first used")


def name_library(package: str) -> str:
    """The name of an installed library with its version."""
    return f"{package} {importlib.metadata.version(package)}"


def locate_check(digest: str) -> Path:
    """The file in the cache that says if `nanotoken` encodes the check texts as a certain tokenizer does."""
    name = f"{digest}-{name_library('nanotoken')}-{name_library('tokenizers')}.json".replace(" ", "-")
    return cache_folder() / CHECK_FOLDER / name


def read_check(path: Path) -> bool | None:
    """True if the file says that the tokens are equal; None if there is no file yet, or it is damaged."""
    found = read_record(path, path.name)
    return None if found is None else bool(found["equal"])


def write_check(path: Path, equal: bool) -> None:
    """Store what `read_check` reads.

    Raises:
        OSError: it cannot be stored.
    """
    write_record(path, path.name, {"equal": equal})


def load_nanotoken(backend: Tokenizer, *, special_as_text: bool) -> Encode:
    """The function of `nanotoken` that encodes as the `tokenizers` library does.

    It runs in the calling thread without the interpreter lock. Anything that it cannot do raises some error.

    Args:
        backend: the tokenizer to copy.
        special_as_text: True if it reads a literal "[SEP]" as text.
    """
    import nanotoken

    # `nanotoken` has no switch for special tokens in a text. Without their entries, it reads them as text.
    parts = json.loads(backend.to_str())
    parts["added_tokens"] = [one for one in parts["added_tokens"] if not (special_as_text and one["special"])]
    if "NANOTOKEN_CACHE_ENTRIES" not in os.environ:
        nanotoken.set_cache_entries(CACHED_WORDS)
    encode_batch = nanotoken.WordPieceTokenizer.from_json(json.dumps(parts)).encode_batch

    def encode(texts: list[str]) -> tuple[Ids, Integers]:
        ids, offsets = encode_batch(texts, add_special_tokens=False, parallel=False)
        return ids.view(np.int32), np.diff(offsets)  # no id has the highest bit, so the view changes no number

    return encode
