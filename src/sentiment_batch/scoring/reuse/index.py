"""Stores the probabilities of scored texts in an index on disk, by the digest of the text.

The memory does not grow with the number of texts. Texts are first divided into buckets by their digests. Each bucket is
then sorted in memory and appended to a database. So the database grows in the order of its keys, and is never searched
while it grows.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from sentiment_batch.model.probabilities import Floats

DIGEST_BYTES = 16
"""Bytes of a digest: among 100 million texts, two have the same digest with a probability of about 1e-23."""
BUCKETS = 256
"""The first byte of a digest is the number of its bucket. Of 100 million texts, a bucket takes some 10 MB."""
MAX_WAITING_TEXTS = 65_536
"""Texts that wait in memory for their bucket, so that each file is opened rarely."""
MAX_KEYS_PER_QUERY = 500
"""Digests that are looked up at a time; SQLite takes 999 values in a query or more."""
_FIND = f"SELECT digest, scores FROM texts WHERE digest IN ({','.join('?' * MAX_KEYS_PER_QUERY)})"


def hash_texts(texts: pa.LargeStringArray) -> list[bytes]:
    """The digest of each text (n,), none of which is null."""
    values = texts.cast(pa.large_binary()).to_pylist()
    return [hashlib.blake2b(value, digest_size=DIGEST_BYTES).digest() for value in values]


class ScoredTextIndex:
    """An index of scored texts. Add all texts, then call `finish`, then `find` any number of texts.

    Args:
        folder: a folder for its files, which is made; `close` leaves them to the owner of the folder.
        labels: the number of probabilities of a text.

    Raises:
        OutputError: the folder cannot be written; `add` and `finish` raise it, too.
    """

    def __init__(self, folder: Path, labels: int) -> None:
        self.folder = folder
        self.labels = labels
        self._record = np.dtype([("high", ">u8"), ("low", ">u8"), ("scores", "<f4", (labels,))])
        self._waiting: list[npt.NDArray[np.void]] = []
        self._has_buckets = False
        with self._translate_errors():
            folder.mkdir(parents=True)
            # Each run makes its own index, and only this process opens it. So it needs no journal, sync or lock.
            place = f"{(folder / 'texts.sqlite').resolve().as_uri()}?nolock=1"
            self._database = sqlite3.connect(place, uri=True, check_same_thread=False, isolation_level=None)
            for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"):
                self._database.execute(statement)
            self._database.execute("CREATE TABLE texts (digest BLOB PRIMARY KEY, scores BLOB) WITHOUT ROWID")

    def add(self, digests: Sequence[bytes], probabilities: Floats) -> None:
        """Add texts. Of equal texts, the one that was added first counts.

        Args:
            digests: (n,) as `hash_texts` gives them.
            probabilities: (n, labels) without NaN.
        """
        records = np.empty(len(digests), self._record)
        # Two integers in big-endian order sort as the bytes of the digest do
        keys = np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2)
        records["high"], records["low"], records["scores"] = keys[:, 0], keys[:, 1], probabilities
        self._waiting.append(records)
        if sum(map(len, self._waiting)) >= MAX_WAITING_TEXTS:
            self._write_buckets()

    def finish(self) -> int:
        """Sort what was added, so that it can be found; returns the number of different texts."""
        count = 0
        with self._translate_errors():
            self._database.execute("BEGIN")
            # The buckets come in the order of the digests. So each insert appends to the end of the database.
            for records in self._read_buckets():
                in_order = self._sort(records)
                self._database.executemany("INSERT INTO texts VALUES (?, ?)", self._split(in_order))
                count += len(in_order)
            self._database.execute("COMMIT")
        return count

    def find(self, digests: Sequence[bytes]) -> Floats:
        """The probabilities of texts.

        Args:
            digests: (n,) as `hash_texts` gives them.

        Returns:
            (n, labels), NaN for a text that was not added.
        """
        found: dict[bytes, bytes] = {}
        in_order = sorted(digests)  # sorted, so that neighbours in the database are read together
        with self._translate_errors():
            for start in range(0, len(in_order), MAX_KEYS_PER_QUERY):
                keys = in_order[start : start + MAX_KEYS_PER_QUERY]
                # Fill up the last query, so that SQLite prepares one statement only. No digest is empty.
                keys += [b""] * (MAX_KEYS_PER_QUERY - len(keys))
                found.update(self._database.execute(_FIND, keys))
        # Join bytes first and convert once, because a call of numpy for each text would take longer
        unknown = np.full(self.labels, np.nan, "<f4").tobytes()
        joined = b"".join(found.get(digest, unknown) for digest in digests)
        return np.frombuffer(joined, "<f4").astype(np.float32).reshape(-1, self.labels)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _take_waiting(self) -> npt.NDArray[np.void]:
        """Take all waiting texts out of memory, and return them."""
        # Joined as bytes, because numpy joins records in the byte order of the machine.
        packed, self._waiting = b"".join(one.tobytes() for one in self._waiting), []
        return np.frombuffer(packed, self._record)

    def _read_buckets(self) -> Iterator[npt.NDArray[np.void]]:
        """The texts of each bucket, in the order of the buckets; few texts are one bucket, and need no files."""
        if not self._has_buckets:
            yield self._take_waiting()
            return
        self._write_buckets()
        for number in range(BUCKETS):
            if (file := self._name_bucket(number)).exists():
                yield np.fromfile(file, self._record)
                file.unlink()

    def _write_buckets(self) -> None:
        """Append the texts that wait to the files of their buckets."""
        self._has_buckets = True
        records = self._take_waiting()
        # The first byte of the digest
        buckets = (records["high"] >> np.uint64(56)).astype(np.int64)
        # Group the records by bucket, and keep their order within each: of equal texts, the first one counts
        records = records[np.argsort(buckets, kind="stable")]
        ends = np.cumsum(np.bincount(buckets, minlength=BUCKETS))
        with self._translate_errors():
            for number, some in enumerate(np.split(records, ends[:-1])):
                if len(some):
                    with self._name_bucket(number).open("ab") as file:
                        file.write(some.tobytes())

    def _sort(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """Sort the records by digest, and keep only the first record of each digest."""
        # A stable sort, so that the first record of equal digests stays first.
        records = records[np.lexsort((records["low"], records["high"]))]
        high, low = records["high"], records["low"]
        is_first = np.ones(len(records), np.bool_)
        is_first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        return records[is_first]

    def _split(self, records: npt.NDArray[np.void]) -> Iterator[tuple[bytes, bytes]]:
        """The digest and the packed probabilities of each record."""
        packed, size = records.tobytes(), self._record.itemsize
        for start in range(0, len(packed), size):
            yield packed[start : start + DIGEST_BYTES], packed[start + DIGEST_BYTES : start + size]

    def _name_bucket(self, number: int) -> Path:
        return self.folder / f"bucket-{number:03d}"

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        with translate_write_errors(str(self.folder)):
            try:
                yield
            except sqlite3.OperationalError as error:  # such as a full disk
                raise OutputError(
                    f"the index of texts in {self.folder} cannot be used: {error}. Free some space there, or score "
                    "without `reuse`."
                ) from error
