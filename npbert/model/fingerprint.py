"""The fingerprint of a configuration, kept in the metadata of the weights that are saved with it.

config.json and the weights are two files, and where their shapes agree nothing else shows that they
do not belong together: other weights were copied here, or a save was torn apart by a system that
npbert cannot lock. The fingerprint is no number but the options themselves, so that a reader can
name those that differ. A config.json that was edited by hand differs, too, and that is nobody's
mistake: a difference is a warning, not an error, and options that users edit freely are left out,
such as the names of labels. Checkpoints of others have no fingerprint and differ in nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from npbert.model.config import PreTrainedConfig

KEY = "npbert_config"  # in the metadata

# They decide about training, labels or what a call returns, not about what the weights mean.
FREE = {
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "initializer_range",
    "bos_token_id",
    "eos_token_id",
    "use_cache",
    "chunk_size_feed_forward",
    "output_hidden_states",
    "output_attentions",
    "return_dict",
    "num_labels",
    "id2label",
    "label2id",
    "problem_type",
    "other",
}


def fingerprint(config: PreTrainedConfig) -> dict[str, str]:
    """Return what a config is known by again, as metadata of the weights: text -> text."""
    return {KEY: json.dumps({"model_type": config.model_type, **_telling(config)})}


def differences(
    config: PreTrainedConfig, metadata: Mapping[str, str], changed: Collection[str]
) -> str:
    """Say which options are others than when the weights with this metadata were saved, "" if none.

    changed  options that the caller asked to be others
    """
    try:
        saved = json.loads(metadata.get(KEY, "{}"))
    except ValueError:
        saved = {}
    if not isinstance(saved, dict):
        return ""
    return ", ".join(
        f"{name} is {value!r:.60}, but {saved[name]!r:.60} where the weights were saved"
        for name, value in _telling(config).items()
        if name in saved and name not in changed and saved[name] != value
    )


def _telling(config: PreTrainedConfig) -> dict[str, Any]:
    return {
        option.name: getattr(config, option.name)
        for option in dataclasses.fields(config)
        if option.name not in FREE
    }
