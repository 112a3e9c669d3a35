"""The classifier as an estimator of scikit-learn."""

from sentiment_batch.sklearn.classifier import SentimentClassifier

__all__ = ["SentimentClassifier"]
