"""The configurations: one dataclass a family, with the keys and defaults of config.json."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from npbert.activations import ACTIVATIONS
from npbert.checkpoints.directory import read_json, write_json
from npbert.checkpoints.files import short
from npbert.checkpoints.hub_files import CONFIG
from npbert.checkpoints.saving import saving
from npbert.checkpoints.shipped import checkpoint_directory, hub_options

FILE = "config.json"
# What a config.json of a few bytes can ask for; far above what any model has.
MAX_LAYERS = 10_000  # feed-forward networks count like layers
MAX_UNNAMED_LABELS = 100_000  # of num_labels alone; with names in id2label the file is as large
MAX_WHOLE = 2**63 - 1
MAX_LABEL = 2**20 - 1
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


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
    num_labels: Any = None  # an int; None: as many as id2label has, or else 2
    id2label: dict[int, str] | None = None
    label2id: dict[str, int] | None = None
    problem_type: str | None = None
    other: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            self._check_type(option.name, str(option.type))
        self.require_range("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size",
                           "max_position_embeddings", "type_vocab_size", low=1)  # fmt: skip
        self.require_range("num_hidden_layers", low=0, high=MAX_LAYERS)
        self.require_range("initializer_range", "layer_norm_eps", low=0)
        self.require_range(
            "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
            low=0, high=1,
        )  # fmt: skip
        # The reference makes the row of this id in the embeddings; -1 is the last one.
        self.require_range("pad_token_id", low=-self.vocab_size, high=self.vocab_size - 1)
        self.require(
            self.hidden_act in ACTIVATIONS,
            f"hidden_act is {short.repr(self.hidden_act)}, expected one of "
            f"{', '.join(sorted(ACTIVATIONS))}",
        )
        for name in ("is_decoder", "add_cross_attention"):
            self.require(
                not getattr(self, name),
                f"{name} is True, but npbert has encoders only; the reference would hide from each "
                "token those that follow it (a causal mask). For the answers of the encoder, in "
                f"which every token sees all, set {name} to false",
            )
        kind = self.other.get("position_embedding_type")
        found = f"position_embedding_type is {short.repr(kind)}"
        self.require(kind is None or isinstance(kind, str), f"{found}, expected str | None")
        self._settle_labels()

    def _settle_labels(self) -> None:
        """Make num_labels, id2label and label2id agree."""
        whole = self.num_labels is None or type(self.num_labels) is int
        self.require(whole, f"num_labels is {short.repr(self.num_labels)}, expected int | None")
        self.require_range("num_labels", low=1)
        if self.id2label is None:
            self.require_range("num_labels", low=1, high=MAX_UNNAMED_LABELS)
            self.id2label = _plain_labels(self.num_labels or 2)
        try:  # in JSON every key is text
            numbers = [int(number) for number in self.id2label]
        except (TypeError, ValueError):
            keys = short.repr([*self.id2label])
            self.require(False, f"id2label has keys {keys}, expected whole numbers")
        for number in numbers:  # of any numbers one could choose those that make a table hang
            fits = 0 <= number <= MAX_LABEL
            found = short.repr(number)
            self.require(fits, f"id2label has the key {found}, expected 0 to {MAX_LABEL}")
        self.id2label = dict(zip(numbers, self.id2label.values()))
        count = len(self.id2label)
        self.require(count > 0, "id2label is empty")
        self.require(
            self.num_labels in (None, count),
            f"num_labels is {self.num_labels}, but id2label has {count} labels",
        )
        self.num_labels = count
        if self.label2id is None:
            self.label2id = {label: number for number, label in self.id2label.items()}
        self.require(
            self.problem_type in (None, *PROBLEM_TYPES),
            f"problem_type is {short.repr(self.problem_type)}, expected None or one of "
            f"{', '.join(PROBLEM_TYPES)}",
        )
        self.require(
            not (self.problem_type == "single_label_classification" and count == 1),
            "problem_type single_label_classification needs num_labels > 1; for a yes or no take "
            "num_labels 2, for a number problem_type regression",
        )

    def _check_type(self, name: str, declared: str) -> None:
        value = getattr(self, name)
        kinds: dict[str, Any] = {"int": int, "str": str, "bool": bool, "None": type(None),
                                 "float": (int, float), "list[int]": list, "Any": object,
                                 "dict[str, Any]": dict, "dict[int, str]": dict,
                                 "dict[str, int]": dict}  # fmt: skip
        options = [option.strip() for option in declared.split("|")]
        fits = any(isinstance(value, kinds[option]) for option in options)
        if isinstance(value, bool) and not {"bool", "Any"} & {*options}:  # bool is an int in Python
            fits = False
        self.require(fits, f"{name} is {short.repr(value)}, expected {declared}")
        if isinstance(value, int):
            where = f"expected at most {MAX_WHOLE} and at least {-MAX_WHOLE}"
            self.require(abs(value) <= MAX_WHOLE, f"{name} is {short.repr(value)}, {where}")
        parts: list[Any] = value if isinstance(value, list) else []
        if isinstance(value, dict) and name != "other":
            parts = [*value.values()]
        of_text = "dict[int, str]" in options
        for part in parts:
            fits = isinstance(part, str) if of_text else type(part) is int
            expected = "texts" if of_text else "whole numbers"
            self.require(fits, f"{name} holds {short.repr(part)}, expected {expected}")

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

    def require_two_labels(self, head: str) -> None:
        """Raise a ValueError unless there are two labels, which some heads cannot do without."""
        self.require(
            self.num_labels == 2, f"num_labels is {self.num_labels}, expected 2 for {head}"
        )

    @property
    def heads(self) -> int:
        """How many attention heads there are."""
        return self.num_attention_heads

    @classmethod
    def option_names(cls) -> set[str]:
        """Return the names of all options."""
        return {option.name for option in dataclasses.fields(cls)} - {"other"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreTrainedConfig:
        """Make a configuration from the contents of a config.json; unknown keys go to `other`."""
        names = cls.option_names()
        known = {name: value for name, value in values.items() if name in names}
        other = {n: v for n, v in values.items() if n not in names and n != "model_type"}
        return cls(**known, other=other)

    @classmethod
    def from_pretrained(cls, directory: str | Path, **options: Any) -> PreTrainedConfig:
        """Read config.json of a checkpoint: a directory, a shipped one, or one of the Hub.

        `options` override what is written there; another num_labels discards the label names. Among
        them may be those of the Hub (revision, cache_dir, token, local_files_only).
        Raises FileNotFoundError where it is missing, ValueError where it is not JSON, belongs to
        another family, or describes a model that cannot be, TypeError for an unknown option.
        """
        directory = checkpoint_directory(directory, (CONFIG,), **hub_options(options))
        values = read_json(directory, FILE)
        found = values.get("model_type", cls.model_type)
        if str(found).replace("_", "") != cls.model_type:  # some say conv_bert
            where = directory / FILE
            given = short.repr(found)
            raise ValueError(f"{where}: model_type is {given}, expected {cls.model_type!r}")
        unknown = options.keys() - cls.option_names()
        if unknown:
            raise TypeError(f"{cls.__name__} has no option {', '.join(sorted(unknown))}")
        names = values.get("id2label")
        count = len(names) if isinstance(names, dict) else 0
        if options.get("num_labels") not in (None, count):
            values = {n: v for n, v in values.items() if n not in ("id2label", "label2id")}
        try:
            return cls.from_dict({**values, **options})
        except ValueError as error:
            raise ValueError(f"{directory / FILE}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return what config.json holds: `model_type`, all options, the keys in `other`.

        As in the reference two labels without names of their own go without saying, and so does
        a problem_type that is not set.
        """
        options = {o.name: getattr(self, o.name) for o in dataclasses.fields(self)}
        other = options.pop("other")
        del options["num_labels"]  # as many as there are labels
        plain = _plain_labels(2)
        if (self.id2label, self.label2id) == (plain, {label: i for i, label in plain.items()}):
            del options["id2label"], options["label2id"]
        if self.problem_type is None:
            del options["problem_type"]
        return {**other, "model_type": self.model_type, **options}

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json into a directory, which is made where it does not exist."""
        with saving(directory) as new:
            write_json(new, FILE, self.to_dict())


def _plain_labels(count: int) -> dict[int, str]:
    return {i: f"LABEL_{i}" for i in range(count)}


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
    summary_type, summary_use_proj, summary_activation, summary_proj_to_labels: how the head for
        multiple choice sums up a text: the "last", "first" or "mean" token ("cls_index" is the
        last one, too), then a linear map, then an activation.
    """

    model_type: ClassVar[str] = "convbert"

    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    embedding_size: int = 768
    head_ratio: int = 2
    conv_kernel_size: int = 9
    num_groups: int = 1
    summary_type: str = "last"
    summary_use_proj: bool = False
    summary_activation: str | None = None
    summary_proj_to_labels: bool = False

    @property
    def heads(self) -> int:
        """How many attention heads there are, and as many heads of the convolution."""
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
        kinds = ("last", "first", "mean", "cls_index")
        self.require(
            self.summary_type in kinds,
            f"summary_type is {short.repr(self.summary_type)}, expected one of {', '.join(kinds)}",
        )
        self.require(
            not self.summary_activation or self.summary_activation in ACTIVATIONS,
            f"summary_activation is {short.repr(self.summary_activation)}, expected None or one of "
            f"{', '.join(sorted(ACTIVATIONS))}",
        )


