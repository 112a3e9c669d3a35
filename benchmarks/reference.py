"""The reference: a stock sequence classifier fine-tuned by the `Trainer` of Transformers, as its scripts do it.

It uses its own defaults, except for what is made equal (see benchmarks/train.py). `Trainer` needs the package
accelerate.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    DistilBertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from benchmarks.stopwatch import now

if TYPE_CHECKING:
    from benchmarks.contestants import Plan
    from benchmarks.rows import Rows


def why_not() -> str | None:
    """Why the reference cannot run here; None if it can."""
    if importlib.util.find_spec("accelerate") is None:
        return "not installed: accelerate, which Trainer needs; pip install accelerate"
    if torch.cuda.device_count() > 1:
        return "Trainer would divide its batches among the devices; show it one by CUDA_VISIBLE_DEVICES"
    return None


def train(plan: Plan, training: Rows, validation: Rows, output: Path, validations: Collection[int]) -> None:
    """Fine-tune, and save the state with the lowest validation loss.

    Args:
        plan: the settings.
        training: the rows to learn from.
        validation: the rows that decide which state is best.
        output: the model folder to make.
        validations: steps, counted from 1 over the whole run, after which to validate within an epoch.
    """
    trainer, tokenizer = _trainer(plan, training, validation, output, load_best_model_at_end=True)
    trainer.add_callback(_ValidateAt(validations))
    trainer.train()
    trainer.save_model(str(output))
    tokenizer.save_pretrained(output)


class Steps:
    """The same without validation and saving. A call takes a number of steps and returns their seconds and tokens."""

    def __init__(self, plan: Plan, training: Rows, scratch: Path) -> None:
        self._device = plan.device
        self._trainer, tokenizer = _trainer(plan, training, None, scratch)
        self._collate = _Counting(DataCollatorWithPadding(tokenizer))
        self._trainer.data_collator = self._collate
        self._clock = _Clock(plan.device)
        self._trainer.add_callback(self._clock)

    def __call__(self, steps: int) -> tuple[float, int]:
        """The seconds from fetching the first batch to the end of the last step, and the tokens without padding."""
        self._collate.tokens.clear()
        self._trainer.args.max_steps = steps
        self._trainer.train()
        return self._clock.seconds, sum(self._collate.tokens[:steps])  # one more batch is fetched ahead


def _trainer(plan: Plan, training: Rows, validation: Rows | None, output: Path, **chosen: Any) -> tuple[Trainer, Any]:
    set_seed(plan.seed)  # of the head's first weights
    tokenizer: Any = AutoTokenizer.from_pretrained(plan.base, model_max_length=plan.max_length)
    model = DistilBertForSequenceClassification.from_pretrained(
        plan.base,
        dtype=torch.float32,
        id2label=dict(enumerate(plan.names)),
        label2id={name: number for number, name in enumerate(plan.names)},
    )
    validated = "no" if validation is None else "epoch"
    arguments = TrainingArguments(
        output_dir=str(output.with_name(output.name + ".trainer")),
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        weight_decay=plan.weight_decay,
        warmup_steps=plan.warmup,  # below 1 it is a share of the steps
        train_sampling_strategy="group_by_length",
        bf16=plan.dtype == "bfloat16",
        use_cpu=plan.device == "cpu",
        eval_strategy=validated,
        save_strategy=validated,
        save_total_limit=1,
        seed=plan.seed,
        report_to="none",
        disable_tqdm=True,
        **chosen,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_encoded(training, tokenizer, plan),
        eval_dataset=_encoded(validation, tokenizer, plan) if validation else None,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, tokenizer


def _encoded(rows: Rows, tokenizer: Any, plan: Plan) -> list[dict[str, Any]]:
    ids = _head(rows, tokenizer) if plan.reference_long_text == "head" else _cut(rows, tokenizer, plan)
    codes = rows.codes(plan.names).tolist()
    return [
        {"input_ids": one, "attention_mask": [1] * len(one), "labels": code}
        for one, code in zip(ids, codes, strict=True)
    ]


def _head(rows: Rows, tokenizer: Any) -> Iterable[list[int]]:
    ids: list[list[int]] = tokenizer(rows.texts, truncation=True)["input_ids"]
    return ids


def _cut(rows: Rows, tokenizer: Any, plan: Plan) -> Iterable[list[int]]:
    """The tokens of each text after sentiment-batch has cut it."""
    from sentiment_batch.tokenization.tokenizer import TextPolicy, TextTokenizer

    policy = TextPolicy(max_length=plan.max_length, long_text=plan.reference_long_text)  # type: ignore[arg-type]
    tokens = TextTokenizer(tokenizer.backend_tokenizer, policy, special_as_text=False)(rows.texts)
    bounds = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [tokens.ids[start:stop].tolist() for start, stop in bounds]


class _Counting:
    """A collator that notes the tokens of each batch."""

    def __init__(self, collate: Callable[[list[Mapping[str, Any]]], Any]) -> None:
        self.tokens: list[int] = []
        self._collate = collate

    def __call__(self, rows: list[Mapping[str, Any]]) -> Any:
        self.tokens.append(sum(len(row["input_ids"]) for row in rows))
        return self._collate(rows)


class _ValidateAt(TrainerCallback):  # type: ignore[misc]
    """Validates and saves at given steps within an epoch."""

    def __init__(self, steps: Collection[int]) -> None:
        self._steps = set(steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if state.global_step in self._steps:
            control.should_evaluate = control.should_save = True
        return control


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Measures from before the first batch to the end of the last step."""

    def __init__(self, device: str) -> None:
        self.seconds = 0.0
        self._device = device
        self._started = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = now(self._device)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == state.max_steps:
            self.seconds = now(self._device) - self._started
