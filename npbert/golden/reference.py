"""What the reference computes: the outputs of its modules and of a whole model, as arrays.

Needs the extra `reference` (torch and transformers), which nothing here imports before it is asked
for. The model is npbert's, saved and loaded by transformers with eager attention.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from npbert.model.base import PreTrainedModel

# A module of the reference, and the quantity that is its output where that has another name.
ELSEWHERE = {
    r"(.*embeddings)\.word_embeddings": r"\1.words",
    r"(.*embeddings)\.position_embeddings": r"\1.positions",
    r"(.*embeddings)\.token_type_embeddings": r"\1.types",
    r"(.*)\.intermediate(?:\.intermediate_act_fn|\.act)?": r"\1.wide",
    r"(.*)\.attention(?:\.output)?": r"\1.attention.output.LayerNorm",
    r"(.*)\.key_conv_attn_layer\.depthwise": r"\1.key_conv_attn_layer.span",
    r"(.*)\.post_attention": r"\1.post_attention.layernorm",
    r"(.*)\.bottleneck": r"\1.bottleneck.attention.LayerNorm",  # the first of its three outputs
    r"(.*)\.output": r"\1",
    r"(.*)\.transform": r"\1.transformed",
    r"(.*)\.transform\.transform_act_fn": r"\1.activated",
    r"(.*)\.decoder": r"\1",
    r"(.*)\.attention\.softmax": r"\1.attention.attend.probs",
    r"(.*)\.attention\.matmul_qkv": r"\1.attention.context",
    r"(.*)pooler\.activation": r"\1pooler",
    r"(.*)pooler": r"\1pooled",  # MobileBERT's, which need not have parameters
    r"cls": "cls.predictions",
    r"(cls)": r"\1.seq_relationship",
    r"generator_predictions": "transformed",
    r"generator_predictions\.activation": "activated",
    r"classifier": "classifier.out_proj",  # ConvBERT's two maps
    r"(sequence_summary)": "classifier.x",  # where an activation follows
    r"sequence_summary": "summary",
}


def require() -> tuple[Any, Any]:
    """Return torch and transformers; raise ImportError that says how to install them."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ImportError(
            f"{error}; golden kits are made with the reference library: "
            'python -m pip install "npbert[reference]"'
        ) from None
    return torch, transformers


@dataclass
class Run:
    """One pass of the reference: outputs of modules by path, and of the model by field."""

    modules: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


class Reference:
    """A model of the reference with npbert's parameters, which runs in any precision."""

    def __init__(self, model: PreTrainedModel):
        self.torch, transformers = require()
        name = type(model).__name__
        chosen = getattr(transformers, name, None)
        if chosen is None:
            raise ValueError(f"transformers {transformers.__version__} has no {name}")
        with TemporaryDirectory() as directory, quiet(transformers):
            model.save_pretrained(directory)
            self.model = chosen.from_pretrained(
                directory, attn_implementation="eager", dtype=self.torch.float32
            ).eval()

    def run(self, inputs: Mapping[str, np.ndarray], dtype: str) -> Run:
        """Run the model in "float64", "float32", "float16" or "bfloat16".

        The arrays are float64 for float64 and else float32. Raises RuntimeError where torch has no
        such operation in this precision on this machine.
        """
        torch = self.torch
        model = copy.deepcopy(self.model).to(getattr(torch, dtype))  # tied weights stay tied
        kept = torch.float64 if dtype == "float64" else torch.float32
        modules: dict[str, np.ndarray] = {}

        def note(path: str) -> Any:
            def hook(module: Any, arguments: Any, output: Any) -> None:
                first = output[0] if isinstance(output, tuple) else output
                if isinstance(first, torch.Tensor):
                    modules[path] = first.detach().to(kept, copy=True).numpy()

            return hook

        for path, module in model.named_modules():
            if path:
                module.register_forward_hook(note(path))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so that the order of sums, and the bytes, do not hang on it
        try:
            with torch.no_grad():
                output = model(**{n: torch.from_numpy(np.array(a)) for n, a in inputs.items()})
        finally:
            torch.set_num_threads(threads)
        fields = {
            name: field.to(kept).numpy()
            for name, field in output.items()
            if isinstance(field, torch.Tensor)
        }
        return Run(modules, fields)


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from writing about its progress."""
    logging = transformers.utils.logging
    verbosity, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


# ---- which quantity a module puts out ------------------------------------------------------


def counterpart(path: str, names: Container[str]) -> str | None:
    """Return the name of the quantity that a module of the reference puts out, if there is one."""
    if path in names:
        return path
    for module, name in ELSEWHERE.items():
        match = re.fullmatch(module, path)
        if match and match.expand(name) in names:
            return match.expand(name)
    return None


def in_our_layout(value: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Turn the axes of what has channels before tokens, or heads before tokens.

    Where several ways fit the shape, it is the one that is closest to the values of ours.
    """
    turns = [value, value.swapaxes(-1, -2), value.swapaxes(1, 2)] if value.ndim > 2 else [value]
    fitting = [turned for turned in turns if turned.shape == ours.shape]
    if not fitting:
        return value
    with np.errstate(invalid="ignore", over="ignore"):
        return min(fitting, key=lambda turned: np.nan_to_num(np.abs(turned - ours)).sum())
