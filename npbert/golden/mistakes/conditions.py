"""Which models have a step: in which of them a mistake can be made there at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.model import heads


def has_layers(model: Any) -> bool:
    return model.config.num_hidden_layers > 0


def has_convolutions(model: Any) -> bool:
    """Tell whether there are convolutions beside attention: ConvBERT's."""
    return model.config.model_type == "convbert" and has_layers(model)


def fills_masks(model: Any) -> bool:
    return isinstance(model, (heads.MaskedLM, heads.PreTraining))


def pools(model: Any) -> bool:
    """Tell whether a model sums up a text by its first token, through a tanh."""
    return getattr(model.config, "classifier_activation", True) and takes_first_token(model)


def takes_first_token(model: Any) -> bool:
    """Tell whether a model sums up a text by its first token, in a function of its own."""
    if model.config.model_type == "convbert":
        return False
    if isinstance(model, heads.Encoder):
        return model.options.get("add_pooling_layer", True)
    kinds = heads.SequenceClassification, heads.MultipleChoice
    return isinstance(model, (*kinds, heads.PreTraining, heads.NextSentencePrediction))


def reads_first_token(model: Any) -> bool:
    classifies = isinstance(model, heads.SequenceClassification)
    return classifies if model.config.model_type == "convbert" else takes_first_token(model)


def normalises(model: Any) -> bool:
    """Tell whether there is any real layer norm: most of MobileBERT's only scale and shift."""
    return getattr(model.config, "normalization_type", "layer_norm") != "no_norm" or (
        fills_masks(model)
    )


def fixed_epsilon(model: Any) -> float | None:
    """Return the epsilon of those norms that do not obey the config."""
    return {"squeezebert": 1e-12, "mobilebert": 1e-5}.get(model.config.model_type)


def has_several_heads(model: Any) -> bool:
    return has_layers(model) and model.config.heads > 1


def is_gelu(model: Any) -> bool:
    return model.config.hidden_act in ("gelu", "gelu_python")


def activates_in_head(model: Any) -> bool:
    """Tell whether an exact GELU stands in the head."""
    if model.config.model_type == "convbert" and isinstance(model, heads.MaskedLM):
        return True
    classifies = isinstance(model, heads.SequenceClassification)
    return is_gelu(model) and (
        fills_masks(model) or (model.config.model_type == "convbert" and classifies)
    )


def of_mobilebert(condition: Any) -> Any:
    """Return a condition on MobileBERT's config, false for any other model."""
    return lambda model: model.config.model_type == "mobilebert" and condition(model.config)


def has_bottlenecks(config: Any) -> bool:
    """Tell whether query and key have a bottleneck of their own."""
    in_use = config.use_bottleneck and not config.use_bottleneck_attention
    return config.num_hidden_layers > 0 and in_use and config.key_query_shared_bottleneck


def has_square_maps(model: Any) -> bool:
    """Tell whether any is used: SqueezeBERT has a pooler under every head."""
    names = [name for name, array in model.state_dict().items() if is_square(name, array)]
    return any("pooler." not in name or pools(model) for name in names)


def is_square(name: str, array: np.ndarray) -> bool:
    """Tell whether a tensor is the matrix of a linear map that would fit either way round."""
    is_map = not ("embeddings." in name or name.endswith("decoder.weight"))
    return is_map and array.ndim == 2 and array.shape[0] == array.shape[1]
