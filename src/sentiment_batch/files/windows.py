"""What Windows does otherwise: open files cannot be replaced, and some names are those of devices."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

IS_WINDOWS = sys.platform == "win32"
MAX_WAIT_SECONDS = 2.0
"""How long a file that another program has open is waited for, such as a virus scanner or an indexer."""
_PAUSE_SECONDS = 0.05
# The names of devices by "Naming Files, Paths, and Namespaces" of Microsoft. With a suffix, they are devices too.
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\..*)?")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


def replace_patiently(source: Path, target: Path) -> None:
    """Rename `source` to `target` in place of what is there. On Windows, wait a moment for programs that read it.

    Raises:
        OSError: the file could not be renamed.
    """
    # The monotonic clock, because the time of day may be set back while this waits
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not IS_WINDOWS or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def find_name_problem(name: str) -> str | None:
    """Why Windows cannot store a file or folder of this name, in words; None if it can, or on other systems.

    Without this check, some of these names would be written to a device, or to a file of another name.
    """
    if not IS_WINDOWS:
        return None
    if _DEVICE.fullmatch(name):
        return "the name is that of a device"
    if forbidden := _FORBIDDEN.search(name):
        return f"a name cannot hold {forbidden[0]!r}"
    # Windows drops these, so the file would get another name
    if name.endswith((".", " ")):
        return "a name cannot end with a full stop or a blank"
    return None
