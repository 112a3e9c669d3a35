"""The program `sentiment-batch`, also as `python -m sentiment_batch`. Signals and streams work before all imports."""

from __future__ import annotations

from sentiment_batch.cli.signals import handle_signals
from sentiment_batch.cli.streams import open_closed_descriptors


def main() -> None:
    """Run the command line."""
    handle_signals()
    open_closed_descriptors()
    from sentiment_batch.cli import main as run

    run()


if __name__ == "__main__":
    main()
