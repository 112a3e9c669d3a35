"""Stock sequence classifiers of rarer families, tiny and random, each with a habit of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stock_models import LIMIT, _tokenizer, edit_json

COMMON = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
DECODER = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": LIMIT}
FROM_1 = COMMON | {"max_position_embeddings": LIMIT + 2, "pad_token_id": 1}
"""Positions are counted from behind the padding id."""
ENDS = {"eos_token_id": 3, "decoder_start_token_id": 0}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bigbird": (
        "BigBird",
        COMMON | {"attention_type": "block_sparse", "block_size": 2} | {"max_position_embeddings": 64},
    ),
    "bloom": ("Bloom", {"hidden_size": 16, "n_layer": 1, "n_head": 2, "pad_token_id": 0}),
    "convbert": ("ConvBert", COMMON | {"embedding_size": 16, "num_attention_heads": 4}),
    "data2vec": ("Data2VecText", FROM_1),
    "esm": ("Esm", FROM_1 | {"position_embedding_type": "absolute"}),
    "fnet": ("FNet", COMMON | {"max_position_embeddings": LIMIT}),
    "funnel": ("Funnel", {"d_model": 16, "block_sizes": [1, 1], "n_head": 2, "d_head": 8, "d_inner": 32}),
    "gpt2": ("GPT2", DECODER | {"pad_token_id": None}),
    "ibert": ("IBert", FROM_1),
    "luke": ("Luke", FROM_1 | {"entity_vocab_size": 5}),
    "mobilebert": ("MobileBert", COMMON | {"embedding_size": 8, "intra_bottleneck_size": 8}),
    "mpnet": ("MPNet", FROM_1),
    "nystromformer": ("Nystromformer", COMMON | {"segment_means_seq_len": 64, "num_landmarks": 8}),
    "openai-gpt": ("OpenAIGPT", DECODER),
    "opt": ("OPT", COMMON | {"ffn_dim": 32, "max_position_embeddings": LIMIT, "word_embed_proj_dim": 16}),
    "prelayernorm": ("RobertaPreLayerNorm", FROM_1),
    "t5": ("T5", {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2} | ENDS),
    "xlnet": ("XLNet", {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32}),
}


def write_rare_model(family: str, folder: Path, *, limit: int | None = None) -> Path:
    """Write a random classifier of `family` to `folder`, whose tokenizer knows a limit only where one is given."""
    import torch
    import transformers

    tokenizer = _tokenizer("bert")
    name, settings = KINDS[family]
    config = getattr(transformers, f"{name}Config")(**{"pad_token_id": 0} | settings, vocab_size=len(tokenizer))
    config.id2label = {0: "negative", 1: "neutral", 2: "positive"}
    config.label2id = {label: number for number, label in config.id2label.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = transformers.AutoModelForSequenceClassification.from_config(config)
        for weight in network.parameters():
            if weight.ndim == 2:  # so that texts differ in their scores
                torch.nn.init.normal_(weight, std=0.4)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    edit_json(folder, "tokenizer_config.json", model_max_length=limit, model_input_names=["input_ids"])
    return folder
