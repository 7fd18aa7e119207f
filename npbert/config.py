"""The configurations: one dataclass a family, with the keys and defaults of config.json."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from npbert.activations import ACTIVATIONS
from npbert.checkpoint import read_json, write_json
from npbert.shipped import checkpoint_directory

FILE = "config.json"


@dataclass(kw_only=True)
class PreTrainedConfig:
    """What the configurations of all families have in common.

    A key that no field takes (`transformers_version`, say) is kept in `other` and saved again.
    Values of the wrong type and combinations that no model can have raise ValueError.
    """

    model_type: ClassVar[str] = ""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1  # the dropouts act in training only: kept, never used
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    chunk_size_feed_forward: int = 0  # saves memory in the reference; the result is the same
    output_hidden_states: bool = False
    output_attentions: bool = False
    return_dict: bool = True
    other: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            self._check_type(option.name, str(option.type))
        self.require_range("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                           "intermediate_size", "max_position_embeddings", "type_vocab_size",
                           low=1)  # fmt: skip
        self.require_range("initializer_range", "layer_norm_eps", low=0)
        self.require_range(
            "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
            low=0, high=1,
        )  # fmt: skip
        # The reference makes the row of this id in the embeddings; -1 is the last one.
        self.require_range("pad_token_id", low=-self.vocab_size, high=self.vocab_size - 1)
        self.require(
            self.hidden_act in ACTIVATIONS,
            f"hidden_act is {self.hidden_act!r}, expected one of {', '.join(sorted(ACTIVATIONS))}",
        )
        self.require(
            not self.is_decoder and not self.add_cross_attention,
            "is_decoder and add_cross_attention must be False: npbert has encoders only",
        )

    def _check_type(self, name: str, declared: str) -> None:
        value = getattr(self, name)
        kinds: dict[str, Any] = {"int": int, "str": str, "bool": bool, "None": type(None),
                                 "float": (int, float), "list[int]": list,
                                 "dict[str, Any]": dict}  # fmt: skip
        options = [option.strip() for option in declared.split("|")]
        fits = any(isinstance(value, kinds[option]) for option in options)
        if isinstance(value, bool) and "bool" not in options:  # bool is an int in Python
            fits = False
        self.require(fits, f"{name} is {value!r}, expected {declared}")

    def require_range(self, *names: str, low: float, high: float = math.inf) -> None:
        """Raise a ValueError unless these options are finite and from low to high, or None."""
        expected = f">= {low}" if high == math.inf else f"{low} to {high}"
        for name in names:
            value = getattr(self, name)
            fits = value is None or (low <= value <= high and value < math.inf)
            self.require(fits, f"{name} is {value}, expected {expected}")

    def require(self, condition: bool, otherwise: str) -> None:
        """Raise a ValueError that names the configuration unless `condition` holds."""
        if not condition:
            raise ValueError(f"{type(self).__name__}: {otherwise}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreTrainedConfig:
        """Make a configuration from the contents of a config.json; unknown keys go to `other`."""
        names = {option.name for option in dataclasses.fields(cls)} - {"other"}
        known = {name: value for name, value in values.items() if name in names}
        other = {n: v for n, v in values.items() if n not in names and n != "model_type"}
        return cls(**known, other=other)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> PreTrainedConfig:
        """Read config.json from a checkpoint directory, or from a checkpoint that npbert ships.

        Raises FileNotFoundError where it is missing, ValueError where it is not JSON, belongs to
        another family, or describes a model that cannot be.
        """
        directory = checkpoint_directory(directory)
        values = read_json(directory, FILE)
        found = values.get("model_type", cls.model_type)
        if str(found).replace("_", "") != cls.model_type:  # some say conv_bert
            where = directory / FILE
            raise ValueError(f"{where}: model_type is {found!r}, expected {cls.model_type!r}")
        try:
            return cls.from_dict(values)
        except ValueError as error:
            raise ValueError(f"{directory / FILE}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return what config.json holds: `model_type`, all options, the keys in `other`."""
        options = {o.name: getattr(self, o.name) for o in dataclasses.fields(self)}
        other = options.pop("other")
        return {**other, "model_type": self.model_type, **options}

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json into a directory, which is made where it does not exist."""
        write_json(Path(directory), FILE, self.to_dict())


@dataclass(kw_only=True)
class BertConfig(PreTrainedConfig):
    """The options of BERT (Devlin et al. 2019); the defaults are those of bert-base-uncased."""

    model_type: ClassVar[str] = "bert"

    use_cache: bool = True  # for decoders: kept, never used

    def __post_init__(self) -> None:
        super().__post_init__()
        D, H = self.hidden_size, self.num_attention_heads
        self.require(D % H == 0, f"hidden_size {D} is not a multiple of num_attention_heads {H}")


@dataclass(kw_only=True)
class ConvBertConfig(PreTrainedConfig):
    """The options of ConvBERT (Jiang et al. 2020); the defaults are those of conv-bert-base.

    embedding_size: width of the embeddings; where it is not hidden_size, a linear map follows them.
    head_ratio: num_attention_heads is divided by it; the heads that remain keep their width, and
        the convolution takes the place of the others (γ, section 3.3).
    conv_kernel_size: how many neighbouring tokens the convolution spans, an odd number.
    num_groups: groups of the grouped linear maps in the feed-forward network (section 3.3).
    """

    model_type: ClassVar[str] = "convbert"

    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    embedding_size: int = 768
    head_ratio: int = 2
    conv_kernel_size: int = 9
    num_groups: int = 1

    @property
    def heads(self) -> int:
        """How many attention heads there are, and as many convolution heads."""
        return max(1, self.num_attention_heads // self.head_ratio)

    @property
    def mixed_size(self) -> int:
        """The channels of all attention heads together, half of hidden_size."""
        return self.heads * (self.hidden_size // self.heads // 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_range("embedding_size", "head_ratio", "conv_kernel_size", "num_groups", low=1)
        D, K, G = self.hidden_size, self.conv_kernel_size, self.num_groups
        # The reference fails on an even kernel: its windows come out one token too many.
        self.require(K % 2 == 1, f"conv_kernel_size is {K}, expected an odd number")
        self.require(
            2 * self.mixed_size == D,
            f"hidden_size {D} does not divide into two equal halves of {self.heads} heads "
            f"(num_attention_heads {self.num_attention_heads} // head_ratio {self.head_ratio})",
        )
        for name in ("hidden_size", "intermediate_size"):
            size = getattr(self, name)
            self.require(size % G == 0, f"{name} {size} is not a multiple of num_groups {G}")
