"""Shows a page in a notebook, in a frame of its own, so that neither changes the style of the other."""

from __future__ import annotations

from markupsafe import escape

FRAME_HEIGHT = 560
"""The height of a frame in CSS pixels; a longer page scrolls in it."""
EXPLANATION_HEIGHT = 420
"""The height of a frame with the words of one text, in CSS pixels."""


def frame_page(page: str, title: str, *, height: int = FRAME_HEIGHT) -> str:
    """The HTML of a frame that holds a whole page.

    The frame is sandboxed: what it shows can run no script and cannot reach the notebook. The page is stored in the
    notebook, so it is shown again without this package.

    Args:
        page: a self-contained page.
        title: what the frame holds, for readers who do not see it.
        height: the height in CSS pixels.
    """
    style = f"width: 100%; height: {height}px; border: 1px solid #8888; border-radius: 6px"
    return f'<iframe sandbox title="{escape(title)}" style="{style}" srcdoc="{escape(page)}"></iframe>'
