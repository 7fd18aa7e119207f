"""The cases of a golden kit: the inputs that a model is run on, generated here or read from a file.

Rows are sentences; for multiple choice a row is one choice of one question, and the arrays of
inputs have the axis of the choices: [B, N, T].
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npbert.checkpoints import safetensors
from npbert.checkpoints.files import naming, short
from npbert.golden.manifest import ARGUMENTS, CASE_NAME, Case
from npbert.model.base import PreTrainedModel
from npbert.model.heads import MultipleChoice
from npbert.model.inputs import check_shape, flatten_choices, whole_numbers
from npbert.tokenizer.bert_tokenizer import BertTokenizer

CHOICES = 2  # of each question
LONGEST = 64  # a model with more positions has the case `full` only where it is asked for by name


@dataclass(frozen=True)
class CaseInputs:
    """A case before it is run: its name, what it is there for, and the arguments of the call.

    texts: what each row was made from, if it was made from a text.
    """

    name: str
    about: str
    arrays: dict[str, np.ndarray]
    texts: tuple[Any, ...] | None = None

    def described(self, tokenizer: BertTokenizer | None = None) -> Case:
        """Return what the manifest says about the case; a tokenizer knows the tokens."""
        mask = self.arrays.get("attention_mask")
        ids = self.arrays["input_ids"]
        real = np.ones(ids.shape, bool) if mask is None else mask != 0
        real = real.reshape(-1, ids.shape[-1])  # the choices are rows like others
        lengths = tuple(int(n) for n in real.sum(axis=1))
        undefined = tuple(row for row, length in enumerate(lengths) if length == 0)
        tokens = None
        if tokenizer is not None:
            rows = ids.reshape(real.shape).tolist()
            tokens = tuple(tuple(tokenizer.convert_ids_to_tokens(row)) for row in rows)
        inputs = tuple(self.arrays)
        return Case(self.name, self.about, inputs, lengths, real, undefined, self.texts, tokens)


# ---- made here -----------------------------------------------------------------------------

# Name: what it is there for. The order is that of a kit.
ABOUT = {
    "single": "One token alone: every window and every softmax at its smallest.",
    "short": "A short text without padding.",
    "full": "As many tokens as the model has positions.",
    "padded_end": "A text with padding behind it, the usual place.",
    "padded_front": "A text with padding before it; positions count the padding, too.",
    "wholly_padded": "Two texts, the second of which is padding altogether.",
    "pair": "Two texts in one, told apart by token_type_ids.",
    "batch": "Three texts of unlike lengths.",
    "same_text_alone": "The text of padded_end without its padding, which moves the values at the "
    "last tokens there: the convolutions of this family see padding.",
}


def made_cases(model: PreTrainedModel, names: Iterable[str] | None = None) -> list[CaseInputs]:
    """Return the cases for a model, or those of these names, with seeded random ids.

    Raises ValueError for a name that is no case, or none of this model.
    """
    possible = possible_cases(model)
    if names is None:
        positions = model.config.max_position_embeddings
        chosen = [name for name in possible if name != "full" or positions <= LONGEST]
    else:
        chosen = chosen_of(names, possible)
    return [make_case(model, name) for name in chosen]


def possible_cases(model: PreTrainedModel) -> list[str]:
    config = model.config
    return [
        name
        for name in ABOUT
        if (config.model_type == "convbert" or name != "same_text_alone")
        and (config.type_vocab_size > 1 or name != "pair")
        and (config.max_position_embeddings > 2 or name in ("single", "short", "full"))
    ]


def chosen_of(names: Iterable[str], possible: Iterable[str]) -> list[str]:
    """Return the names in the order of those possible; raise ValueError for any other."""
    names, possible = list(names), list(possible)
    unknown = [name for name in names if name not in possible]
    if unknown or not names:
        given = ", ".join(map(short.repr, unknown)) or "none"
        raise ValueError(f"cases: {given} given, expected some of {', '.join(possible)}")
    return [name for name in possible if name in names]


def make_case(model: PreTrainedModel, name: str) -> CaseInputs:
    positions = model.config.max_position_embeddings
    usual = min(6, max(positions - 2, 3), positions)  # shorter than `full`, where it can be
    some = {"single": 1, "full": positions, "wholly_padded": 2, "batch": min(usual, 3)}
    T = some.get(name, usual)
    lengths = {
        "padded_end": [max(1, T - 2)],
        "padded_front": [max(1, T - 2)],
        "wholly_padded": [T, 0],
        "batch": [3, 2, 1],
        "same_text_alone": [max(1, T - 2)],
    }.get(name, [T])
    if name == "same_text_alone":
        T = lengths[0]
    choices = CHOICES if isinstance(model, MultipleChoice) else 1
    lengths = [n for n in lengths for _ in range(choices)]
    mask = (np.arange(T) < np.array(lengths)[:, None]).astype(np.int64)  # [B, T]
    if name == "padded_front":
        mask = mask[:, ::-1]
    seed = "padded_end" if name == "same_text_alone" else name
    arrays = {"input_ids": random_ids(model.config, mask, seed)}
    if not mask.all():
        arrays["attention_mask"] = mask
    if name == "pair":
        arrays["token_type_ids"] = np.repeat((np.arange(T) > T // 2)[None], len(lengths), axis=0)
    return CaseInputs(
        name,
        ABOUT[name],
        {
            argument: np.ascontiguousarray(
                array.reshape(-1, choices, T) if isinstance(model, MultipleChoice) else array,
                np.int64,
            )
            for argument, array in arrays.items()
        },
    )


def random_ids(config: Any, mask: np.ndarray, seed: str) -> np.ndarray:
    """Draw ids for all that is real, row by row, other than that of padding."""
    padding = max(config.pad_token_id or 0, 0)
    rng = np.random.default_rng([*seed.encode()])
    ids = np.full(mask.shape, padding)
    plain = [i for i in range(config.vocab_size) if i != padding] or [padding]
    drawn = rng.choice(plain, size=int(mask.sum()), replace=len(plain) < mask.sum())
    ids[mask == 1] = drawn
    return ids


# ---- from a file ---------------------------------------------------------------------------


def read_cases(
    path: str | Path, model: PreTrainedModel, names: Iterable[str] | None = None
) -> list[CaseInputs]:
    """Read cases from a file: safetensors with "<case>/input_ids" and so on, or JSON.

    JSON is {"case": {"input_ids": [[...]], "attention_mask": [[...]]}, ...}. `names` chooses.
    Raises FileNotFoundError, and ValueError for what a model cannot be called with, before any
    work.
    """
    path = Path(path)
    with naming(path):
        found = read_json_cases(path) if path.suffix == ".json" else read_tensors(path)
        return given_cases(found, model, names)


def given_cases(
    found: Mapping[str, Mapping[str, Any]],
    model: PreTrainedModel,
    names: Iterable[str] | None = None,
) -> list[CaseInputs]:
    """Return cases from {case: {argument: array}}, checked; `names` chooses."""
    chosen = chosen_of(found if names is None else names, found)
    return [given_case(name, found[name], model) for name in chosen]


def read_tensors(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, array in safetensors.read(path).items():
        case, slash, argument = name.partition("/")
        if not slash:
            raise ValueError(f"tensor {short.repr(name)}, expected names like short/input_ids")
        found.setdefault(case, {})[argument] = array
    return found


def read_json_cases(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(case, dict) for case in found.values()):
        raise ValueError('expected {"case": {"input_ids": [[...]], ...}, ...}')
    return found


def given_case(name: str, arguments: Mapping[str, Any], model: PreTrainedModel) -> CaseInputs:
    """Check one case and return it; raise ValueError that names it."""
    if not CASE_NAME.fullmatch(name):
        raise ValueError(f"case {short.repr(name)}: expected a name of letters, digits and _")
    with naming(f"case {name}"):
        return CaseInputs(name, "Inputs that were given.", checked(arguments, model))


def checked(arguments: Mapping[str, Any], model: PreTrainedModel) -> dict[str, np.ndarray]:
    """Return the arguments as int64 arrays that the model can be called with."""
    unknown = [argument for argument in arguments if argument not in ARGUMENTS]
    if unknown or "input_ids" not in arguments:
        given = ", ".join(map(short.repr, arguments)) or "nothing"
        raise ValueError(
            f"{given} given, expected input_ids and perhaps {', '.join(ARGUMENTS[1:])}"
        )
    arrays = {}
    for argument in ARGUMENTS:
        if argument in arguments:
            limit = 2 if argument == "attention_mask" else np.iinfo(np.int64).max
            array = whole_numbers(argument, arguments[argument], limit, "values")
            arrays[argument] = np.array(array, np.int64)
    shape = arrays["input_ids"].shape
    of_one_row = (*(1,) * (len(shape) - 1), *shape[-1:])  # positions for all rows alike
    for argument, array in arrays.items():
        allowed = [shape, of_one_row] if argument == "position_ids" else [shape]
        check_shape(argument, array, allowed)
    if isinstance(model, MultipleChoice):
        _, flat = flatten_choices(**{name: (array, 3) for name, array in arrays.items()})
    else:
        flat = dict(arrays)
    model.check(**flat)
    return arrays
