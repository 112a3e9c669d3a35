"""The classifier that is trained: our own torch module, loaded from a base and saved as a stock model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sentiment_batch.errors import ModelError, listed
from sentiment_batch.model.bert_base import convert_encoder
from sentiment_batch.model.folder import (
    ATTENTION,
    SAFE_ARGUMENTS,
    load_tokenizer,
    pretrained_arguments,
    quiet_transformers,
)
from sentiment_batch.model.folder_faults import check_tokens, refuse_other_shapes
from sentiment_batch.model.load_errors import translate_load_errors

# B texts, T tokens of the longest, D the encoder's width, K labels.


class EncoderClassifier(nn.Module):
    """A DistilBERT encoder, the [CLS] vector of its last hidden state, dropout, and one linear layer.

    Args:
        encoder: a `DistilBertModel`.
        num_labels: K classes; 2K may not exceed the encoder's width (see `to_stock`).
        dropout: probability of zeroing an element of the [CLS] vector in training.
    """

    def __init__(self, encoder: Any, num_labels: int, dropout: float) -> None:
        super().__init__()
        if 2 * num_labels > encoder.config.dim:
            raise ModelError(
                f"{num_labels} classes need an encoder at least {2 * num_labels} wide; this one is "
                f"{encoder.config.dim}. Take a wider `base`, or fewer labels."
            )
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(encoder.config.dim, num_labels)
        # As Transformers initializes the layers of a DistilBERT.
        nn.init.normal_(self.linear.weight, std=encoder.config.initializer_range)
        nn.init.zeros_(self.linear.bias)

    def forward(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (B, K) of token ids (B, T); the mask (B, T) is true at tokens, None if there is no padding."""
        hidden_BTD = self.encoder(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
        logits: torch.Tensor = self.linear(self.dropout(hidden_BTD[:, 0]))
        return logits

    def divide_logits(self, temperature: float) -> None:
        """Divide all later logits by `temperature`, by dividing the linear layer, so that the division is saved."""
        with torch.no_grad():
            for parameter in self.linear.parameters():
                parameter.div_(temperature)

    def to_stock(self, labels: Sequence[str]) -> Any:
        """The same function as a stock `DistilBertForSequenceClassification`, in float32, on the CPU.

        The stock head is `classifier(relu(pre_classifier(cls)))`. Rows 0..K-1 of `pre_classifier` hold the linear layer
        (W, b), rows K..2K-1 hold (-W, -b), and row k of `classifier` takes row k minus row K+k: relu(z) - relu(-z) = z.
        """
        from transformers import DistilBertConfig, DistilBertForSequenceClassification

        settings = self.encoder.config.to_dict()
        settings |= {
            "architectures": ["DistilBertForSequenceClassification"],
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            "problem_type": "single_label_classification",
            "seq_classif_dropout": self.dropout.p,
            "dtype": "float32",
        }
        config = DistilBertConfig(**settings)
        with torch.random.fork_rng(devices=[]):  # the new model draws initial weights, which may not affect training
            stock = DistilBertForSequenceClassification._from_config(config, attn_implementation=ATTENTION)
        stock.distilbert.load_state_dict(self.encoder.state_dict())
        # The other rows of the stock head stay zero. They add nothing to the logits.
        weight_KD, bias_K = self.linear.weight.detach().cpu(), self.linear.bias.detach().cpu()
        classes = len(labels)
        with torch.no_grad():
            for parameter in (*stock.pre_classifier.parameters(), *stock.classifier.parameters()):
                parameter.zero_()
            stock.pre_classifier.weight[: 2 * classes] = torch.cat([weight_KD, -weight_KD])
            stock.pre_classifier.bias[: 2 * classes] = torch.cat([bias_K, -bias_K])
            one = torch.eye(classes)
            stock.classifier.weight[:, : 2 * classes] = torch.cat([one, -one], dim=1)
        return stock.eval()

    def load_stock_weights(self, stock: Any) -> None:
        """Copy the weights of a model that `to_stock` returned; the device stays."""
        classes = self.linear.out_features
        with torch.no_grad():
            self.encoder.load_state_dict(stock.distilbert.state_dict())
            self.linear.weight.copy_(stock.pre_classifier.weight[:classes])
            self.linear.bias.copy_(stock.pre_classifier.bias[:classes])


def load_base(folder: Path) -> tuple[Any, Any]:
    """The encoder to fine-tune, a `DistilBertModel` in float32, and its tokenizer. BERT encoders are converted.

    Attention dropout is set to 0, because fused attention kernels have none. Other dropout stays as in the base.

    Raises:
        ModelError: the base is neither DistilBERT nor BERT, or weights are missing or no finite numbers.
    """
    from transformers import AutoConfig, BertModel, DistilBertModel

    with quiet_transformers(), translate_load_errors(folder):
        config = AutoConfig.from_pretrained(folder, **SAFE_ARGUMENTS)
        if config.model_type not in {"distilbert", "bert"}:
            raise ModelError(
                f"{folder} is a {config.model_type} model, which cannot be a base. Take a DistilBERT or BERT encoder "
                "such as distilbert/distilbert-base-uncased, google-bert/bert-base-multilingual-cased or minilm."
            )
        is_bert = config.model_type == "bert"
        if is_bert:
            encoder, info = BertModel.from_pretrained(
                folder, config=config, add_pooling_layer=False, **pretrained_arguments()
            )
        else:
            config.attention_dropout = 0.0
            encoder, info = DistilBertModel.from_pretrained(folder, config=config, **pretrained_arguments())
        # A BERT tokenizer would also give token types, which a DistilBERT does not take.
        tokenizer = load_tokenizer(folder, model_input_names=["input_ids", "attention_mask"])
    refuse_other_shapes(folder, info["mismatched_keys"])
    if problem := check_tokens(folder, tokenizer.backend_tokenizer, config.vocab_size):
        raise ModelError(f"{problem}. Fetch the base again, or take another one.")
    if info["missing_keys"]:
        raise ModelError(
            f"{folder} lacks weights of the encoder: {listed(sorted(info['missing_keys']), 3)}. Fetch it again."
        )
    # One NaN in the base would make every loss NaN.
    odd = [name for name, weight in encoder.named_parameters() if not weight.isfinite().all()]
    if odd:
        raise ModelError(f"{folder} has weights that are no finite numbers: {listed(odd, 3)}. Take another base.")
    tokenizer.backend_tokenizer.no_truncation()  # saved with the model, where it would cut texts in silence
    tokenizer.backend_tokenizer.no_padding()
    if is_bert:
        encoder = convert_encoder(encoder, folder, tokenizer)
    return encoder, tokenizer


def save_classifier(
    folder: Path, classifier: EncoderClassifier, tokenizer: Any, labels: Sequence[str], max_length: int
) -> None:
    """Write the classifier to `folder` as a stock Hugging Face model; `max_length` becomes its tokenizer's limit."""
    with quiet_transformers():
        classifier.to_stock(labels).save_pretrained(folder)
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(folder)
    mode = (folder / "config.json").stat().st_mode
    for file in folder.glob("*.safetensors"):  # safetensors makes them readable by their owner only
        file.chmod(mode)
