"""Text that a spreadsheet would take for a formula; see OWASP, "CSV Injection"."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.writers.value_text import joined

# The last four are the full-width forms of the first four, which some spreadsheets take for them.
_BEGINS = r"\A[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_NUMBER = r"\A[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"


def escape_formulas(text: pa.Array) -> pa.Array:
    """`text` with an apostrophe before each value that a spreadsheet would take for a formula.

    A plain number, such as -5 or +3.5e2, is none, and stays a number. Cells of workbooks need no apostrophe, because
    they have a type.
    """
    begins = pc.match_substring_regex(text, _BEGINS)
    if not pc.any(begins).as_py():
        return text
    formula = pc.and_not(begins, pc.match_substring_regex(text, _NUMBER))
    return pc.if_else(formula, joined("'", text), text)
