"""fill_mask: which word pieces best fill the [MASK] in a text."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.model.heads import PreTraining
from npbert.model.together import Encoded
from npbert.ops import softmax
from npbert.tasks.loading import FILL_MASK, HubOptions, Model, load
from npbert.tasks.rows import (
    best_first,
    check_count,
    check_ids,
    encode,
    longest_row,
    run,
    text_name,
    texts_of,
)
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

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
    **hub: Unpack[HubOptions],
) -> Any:
    """Return the word pieces that best fill the [MASK] in a text, with their probabilities.

    text: with one [MASK] or more; or a list of such texts.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means convbert-tiny. A directory is loaded once per process and kept.
    top_k: how many candidates, from 1 to the size of the vocabulary. A row of the model without a
        token is none, however probable.
    targets: only these word pieces are considered; their probabilities stay what they are. As in
        transformers the first piece of a target stands for one that is no piece itself ("Teacher"
        for an uncased model, a word of several pieces), with a warning that names it; one without
        any piece is left out, with a warning.
    tokenizer: for a model that was not loaded from a directory.
    truncation: cut a text that is longer than the model can take, instead of refusing it.
    progress: show a bar; None: after a second, where standard error is a terminal.
    hub: of a checkpoint on the Hub its revision, cache_dir, token and local_files_only.

    Returns the candidates, best first: {"score": probability, "token": id, "token_str": piece,
    "sequence": the text with the piece in it}. For a text with several masks, a list of candidates
    for each mask, each filled by itself; for a list of texts, a list with the result of each. As in
    transformers, a list of one text gives the result of that text.

    Raises ValueError for a text that is empty, has no [MASK] or is longer than the model can take,
    for top_k beyond the vocabulary, for targets of which none is left or one has an id beyond the
    model, and for a model without a trained masked-LM head.
    """
    model, tokenizer = load(FILL_MASK, model, tokenizer, hub)
    check_count("top_k", top_k, 1, model.config.vocab_size, ", the vocabulary's size")
    if targets is None:
        candidates = _ids_with_a_token(model, tokenizer)
    else:
        candidates = _target_ids(targets, model, tokenizer)
    rows = []
    texts = texts_of(text)
    for i, each in enumerate(texts):
        name = text_name(i, len(texts))
        rows.append(encode(each, model, tokenizer, truncation=truncation, name=name))
        if tokenizer.mask_token_id not in rows[-1]["input_ids"]:
            raise ValueError(_why_no_mask(each, model, tokenizer))
    gaps = [np.flatnonzero(np.equal(row["input_ids"], tokenizer.mask_token_id)) for row in rows]

    def scores_of_masks(model: Any, encoded: Encoded) -> list[np.ndarray]:
        """Score all word pieces at the masks of each text [M, V], and nowhere else."""
        places = [gaps[i] + place.start for i, place in zip(encoded.numbers, encoded.places())]
        scores = model.head(encoded.states[:, np.concatenate(places)])
        scores = scores[0] if isinstance(model, PreTraining) else scores  # [1, all M, V]
        return np.split(scores[0], np.cumsum([len(some) for some in places])[:-1])

    results: list[Any] = [None] * len(rows)
    for i, scores in run(model, rows, progress, finish=scores_of_masks):
        ids = np.array(rows[i]["input_ids"])
        results[i] = _fill(ids, gaps[i], scores, tokenizer, top_k, candidates)
    return results[0] if len(results) == 1 else results


def _fill(
    ids: np.ndarray,
    places: np.ndarray,
    scores: np.ndarray,
    tokenizer: BertTokenizer,
    top_k: int,
    candidates: np.ndarray,
) -> list[Any]:
    """Return the candidates of every mask of one text; those of the only mask without a list.

    places: of the masks. scores: [M, V], of every mask.
    """
    results: list[list[Candidate]] = []
    for place, of_mask in zip(places, scores):
        probs = softmax(of_mask)  # [V]
        tokens = candidates[best_first(probs[candidates], top_k)]
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


def _why_no_mask(text: str, model: PreTrainedModel, tokenizer: BertTokenizer) -> str:
    """Say why the row of a text has no mask: there was none, or truncation took it."""
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    mask = tokenizer.mask_token
    if tokenizer.mask_token_id in tokenizer(text)["input_ids"]:
        return (
            f"truncation to {longest_row(model, tokenizer)} tokens removed the {mask} from "
            f"{shown}; give a shorter text around the {mask}"
        )
    return (
        f"no {mask} in {shown}; write {mask} where a word is to be filled in, as in "
        f'"The sky is {mask}."'
    )


def _ids_with_a_token(model: PreTrainedModel, tokenizer: BertTokenizer) -> np.ndarray:
    """Return, in order, the ids that are a token and a row of the model."""
    ids = np.unique([*tokenizer.get_vocab().values()])
    return ids[ids < model.config.vocab_size]


def _target_ids(
    targets: str | list[str], model: PreTrainedModel, tokenizer: BertTokenizer
) -> np.ndarray:
    """Return, in order, the ids of the targets, or of their first pieces."""
    targets = [targets] if isinstance(targets, str) else list(targets)
    vocabulary = tokenizer.get_vocab()
    ids = []
    for target in targets:
        if not isinstance(target, str):
            raise ValueError(f"a target is {type(target).__name__}, expected str")
        number = vocabulary.get(target)
        if number is None:
            pieces = tokenizer(target, add_special_tokens=False)["input_ids"]
            if not pieces:
                _warn(f"the target {target!r} has no word piece and is left out")
                continue
            number = pieces[0]
            piece = tokenizer.convert_ids_to_tokens(number)
            _warn(f"the target {target!r} is no word piece: {piece!r} stands for it")
        check_ids([number], model, tokenizer, f"the target {target!r}")
        ids.append(number)
    if not ids:
        raise ValueError(f"targets is {targets!r}, expected at least one word piece")
    return np.unique(ids)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)  # at the call of fill_mask
