"""The skeleton of a page: a title and a body in, one self-contained document out, which fetches and runs nothing."""

from __future__ import annotations

import html

from sentiment_batch.display import one_line
from sentiment_batch.report.palette import sheet

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for a page: nothing. Styles stand in the page itself, and there is no script."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
{body}
</body>
</html>
"""


def document(title: str, body: str, css: str = "") -> str:
    """A whole page. It can be written as UTF-8 if `body` can.

    Args:
        title: plain text, whatever it holds.
        body: HTML, with everything of a user's escaped by `escaped`.
        css: rules of the page's own. Colours are `var(--ink)` and the other names of `style.LIGHT`.
    """
    return _PAGE.format(policy=POLICY, title=escaped(one_line(title[:1_000])[:200]), css=sheet(css), body=body)


def escaped(text: str) -> str:
    """`text` as HTML that shows it, in an element or a quoted attribute.

    The caller sees to control characters and surrogates, by one of the functions of `sentiment_batch.display`.
    """
    return html.escape(text, quote=True)
