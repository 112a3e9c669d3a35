"""`python -m sentiment_batch` is the command line."""

from sentiment_batch.cli import main

if __name__ == "__main__":
    main()
