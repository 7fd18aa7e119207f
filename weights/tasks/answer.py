"""Questions with a gap: a sentence with [MASK] in it, and a passage that holds the missing words.

The question is a sentence of the passage of which words are missing, up to two thirds of them,
besides those of the answer: what is asked is said in the passage, but otherwise. The gap is one
[MASK] for one word to three.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from npbert import AutoModelForMaskedLM, BertTokenizer
from npbert.model.base import PreTrainedModel

from .sentences import FUNCTION_WORDS, SPLIT_SEEDS, documents_of_sentences

NAMES, BASE = ("convbert-tiny-answer",), "convbert-tiny"
EXAMPLES = 120_000  # of the training split
HEAD, LABELS = "QuestionAnswering", ()
GAP = "[MASK]"
POSITIONS = 128  # of the base
WORDS = range(6, 36)  # in the sentence
LONGEST = 3  # words in an answer
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass
class Example:
    question: str
    passage: str
    answer: str


def is_content(word: str) -> bool:
    return len(word) > 2 and word not in FUNCTION_WORDS and not word.endswith(("n't", "n’t"))


def places(phrase: str, text: str) -> list[tuple[int, int]]:
    """Return where a phrase stands in a text as whole words, whatever the case: [(start, end)]."""
    pattern = rf"(?<![\w’'-]){re.escape(phrase)}(?![\w’'-])"
    return [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)]


def phrases(sentence: str, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return the spans of a sentence that could be asked for, all of one to three words: a draw."""
    words = list(WORD.finditer(sentence))
    size = int(rng.choice(np.arange(1, LONGEST + 1), p=(0.6, 0.25, 0.15)))
    found = []
    for i in range(len(words) - size + 1):
        run = words[i : i + size]
        start, end = run[0].start(), run[-1].end()
        content = is_content(run[0].group().lower()) and is_content(run[-1].group().lower())
        if content and len(places(sentence[start:end], sentence)) == 1:
            found.append((start, end))
    return found


def reworded(before: str, behind: str, rng: np.random.Generator) -> str:
    """Return the question of what stands before and behind a gap, some of the words left out."""
    left, right = before.split(" "), behind.split(" ")
    if rng.random() < 0.5:  # one side is short
        length = int(rng.integers(1, 6))
        if rng.random() < 0.5:
            left = left[-1 - length :]
        else:
            right = right[: 1 + length]
    share = rng.uniform(0, 2 / 3)
    # What touches the gap without a space, a quotation mark or a comma, stays.
    left = [word for word in left[:-1] if rng.random() >= share] + left[-1:]
    right = right[:1] + [word for word in right[1:] if rng.random() >= share]
    return " ".join(left) + GAP + " ".join(right)


def examples(split: str, tokenizer: BertTokenizer, count: int | None = None) -> list[Example]:
    """Return questions: every sentence with enough words and neighbours is asked for once."""
    rng = np.random.default_rng([SPLIT_SEEDS[split], 3])
    found: list[Example] = []
    for document in documents_of_sentences(split, SPLIT_SEEDS[split]):
        sentences = [sentence for paragraph in document for sentence in paragraph]
        sizes = [len(tokenizer(s, add_special_tokens=False)["input_ids"]) for s in sentences]
        for i, sentence in enumerate(sentences):
            if len(sentence.split()) not in WORDS:
                continue
            first, last = neighbours(i, sizes, POSITIONS - 3 - 2 * sizes[i], rng)
            spans = phrases(sentence, rng)
            if spans and first + 1 < last:
                start, end = spans[rng.integers(len(spans))]
                question = reworded(sentence[:start], sentence[end:], rng)
                passage = " ".join(sentences[first:last])
                found.append(Example(question, passage, sentence[start:end]))
        if count is not None and len(found) >= count:
            break
    return found[:count]


