"""What is said of a quantity in words: its axes, its equation, where the paper has it."""

from __future__ import annotations

from dataclasses import dataclass

from npbert.models import PreTrainedModel
from npbert.tracing import Quantity


@dataclass
class Description:
    axes: list[str] | None
    equation: str
    section: str


def describe(quantity: Quantity, model: PreTrainedModel) -> Description:
    config = model.config
    heads = getattr(config, "heads", config.num_attention_heads)
    letters = {config.hidden_size: "D", config.intermediate_size: "I", config.vocab_size: "V",
               heads: "H", config.hidden_size // heads: "S", 9: "K"}
    letters[getattr(config, "embedding_size", config.hidden_size)] = "E"
    letters[config.hidden_size] = "D"
    shape = quantity.shape
    axes = [letters.get(n, str(n)) for n in shape]
    if shape and shape[0] == 1:
        axes[0] = "B"
    for i in range(1, len(shape)):
        if shape[i] == 12:
            axes[i] = "T"
    if shape and shape[0] == 12:
        axes[0] = "N"
    return Description(axes, "", "")


def legend(model: PreTrainedModel) -> dict[str, str]:
    return {"B": "sentences", "T": "tokens", "V": "vocabulary", "E": "embedding width", "D": "hidden width", "H": "heads", "S": "width of one head", "A": "H*S, half of D", "K": "kernel width", "I": "width of the feed-forward layer", "L": "labels"}
