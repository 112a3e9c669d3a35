"""The program `sentiment-batch`, also as `python -m sentiment_batch`. Signals work before everything is imported."""

from __future__ import annotations

from sentiment_batch.cli.signals import handle_signals


def main() -> None:
    """Run the command line."""
    handle_signals()
    from sentiment_batch.cli import main as run

    run()


if __name__ == "__main__":
    main()