@dataclass(kw_only=True)
class MobileBertConfig(PreTrainedConfig):
    """The options of MobileBERT (Sun et al. 2020); the defaults are those of mobilebert-uncased.

    embedding_size: width of the word embeddings, which a linear map widens to hidden_size.
    trigram_input: that map also sees the tokens before and after (section 3.4).
    use_bottleneck, intra_bottleneck_size: layers work in that width inside, not in hidden_size
        (section 3.1).
    use_bottleneck_attention: attention reads the bottleneck alone; without it, value reads the full
        width, and query and key a bottleneck of their own (key_query_shared_bottleneck).
    num_feedforward_networks: how many feed-forward networks follow attention (section 3.2).
    normalization_type: "no_norm", which only scales and shifts (section 3.3), or "layer_norm".
    classifier_activation: the pooler has a linear map and tanh; without it, it has nothing.
    """

    model_type: ClassVar[str] = "mobilebert"

    # Options that the reference does not know in this family: in a config.json they go to `other`.
    bos_token_id: ClassVar[None] = None  # type: ignore[misc]
    eos_token_id: ClassVar[None] = None  # type: ignore[misc]
    is_decoder: ClassVar[bool] = False  # type: ignore[misc]
    add_cross_attention: ClassVar[bool] = False  # type: ignore[misc]

    hidden_size: int = 512
    num_hidden_layers: int = 24
    num_attention_heads: int = 4
    intermediate_size: int = 512
    hidden_act: str = "relu"
    hidden_dropout_prob: float = 0.0
    embedding_size: int = 128
    trigram_input: bool = True
    use_bottleneck: bool = True
    intra_bottleneck_size: int = 128
    use_bottleneck_attention: bool = False
    key_query_shared_bottleneck: bool = True
    num_feedforward_networks: int = 4
    normalization_type: str = "no_norm"
    classifier_activation: bool = True

    @property
    def true_hidden_size(self) -> int:
        """The width inside a layer."""
        return self.intra_bottleneck_size if self.use_bottleneck else self.hidden_size

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_range(
            "embedding_size", "intra_bottleneck_size", "num_feedforward_networks", low=1
        )
        networks = self.num_hidden_layers * self.num_feedforward_networks
        self.require(
            networks <= MAX_LAYERS,
            f"num_hidden_layers times num_feedforward_networks is {networks}, "
            f"expected at most {MAX_LAYERS}",
        )
        D, C, H = self.hidden_size, self.true_hidden_size, self.num_attention_heads
        name = "intra_bottleneck_size" if self.use_bottleneck else "hidden_size"
        self.require(C % H == 0, f"{name} {C} is not a multiple of num_attention_heads {H}")
        kinds = ("no_norm", "layer_norm")
        self.require(
            self.normalization_type in kinds,
            f"normalization_type is {short.repr(self.normalization_type)}, expected one of "
            f"{', '.join(kinds)}",
        )
        # Query and key are then given what is hidden_size wide, and are intra_bottleneck_size wide.
        self.require(
            self.key_query_shared_bottleneck or self.use_bottleneck_attention or C == D,
            f"without key_query_shared_bottleneck and use_bottleneck_attention, "
            f"intra_bottleneck_size {C} must be hidden_size {D}",
        )
        # The reference writes it into config.json, and would believe it before its own rule.
        saved = self.other.get("true_hidden_size", C)
        self.require(saved == C, f"true_hidden_size is {short.repr(saved)}, but {name} is {C}")


