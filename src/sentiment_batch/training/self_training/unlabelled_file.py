"""The unlabelled texts of a run, and the file that stores them in the work folder, so that the run can be resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.files import atomic
from sentiment_batch.files.checksums import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_RECORD = b"sentiment_batch"
"""Metadata key of the file: the other fields of the texts, and their digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnlabelledTexts:
    """The different unlabelled texts that a run may learn from."""

    name: str
    """The name of the table."""
    texts: list[str]
    """(M,) the texts, in an order that does not depend on the order of the table."""
    rows: int
    """Number of rows of the table."""
    blank: int
    """Number of rows without a text."""
    labelled: int
    """Number of rows whose text is also the text of a labelled row."""
    limit: int
    """The maximum number of texts to keep."""
    source: str | None
    """A digest of the state of the table and of all settings that decide the texts; None if the state is not known."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the texts in their order."""
        total = hashlib.sha256()
        for text in self.texts:
            content = text.encode("utf-8", "surrogatepass")
            total.update(b"%d " % len(content) + content)
        return total.hexdigest()

    def count(self) -> dict[str, Any]:
        """The numbers of rows and texts as plain values, with the name of the table."""
        names = ("name", "rows", "blank", "labelled", "limit")
        return {name: getattr(self, name) for name in names} | {"texts": len(self.texts)}


def store_unlabelled(path: Path, found: UnlabelledTexts) -> None:
    """Write the texts as a Parquet file in one rename.

    Raises:
        OSError: the file cannot be written.
    """
    # The digest takes the place of the texts, which are the rows of the file. It shows damage when they are read.
    record = asdict(found) | {"texts": found.digest}
    table = pa.table({"text": pa.array(found.texts, pa.large_string())})
    table = table.replace_schema_metadata({_RECORD: json.dumps(record)})
    with atomic.replace_file(path) as file:
        pq.write_table(table, file, compression="zstd")


def restore_unlabelled(path: Path, source: str) -> UnlabelledTexts | None:
    """The texts that `store_unlabelled` wrote.

    Returns:
        None if the file is missing or damaged, or holds the texts of another source.
    """
    try:
        with open_regular(path) as file:
            table = pq.read_table(file)
        record = json.loads(table.schema.metadata[_RECORD])
        found = UnlabelledTexts(**record | {"texts": table["text"].to_pylist()})
        return found if found.source == source and found.digest == record["texts"] else None
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):  # the tables are read again instead
        return None
