"""Conformance suites for authors of plugins: subclass a suite, and pytest runs every check of the protocol.

    from sentiment_batch.testing import ReaderSuite


    class TestLinesReader(ReaderSuite):
        schema = pa.schema([("text", pa.string())])

        def location(self, table, folder):
            ...  # store the rows of `table` in `folder`, and return their location

The plugin is tested as the program uses it: found through its hooks, opened through the registry, wrapped in the
guards. Each check is one test. A failure reports what the plugin did, and quotes the rule of the protocol. State in
attributes of the class what the format cannot do; see `ReaderSuite` and `WriterSuite`.

No other package of `sentiment_batch` imports pytest.
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
