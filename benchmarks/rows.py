"""The labelled rows that models are trained and measured on: different texts with named labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import SEED

if TYPE_CHECKING:
    import pandas as pd

Places = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Texts and their labels by name, of one length."""

    table: str
    """Where they come from."""
    texts: list[str]
    labels: list[str]
    groups: list[Any] | None = None
    """What keeps rows together when some are held back to validate."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> list[str]:
        """The labels that occur, in order."""
        return sorted(set(self.labels))

    def take(self, places: Places) -> Rows:
        """These rows in this order."""
        groups = None if self.groups is None else [self.groups[place] for place in places]
        texts, labels = ([values[place] for place in places] for values in (self.texts, self.labels))
        return Rows(table=self.table, texts=texts, labels=labels, groups=groups)

    def drawn(self, rows: int | None, seed: int = SEED) -> Rows:
        """`rows` of the rows in a random order; all of them if None or if there are no more."""
        return self.take(np.random.default_rng(seed).permutation(len(self))[:rows])

    def without(self, other: Rows) -> Rows:
        """The rows whose text is not among the texts of `other`."""
        known = set(other.texts)
        return self.take([place for place, text in enumerate(self.texts) if text not in known])

    def codes(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) the place of each label among `names`."""
        places = {name: place for place, name in enumerate(names)}
        return np.array([places[label] for label in self.labels], dtype=np.int64)

    def frame(self) -> pd.DataFrame:
        """The columns text and label, and group if there are groups."""
        import pandas as pd

        groups = {} if self.groups is None else {"group": self.groups}
        return pd.DataFrame({"text": self.texts, "label": self.labels} | groups)

    def record(self) -> dict[str, Any]:
        """A record that identifies these rows."""
        joined = "\0".join([*self.texts, *self.labels]).encode("utf-8", "surrogatepass")
        counts = {name: self.labels.count(name) for name in self.names}
        return {"table": self.table, "rows": len(self), "labels": counts, "sha256": hashlib.sha256(joined).hexdigest()}


def read(
    table: str, text_column: str | None = None, label_column: str | None = None, group_column: str | None = None
) -> Rows:
    """The rows of a labelled table in its order, with labels as sentiment-batch reads them."""
    from sentiment_batch.evaluation.reviews import read_reviews
    from sentiment_batch.labels import inference

    columns = {"label_column": label_column, "group_column": group_column}
    found = read_reviews(table, text_columns=[text_column] if text_column else [], **columns)
    mapping = inference.infer_mapping(found.labels, found.label_column)
    codes = mapping.encode(found.labels).codes
    labels = [mapping.labels[code] if code >= 0 else "" for code in codes]
    rows = Rows(table=table, texts=found.texts, labels=labels, groups=found.groups)
    return rows.take(np.flatnonzero(codes >= 0))


def different(rows: Rows) -> Rows:
    """The rows with each text once, without texts that have two labels."""
    labels: dict[str, set[str]] = {}
    for text, label in zip(rows.texts, rows.labels, strict=True):
        labels.setdefault(text, set()).add(label)
    first = {text: place for place, text in reversed(list(enumerate(rows.texts)))}
    return rows.take([place for place, text in enumerate(rows.texts) if first[text] == place and len(labels[text]) < 2])


def split_by_text(rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """The rows without a share of the texts, and the rows of that share; a seeded hash of the text decides."""
    salt = seed.to_bytes(8, "big")
    digests = [
        hashlib.blake2b(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"), digest_size=8, salt=salt)
        for text in rows.texts
    ]
    held = np.array([int.from_bytes(one.digest(), "big") < share * 2**64 for one in digests])
    return rows.take(np.flatnonzero(~held)), rows.take(np.flatnonzero(held))


def predicted(model: str, rows: Rows, names: Sequence[str], **settings: Any) -> npt.NDArray[np.float32]:
    """Probabilities (n, K) of the labels `names` by a model folder that has them; for `settings` see `Scorer`."""
    import pyarrow as pa

    from sentiment_batch import Scorer

    batch = pa.record_batch({"text": pa.array(rows.texts, pa.large_string())})
    with Scorer.load(model, **settings) as scorer:
        scores = np.concatenate([found for _, found in scorer.probabilities([batch], ["text"])])
        return scores[:, [scorer.labels.index(name) for name in names]]
