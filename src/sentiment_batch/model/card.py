"""The model card of a trained model: the README.md of its folder, with the metadata that the Hugging Face Hub reads."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from sentiment_batch.display import collapse_line
from sentiment_batch.model.offline_base import MINILM

CARD = """---
{head}
---

# {name}

A sentiment classifier: {labels}. It was fine-tuned from {base} with
[sentiment-batch](https://pypi.org/project/sentiment-batch/) {version}.

The model is a DistilBERT encoder, the [CLS] vector of its last hidden state, dropout, and one linear layer with a
softmax. It is saved as a stock `DistilBertForSequenceClassification`, so that every tool of the Hugging Face family
loads it without remote code.

## Use

```
{command}
```

```python
from transformers import pipeline

classify = pipeline("text-classification", model={quoted}, truncation=True)
```

sentiment-batch cuts texts of more than {max_length} tokens as in training (`{long_text}`). A stock pipeline keeps their
beginning. sentiment-batch reads names of special tokens inside a text, such as "[SEP]", as text.

## Results

| on | rows | accuracy | macro F1 | loss |
|---|---|---|---|---|
{results}

## Training

- Data: {rows} texts, {classes}. Labels were read as: {mapping}.
- {weights}
- {calibration}
- Settings: {settings}.
- Attention dropout was off. Other dropout in the encoder was that of the base.

The classifier knows only the kind of text that it was trained on. Before you rely on it, measure it on labelled rows
of your own with `sentiment-batch evaluate`.
"""
MINILM_METADATA = {"base_model": "sentence-transformers/all-MiniLM-L6-v2", "license": "apache-2.0", "language": "en"}
"""What the Hub says about the offline encoder."""
_MARKDOWN = re.compile(r"([\\`*_\[\]<|~&])")


def build_model_card(meta: Mapping[str, Any], name: str) -> str:
    """The text of the model card.

    Args:
        meta: the content of sentiment_batch.json.
        name: the folder's name.
    """
    # Sets of rows that were not measured, such as a test file that was not given, get no line.
    measured = {what: one for what, one in meta["metrics"].items() if one is not None}
    shown = {key: value for key, value in meta["settings"].items() if value is not None and key != "base"}
    return CARD.format(
        head=_build_head(meta["base"], measured, name),
        name=escape_markdown(name),
        command=shlex.join(["sentiment-batch", "score", "reviews.parquet", "scored.parquet", "--model", name]),
        quoted=json.dumps(name, ensure_ascii=False),
        labels=", ".join(map(escape_markdown, meta["labels"]["labels"])),
        base=escape_markdown(meta["base"]),
        version=meta["version"],
        max_length=meta["text"]["max_length"],
        long_text=meta["text"]["long_text"],
        results="\n".join(
            f"| {what} | {one['rows']:,} | {one['accuracy']:.4f} | {one['macro_f1']:.4f} | {one['loss']:.4f} |"
            for what, one in measured.items()
        ),
        rows=f"{meta['data']['training_rows']:,}",
        classes=", ".join(f"{count:,} {escape_markdown(label)}" for label, count in meta["data"]["classes"].items()),
        mapping=escape_markdown(meta["data"]["mapping"]),
        weights=_describe_weights(meta) + _describe_teaching(meta.get("self_training") or {}),
        calibration=_describe_calibration(meta.get("calibration")),
        settings=escape_markdown(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())),
    )


def escape_markdown(text: str) -> str:
    """`text` in one line, in which Markdown and HTML see no mark-up."""
    return _MARKDOWN.sub(r"\\\1", collapse_line(text))


def _describe_weights(meta: Mapping[str, Any]) -> str:
    best, folds = meta["best"], meta["data"].get("folds")
    if folds:
        return (
            f"Each of {folds} folds was validated by a model that was not trained on it. These are the weights of a "
            f"model that was trained on all rows, for as many epochs: {meta['settings']['epochs']}."
        )
    once = "" if best.get("calibrated_loss") is None else " after calibration"
    return f"These are the weights with the lowest validation loss{once}: step {best['step']}, epoch {best['epoch']:g}."


def _describe_teaching(found: Mapping[str, Any]) -> str:
    """What else the model learned from, as further sentences; empty if it learned from labelled texts alone."""
    if not found.get("kept"):
        return ""
    texts = f" {sum(found['sure'].values()):,} unlabelled texts" if found["unlabelled"] else " the same texts"
    teachers = f"an ensemble of {found['ensemble']}" if found["ensemble"] else "a model of the labelled texts"
    return f" The model also learned from{texts}, by the predictions of {teachers}."


def _describe_calibration(found: Mapping[str, Any] | None) -> str:
    """How the probabilities were calibrated, and what that changed, as sentences."""
    if found is None:
        return "Calibration: none."
    if found["temperature"] == 1.0:
        return f"Calibration: the logits are as they were trained, because {found['reason']}."
    error, loss = (
        f"{found['before'][what]:.4f} to {found['after'][what]:.4f}" for what in ("calibration_error", "loss")
    )
    return (
        f"Calibration: the logits are divided by a temperature of {found['temperature']:g}, {found['reason']}. This "
        f"changed their expected calibration error from {error}, and their loss from {loss}. Each row was measured at "
        "the temperature that the other rows give. These rows also chose the weights, so the figures of a test file "
        "are more reliable."
    )


def _build_head(base: str, measured: Mapping[str, Any], name: str) -> str:
    """The card's YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-classification",
            dataset_type="custom",
            dataset_name=f"{what} rows",
            dataset_split=what,  # the Hub's library joins results of one type and split
            metric_type=kind,
            metric_name=metric,
            metric_value=round(one[key], 4),
        )
        for what, one in measured.items()
        for kind, metric, key in (("accuracy", None, "accuracy"), ("f1", "macro F1", "macro_f1"))
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["sentiment-analysis"],
        **_describe_base(base),
        **({"model_name": name, "eval_results": results} if results else {}),
    )
    head: str = data.to_yaml()
    return head


def _describe_base(base: str) -> dict[str, Any]:
    """The base's id on the Hub, its licence and its language, as far as they are known.

    A folder as base has the licence and language that its own model card names.
    """
    from huggingface_hub import metadata_load

    if base == MINILM:
        return MINILM_METADATA
    folder = os.path.expanduser(base)
    if os.path.isdir(folder):
        try:
            metadata = metadata_load(os.path.join(folder, "README.md")) or {}
        except Exception:  # there is no card, or its YAML is damaged, for which the libraries have no common error
            return {}
        return {key: value for key in ("license", "language") if (value := metadata.get(key))}
    return {"base_model": base} if "/" in base and not base.startswith((".", "/", "~")) else {}
