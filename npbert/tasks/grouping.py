"""Labelled tokens to entities: by themselves, as neighbours of one label, as whole words."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.tokenizer.bert_tokenizer import BertTokenizer

STRATEGIES = ("none", "simple", "first", "average", "max")

# A token, or the word that several make: {"word": its text, "scores": of all labels, [L],
# "start", "end", "index", "is_subword": whether it continues the word of the token before it}
Token = dict[str, Any]
Entity = dict[str, Any]


def group(
    tokens: list[Token], strategy: str, id2label: dict[int, str], tokenizer: BertTokenizer
) -> list[Entity]:
    """Return the entities that the tokens of a row make; `strategy` is one of STRATEGIES."""
    if strategy in ("first", "average", "max"):
        tokens = [whole_word(word, strategy, tokenizer) for word in split_words(tokens)]
    labelled = [label(token, id2label) for token in tokens]
    if strategy == "none":
        return [entity | {"score": float(entity["score"])} for entity in labelled]
    return [join(entities, tokenizer) for entities in neighbours(labelled)]


def split_words(tokens: list[Token]) -> list[list[Token]]:
    """Put the tokens of each word together."""
    words: list[list[Token]] = []
    for token in tokens:
        if words and token["is_subword"]:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def whole_word(tokens: list[Token], strategy: str, tokenizer: BertTokenizer) -> Token:
    """Make one token of those of a word, with the scores that the strategy chooses."""
    if strategy == "first":
        scores = tokens[0]["scores"]
    elif strategy == "max":
        scores = max(tokens, key=lambda token: token["scores"].max())["scores"]
    else:
        scores = np.mean([token["scores"] for token in tokens], axis=0)
    return {
        "word": tokenizer.convert_tokens_to_string([token["word"] for token in tokens]),
        "scores": scores,
        "start": tokens[0]["start"],
        "end": tokens[-1]["end"],
        "index": tokens[0]["index"],
    }


def label(token: Token, id2label: dict[int, str]) -> Entity:
    """Return a token with the label of the highest score."""
    best = int(token["scores"].argmax())
    return {
        "entity": id2label[best],
        "score": token["scores"][best],
        "index": token["index"],
        "word": token["word"],
        "start": token["start"],
        "end": token["end"],
    }


def prefix_and_tag(name: str) -> tuple[str, str]:
    """Split "B-PER" into "B" and "PER"; a label without prefix continues what it follows."""
    if name.startswith(("B-", "I-")):
        return name[0], name[2:]
    return "I", name


def neighbours(entities: list[Entity]) -> list[list[Entity]]:
    """Put neighbours of one tag together; a "B-" begins anew."""
    groups: list[list[Entity]] = []
    for entity in entities:
        prefix, tag = prefix_and_tag(entity["entity"])
        if groups and prefix != "B" and tag == prefix_and_tag(groups[-1][-1]["entity"])[1]:
            groups[-1].append(entity)
        else:
            groups.append([entity])
    return groups


def group_name(name: str) -> str:
    """Return what entities of a label are called: "PER" for "B-PER".

    As in the reference it loses whatever stands before the first hyphen, be it a prefix or not:
    "X-Y-Z" is reported as "Y-Z".
    """
    return name.split("-", 1)[-1]


def join(entities: list[Entity], tokenizer: BertTokenizer) -> Entity:
    """Make one entity of neighbours: its score is their mean."""
    return {
        "entity_group": group_name(entities[0]["entity"]),
        "score": float(np.mean([entity["score"] for entity in entities])),
        "word": tokenizer.convert_tokens_to_string([entity["word"] for entity in entities]),
        "start": entities[0]["start"],
        "end": entities[-1]["end"],
    }
