"""Makes golden kits: a directory with a model, inputs, and expected values of every quantity.

    npbert.golden.make_kit("convbert-tiny", "kits/convbert-tiny", cases=["short", "padded_end"])

Final outputs and the outputs of modules come from transformers (extra `reference`), in float64
with eager attention; the steps between them from npbert, in a pass whose modules were all found
equal to those of transformers. tolerances.py says how tolerances are measured. The same model and
the same inputs give the same bytes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import npbert
from npbert.auto import architecture_of
from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import modern_names
from npbert.checkpoints.files import naming
from npbert.checkpoints.hub_cache import hub_name
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.golden import cases as case_files
from npbert.golden.contents import Contents
from npbert.golden.kit import Kit, check_target, model_class, write_kit
from npbert.golden.parameters import described
from npbert.golden.passes import rebuilt
from npbert.golden.reference import require
from npbert.model import params
from npbert.model.base import PreTrainedModel
from npbert.tokenizer.bert_tokenizer import BertTokenizer


def make_kit(
    model: PreTrainedModel | str | Path,
    directory: str | os.PathLike[str],
    cases: Iterable[str] | None = None,
    inputs: str | Path | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    name: str | None = None,
    about: str | None = None,
    weights: Path | None = None,
    keep: Callable[[str, str], bool] | None = None,
    sample_step: int | None = None,
    tokenizer: BertTokenizer | None = None,
    texts: Mapping[str, Sequence[Any]] | None = None,
) -> Kit:
    """Make the golden kit of a model or of a checkpoint, and return it, read.

    model        a model, the directory of a checkpoint, a shipped name or one of the Hub
    cases        names: of the cases that npbert makes (cases.py), or of those in `inputs`
    inputs       a file with cases of one's own (cases.py says how), or {case: {argument: array}}
    name, about  what the manifest says, else made of the directory's name and the model
    weights      a safetensors file to point to, instead of a copy in the kit
    keep         tells by name and kind whether the kit holds a quantity; all of them otherwise
    sample_step  keep only every `sample_step`-th entry along the longest axis of floats
    tokenizer    tells the tokens of every row; that of the checkpoint, where it has a vocabulary
    texts        {case: a text, or a pair of texts, for each row}, for the manifest to quote
    The kit is moved to its place when it is complete; an older one is replaced. Raises
    ValueError for inputs that do not fit, for a directory that is no kit, and where npbert and the
    reference differ; ImportError where the reference is not installed.
    """
    check_target(directory)
    directory = Path(directory)
    require()
    source = about_of(model)
    if tokenizer is None and isinstance(model, (str, Path)):
        tokenizer = tokenizer_of(model)
    model = settled(load(model) if isinstance(model, (str, Path)) else model)
    if isinstance(inputs, Mapping):
        made = case_files.given_cases(inputs, model, cases)
    elif inputs is not None:
        made = case_files.read_cases(inputs, model, cases)
    else:
        made = case_files.made_cases(model, cases)
    texts = texts or {}
    made = [dataclasses.replace(case, texts=as_texts(texts.get(case.name))) for case in made]
    contents = Contents(model, made, keep, sample_step, tokenizer)
    about = about or f"{type(model).__name__}, {source}."
    values = contents.manifest(name or directory.resolve().name, about)
    if weights is not None:
        values["weights"] = Path(os.path.relpath(weights, directory)).as_posix()
        values["parameters"] = described(model, stored_dtypes(weights, model))
    write_kit(directory, values, contents.files(own_weights=weights is None))
    return Kit(directory)


# ---- the model -----------------------------------------------------------------------------


def about_of(model: Any) -> str:
    if isinstance(model, PreTrainedModel):
        return "as it was given"
    return f"from the checkpoint {hub_name(model) or Path(model).name}"


def load(source: str | Path) -> PreTrainedModel:
    """Load a checkpoint as the class that its config.json names, else as a bare model."""
    directory = checkpoint_directory(source)
    named = architecture_of(directory)
    if not named:
        return npbert.AutoModel.from_pretrained(directory)
    with naming(directory / "config.json"):
        chosen = model_class(named)
    return chosen.from_pretrained(directory)


def tokenizer_of(source: str | Path) -> BertTokenizer | None:
    """Return the tokenizer of a checkpoint, None where it has no vocabulary."""
    try:
        return npbert.AutoTokenizer.from_pretrained(checkpoint_directory(source))
    except FileNotFoundError:
        return None


def as_texts(texts: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if texts is None else tuple(t if isinstance(t, str) else [*t] for t in texts)


def stored_dtypes(weights: Path, model: PreTrainedModel) -> dict[str, str]:
    """Return how a file stores each parameter, by the name of it that the model has."""
    stored: Any = {name: info.dtype for name, info in safetensors.header(weights).tensors.items()}
    shapes = type(model).parameter_shapes(model.config)
    return params.fit_prefix(modern_names(stored), shapes, model.base_model_prefix)


def settled(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model in float32, with a config that says whether its embeddings are tied."""
    if not isinstance(model, PreTrainedModel):
        raise ValueError(f"make_kit takes a model, {type(model).__name__} given")
    tensors, config = model.state_dict(), model.config
    if any(tensors[n] is not tensors[source] for n, source in model.tied(config).items()):
        config = dataclasses.replace(config, tie_word_embeddings=False)
    return rebuilt(model, config, np.float32)