def neighbours(i: int, sizes: list[int], room: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return which sentences around sentence i fit with it into `room` pieces: [first, last).

    Sentences are added before and behind in turns drawn by chance, until one does not fit.
    """
    first, last, total = i, i + 1, 0
    while True:
        before = bool(rng.integers(2))
        if first == 0 if before else last == len(sizes):
            before = not before
        new = first - 1 if before else last
        if not 0 <= new < len(sizes) or total + sizes[new] > room:
            return first, last
        total += sizes[new]
        first, last = (new, last) if before else (first, new + 1)


def encode(example: Example, tokenizer: BertTokenizer) -> dict[str, np.ndarray]:
    """Return the row of an example; `starts` and `ends` mark every place of the answer."""
    row = tokenizer(example.question, example.passage, return_offsets_mapping=True)
    ids = np.array(row["input_ids"])
    starts, ends = np.zeros_like(ids), np.zeros_like(ids)
    passage = row.sequence_ids()
    for start, end in places(example.answer, example.passage):
        for t, (a, b) in enumerate(row["offset_mapping"]):
            if passage[t] == 1:
                starts[t] |= a == start
                ends[t] |= b == end
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.array(row["token_type_ids"]),
        "starts": starts,
        "ends": ends,
    }


# ---- what the model says, and how good it is -----------------------------------------------


def prediction(logits: np.ndarray, example: Example, tokenizer: BertTokenizer) -> str:
    """Return the likeliest span of the passage: logits [T, 2] -> text.

    At most 15 pieces long, and grown to whole words.
    """
    row = tokenizer(example.question, example.passage, return_offsets_mapping=True)
    passage = np.flatnonzero([segment == 1 for segment in row.sequence_ids()])
    start, end = logits[passage, 0], logits[passage, 1]
    C = len(passage)
    length = np.arange(C)[None] - np.arange(C)[:, None]
    scores = np.where((length >= 0) & (length < 15), start[:, None] + end[None], -np.inf)
    i, j = np.unravel_index(scores.argmax(), scores.shape)
    a, b = row["offset_mapping"][passage[i]][0], row["offset_mapping"][passage[j]][1]
    text = example.passage
    while a > 0 and text[a - 1].isalnum():
        a -= 1
    while b < len(text) and text[b].isalnum():
        b += 1
    return text[a:b]


def words(text: str) -> list[str]:
    return [word.replace("’", "'") for word in WORD.findall(text.lower())]


def measures(examples: list[Example], predictions: list[str]) -> dict[str, float]:
    """Return how many answers are right to the word, and the mean F1 of their words."""
    exact, shared = [], []
    for example, said in zip(examples, predictions):
        right, found = words(example.answer), words(said)
        common = sum((Counter(right) & Counter(found)).values())
        exact.append(right == found)
        shared.append(2 * common / max(1, len(right) + len(found)))
    return {"exact": float(np.mean(exact)), "F1": float(np.mean(shared))}


# ---- baselines -----------------------------------------------------------------------------


def candidates(example: Example, longest: int = 1) -> list[tuple[int, int]]:
    """Return the runs of words in the passage that could be an answer: [(first, last + 1)].

    They begin and end with a word about something, and have no word of the question.
    """
    asked, passage = set(words(example.question)), words(example.passage)
    return [
        (i, i + size)
        for size in range(1, longest + 1)
        for i in range(len(passage) - size + 1)
        if is_content(passage[i]) and is_content(passage[i + size - 1])
        if not asked & set(passage[i : i + size])
    ]


def single_words(example: Example) -> list[str]:
    passage = words(example.passage)
    return [passage[i] for i, _ in candidates(example)]


def most_overlap(example: Example) -> str:
    """Return the candidate whose neighbours are most like the gap's; the more frequent of equals.

    The two words before it and the two behind count, those next to it twice.
    """
    before, behind = map(words, example.question.split(GAP))
    passage = words(example.passage)
    counts = Counter(passage)

    def score(candidate: tuple[int, int]) -> tuple[float, int, int, int]:
        i, j = candidate
        left, right = passage[max(0, i - 2) : i], passage[j : j + 2]
        near = 2.0 * (left[-1:] == before[-1:] != []) + 2.0 * (right[:1] == behind[:1] != [])
        near += len(set(left) & set(before[-2:])) + len(set(right) & set(behind[:2]))
        return near, i - j, counts[passage[i]], -i

    i, j = max(candidates(example, LONGEST), key=score, default=(0, 0))
    return " ".join(passage[i:j])


def most_frequent(example: Example) -> str:
    counts = Counter(single_words(example))
    return counts.most_common(1)[0][0] if counts else ""


def likeliest(example: Example, masked_lm: PreTrainedModel, tokenizer: BertTokenizer) -> str:
    """Return the candidate whose first piece a masked language model finds likeliest in the gap."""
    row = tokenizer(example.question, example.passage)
    ids = np.array(row["input_ids"])
    types = np.array(row["token_type_ids"])
    logits = masked_lm(ids[None], token_type_ids=types[None]).logits[0]
    gap = int(np.flatnonzero(ids == tokenizer.mask_token_id)[0])
    options = sorted(set(single_words(example)))
    firsts = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in options]
    return options[int(logits[gap, firsts].argmax())] if options else ""


def baselines(
    train: list[Example], examples: list[Example], tokenizer: BertTokenizer
) -> dict[str, list[str]]:
    """Return what simple methods say: any word, the most frequent one, the best-fitting context."""
    rng = np.random.default_rng(0)
    masked_lm = AutoModelForMaskedLM.from_pretrained(BASE)
    options = [single_words(example) or [""] for example in examples]
    return {
        "chance: any content word that is not in the question": [
            str(rng.choice(choice)) for choice in options
        ],
        "most frequent such word": [most_frequent(example) for example in examples],
        "such word, or two or three, with the most alike neighbours": [
            most_overlap(e) for e in examples
        ],
        f"such word that {BASE} puts at [MASK], without fine-tuning": [
            likeliest(example, masked_lm, tokenizer) for example in examples
        ],
    }
