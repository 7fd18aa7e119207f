"""What the model classes of all families share: parameters, loading, saving, calling.

A family's file has the mathematics, as pure functions. A model class adds a configuration and
parameters: it checks the inputs once, runs the family's encoder, applies the head, computes the
loss. What each kind of head is called with and returns is in heads.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from npbert.checkpoints.directory import (
    read_weights,
    weights_metadata,
    write_json,
    write_weights,
)
from npbert.checkpoints.files import short, shown, warn
from npbert.checkpoints.hub_files import MODEL
from npbert.checkpoints.saving import reading, saving
from npbert.checkpoints.shipped import checkpoint_directory, hub_options
from npbert.compiled import backend
from npbert.compiled.texts import Keep
from npbert.model import params, together
from npbert.model.config import FILE, PreTrainedConfig
from npbert.model.fingerprint import differences, fingerprint
from npbert.model.inputs import Inputs, check_inputs
from npbert.model.outputs import BaseModelOutput, ModelOutput
from npbert.model.params import Shapes

Model = TypeVar("Model", bound="PreTrainedModel")
MAX_LISTED = 30  # names of tensors in a warning; no head has more


class PreTrainedModel:
    """A configuration and its parameters; subclasses make it callable.

    config: what the model is built from. params: the parameter tree. dtype: float32 or float64.
    newly_initialized: names of head tensors that a checkpoint did not have, random until trained.
    """

    config_class: ClassVar[type[PreTrainedConfig]]
    base_model_prefix: ClassVar[str]
    add_pooling_layer: ClassVar[bool] = False  # whether the head reads the pooler
    tied_weights: ClassVar[dict[str, str]] = {}  # tensors that are another one, unless untied
    # Without layers the reference has no hidden states; that of SqueezeBERT has the embeddings.
    keeps_embeddings_alone: ClassVar[bool] = False
    # What each field of the output is made of, where a field is made of no more than each token by
    # itself (together.TOKENS) or of the first token of each text (together.FIRST); empty for a head
    # that sees more of a text.
    made_of: ClassVar[dict[str, str]] = {}
    # What check_labels is given for a call without labels.
    no_labels: ClassVar[dict[str, Any]] = {"labels": None}

    def __init__(
        self, config: PreTrainedConfig, seed: int = 0, dtype: Any = np.float32, **options: Any
    ):
        self._check_config(config)
        dtype = float_dtype(dtype)
        shapes = self.parameter_shapes(config, **options)
        tensors = params.random_tensors(shapes, config.initializer_range, seed)
        self._fill(config, tensors, dtype, [], options)

    def _fill(
        self,
        config: PreTrainedConfig,
        tensors: dict[str, np.ndarray],
        dtype: np.dtype,
        new: list[str],
        options: dict[str, Any],
    ) -> None:
        tensors = {name: a.astype(dtype, copy=False) for name, a in tensors.items()}
        for name, source in self.tied(config).items():
            tensors.setdefault(name, tensors[source])
        self.config = config
        self.options = options  # what else the model was built with (`add_pooling_layer`)
        self.dtype = dtype
        self.params = params.tree(tensors)
        self.newly_initialized = new
        self.name_or_path: Path | None = None  # where it was loaded from

    # ---- what a family and a head say about themselves ----

    @staticmethod
    def encoder(inputs: Inputs, p: Any, config: Any) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield the embeddings, then the output of each layer, [B, T, D], each with its attention.

        The family's function of that name; p is the node that holds the encoder's parameters.
        """
        raise NotImplementedError

    @staticmethod
    def encoder_shapes(config: Any, add_pooling_layer: bool) -> dict[str, Any]:
        """Return the nested table of the shapes of the encoder's parameters."""
        raise NotImplementedError

    @classmethod
    def head_shapes(cls, config: Any) -> dict[str, Any]:
        """Return the nested table of the shapes of the head's parameters; each entry is a part."""
        return {}

    @classmethod
    def parameter_shapes(cls, config: Any) -> Shapes:
        """Return the name and shape of every tensor that a checkpoint must hold."""
        encoder = cls.encoder_shapes(config, cls.add_pooling_layer)
        return params.flat_shapes({cls.base_model_prefix: encoder, **cls.head_shapes(config)})

    @classmethod
    def optional(cls, config: Any) -> tuple[str, ...]:
        """Return the prefixes of the parts that a checkpoint may lack: the head's and the pooler.

        Each is missing as a whole or not at all.
        """
        return f"{cls.base_model_prefix}.pooler.", *(f"{part}." for part in cls.head_shapes(config))

    @classmethod
    def tied(cls, config: Any) -> dict[str, str]:
        """Return which tensors are another tensor, stored once: name -> name."""
        return cls.tied_weights if config.tie_word_embeddings else {}

    @property
    def encoder_params(self) -> Any:
        """The node of the parameter tree that holds the encoder."""
        return getattr(self.params, self.base_model_prefix)

    # ---- loading and saving ----

    @classmethod
    def _check_config(cls, config: PreTrainedConfig) -> None:
        if not isinstance(config, cls.config_class):
            wanted = cls.config_class.__name__
            raise ValueError(f"{cls.__name__} takes a {wanted}, {type(config).__name__} given")

    @classmethod
    def from_pretrained(
        cls: type[Model],
        directory: str | Path,
        dtype: Any = np.float32,
        seed: int = 0,
        **options: Any,
    ) -> Model:
        """Load a checkpoint: a directory, or a shipped one or one of the Hub by its name.

        A head that the checkpoint lacks as a whole is initialised from `seed`, with one warning
        that names its tensors. Another warning names tensors that no head of the family uses.
        `options` are those of the config (num_labels=3), which override config.json, those of
        the class (add_pooling_layer=False), and those of the Hub (revision, cache_dir, token,
        local_files_only).
        Raises FileNotFoundError for a missing directory or file, ValueError for a damaged file, and
        one ValueError for all tensors that are missing or have another shape than the config asks;
        for a name on the Hub what `hub_directory` raises.
        """
        dtype = float_dtype(dtype)
        directory = checkpoint_directory(directory, MODEL, **hub_options(options))
        of_config = options.keys() & cls.config_class.option_names()
        changes = {name: options.pop(name) for name in of_config}
        config, tensors, differing = cls._read(directory, changes)
        shapes = cls.parameter_shapes(config, **options)
        ties = cls.tied(config)
        _check_positions(config, tensors, directory)
        names = shapes | dict.fromkeys(ties)
        tensors = params.fit_prefix(tensors, names, cls.base_model_prefix)
        for name, source in ties.items():
            if name not in tensors:
                continue
            if source not in tensors:
                tensors[source] = tensors.pop(name)
            elif np.array_equal(tensors[name], tensors[source]):
                del tensors[name]
            else:  # then both count, as in the reference: the config is wrong, not the weights
                shapes = {**shapes, name: shapes[source]}
        missing, unexpected = params.match(tensors, shapes, cls.optional(config), str(directory))
        if differing:
            warn(f"{directory / FILE}: {differing}: changed by hand, or that of other weights")
        if unexpected:
            # What belongs to another head needs no word: the class was chosen without it.
            known = _known_tensors(cls, config)
            spellings = {name: (name, f"{cls.base_model_prefix}.{name}") for name in unexpected}
            unknown = [name for name in unexpected if known.isdisjoint(spellings[name])]
            if unknown:
                warn(f"{directory}: {cls.__name__} does not use {_listed(unknown)}")
            tensors = {name: array for name, array in tensors.items() if name in shapes}
        if missing:
            warn(
                f"{directory}: the checkpoint lacks {_listed(missing)}; {cls.__name__} initialised "
                "them randomly, and they need training"
            )
            absent = {name: shapes[name] for name in missing}
            tensors |= params.random_tensors(absent, config.initializer_range, seed)
        # In the order of a forward pass, not of the file: the tree is printed in that order.
        tensors = {name: tensors[name] for name in (*shapes, *ties) if name in tensors}
        model = cls.__new__(cls)
        model._fill(config, tensors, dtype, missing, options)
        model.name_or_path = directory
        return model

    @classmethod
    def _read(
        cls, directory: Path, changes: dict[str, Any]
    ) -> tuple[PreTrainedConfig, dict[str, np.ndarray], str]:
        """Read the config, with `changes`, the weights, and in what they differ (fingerprint.py).

        While the files are opened no save of npbert's can change them. Where locks do not hold (on
        Windows, say) both may have been replaced in the meantime, and so are read once more.
        """
        for _ in range(2):
            with reading(directory):
                config = cls.config_class.from_pretrained(directory, **changes)
                tensors = read_weights(directory)
                found = differences(config, weights_metadata(directory), changes.keys())
            if not found:
                break
        return config, tensors, found

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors into a directory, made where it is missing.

        The two change together, whatever happens: checkpoints/saving.py says how. The weights name
        the options that they were saved with, so that another config beside them is noticed.
        """
        about = {"architectures": [type(self).__name__], "dtype": str(self.dtype)}
        config = dataclasses.replace(self.config, other={**self.config.other, **about})
        tensors = self.state_dict()
        for name, source in self.tied(self.config).items():
            if tensors[name] is tensors[source]:
                del tensors[name]
        with saving(directory) as new:
            write_json(new, FILE, config.to_dict())
            write_weights(new, tensors, fingerprint(config))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return every tensor under its checkpoint name, tied ones included."""
        return dict(params.flatten(self.params))

    def __repr__(self) -> str:
        """Draw the tree of modules with the shapes of their parameters, as torch prints modules."""
        first, *lines = params.render(self.params, "", "")
        count = f"{self.num_parameters():,} parameters, {self.dtype}"
        return "\n".join([f"{type(self).__name__}{first}  # {count}", *lines])

    def num_parameters(self) -> int:
        """Return how many numbers the model has learnt; a tied tensor counts once."""
        arrays = {id(array): array for array in self.state_dict().values()}
        return sum(array.size for array in arrays.values())

    # ---- calling ----

    def check(self, *entries: Any, **named_entries: Any) -> Inputs:
        """Check what the model was called with, before any work: the arguments of check_inputs."""
        return check_inputs(self.config, self.dtype, *entries, **named_entries)

    def answer(
        self,
        entries: tuple[Any, ...],
        labels: dict[str, Any],
        output_attentions: bool | None,
        output_hidden_states: bool | None,
        return_dict: bool | None,
    ) -> Any:
        """Check the inputs (`entries`) and labels, run the encoder, then what the head adds.

        This is what the calls of all kinds of heads have in common.
        """
        inputs = self.check(*entries)
        checked = self.check_labels(inputs.shape, labels)
        with backend.using(backend.get_backend()):  # one pass, one backend
            encoded = self.encode(inputs, output_attentions, output_hidden_states)
            output = self.finish(encoded, checked)
        return output if self._either(return_dict, "return_dict") else output.to_tuple()

    def encode_texts(
        self, rows: Sequence[Any], batch_tokens: int = together.BATCH_TOKENS
    ) -> list[Any]:
        """Run texts of any lengths together, without padding, and return the output of each.

        rows: for each text its ids, a list of T numbers, or what a tokenizer gives for one text, a
        dictionary with input_ids and perhaps token_type_ids. batch_tokens: about how many tokens
        are run together. The output of a text is that of a call with this text alone,
        `model([ids])`: no text sees another, nor any padding, which would change the answers of
        ConvBERT and MobileBERT. (A head for multiple choice scores each text by itself, [1, 1].)
        Raises ValueError, before any work, for a row that does not fit the model.
        """
        outputs = dict(together.run(self, rows, batch_tokens))
        return [outputs[i] for i in range(len(outputs))]

    def check_labels(self, shape: tuple[int, int], labels: dict[str, Any]) -> Any:
        """Return what `finish` needs of the labels for texts of `shape` [B, T].

        Raises ValueError for labels that do not fit.
        """
        return None

    def finish(self, encoded: BaseModelOutput, labels: Any) -> ModelOutput:
        """Make the model's output from the encoder's."""
        raise NotImplementedError

    def encode(
        self, inputs: Inputs, output_attentions: bool | None, output_hidden_states: bool | None
    ) -> BaseModelOutput:
        """Run the encoder and keep what was asked for; None leaves that to the config."""
        keep_attentions = self._either(output_attentions, "output_attentions")
        keep_states = self._either(output_hidden_states, "output_hidden_states")
        states, attentions = [], []
        inputs.keep = Keep(keep_states, keep_attentions)
        steps = self.encoder(inputs, self.encoder_params, self.config)
        for last_hidden_state, attention in steps:
            if keep_states:
                states.append(last_hidden_state)
            if keep_attentions and attention is not None:
                attentions.append(attention)
        if self.config.num_hidden_layers == 0 and not self.keeps_embeddings_alone:
            states = []
        return BaseModelOutput(
            last_hidden_state,
            tuple(states) if keep_states else None,
            tuple(attentions) if keep_attentions else None,
        )

    def _either(self, argument: bool | None, option: str) -> bool:
        return getattr(self.config, option) if argument is None else argument


