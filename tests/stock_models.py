"""Stock sequence classifiers of the common families, tiny and random, in folders as their makers publish them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import WORDS

FAMILIES = ("distilbert", "bert", "roberta", "xlm-roberta", "modernbert")
LIMIT = 32
"""Tokens of one text, the special ones included."""
SENTENCES = [f"the {word} film was {other}, {word}!" for word, other in zip(WORDS, reversed(WORDS), strict=True)]
SENTENCES += ["Où est le café naïve?", "日本語の映画 - 0123456789", 'Über-schön <b>it\'s</b> (so-so); "ja"']


def write_stock_model(family: str, folder: Path, labels: tuple[str, ...] = ("negative", "neutral", "positive")) -> Path:
    """Write a random classifier of `family` with its tokenizer to `folder`."""
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer = _tokenizer(family)
    config = _config(family, len(tokenizer), tokenizer)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = AutoModelForSequenceClassification.from_config(config)
        for name, weight in network.named_parameters():
            if weight.ndim == 2:  # larger than at the start of a training, so that texts differ in their scores
                torch.nn.init.normal_(weight, std=0.5 if name.startswith(("classifier", "pre_classifier")) else 0.2)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def edit_json(folder: Path, name: str, **changes: object) -> None:
    """Change entries of a JSON file in a folder; None takes one away."""
    values = json.loads((folder / name).read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in values.items() if value is not None}
    (folder / name).write_text(json.dumps(kept), encoding="utf-8")


def _config(family: str, vocabulary: int, tokenizer: object) -> object:
    from transformers import BertConfig, DistilBertConfig, ModernBertConfig, RobertaConfig, XLMRobertaConfig

    if family == "distilbert":
        return DistilBertConfig(
            vocab_size=vocabulary, max_position_embeddings=LIMIT, dim=32, hidden_dim=48, n_layers=2, n_heads=2
        )
    shape = {"vocab_size": vocabulary, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2, "max_position_embeddings": LIMIT}
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    if family == "bert":
        return BertConfig(**shape, pad_token_id=0)
    if family == "modernbert":
        own = {"cls_token_id": tokenizer.cls_token_id, "sep_token_id": tokenizer.sep_token_id}
        return ModernBertConfig(**shape, **special, **own, local_attention=8, global_attn_every_n_layers=2)
    kind = RobertaConfig if family == "roberta" else XLMRobertaConfig
    return kind(**shape | {"max_position_embeddings": LIMIT + 2}, **special)  # they count positions from 2


def _tokenizer(family: str) -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import (
        BertTokenizer,
        DistilBertTokenizer,
        PreTrainedTokenizerFast,
        RobertaTokenizer,
        XLMRobertaTokenizer,
    )

    if family in {"distilbert", "bert"}:
        words = [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            *WORDS,
            "naive",
            "cafe",
            "est",
            *"0123456789.,!?;'\"-<>/()",
        ]
        words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + list("bcdefghjklmnopqrstuvwxyz日本")
        vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
        kind = BertTokenizer if family == "bert" else DistilBertTokenizer
        return kind(vocab=vocabulary, model_max_length=LIMIT)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if family == "xlm-roberta":
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        unigram = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        )
        backend.train_from_iterator(SENTENCES, unigram)
        pieces = [tuple(piece) for piece in json.loads(backend.to_str())["model"]["vocab"]]
        return XLMRobertaTokenizer(vocab=pieces, model_max_length=LIMIT)
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(SENTENCES, bpe)
    if family == "roberta":
        model = json.loads(backend.to_str())["model"]
        return RobertaTokenizer(
            vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]], model_max_length=LIMIT
        )
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=LIMIT,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
