"""The place of the cached scorer in version 0.1; a `Scorer` that this version pickled loads through it."""

from sentiment_batch.scoring.scorer_cache import get_cached_scorer as kept

__all__ = ["kept"]