def float_dtype(dtype: Any) -> np.dtype:
    """Return float32 or float64 as a NumPy dtype; raise ValueError for any other."""
    found = dtype
    if dtype is not None:  # NumPy takes None for float64
        with contextlib.suppress(TypeError):
            found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype is {found}, expected float32 or float64")
    return found


def _known_tensors(cls: type[PreTrainedModel], config: PreTrainedConfig) -> set[str]:
    """Return the names of the tensors of every head that npbert has for the family of a class."""
    names: set[str] = set()
    waiting = [PreTrainedModel]
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        of_family = getattr(found, "config_class", None) is cls.config_class
        if of_family and found.__module__.startswith("npbert."):
            with contextlib.suppress(ValueError):  # a head that this config cannot have
                names |= found.parameter_shapes(config).keys() | found.tied_weights.keys()
    return names


def _check_positions(config: PreTrainedConfig, tensors: dict[str, Any], directory: Path) -> None:
    """Refuse weights with embeddings of distances; warn of a config that asks for such alone."""
    kind = config.other.get("position_embedding_type")
    if kind in (None, "absolute"):
        return
    asked = f"{directory}: position_embedding_type is {short.repr(kind)}"
    for name in tensors:
        if name.endswith("distance_embedding.weight"):
            raise ValueError(
                f"{asked}, and the weights have {shown(name)}: npbert has absolute positions only, "
                "and so has the reference since its version 5"
            )
    warn(f"{asked}, which is ignored: npbert has absolute positions only")


def _listed(names: list[str]) -> str:
    text = ", ".join(map(shown, names[:MAX_LISTED]))
    more = f", and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''}: {text}{more}"
