"""token_classification: a label for every token of a text, every word, or every entity."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.model.base import PreTrainedModel
from npbert.ops import softmax
from npbert.tasks.grouping import STRATEGIES, group, group_name
from npbert.tasks.loading import TOKEN_CLASSIFICATION, HubOptions, Model, load
from npbert.tasks.rows import (
    Row,
    check_count,
    check_ids,
    label_names,
    longest_row,
    run,
    text_name,
    texts_of,
)
from npbert.tasks.windows import windows
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

Entity = dict[str, Any]


def token_classification(
    text: Any,
    model: Model = None,
    aggregation_strategy: str = "none",
    ignore_labels: list[str] | None = None,
    stride: int | None = None,
    tokenizer: BertTokenizer | None = None,
    *,
    is_split_into_words: bool = False,
    delimiter: str = " ",
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Label every token of a text, with the probability of the label.

    text: a string, or a list of strings. With is_split_into_words a list of words stands for each
        string; places then count in the words joined by the delimiter.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means squeezebert-tiny-restore, which labels how a word is written and what follows it.
    aggregation_strategy: "none", every token by itself; "simple", neighbours of one label together,
        where "B-" begins a new entity; "first", "average" and "max" do the same with whole words,
        labelled as their first token, by the mean of their tokens, as their surest token.
    ignore_labels: labels that are left out, by default ["O"].
    stride: read a text that is longer than the model can take in windows that share so many tokens,
        instead of reading its beginning alone; needs an aggregation_strategy.
    tokenizer: for a model that was not loaded from a directory.
    progress: show a bar; None: after a second, where standard error is a terminal.
    hub: of a checkpoint on the Hub its revision, cache_dir, token and local_files_only.

    Returns a list of entities: {"entity": label, "score": probability, "index": place of the token
    in its row, "word": token, "start" and "end": in the text, in characters}; aggregated ones have
    "entity_group" for "entity", and no "index". For a list of texts, a list of such lists (so, as
    in transformers, for a single list of words).

    As in transformers a text that is longer than the model can take is cut; here with a warning. A
    text without a word has no entities. Raises ValueError for an option out of range, for labels to
    be left out that the model does not have, and for a model without a trained head.
    """
    model, tokenizer = load(TOKEN_CLASSIFICATION, model, tokenizer, hub)
    strategy = str(aggregation_strategy).lower()
    if strategy not in STRATEGIES:
        raise ValueError(
            f"aggregation_strategy is {aggregation_strategy!r}, "
            f"expected one of {', '.join(STRATEGIES)}"
        )
    room = longest_row(model, tokenizer) - tokenizer.num_special_tokens_to_add()
    if stride is not None:
        check_count("stride", stride, 0, room - 1, ", less than the pieces that a row has room for")
        if strategy == "none":
            raise ValueError('stride needs an aggregation_strategy other than "none"')
    ignored = ["O"] if ignore_labels is None else _known_labels(ignore_labels, model)
    is_list, texts = _texts(text, is_split_into_words)
    taken = [_Pieces(each, tokenizer, delimiter) for each in texts]
    for number, pieces in enumerate(taken):
        check_ids(pieces.ids, model, tokenizer, text_name(number, len(taken)))

    rows: list[Row] = []
    origins: list[tuple[int, slice]] = []  # of each row: the number of its text, and its pieces
    for number, pieces in enumerate(taken):
        parts = _windows(pieces, room, stride, tokenizer)
        widest = max(part.stop - part.start for part in parts)
        rows += [_row(pieces.ids[part], widest, tokenizer) for part in parts]
        origins += [(number, part) for part in parts]
    outputs: list[Any] = [None] * len(rows)
    for i, output in run(model, rows, progress):
        outputs[i] = softmax(output.logits[0])  # [T, L]

    results: list[list[Entity]] = [[] for _ in taken]
    for row, (number, window), scores in zip(rows, origins, outputs):
        opening = 1 + row["attention_mask"].index(1)  # where the pieces begin
        tokens = taken[number].tokens(window, scores[opening:], opening)
        entities = group(tokens, strategy, label_names(model), tokenizer)
        name = "entity" if strategy == "none" else "entity_group"
        results[number] += [entity for entity in entities if entity[name] not in ignored]
    if stride is not None:
        counts = Counter(number for number, _ in origins)
        results = [
            _without_overlaps(found) if counts[number] > 1 else found
            for number, found in enumerate(results)
        ]
    return results if is_list else results[0]


