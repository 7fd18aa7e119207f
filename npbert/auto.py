"""The family and the class of a checkpoint: what its config.json says, and the Auto classes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from npbert import bert, convbert, mobilebert, squeezebert
from npbert.checkpoints.directory import read_json
from npbert.checkpoints.files import short
from npbert.checkpoints.hub_files import CONFIG, MODEL
from npbert.checkpoints.saving import reading
from npbert.checkpoints.shipped import checkpoint_directory, hub_options
from npbert.model import config as configs
from npbert.model.base import PreTrainedModel

# model_type: the file of the family, and how the names of its classes begin
FAMILIES: dict[str, tuple[ModuleType, str]] = {
    "bert": (bert, "Bert"),
    "convbert": (convbert, "ConvBert"),
    "mobilebert": (mobilebert, "MobileBert"),
    "squeezebert": (squeezebert, "SqueezeBert"),
}


def family_of(directory: str | Path) -> tuple[ModuleType, str]:
    """Return the file and the class prefix of a checkpoint's family, or say which are known."""
    directory = checkpoint_directory(directory, (CONFIG,))
    values = read_json(directory, configs.FILE)
    model_type = str(values.get("model_type", "")).replace("_", "")  # some say conv_bert
    if model_type not in FAMILIES:
        raise ValueError(
            f"{directory / configs.FILE}: model_type is {short.repr(values.get('model_type'))}, "
            f"expected one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]


def model_classes(family: tuple[ModuleType, str]) -> dict[str, type[PreTrainedModel]]:
    """Return the model classes of a family: "Model", "ForMaskedLM", ... -> class."""
    module, prefix = family
    heads = {name.removeprefix(prefix): cls for name, cls in vars(module).items()
             if name.startswith(prefix)}  # fmt: skip
    return {
        head: cls
        for head, cls in heads.items()
        if isinstance(cls, type)
        and issubclass(cls, PreTrainedModel)
        and (head == "Model" or head.startswith("For"))
    }


def class_for(directory: str | Path, head: str | None = None) -> type[PreTrainedModel]:
    """Return the class of a checkpoint's family that has a head.

    head: "ForMaskedLM", "Model", ... or a whole class name; by default the class that config.json
    names (`architectures`) where npbert has it, else the bare model. Raises ValueError for a head
    that the family does not have.
    """
    classes = model_classes(family_of(directory))
    by_name = {cls.__name__: cls for cls in classes.values()} | classes
    if head is None:
        return by_name.get(architecture_of(directory), classes["Model"])
    if head not in by_name:
        raise ValueError(f"head is {head!r}, expected one of {', '.join(classes)}")
    return by_name[head]


def architecture_of(directory: str | Path) -> str:
    """Return the class name that config.json gives first, "" for none."""
    names = read_json(checkpoint_directory(directory, (CONFIG,)), configs.FILE).get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def class_named(name: str) -> type[PreTrainedModel] | None:
    """Return the model class of that name, of whatever family, or None."""
    for family in FAMILIES.values():
        for cls in model_classes(family).values():
            if cls.__name__ == name:
                return cls
    return None


def family_ties(directory: str | Path) -> dict[str, str]:
    """Return which tensors any class of a checkpoint's family takes from another one: name -> name.

    Raises ValueError for a family that npbert does not have, and a config that is no model's.
    """
    ties: dict[str, str] = {}
    for cls in model_classes(family_of(directory)).values():
        ties |= cls.tied(cls.config_class.from_pretrained(directory))
    return ties


class AutoConfig:
    """Reads the configuration of any known family."""

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> Any:
        directory = checkpoint_directory(directory, (CONFIG,), **hub_options(options))
        with reading(directory):
            _, prefix = family_of(directory)
            chosen = getattr(configs, f"{prefix}Config")
            return chosen.from_pretrained(directory, **options)


class AutoModel:
    """Loads the model of any known family; arguments and errors as its `from_pretrained`."""

    suffix: ClassVar[str] = "Model"

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> Any:
        found = checkpoint_directory(directory, MODEL, **hub_options(options))
        with reading(found):
            family = family_of(found)
            chosen = cls.class_of(family)
            if chosen is None:
                known = [known[1] for known in FAMILIES.values() if cls.class_of(known)]
                raise ValueError(
                    f"{directory}: there is no {family[1]}{cls.suffix}; the families that have one "
                    f"are {', '.join(known)}"
                )
            return chosen.from_pretrained(found, **options)

    @classmethod
    def class_of(cls, family: tuple[ModuleType, str]) -> Any:
        """Return the class of a family's model, or None where the family has no such head."""
        return model_classes(family).get(cls.suffix)


class AutoModelForMaskedLM(AutoModel):
    """Loads the model that fills in masked words, of any known family."""

    suffix = "ForMaskedLM"


class AutoModelForPreTraining(AutoModel):
    """Loads the model with both heads of pre-training, of BERT or MobileBERT."""

    suffix = "ForPreTraining"

    @classmethod
    def class_of(cls, family: tuple[ModuleType, str]) -> Any:
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
