"""Makes the reference values of a shipped checkpoint: transformers' logits and hidden states.

    python weights/make_reference_logits.py weights/convbert-tiny

Needs the extra `reference`. Writes weights/reference/NAME.safetensors, all in float64, computed by
transformers (eager attention) from the checkpoint as it is stored. For every case it holds

    CASE.input_ids, CASE.attention_mask, CASE.token_type_ids    [B, T]
    CASE.hidden_states.0 ... N       [B, T, D]: what enters the first layer, what leaves each layer
    CASE.positions                   the positions that logits are kept for
    CASE.logits                      [B, positions, V]: all but for the full-length case, where
                                     every eighth is kept (all of them would be 8 MB; the head
                                     treats every position alike)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForMaskedLM

from npbert import BertTokenizer, safetensors

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    tokenizer = BertTokenizer.from_pretrained(directory)
    model = AutoModelForMaskedLM.from_pretrained(
        directory, dtype=torch.float64, attn_implementation="eager"
    ).eval()

    tensors = {}
    for case, inputs in cases(tokenizer, model.config.max_position_embeddings).items():
        inputs = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        with torch.no_grad():
            output = model(
                **{name: torch.from_numpy(array) for name, array in inputs.items()},
                output_hidden_states=True,
            )
        T = inputs["input_ids"].shape[1]
        positions = np.arange(T) if T < 64 else np.arange(0, T, 8)
        tensors |= {f"{case}.{name}": array for name, array in inputs.items()}
        for i, state in enumerate(output.hidden_states):
            tensors[f"{case}.hidden_states.{i}"] = state.numpy()
        tensors[f"{case}.positions"] = positions
        tensors[f"{case}.logits"] = output.logits.numpy()[:, positions]

    OUT.mkdir(exist_ok=True)
    path = OUT / f"{directory.name}.safetensors"
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__}, float64, eager"
    safetensors.write(path, tensors, {"made_by": made_by})
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
