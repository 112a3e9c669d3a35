"""The model families whose layers this program walks itself: one table of where their modules are and what they do.

The families are encoders of one build: embeddings, then layers of attention and feed-forward, each with a residual sum
and a layer norm after it. A model of any other family is computed by its own Transformers code (see
`forward/strategies.PaddedStrategy`). To add a family, add a row to `FAMILIES`; the parity check compares its scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Literal, NamedTuple

Head = Literal["relu", "pooler", "own"]
"""What stands before the last linear layer, on the first token's vector: a layer with ReLU, BERT's pooler, or a head
module that takes the whole sequence."""


class LayerModules(NamedTuple):
    """The modules of one encoder layer; in `ModelFamily`, the path from the layer to each."""

    query: Any
    key: Any
    value: Any
    attention_output: Any
    attention_norm: Any
    up: Any
    """The first linear layer of the feed-forward part, which widens."""
    down: Any
    norm: Any
    activation: Any
    """The module or function between `up` and `down`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFamily:
    """Where the modules of a family are, and how it differs from the others."""

    layers: str
    """Path from the encoder to its list of layers."""
    paths: LayerModules
    """Paths from a layer to its modules."""
    head: Head
    has_token_types: bool = True
    """True if an embedding of the token type is added to each token."""
    counts_from_padding: bool = False
    """True if positions are counted from after the padding id, and a padding token gets the position of that id."""

    def layer_modules(self, encoder: Any) -> list[LayerModules]:
        """The modules of each layer of `encoder`.

        Raises:
            AttributeError: this release of Transformers builds the family in another way.
        """
        layers = attrgetter(self.layers)(encoder)
        return [LayerModules(*(attrgetter(path)(layer) for path in self.paths)) for layer in layers]

    def rename_weight(self, name: str, target: ModelFamily) -> str | None:
        """The name that a weight of an encoder of this family has in the family `target`.

        Returns:
            None if `target` has no such weight. DistilBERT has no pooler and no token types, and position
            ids are no weight.
        """
        if name.startswith("embeddings."):
            is_missing = name.endswith("position_ids") or ("token_type" in name and not target.has_token_types)
            return None if is_missing else name
        if not name.startswith(f"{self.layers}."):
            return None
        # `encoder.layer.3.attention.self.query.weight` has the number 3, the path `attention.self.query` and the kind
        # `weight`.
        number, _, rest = name.removeprefix(f"{self.layers}.").partition(".")
        path, _, kind = rest.rpartition(".")
        return f"{target.layers}.{number}.{target.paths[self.paths.index(path)]}.{kind}"


DISTILBERT = ModelFamily(
    layers="transformer.layer",
    paths=LayerModules(
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        norm="output_layer_norm",
        activation="ffn.activation",
    ),
    head="relu",
    has_token_types=False,
)
BERT = ModelFamily(
    layers="encoder.layer",
    paths=LayerModules(
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        attention_output="attention.output.dense",
        attention_norm="attention.output.LayerNorm",
        up="intermediate.dense",
        down="output.dense",
        norm="output.LayerNorm",
        activation="intermediate.intermediate_act_fn",
    ),
    head="pooler",
)
ROBERTA = replace(BERT, head="own", counts_from_padding=True)
FAMILIES: dict[str, ModelFamily] = {
    "distilbert": DISTILBERT,
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
}
"""The families by the `model_type` of their configuration."""

POSITION_EMBEDDINGS = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
"""Names of the position embeddings in models of any family."""


def count_positions(position_embeddings: Any) -> int:
    """The positions that there are embeddings for; some families begin after the padding id, or at an offset."""
    padding = getattr(position_embeddings, "padding_idx", None)
    start = getattr(position_embeddings, "offset", 0) if padding is None else padding + 1
    return len(position_embeddings.weight) - int(start)
