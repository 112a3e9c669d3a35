"""`sentiment-batch doctor`: what this machine has, what would be chosen on it, and why."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

import click

from sentiment_batch.cli import options
from sentiment_batch.cli.help import command
from sentiment_batch.cli.tables import print_table


@command(
    short_help="Show what this machine has and what would be chosen on it.",
    examples=(
        ("Check the machine before a long job:", "sentiment-batch doctor"),
        ("Get the same as JSON:", "sentiment-batch doctor --json"),
    ),
)
@options.as_json
def doctor(as_json: bool) -> None:
    """Show what this machine has, which device, dtype and model would be chosen on it, and why."""
    findings = _collect_findings()
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False))
        return
    rows = []
    for name, finding in findings.items():
        lines = finding if isinstance(finding, list) else [finding]
        rows += [(name if number == 0 else "", line) for number, line in enumerate(lines or ["none"])]
    print_table(rows)


def _collect_findings() -> dict[str, Any]:
    """What is printed: each finding, or list of findings, by its name."""
    from importlib.metadata import version

    from sentiment_batch.data.formats import get_plugins
    from sentiment_batch.files.cache import cache_folder
    from sentiment_batch.model.device import choose_device, choose_training_dtype, prefer_bfloat16
    from sentiment_batch.model.hub import MINILM, find_hub_problem, find_minilm_problem
    from sentiment_batch.scoring.default_model import choose_model

    device = choose_device("auto")
    half, why = prefer_bfloat16(device.value)
    hub = find_hub_problem()
    failed = [f"{one.name}: {one.error}" for one in get_plugins().load_third_parties() if one.error]
    return {
        "sentiment-batch": version("sentiment-batch"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "pyarrow": version("pyarrow"),
        "device": str(device),
        "training dtype": str(choose_training_dtype("auto", device.value)),
        "scoring dtype": f"bfloat16 where no check text changes its label ({why})" if half else f"float32 ({why})",
        "hub": "reachable" if hub is None else f"not reachable ({hub})",
        "model": str(choose_model(None)),
        "offline base": find_minilm_problem() or f"{MINILM} is there",
        "cache": str(cache_folder()),
        "failed plugins": failed,
    }
