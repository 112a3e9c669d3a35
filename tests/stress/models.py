"""Makes the model that the stress runs score with: a random DistilBERT, tiny, with a stock tokenizer."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import WORDS
from tests.stress.command import apart


def tiny_model(folder: Path) -> Path:
    """A model folder with the labels negative and positive; made in another process.

    Raises:
        RuntimeError: it could not be made.
    """
    outcome = apart(lambda: _make(folder), seconds=300)
    if outcome.code:
        raise RuntimeError(f"no model could be made: {outcome.printed}")
    return folder / "model"


def _make(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    from sentiment_batch.model.classifier import EncoderClassifier, load_base, save_classifier

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*letters, *(f"##{letter}" for letter in letters), *".,!?'\"-:;()/<>&"]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(piece for piece in pieces if piece not in WORDS)]
    torch.manual_seed(11)
    base = folder / "base"
    shape = {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 64, "max_position_embeddings": 64}
    DistilBertModel(DistilBertConfig(vocab_size=len(words), initializer_range=0.2, **shape)).save_pretrained(base)
    backend = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    DistilBertTokenizerFast(tokenizer_object=backend, model_max_length=64).save_pretrained(base)
    encoder, tokenizer = load_base(base)
    classifier = EncoderClassifier(encoder, 2, dropout=0.1)
    torch.nn.init.normal_(classifier.linear.weight, std=0.5)
    save_classifier(folder / "model", classifier, tokenizer, ("negative", "positive"), 64)
