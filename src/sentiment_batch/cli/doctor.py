"""`sentiment-batch doctor`: what this machine has, what would be chosen on it, and why."""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

import click


@click.command(short_help="Say what this machine has and what would be chosen on it.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine has, which device, dtype and model would be chosen on it, and why."""
    findings = _findings()
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False))
        return
    width = max(map(len, findings))
    for what, finding in findings.items():
        lines = finding if isinstance(finding, list) else [finding]
        for place, line in enumerate(lines or ["none"]):
            click.echo(f"{what if place == 0 else '':{width}}  {line}")


def _findings() -> dict[str, Any]:
    from importlib.metadata import version

    from sentiment_batch.data.formats import plugins
    from sentiment_batch.files.cache import cache_folder
    from sentiment_batch.model.device import bfloat16_reason, choose_device, training_dtype
    from sentiment_batch.model.hub import hub_answers
    from sentiment_batch.scoring.default_model import choose_model

    device = choose_device("auto")
    half, why = bfloat16_reason(device.value)
    hub = hub_answers()
    failed = [f"{one.name}: {one.error}" for one in plugins().load_third_parties() if one.error]
    return {
        "sentiment-batch": version("sentiment-batch"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "pyarrow": version("pyarrow"),
        "device": str(device),
        "training dtype": str(training_dtype("auto", device.value)),
        "scoring dtype": f"bfloat16 where no probe text changes its label ({why})" if half else f"float32 ({why})",
        "hub": "reachable" if hub is None else f"not reachable ({hub})",
        "model": str(choose_model(None)),
        "cache": str(cache_folder()),
        "failed plugins": failed,
    }