class _Pieces:
    """The word pieces of one text, with their places in it."""

    def __init__(self, text: str | list[str], tokenizer: BertTokenizer, delimiter: str) -> None:
        is_split = not isinstance(text, str)
        encoded = tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            is_split_into_words=is_split,
        )
        self.tokenizer = tokenizer
        self.text = delimiter.join(text) if is_split else str(text)
        self.ids: list[int] = encoded["input_ids"]
        self.offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        if is_split:
            begins = np.cumsum([0, *(len(word) + len(delimiter) for word in text)]).tolist()
            shifts = [begins[word] for word in encoded.word_ids(0)]
            self.offsets = [(a + k, b + k) for (a, b), k in zip(self.offsets, shifts)]

    def tokens(self, window: slice, scores: np.ndarray, opening: int) -> list[Entity]:
        """Return what the grouping needs to know of each piece in a window."""
        return [
            self._token(place, scores[k], k + opening)
            for k, place in enumerate(range(window.start, window.stop))
        ]

    def _token(self, place: int, scores: np.ndarray, index: int) -> Entity:
        start, end = self.offsets[place]
        token = self.tokenizer.convert_ids_to_tokens(self.ids[place])
        written = self.text[start:end]
        # As in the reference a piece continues a word where it is longer than its text, by the
        # "##": so does one that lost an accent or a control character on its way.
        continues = len(token) != len(written)
        if self.ids[place] == self.tokenizer.unk_token_id:
            token, continues = written, False
        return {
            "word": token,
            "scores": scores,
            "start": start,
            "end": end,
            "index": index,
            "is_subword": continues,
        }


def _texts(text: Any, is_split: bool) -> tuple[bool, list[Any]]:
    """Return whether the result is a list of results, and the texts or lists of words."""
    if not is_split:
        return isinstance(text, (list, tuple)), texts_of(text, may_be_empty=True)
    if not isinstance(text, (list, tuple)) or not text:
        raise ValueError(f"text is {text!r}, expected a list of words, or several of them")
    split = list(text) if all(isinstance(words, (list, tuple)) for words in text) else [text]
    for i, words in enumerate(split):
        if not all(isinstance(word, str) for word in words):
            raise ValueError(f"{text_name(i, len(split))} is {words!r}, expected words")
    return True, split


def _known_labels(names: Any, model: PreTrainedModel) -> list[str]:
    """Return the labels to be left out, or say which of them the model cannot give."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"ignore_labels is {names!r}, expected a list of labels")
    labels = [*label_names(model).values()]
    known = {"O", *labels, *map(group_name, labels)}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"ignore_labels has {', '.join(map(repr, unknown))}, expected labels of the model: "
            f"{', '.join(dict.fromkeys(labels))}"
        )
    return list(names)


def _windows(
    pieces: _Pieces, room: int, stride: int | None, tokenizer: BertTokenizer
) -> list[slice]:
    """Return which pieces are read together: all, or the first ones, or windows."""
    side = tokenizer.truncation_side
    if stride is not None:
        return windows(len(pieces.ids), room, stride, side)
    if len(pieces.ids) > room:
        more = len(pieces.ids) - room
        warnings.warn(
            f"the text has {len(pieces.ids)} word pieces, and {more} at its "
            f"{'end' if side == 'right' else 'beginning'} {'is' if more == 1 else 'are'} left out: "
            f"there is room for {room}; "
            "a stride and an aggregation_strategy read all of it",
            stacklevel=3,
        )
    return windows(len(pieces.ids), room, 0, side)[:1]


def _row(ids: list[int], widest: int, tokenizer: BertTokenizer) -> Row:
    """Return the row of a window, padded to the widest of its text: so does the pipeline."""
    row = tokenizer.build_inputs_with_special_tokens(ids)
    padding = widest - len(ids)
    before, after = (padding, 0) if tokenizer.padding_side == "left" else (0, padding)
    pad = tokenizer.pad_token_id
    return {
        "input_ids": [pad] * before + row + [pad] * after,
        "token_type_ids": [0] * (len(row) + padding),
        "attention_mask": [0] * before + [1] * len(row) + [0] * after,
    }


def _without_overlaps(entities: list[Entity]) -> list[Entity]:
    """Return the entities of several windows, in order; of two that overlap the longer, or surer.

    The reference compares an entity with the one before it only, and reads on from the winner.
    """
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        if kept and kept[-1]["start"] <= entity["start"] < kept[-1]["end"]:
            if _rank(entity) > _rank(kept[-1]):
                kept[-1] = entity
        else:
            kept.append(entity)
    return kept


def _rank(entity: Entity) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
