"""The Auto classes: the family is chosen by `model_type` in config.json."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

from npbert.checkpoints.directory import read_json
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.model import config as configs

# model_type: the file of the family, and how the names of its classes begin
FAMILIES = {
    "bert": ("bert", "Bert"),
    "convbert": ("convbert", "ConvBert"),
    "mobilebert": ("mobilebert", "MobileBert"),
    "squeezebert": ("squeezebert", "SqueezeBert"),
}


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
    def from_pretrained(cls, directory: str | Path, **options: Any) -> Any:
        _, prefix = family_of(directory)
        chosen = getattr(configs, f"{prefix}Config")
        return chosen.from_pretrained(checkpoint_directory(directory), **options)


class AutoModel:
    """Loads the model of any known family; arguments and errors as its `from_pretrained`."""

    suffix: ClassVar[str] = "Model"

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> Any:
        family = family_of(directory)
        chosen = cls.class_of(family)
        if chosen is None:
            known = [known[1] for known in FAMILIES.values() if cls.class_of(known)]
            raise ValueError(
                f"{directory}: there is no {family[1]}{cls.suffix}; the families that have one "
                f"are {', '.join(known)}"
            )
        return chosen.from_pretrained(directory, **options)

    @classmethod
    def class_of(cls, family: tuple[str, str]) -> Any:
        """Return the class of a family's model, or None where the family has no such head."""
        file, prefix = family
        return getattr(importlib.import_module(f"npbert.{file}"), prefix + cls.suffix, None)


class AutoModelForMaskedLM(AutoModel):
    """Loads the model that fills in masked words, of any known family."""

    suffix = "ForMaskedLM"


class AutoModelForPreTraining(AutoModel):
    """Loads the model with both heads of pre-training, of BERT or MobileBERT."""

    suffix = "ForPreTraining"

    @classmethod
    def class_of(cls, family: tuple[str, str]) -> Any:
        # As in the reference: SqueezeBERT was trained to fill in masked words, and that is all.
        own = super().class_of(family)
        return AutoModelForMaskedLM.class_of(family) if family[1] == "SqueezeBert" else own


class AutoModelForNextSentencePrediction(AutoModel):
    """Loads the model that says whether a text follows another, of BERT or MobileBERT."""

    suffix = "ForNextSentencePrediction"


class AutoModelForSequenceClassification(AutoModel):
    """Loads the model that classifies texts, of any known family."""

    suffix = "ForSequenceClassification"


class AutoModelForMultipleChoice(AutoModel):
    """Loads the model that chooses between texts, of any known family."""

    suffix = "ForMultipleChoice"


class AutoModelForTokenClassification(AutoModel):
    """Loads the model that classifies tokens, of any known family."""

    suffix = "ForTokenClassification"


class AutoModelForQuestionAnswering(AutoModel):
    """Loads the model that finds an answer in a text, of any known family."""

    suffix = "ForQuestionAnswering"
