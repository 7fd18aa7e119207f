"""The next sentence: which of four sentences goes on where a passage stops?

The passage is two or three sentences of one paragraph, and the right choice is the sentence behind
them. Of the three others one is from elsewhere in the same document, about the same subject and in
the same voice, and two are from other documents. All of them are the right choice of some other
passage, so that nothing about a sentence by itself gives it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npbert import BertTokenizer

from .baselines import Overlap
from .sentences import SPLIT_SEEDS, documents_of_sentences

NAMES, BASE = ("mobilebert-tiny-choice",), "mobilebert-tiny"
EXAMPLES = 10_000  # of the training split
HEAD, LABELS = "MultipleChoice", ()
CHOICES = 4
WORDS = range(5, 31)  # in a choice
PROMPT, CHOICE = 70, 40  # pieces at most


@dataclass
class Example:
    prompt: str
    choices: list[str]
    right: int
    same_document: int  # which wrong choice is from the same document


def places(
    split: str, tokenizer: BertTokenizer, count: int | None = None
) -> list[list[tuple[str, str]]]:
    """Return for each document the places a question can be asked at: (prompt, next sentence).

    Every sentence of a paragraph is asked for, from the third on. With `count`, as many documents
    are read as give so many places.
    """
    rng = np.random.default_rng([SPLIT_SEEDS[split], 4])
    found = []
    for document in documents_of_sentences(split, SPLIT_SEEDS[split]):
        here = []
        for sentences in document:
            for i in range(2, len(sentences)):
                first = i - 3 if i > 2 and rng.integers(2) else i - 2
                prompt, following = " ".join(sentences[first:i]), sentences[i]
                if len(following.split()) in WORDS:
                    sizes = [len(tokenizer(text)["input_ids"]) - 2 for text in (prompt, following)]
                    if sizes[0] <= PROMPT and sizes[1] <= CHOICE:
                        here.append((prompt, following))
        found.append(here)
        if count is not None and sum(map(len, found)) >= count:
            break
    return found


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return questions; documents with one place only give no question."""
    documents = places(split, tokenizer, count and count + 500)  # some give no question
    rng = np.random.default_rng([SPLIT_SEEDS[split], 5])
    everywhere = [(d, text) for d, here in enumerate(documents) for _, text in here]
    found: list[Example] = []
    for d, here in enumerate(documents):
        for i, (prompt, following) in enumerate(here):
            if len(here) < 2:
                continue
            near = here[(i + int(rng.integers(1, len(here)))) % len(here)][1]
            far: list[str] = []
            while len(far) < CHOICES - 2:
                other, text = everywhere[rng.integers(len(everywhere))]
                if other != d and text not in far:
                    far.append(text)
            order = [int(k) for k in rng.permutation(CHOICES)]
            choices = [[following, near, *far][k] for k in order]
            found.append(Example(prompt, choices, order.index(0), order.index(1)))
    return [found[i] for i in rng.permutation(len(found))[:count]]


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    """Return the row of an example: the prompt with each choice, [N, T]."""
    pairs = [(example.prompt, choice) for choice in example.choices]
    rows = tokenizer(pairs, padding=True, return_tensors="np")
    return {**rows, "labels": np.array(example.right)}


# ---- what the model says, and how good it is -----------------------------------------------


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> int:
    return int(logits.argmax())


def measures(examples: list[Example], predictions: list[int]) -> dict[str, float]:
    """Return the accuracy, and the share of the two kinds of mistakes."""
    said = np.array(predictions)
    right = said == [example.right for example in examples]
    near = said == [example.same_document for example in examples]
    return {
        "right": float(right.mean()),
        "wrong, same document": float(near.mean()),
        "wrong, another document": float((~right & ~near).mean()),
    }


# ---- baselines -----------------------------------------------------------------------------


def baselines(
    train: list[Example], examples: list[Example], tokenizer: BertTokenizer
) -> dict[str, list[int]]:
    """Return what simple methods say: chance, and the choice that shares most words."""
    overlap = Overlap()
    rng = np.random.default_rng(0)
    return {
        "chance": rng.integers(CHOICES, size=len(examples)).tolist(),
        "most words in common, weighted by rarity (TF-IDF)": [
            int(np.argmax([overlap(e.prompt, choice) for choice in e.choices])) for e in examples
        ],
    }
