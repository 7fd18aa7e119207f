"""The Auto classes: the family is chosen by `model_type` in config.json."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

from npbert import config as configs
from npbert.checkpoint import read_json
from npbert.shipped import checkpoint_directory

# model_type: the file of the family, and how the names of its classes begin
FAMILIES = {"bert": ("bert", "Bert"), "convbert": ("convbert", "ConvBert")}


def family_of(directory: str | Path) -> tuple[str, str]:
    """Return the file and the class prefix of a checkpoint's family, or say which are known."""
    directory = checkpoint_directory(directory)
    values = read_json(directory, configs.FILE)
    model_type = str(values.get("model_type", "")).replace("_", "")  # some say conv_bert
    if model_type not in FAMILIES:
        raise ValueError(
            f"{directory / configs.FILE}: model_type is {values.get('model_type')!r}, "
            f"expected one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]


class AutoConfig:
    """Reads the configuration of any known family."""

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> Any:
        _, prefix = family_of(directory)
        chosen = getattr(configs, f"{prefix}Config")
        return chosen.from_pretrained(checkpoint_directory(directory))


class AutoModel:
    """Loads the model of any known family; arguments and errors as its `from_pretrained`."""

    suffix: ClassVar[str] = "Model"

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> Any:
        file, prefix = family_of(directory)
        chosen = getattr(importlib.import_module(f"npbert.{file}"), prefix + cls.suffix)
        return chosen.from_pretrained(directory, **options)


class AutoModelForMaskedLM(AutoModel):
    """Loads the masked language model of any known family."""

    suffix = "ForMaskedLM"
