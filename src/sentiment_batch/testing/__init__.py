"""Tests for the author of a plugin: a class of his own below one of these, and pytest runs every check of the protocol.

    from sentiment_batch.testing import ReaderSuite


    class TestLinesReader(ReaderSuite):
        schema = pa.schema([("text", pa.string())])

        def location(self, table, folder):
            ...  # lay out the rows of `table` in `folder`; give their location

The plugin is tested as the program sees it: found by its hooks, opened through the registry, watched by the guards.
Each check is a test with a plain name; one that fails says what the plugin did and what the protocol asks of it. What a
format cannot do is stated in attributes of the class; see `ReaderSuite` and `WriterSuite`.

pytest is imported here and nowhere else in this package.
"""

from __future__ import annotations

try:
    import pytest  # noqa: F401
except ImportError as error:
    raise ImportError("sentiment_batch.testing needs pytest. Install it with: pip install pytest") from error

from sentiment_batch.testing.engines import EngineSuite
from sentiment_batch.testing.readers import ReaderSuite
from sentiment_batch.testing.samples import ODD_NAMES, ODD_TEXTS, sample_types
from sentiment_batch.testing.tiny import write_tiny_model
from sentiment_batch.testing.writers import WriterSuite

__all__ = ["ODD_NAMES", "ODD_TEXTS", "EngineSuite", "ReaderSuite", "WriterSuite", "sample_types", "write_tiny_model"]
