"""Words about a trained model: what was learned in, the model card and the training log as text out."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from typing import Any

from sentiment_batch.display import one_line

CARD = """---
{head}
---

# {name}

A sentiment classifier: {labels}. Fine-tuned from `{base}` with
[sentiment-batch](https://pypi.org/project/sentiment-batch/) {version}.

The model is a DistilBERT encoder, the [CLS] vector of its last hidden state, dropout, and one linear layer with a
softmax. It is saved as a stock `DistilBertForSequenceClassification`, so that any tool of the Hugging Face family
loads it without remote code.

## Use

```
{command}
```

```python
from transformers import pipeline

classify = pipeline("text-classification", model={quoted}, truncation=True)
```

Texts of more than {max_length} tokens are cut by sentiment-batch as in training (`{long_text}`); a stock pipeline keeps
their head. Names of special tokens such as "[SEP]" inside a text are read as text by sentiment-batch.

## How well it does

| on | rows | accuracy | macro F1 | loss |
|---|---|---|---|---|
{results}

## How it was trained

- Data: {rows} texts, {classes}. Labels were read as: {mapping}.
- The state with the lowest validation loss{once} is kept: step {step}, epoch {epoch}.
- {calibration}
- Settings: {settings}.
- Attention dropout was off; the dropout elsewhere in the encoder was the base's.

The classifier knows the kind of text that it was trained on and nothing else; measure it on your own labelled rows with
`sentiment-batch evaluate` before you rely on it.
"""


def build_model_card(meta: Mapping[str, Any], name: str) -> str:
    """The README.md of a model folder, with the YAML head that the Hub reads.

    Args:
        meta: what sentiment_batch.json holds.
        name: the folder's name.
    """
    measured = {what: one for what, one in meta["metrics"].items() if one is not None}
    shown = {key: value for key, value in meta["settings"].items() if value is not None and key != "base"}
    return CARD.format(
        head=_head(meta, measured, name),
        name=one_line(name),
        command=shlex.join(["sentiment-batch", "score", "reviews.parquet", "scored.parquet", "--model", name]),
        quoted=json.dumps(name, ensure_ascii=False),
        labels=", ".join(map(one_line, meta["labels"]["labels"])),
        base=meta["base"],
        version=meta["version"],
        max_length=meta["text"]["max_length"],
        long_text=meta["text"]["long_text"],
        results="\n".join(
            f"| {what} | {one['rows']:,} | {one['accuracy']:.4f} | {one['macro_f1']:.4f} | {one['loss']:.4f} |"
            for what, one in measured.items()
        ),
        rows=f"{meta['data']['training_rows']:,}",
        classes=", ".join(f"{count:,} {one_line(label)}" for label, count in meta["data"]["classes"].items()),
        mapping=meta["data"]["mapping"],
        once="" if meta["best"].get("calibrated_loss") is None else ", once calibrated,",
        step=meta["best"]["step"],
        epoch=f"{meta['best']['epoch']:g}",
        calibration=_calibration(meta.get("calibration")),
        settings=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items()),
    )


def _calibration(found: Mapping[str, Any] | None) -> str:
    """What the card says of the temperature."""
    if found is None:
        return "Calibration: none."
    if found["temperature"] == 1.0:
        return f"Calibration: the logits are as they were trained, for {found['reason']}."
    error, loss = (
        f"{found['before'][what]:.4f} to {found['after'][what]:.4f}" for what in ("calibration_error", "loss")
    )
    return (
        f"Calibration: the logits are divided by a temperature of {found['temperature']:g}, {found['reason']}. It took "
        f"their expected calibration error from {error}, and their loss from {loss}, each row at the temperature that "
        "the others give. These rows also chose the state, so those of a test file say it better."
    )


def _head(meta: Mapping[str, Any], measured: Mapping[str, Any], name: str) -> str:
    """The card's YAML; JSON strings are YAML strings, whatever they hold."""
    lines = ["library_name: transformers", "pipeline_tag: text-classification", "tags:", "- sentiment-analysis"]
    if "/" in meta["base"] and not meta["base"].startswith((".", "/", "~")) and not os.path.isdir(meta["base"]):
        lines.append(f"base_model: {json.dumps(meta['base'])}")
    if measured:
        # Not in ASCII: JSON would write an emoji as two escapes, which YAML reads as two characters.
        lines += ["model-index:", f"- name: {json.dumps(name, ensure_ascii=False)}", "  results:"]
    for what, one in measured.items():
        lines += [
            "  - task:",
            "      type: text-classification",
            "    dataset:",
            f"      name: {json.dumps(what + ' rows')}",
            "      type: custom",
            "    metrics:",
            f"    - type: accuracy\n      value: {one['accuracy']:.4f}",
            f"    - type: f1\n      name: macro F1\n      value: {one['macro_f1']:.4f}",
        ]
    return "\n".join(lines)