@dataclass(kw_only=True)
class SqueezeBertConfig(PreTrainedConfig):
    """The options of SqueezeBERT (Iandola et al. 2020); the defaults: squeezebert-uncased.

    embedding_size: must be hidden_size; nothing stands between the embeddings and the first layer.
    q_groups, k_groups, v_groups, post_attention_groups, intermediate_groups, output_groups: groups
        of channels in the convolutions of every layer, in their order.
    """

    model_type: ClassVar[str] = "squeezebert"

    # Options that the reference does not know in this family: in a config.json they go to `other`.
    classifier_dropout: ClassVar[None] = None  # type: ignore[misc]
    is_decoder: ClassVar[bool] = False  # type: ignore[misc]
    add_cross_attention: ClassVar[bool] = False  # type: ignore[misc]

    embedding_size: int = 768
    q_groups: int = 4
    k_groups: int = 4
    v_groups: int = 4
    post_attention_groups: int = 1
    intermediate_groups: int = 4
    output_groups: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        D, H, E = self.hidden_size, self.num_attention_heads, self.embedding_size
        self.require(D % H == 0, f"hidden_size {D} is not a multiple of num_attention_heads {H}")
        self.require(
            E == D,
            f"embedding_size {E} is not hidden_size {D}, and there is no map between the two",
        )
        attention = ("q_groups", "k_groups", "v_groups", "post_attention_groups")
        feed_forward = ("intermediate_groups", "output_groups")
        self.require_range(*attention, *feed_forward, low=1)
        for name in (*attention, *feed_forward):
            sizes = ("hidden_size",) if name in attention else ("hidden_size", "intermediate_size")
            groups = getattr(self, name)
            for size in sizes:
                width = getattr(self, size)
                self.require(
                    width % groups == 0, f"{size} {width} is not a multiple of {name} {groups}"
                )
