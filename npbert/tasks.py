"""The tasks: one function each, from text to an answer, shaped as the transformers pipelines'."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from npbert.auto import AutoModelForMaskedLM
from npbert.heads import MaskedLM
from npbert.models import PreTrainedModel
from npbert.ops import softmax
from npbert.shipped import DEFAULT, checkpoint_directory
from npbert.tokenizer import BertTokenizer

Candidate = dict[str, Any]


def fill_mask(
    text: str | list[str],
    model: str | Path | PreTrainedModel | None = None,
    top_k: int = 5,
    targets: str | list[str] | None = None,
    tokenizer: BertTokenizer | None = None,
) -> Any:
    """Say which word pieces best fill the [MASK] in a text, with their probabilities.

    text: with one [MASK] or more; or a list of such texts.
    model: a directory, the name of a checkpoint that ships with npbert, or a loaded model; None
        means the shipped ConvBERT. A directory is loaded once per process and kept.
    top_k: how many candidates, from 1 to the size of the vocabulary.
    targets: only these word pieces are considered; their probabilities stay what they are.
    tokenizer: for a model that was not loaded from a directory.

    Returns the candidates, best first: {"score": probability, "token": id, "token_str": piece,
    "sequence": the text with the piece in it}. For a text with several masks, a list of candidates
    for each mask, each filled by itself; for a list of texts, a list with the result of each. As in
    transformers, a list of one text gives the result of that text.

    Raises ValueError for a text that is empty, has no [MASK] or is longer than the model can take,
    for top_k or targets outside the vocabulary, and for a model without a trained masked-LM head.
    """
    model, tokenizer = _loaded(model, tokenizer)
    vocabulary = tokenizer.get_vocab()
    _check_top_k(top_k, model.config.vocab_size)
    candidates = None if targets is None else _target_ids(targets, vocabulary)
    texts = text if isinstance(text, list) else [text]
    rows = [_encode(each, model, tokenizer) for each in texts]  # all checked before any is run
    results = [_fill(ids, model, tokenizer, top_k, candidates) for ids in rows]
    return results[0] if len(results) == 1 else results


def _fill(ids, model, tokenizer, top_k, candidates):
    """Return the candidates of every mask of one text; those of the only mask without a list."""
    places = np.flatnonzero(ids == tokenizer.mask_token_id)
    logits = model(ids[None]).logits[0]  # [T, V]
    results = []
    for place in places:
        probs = softmax(logits[place])  # [V]
        order = np.arange(len(probs)) if candidates is None else candidates
        order = order[np.argsort(-probs[order], kind="stable")[:top_k]]
        rows = []
        for token in order.tolist():
            filled = ids.copy()
            filled[place] = token
            # With other masks left, special tokens are shown: the masks are special tokens too.
            sequence = tokenizer.decode(filled.tolist(), skip_special_tokens=len(places) == 1)
            rows.append(
                {
                    "score": float(probs[token]),
                    "token": token,
                    "token_str": tokenizer.decode([token]),
                    "sequence": sequence,
                }
            )
        results.append(rows)
    return results[0] if len(results) == 1 else results


def _encode(text: str, model: PreTrainedModel, tokenizer: BertTokenizer) -> np.ndarray:
    """Return the ids of a text that a mask can be filled in, or say why not."""
    mask = tokenizer.mask_token
    example = f'write {mask} where a word is to be filled in, as in "The sky is {mask}."'
    if not isinstance(text, str):
        raise ValueError(f"text is {type(text).__name__}, expected str or a list of str")
    if not text.strip():
        raise ValueError(f"the text is empty; {example}")
    ids = np.array(tokenizer(text)["input_ids"])
    if not (ids == tokenizer.mask_token_id).any():
        raise ValueError(f"no {mask} in {_shortened(text)}; {example}")
    positions = model.config.max_position_embeddings
    if len(ids) > positions:
        raise ValueError(
            f"the text has {len(ids)} tokens, [CLS] and [SEP] included, "
            f"more than the model's {positions} positions"
        )
    return ids


def _shortened(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[: width - 3] + "...")


def _check_top_k(top_k: Any, vocab_size: int) -> None:
    fits = isinstance(top_k, (int, np.integer)) and not isinstance(top_k, bool)
    if not fits or not 1 <= top_k <= vocab_size:
        raise ValueError(f"top_k is {top_k!r}, expected 1 to {vocab_size}, the vocabulary's size")


def _target_ids(targets: str | list[str], vocabulary: dict[str, int]) -> np.ndarray:
    targets = [targets] if isinstance(targets, str) else list(targets)
    if not targets:
        raise ValueError("targets is empty, expected at least one word piece")
    unknown = [target for target in targets if target not in vocabulary]
    if unknown:
        raise ValueError(f"not in the vocabulary: {', '.join(map(repr, unknown))}")
    return np.unique([vocabulary[target] for target in targets])


def _loaded(
    model: str | Path | PreTrainedModel | None, tokenizer: BertTokenizer | None
) -> tuple[PreTrainedModel, BertTokenizer]:
    """Return a masked language model whose head is trained, and its tokenizer."""
    if not isinstance(model, PreTrainedModel):
        directory = checkpoint_directory(DEFAULT if model is None else model)
        model, own_tokenizer = _load(directory.resolve())
        return model, tokenizer or own_tokenizer
    if not isinstance(model, MaskedLM):
        raise ValueError(f"fill_mask takes a ...ForMaskedLM, {type(model).__name__} given")
    _check_trained(model, model.name_or_path or "the model")
    if tokenizer is None:
        if model.name_or_path is None:
            raise ValueError("the model was not loaded from a directory: pass its tokenizer too")
        tokenizer = BertTokenizer.from_pretrained(model.name_or_path)
    return model, tokenizer


@functools.cache
def _load(directory: Path) -> tuple[PreTrainedModel, BertTokenizer]:
    tokenizer = BertTokenizer.from_pretrained(directory)
    with warnings.catch_warnings():  # an untrained head is an error below, not a warning
        warnings.filterwarnings("ignore", message=".*was initialised at random")
        model = AutoModelForMaskedLM.from_pretrained(directory)
    _check_trained(model, directory)
    return model, tokenizer


def _check_trained(model: PreTrainedModel, source: Any) -> None:
    if model.newly_initialized:
        raise ValueError(
            f"{source} has no trained masked-LM head; missing: {', '.join(model.newly_initialized)}"
        )
