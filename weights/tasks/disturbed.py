"""Disturbed sentences: is a sentence as somebody wrote it, or has one thing in it been disturbed?

One of four things, each as often as the others: two neighbours swapped, a small word dropped,
a word doubled, a word in a wrong form ("a/an", "he/him", "she walks" -> "she walk"). What is
disturbed is chosen so that a reader would mostly notice; where nobody could (a noun whose article
is not missed), the example stays as it is, and keeps the task below 100 %.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from corpus import read_documents

from npbert import BertTokenizer

from .baselines import Bigrams, LinearClassifier, hashed, logistic_weights, tokens_of
from .sentences import SPLIT_SEEDS, documents_of_sentences, words_of

NAMES, BASE = ("convbert-tiny-disturbed",), "convbert-tiny"
EXAMPLES = 140_000  # of the training split
HEAD, LABELS = "SequenceClassification", ("original", "disturbed")
KINDS = ("swapped", "dropped", "doubled", "wrong form")
WORDS = range(5, 36)  # in a sentence
TOKEN = re.compile(r"([^\w]*)(.*?)([^\w]*)")  # marks, word, marks

DROPPED = frozenset(
    "a an the of to in on at for with from by as is are was were be been has have had will would "
    "can could i he she we they it and or than".split()
)
NEVER_DOUBLED = frozenset("that had very so no long her more over you is many again".split())


# ---- wrong forms ---------------------------------------------------------------------------

WRONG = {
    word: others
    for line in """is are|are is|was were|were was|has have|have has|does do|a an|an a|this these
