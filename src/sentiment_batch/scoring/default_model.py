"""Chooses the model when the user names none, and names a chosen one for other processes."""

from __future__ import annotations

import os

from sentiment_batch.errors import UsageError
from sentiment_batch.records import Choice
from sentiment_batch.settings import DEFAULT_HUB_MODEL, DEFAULT_MODEL_FOLDER

MODEL_VARIABLE = "SENTIMENT_BATCH_MODEL"


def choose_model(named: str | None) -> Choice:
    """The named model, else `$SENTIMENT_BATCH_MODEL`, else ./sentiment-model, else the SST-2 model of the Hub.

    Raises:
        UsageError: the name is empty, as that of a variable that is not set.
    """
    if named is not None:
        if not named.strip():
            raise UsageError("`model` is empty. Name a model folder or a Hub id, or leave it out.")
        return Choice(value=named, reason="as named")
    from_environment = os.environ.get(MODEL_VARIABLE)
    # An empty variable counts as none
    if from_environment:
        return Choice(value=from_environment, reason=f"${MODEL_VARIABLE}")
    if os.path.isdir(DEFAULT_MODEL_FOLDER):  # unlike `Path.is_dir`, also if this user may not look into the folder
        return Choice(value=DEFAULT_MODEL_FOLDER, reason="a folder of that name is here")
    return Choice(value=DEFAULT_HUB_MODEL, reason="the default, because no model was named or trained here")


def locate_model(model: str) -> str:
    """The folder of a model by its absolute path, by which other processes find it; a Hub id as it is."""
    folder = os.path.expanduser(model)
    return os.path.abspath(folder) if os.path.isdir(folder) else model
