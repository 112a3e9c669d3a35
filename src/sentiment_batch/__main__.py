"""The program `sentiment-batch`, also as `python -m sentiment_batch`; it can be ended before all of it is imported."""

from __future__ import annotations

from sentiment_batch.cli.signals import end_in_order


def main() -> None:
    """Run the command line."""
    end_in_order()
    from sentiment_batch.cli import main as run

    run()


if __name__ == "__main__":
    main()
