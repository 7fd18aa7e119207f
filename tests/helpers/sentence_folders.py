"""Small sentence-embedding folders, as old and new releases of sentence-transformers write them."""

import json

import numpy as np
from task_checkpoints import make_checkpoint, numbers

from npbert.checkpoints.directory import write_weights

OLD = "sentence_transformers.models."
WIDTH = 24  # of the checkpoints of task_checkpoints


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def make_folder(
    directory,
    family="Bert",
    pooling=("mean",),
    dense=None,
    normalize=False,
    body="",
    switches=False,
    include_prompt=True,
    of_body=None,
    of_sentences=None,
):
    """Write a folder with a small checkpoint and return its place.

    pooling: names. switches: say them as old releases do. dense: (outputs, activation, options).
    body: the folder of the checkpoint. of_body, of_sentences: the other two config files.
    """
    make_checkpoint(directory / body, family, "Model")
    modules = [("Transformer", body), ("Pooling", "1_Pooling")]
    config = {"word_embedding_dimension": WIDTH}
    if switches:
        keys = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens",
                "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
                "weightedmean": "weightedmean_tokens", "lasttoken": "lasttoken"}  # fmt: skip
        config |= {f"pooling_mode_{key}": name in pooling for name, key in keys.items()}
    else:
        config["pooling_mode"] = pooling[0] if len(pooling) == 1 else list(pooling)
    if not include_prompt:
        config["include_prompt"] = False
    write(directory / "1_Pooling" / "config.json", config)
    width = WIDTH * len(pooling)
    if dense is not None:
        outputs, activation, options = dense
        modules.append(("Dense", "2_Dense"))
        activation = f"torch.nn.modules.{activation}"
        config = {"in_features": width, "out_features": outputs, "bias": True,
                  "activation_function": activation, **options}  # fmt: skip
        write(directory / "2_Dense" / "config.json", config)
        tensors = {"linear.weight": numbers("dense", (outputs, width))}
        if config["bias"]:
            tensors["linear.bias"] = numbers("bias", (outputs,))
        if config.get("use_residual") and width != outputs:
            tensors["residual.weight"] = numbers("residual", (outputs, width))
        write_weights(
            directory / "2_Dense", {name: a.astype(np.float32) for name, a in tensors.items()}
        )
    if normalize:
        modules.append(("Normalize", "3_Normalize"))
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": OLD + kind}
        for i, (kind, path) in enumerate(modules)
    ]
    write(directory / "modules.json", entries)
    if of_body is not None:
        write(directory / body / "sentence_bert_config.json", of_body)
    if of_sentences is not None:
        write(directory / "config_sentence_transformers.json", of_sentences)
    return directory