these this|he him|him he|she her|they them|them they|we us|us we|i me|me i|his he|their they|its it
my me|our us|went gone|gone went|did done|done did|saw seen|seen saw|took taken|taken took
gave given|given gave|wrote written|written wrote|broke broken|broken broke|spoke spoken
spoken spoke|knew known|known knew|grew grown|grown grew|began begun|begun began|ate eaten
eaten ate|fell fallen|fallen fell|drove driven|driven drove|chose chosen|chosen chose|goes go
much many|many much|am is|myself me|himself him|themselves them|been be|being been""".replace(
        "\n", "|"
    ).split("|")
    for word, *others in [line.split()]
}
IRREGULAR_PLURALS = dict(
    pair.split("/")
    for pair in "child/children man/men woman/women foot/feet tooth/teeth life/lives wife/wives "
    "mouse/mice leaf/leaves half/halves thief/thieves knife/knives".split()
)
BE = frozenset("is are was were be been being am".split())
HAVE = frozenset("has have had".split())
BEFORE_BASE = frozenset(
    "to will would can could shall should may might must did didn't don't doesn't won't "
    "can't couldn't wouldn't not let".split()
)
THIRD_PERSON = frozenset("he she it who which".split())
ONE = frozenset("a an one this every each another either".split())
MANY = frozenset(
    "two three four five six seven eight nine ten many several few these those all both".split()
)


@functools.cache
def inflections() -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the forms of verbs, and the plurals of nouns, that the training text itself shows.

    form -> {"base", "s", "ed", "ing": form}, for words that occur in the base, the -ed and the
    -ing form; singular -> plural.
    """
    counts = Counter(
        word for d in read_documents("train") for paragraph in d for word in words_of(paragraph)
    )
    known = {word for word, count in counts.items() if count >= 5 and word.isascii()}
    verbs: dict[str, dict[str, str]] = {}
    for ing in sorted(word for word in known if word.endswith("ing") and len(word) > 5):
        stem = ing[:-3]
        twice = stem[-1] == stem[-2] and stem[-1] in "bgmnprt"  # step, stepping
        for base in (stem[:-1] if twice else stem + "e", stem):
            if base in known and stem + "ed" in known:
                forms = {"base": base, "ed": stem + "ed", "ing": ing}
                s = base + ("es" if base.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")
                if s in known:
                    forms["s"] = s
                for form in forms.values():
                    verbs.setdefault(form, forms)
                break
    plurals = {word: word + "s" for word in known if word + "s" in known and len(word) > 2}
    return verbs, plurals | IRREGULAR_PLURALS


def wrong_forms(before: str, word: str) -> list[str]:
    """Return forms of `word` that are wrong behind the word `before`, mostly."""
    verbs, plurals = inflections()
    if word in WRONG:
        return WRONG[word]
    if before in ONE and word in plurals:
        return [plurals[word]]
    if before in MANY:
        return [singular for singular in _singulars().get(word, [])]
    forms = verbs.get(word)
    if forms is None:
        return []
    kind = next(name for name, form in forms.items() if form == word)
    if kind == "ing" and before not in _singulars():  # not "people walking"
        wrong = ["base"]
    elif kind == "ed":
        wrong = ["base"] if before in BE else ["base", "ing"] if before in HAVE else ["ing"]
    elif kind == "base" and before in BEFORE_BASE:
        wrong = ["ed", "ing", "s"]
    elif kind == "s" and before in THIRD_PERSON:
        wrong = ["base", "ing"]
    else:
        wrong = []
    return [forms[name] for name in wrong if name in forms]


@functools.cache
def _singulars() -> dict[str, list[str]]:
    singulars: dict[str, list[str]] = {}
    for singular, plural in sorted(inflections()[1].items()):
        singulars.setdefault(plural, []).append(singular)
    return singulars


# ---- disturbances --------------------------------------------------------------------------


def disturb(sentence: str, kind: str, rng: np.random.Generator) -> str | None:
    """Return the sentence with one disturbance of a kind; None where there is no place for it."""
    parts = [list(TOKEN.fullmatch(token).groups()) for token in sentence.split()]
    words = [word.lower().replace("’", "'") for _, word, _ in parts]
    N = len(parts)
    plain = [word.replace("'", "").isalpha() for word in words]
    if kind == "swapped":
        places = [
            i
            for i in range(N - 1)
            if plain[i] and plain[i + 1] and words[i] != words[i + 1]
            if not parts[i][2] and not parts[i + 1][0]
            if "and" not in words[i : i + 2]
        ]
    elif kind == "dropped":
        places = [i for i in range(N - 1) if words[i] in DROPPED and not parts[i][2]]
    elif kind == "doubled":
        places = [i for i in range(N) if plain[i] and words[i] not in NEVER_DOUBLED]
    else:
        places = [i for i in range(N) if wrong_forms(words[i - 1] if i else "", words[i])]
    if not places:
        return None
    i = int(rng.choice(places))
    if kind == "swapped":
        parts[i][1], parts[i + 1][1] = parts[i + 1][1], parts[i][1]
    elif kind == "dropped":
        if i == 0:
            parts[1][0] = parts[0][0] + parts[1][0]
        del parts[i]
    elif kind == "doubled":
        parts.insert(i + 1, ["", parts[i][1], parts[i][2]])
        parts[i][2] = ""
    else:
        parts[i][1] = str(rng.choice(wrong_forms(words[i - 1] if i else "", words[i])))
    if i == 0:  # the capital stays where it was
        for place in range(min(2, len(parts))):
            word = parts[place][1]
            head = word[:1].upper() if place == 0 else word[:1].lower()
            if place == 0 or kind in ("swapped", "doubled"):
                parts[place][1] = head + word[1:]
    return " ".join(map("".join, parts))


# ---- examples and rows ---------------------------------------------------------------------


@dataclass
class Example:
    text: str
    kind: str  # "original" or one of KINDS
    original: str = ""  # the text before it was disturbed

    @property
    def label(self) -> int:
        return int(self.kind != "original")


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return sentences, every other one disturbed; no sentence stands in both conditions."""
    rng = np.random.default_rng([SPLIT_SEEDS[split], 2])
    found: list[Example] = []
    for document in documents_of_sentences(split, SPLIT_SEEDS[split]):
        for sentence in (sentence for paragraph in document for sentence in paragraph):
            if len(sentence.split()) not in WORDS or not re.search("[.?!][”’\"']*$", sentence):
                continue
            text, kind = sentence, "original"
            if len(found) % 2:
                kind = str(rng.choice(KINDS))
                text = disturb(sentence, kind, rng)
            if text is not None and len(tokenizer(text)["input_ids"]) <= 64:
                found.append(Example(text, kind, sentence))
        if count is not None and len(found) >= count:
            break
    return found[:count]


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    """Return the row of an example; `places`, for training, marks where it was disturbed."""
    ids = tokenizer(example.text)["input_ids"]
    places = np.zeros(len(ids), int)
    if example.label:
        original = tokenizer(example.original)["input_ids"]
        first = next((i for i, (a, b) in enumerate(zip(ids, original)) if a != b), 1)
        same = next((i for i, (a, b) in enumerate(zip(ids[::-1], original[::-1])) if a != b), 1)
        places[first : max(first + 1, len(ids) - same)] = 1
    ids = np.array(ids)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "labels": np.array(example.label),
        "places": places,
    }


# ---- what the model says, and how good it is -----------------------------------------------


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> int:
    return int(logits.argmax())


def measures(examples: list[Example], predictions: list[int]) -> dict[str, float]:
    """Return the accuracy, and the share of each kind that is recognised for what it is."""
    right = np.array([e.label == said for e, said in zip(examples, predictions)])
    kinds = np.array([e.kind for e in examples])
    return {"accuracy": float(right.mean())} | {
        kind: float(right[kinds == kind].mean()) for kind in ("original", *KINDS)
    }


# ---- baselines -----------------------------------------------------------------------------


def features(text: str, longest: int) -> list[int]:
    """Return the hashed words of a sentence, and its runs of up to `longest` words."""
    words = ["<", *tokens_of(text), ">"]
    return hashed(
        [
            " ".join(words[i : i + size])
            for size in range(1, longest + 1)
            for i in range(len(words) - size + 1)
        ]
    )


def baselines(
    train: list[Example], examples_: list[Example], tokenizer: BertTokenizer
) -> dict[str, list[int]]:
    """Return what simple methods say: chance, words and bigrams, a bigram language model.

    What the language model finds odd is weighed on the validation split: it has seen the
    sentences of the training split as they are.
    """
    said = {"chance": np.random.default_rng(0).integers(2, size=len(examples_)).tolist()}
    for name, longest in (("words", 1), ("words and bigrams", 2)):
        linear = LinearClassifier(2)
        linear.fit([features(e.text, longest) for e in train], [e.label for e in train])
        rows = [features(e.text, longest) for e in examples_]
        said[f"logistic regression on {name}"] = linear.predict(rows)
    bigrams = Bigrams()
    weighed = examples("validation", tokenizer)
    weights = logistic_weights(
        np.array([bigrams.features(e.text) for e in weighed]), np.array([e.label for e in weighed])
    )
    odd = np.array([bigrams.features(e.text) for e in examples_]) @ weights > 0
    said["the oddest bigrams, and whether a word is doubled"] = odd.astype(int).tolist()
    return said
