"""The next sentence: which of four sentences goes on where a passage stops?

The passage is one sentence or two of a paragraph, and the right choice is the sentence behind
them. The three others are from other documents, and are the right choice of some other passage, so
that nothing about a sentence by itself gives it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npbert import BertTokenizer

from .baselines import Overlap
from .sentences import SPLIT_SEEDS, documents_of_sentences

NAMES, BASE = ("mobilebert-tiny-choice",), "mobilebert-tiny"
EXAMPLES = 8_500  # of the training split
HEAD, LABELS = "MultipleChoice", ()
CHOICES = 4
WORDS = range(5, 31)  # in a choice
PROMPT, CHOICE = 48, 32  # pieces at most


@dataclass
class Example:
    prompt: str
    choices: list[str]
    right: int


def places(
    split: str, tokenizer: BertTokenizer, count: int | None = None
) -> list[tuple[int, str, str]]:
    """Return the places a question can be asked at: (document, prompt, next sentence).

    Every sentence of a paragraph is asked for, from the second on, behind the two sentences
    before it or, in half of the cases and where two are too long, the one. With `count`, as many
    documents are read as give so many places.
    """
    rng = np.random.default_rng([SPLIT_SEEDS[split], 4])
    found: list[tuple[int, str, str]] = []

    def size(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    for d, document in enumerate(documents_of_sentences(split, SPLIT_SEEDS[split])):
        for sentences in document:
            sizes = [size(sentence) for sentence in sentences]
            for i in range(1, len(sentences)):
                two = i > 1 and sizes[i - 2] + sizes[i - 1] <= PROMPT and rng.integers(2)
                fits = sizes[i - 1] <= PROMPT and sizes[i] <= CHOICE
                if fits and len(sentences[i].split()) in WORDS:
                    prompt = " ".join(sentences[i - 2 if two else i - 1 : i])
                    found.append((d, prompt, sentences[i]))
        if count is not None and len(found) >= count:
            break
    return found


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return questions, one for every place."""
    everywhere = places(split, tokenizer, count)
    rng = np.random.default_rng([SPLIT_SEEDS[split], 5])
    found: list[Example] = []
    for i in rng.permutation(len(everywhere))[:count]:
        d, prompt, following = everywhere[i]
        choices = [following]
        while len(choices) < CHOICES:
            other, _, text = everywhere[rng.integers(len(everywhere))]
            if other != d and text not in choices:
                choices.append(text)
        order = [int(k) for k in rng.permutation(CHOICES)]
        found.append(Example(prompt, [choices[k] for k in order], order.index(0)))
    return found


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    """Return the row of an example: the prompt with each choice, [N, T]."""
    pairs = [(example.prompt, choice) for choice in example.choices]
    rows = tokenizer(pairs, padding=True, return_tensors="np")
    return {**rows, "labels": np.array(example.right)}


# ---- what the model says, and how good it is -----------------------------------------------


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> int:
    return int(logits.argmax())


def measures(examples: list[Example], predictions: list[int]) -> dict[str, float]:
    """Return the share of right choices."""
    right = np.array([e.right == said for e, said in zip(examples, predictions)])
    return {"right": float(right.mean())}


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
