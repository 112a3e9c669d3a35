"""Registers the engine `ray` with sentiment-batch. Ray is imported when the engine is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch import hookimpl

if TYPE_CHECKING:
    from sentiment_batch import Engine, Registry, ScoreSettings


def _open(model: str, settings: ScoreSettings, options: dict[str, str]) -> Engine:
    from sentiment_batch_ray.engine import RayEngine

    return RayEngine(model, settings, options)


@hookimpl
def register_engines(registry: Registry) -> None:
    """Add the Ray engine."""
    registry.add("ray", _open, description="Ray actors, one model each, on one machine or many")
