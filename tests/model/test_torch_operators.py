"""The list of private torch operators is complete, and each operator is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import torch

import sentiment_batch
from sentiment_batch.model import torch_operators

SOURCES = Path(sentiment_batch.__file__).parent


def private_names(tree: ast.AST) -> Iterator[str]:
    """Dotted names such as `torch._softmax_backward_data` and `torch.ops.aten.gelu_`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name.startswith(("torch._", "torch.ops.", "torch.cpu._")) and not name.endswith("__"):
                yield name


def test_private_operators_of_torch_are_called_in_one_place():
    found = {
        f"{path.relative_to(SOURCES)}: {name}"
        for path in SOURCES.rglob("*.py")
        for name in private_names(ast.parse(path.read_text(encoding="utf-8")))
        if path.name != "torch_operators.py"
    }
    assert found == set()


def test_this_release_of_torch_has_the_operators():
    assert callable(torch_operators.gelu_in_place)
    assert callable(torch_operators.softmax_backward)
    assert torch_operators.has_onednn() is torch.backends.mkldnn.is_available()
