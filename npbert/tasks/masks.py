"""fill_mask: which word pieces best fill the [MASK] in a text."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.model.heads import PreTraining
from npbert.ops import softmax
from npbert.tasks.loading import FILL_MASK, Model, load
from npbert.tasks.rows import Row, best_first, check_count, encode, logits, run, text_name, texts_of
from npbert.tokenizer.bert_tokenizer import BertTokenizer

Candidate = dict[str, Any]


def fill_mask(
    text: str | list[str],
    model: Model = None,
    top_k: int = 5,
    targets: str | list[str] | None = None,
    tokenizer: BertTokenizer | None = None,
    *,
    truncation: bool = False,
    progress: bool | None = None,
) -> Any:
    """Return the word pieces that best fill the [MASK] in a text, with their probabilities.

    text: with one [MASK] or more; or a list of such texts.
    model: a directory, the name of a checkpoint that ships with npbert, or a loaded model; None
        means convbert-tiny. A directory is loaded once per process and kept.
    top_k: how many candidates, from 1 to the size of the vocabulary.
    targets: only these word pieces are considered; their probabilities stay what they are.
    tokenizer: for a model that was not loaded from a directory.
    truncation: cut a text that is longer than the model can take, instead of refusing it.
    progress: show a bar; None: after a second, where standard error is a terminal.

    Returns the candidates, best first: {"score": probability, "token": id, "token_str": piece,
    "sequence": the text with the piece in it}. For a text with several masks, a list of candidates
    for each mask, each filled by itself; for a list of texts, a list with the result of each. As in
    transformers, a list of one text gives the result of that text.

    Raises ValueError for a text that is empty, has no [MASK] or is longer than the model can take,
    for top_k or targets outside the vocabulary, and for a model without a trained masked-LM head.
    """
    model, tokenizer = load(FILL_MASK, model, tokenizer)
    check_count("top_k", top_k, 1, model.config.vocab_size, ", the vocabulary's size")
    candidates = None if targets is None else _target_ids(targets, tokenizer.get_vocab())
    rows = []
    texts = texts_of(text)
    for i, each in enumerate(texts):
        name = text_name(i, len(texts))
        rows.append(encode(each, model, tokenizer, truncation=truncation, name=name))
        _check_mask(each, rows[-1], tokenizer)
    field = "prediction_logits" if isinstance(model, PreTraining) else "logits"
    results: list[Any] = [None] * len(rows)
    for i, scores in run(logits(model, field), rows, progress):
        ids = np.array(rows[i]["input_ids"])
        results[i] = _fill(ids, scores, tokenizer, top_k, candidates)
    return results[0] if len(results) == 1 else results


def _fill(
    ids: np.ndarray,
    scores: np.ndarray,
    tokenizer: BertTokenizer,
    top_k: int,
    candidates: np.ndarray | None,
) -> list[Any]:
    """Return the candidates of every mask of one text; those of the only mask without a list."""
    places = np.flatnonzero(ids == tokenizer.mask_token_id)
    results: list[list[Candidate]] = []
    for place in places:
        probs = softmax(scores[place])  # [V]
        tokens = np.arange(len(probs)) if candidates is None else candidates
        tokens = tokens[best_first(probs[tokens], top_k)]
        results.append([])
        for token in tokens.tolist():
            filled = ids.copy()
            filled[place] = token
            filled = filled[filled != tokenizer.pad_token_id]
            # With other masks left, special tokens are shown: the masks are special tokens too.
            sequence = tokenizer.decode(filled.tolist(), skip_special_tokens=len(places) == 1)
            results[-1].append(
                {
                    "score": float(probs[token]),
                    "token": token,
                    "token_str": tokenizer.decode([token]),
                    "sequence": sequence,
                }
            )
    return results[0] if len(results) == 1 else results


def _check_mask(text: str, row: Row, tokenizer: BertTokenizer) -> None:
    if tokenizer.mask_token_id not in row["input_ids"]:
        shown = repr(text if len(text) <= 60 else text[:57] + "...")
        mask = tokenizer.mask_token
        raise ValueError(
            f"no {mask} in {shown}; write {mask} where a word is to be filled in, as in "
            f'"The sky is {mask}."'
        )


def _target_ids(targets: str | list[str], vocabulary: dict[str, int]) -> np.ndarray:
    targets = [targets] if isinstance(targets, str) else list(targets)
    if not targets:
        raise ValueError("targets is empty, expected at least one word piece")
    unknown = [target for target in targets if target not in vocabulary]
    if unknown:
        raise ValueError(f"not in the vocabulary: {', '.join(map(repr, unknown))}")
    return np.unique([vocabulary[target] for target in targets])
