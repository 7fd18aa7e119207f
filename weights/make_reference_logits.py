"""Makes the reference values of shipped checkpoints: transformers' logits and hidden states.

    python weights/make_reference_logits.py weights/convbert-tiny weights/bert-tiny

Needs the extra `reference`. Writes weights/reference/NAME.safetensors, all floats in float64,
computed by transformers (eager attention, the class that config.json names) from the checkpoint as
it is stored. For every case it holds

    CASE.input_ids, CASE.attention_mask, CASE.token_type_ids    [B, T]
    CASE.positions                   the positions that values are kept for: all but for the
                                     full-length case, where every sixteenth is kept
    CASE.hidden_states.0 ... N       [B, positions, D/8]: what enters the first layer and leaves
                                     each, every eighth channel
    CASE.OUTPUT                      what else the model returns; of scores of the whole vocabulary
                                     [B, T, V], every 64th at the positions, and
    sentence.OUTPUT.all              [B, V]: all of them at the last of the positions but one
For multiple choice the sentences of a case are the choices of one question: inputs [1, B, T].
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers

from npbert import BertTokenizer
from npbert.checkpoints import safetensors

OUT = Path(__file__).parent / "reference"


def cases(tokenizer: BertTokenizer, positions: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the inputs: a sentence, a pair, a padded batch, one token, as many as fit."""
    text = (
        "The cell is the smallest unit of life. Every living thing is made of cells, and every "
        "cell comes from another cell. Cells take in food, turn it into energy and do the work "
        "that the body needs. Some living things have one cell, a person has about 40 trillion. "
    )
    arrays = {"return_tensors": "np"}
    return {
        "sentence": tokenizer("Rain [MASK] from the clouds.", **arrays),
        "pair": tokenizer("Who is [MASK]?", "It is my sister.", **arrays),
        "padded_batch": tokenizer(["A [MASK] sings.", "Yes."], padding=True, **arrays),
        "one_token": {
            "input_ids": np.array([[tokenizer.mask_token_id]]),
            "attention_mask": np.array([[1]]),
            "token_type_ids": np.array([[0]]),
        },
        "full_length": tokenizer(text * 3, truncation=True, max_length=positions, **arrays),
    }


def values_of(model, case: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what is kept of the outputs for one case, by name."""
    with torch.no_grad():
        output = model(
            **{name: torch.from_numpy(array) for name, array in inputs.items()},
            output_hidden_states=True,
        )
    B, T = inputs["input_ids"].shape[-2:]
    positions = np.arange(T) if T < 64 else np.arange(0, T, 16)
    values = {"positions": positions}
    for i, state in enumerate(output.hidden_states):
        values[f"hidden_states.{i}"] = state.numpy()[:, positions, ::8]
    for name in output:
        if name == "hidden_states":
            continue
        array = output[name].numpy()
        if array.shape == (B, T, model.config.vocab_size):
            if case == "sentence":
                values[f"{name}.all"] = array[:, positions[-2:][0]]
            array = array[:, positions, ::64]
        values[name] = array
    return values


def make(directory: Path) -> None:
    """Write the reference values of one checkpoint."""
    tokenizer = BertTokenizer.from_pretrained(directory)
    (architecture,) = json.loads((directory / "config.json").read_text())["architectures"]
    model = getattr(transformers, architecture).from_pretrained(
        directory, dtype=torch.float64, attn_implementation="eager"
    )
    model.eval()
    tensors = {}
    for case, inputs in cases(tokenizer, model.config.max_position_embeddings).items():
        if architecture.endswith("ForMultipleChoice"):
            inputs = {name: array[None] for name, array in inputs.items()}
        inputs = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        for name, array in (inputs | values_of(model, case, inputs)).items():
            tensors[f"{case}.{name}"] = np.ascontiguousarray(array)
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{directory.name}.safetensors"
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__}, float64, eager"
    safetensors.write(path, tensors, {"made_by": made_by})
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directories", type=Path, nargs="+")
    for directory in parser.parse_args().directories:
        make(directory)


if __name__ == "__main__":
    main()
