"""Exercises of the chapter on word pieces: case, longest match, offsets, truncation, pairs."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from npbert.exercises.exercise import Exercise, Mistake
from npbert.tokenizer import stages


def lower_each(text):
    """Lower the case of a text as the tokenizer does, every character by itself."""
    return "".join(character.lower() for character in text)


def inputs_of_lower(rng):
    for word in ("ΣΟΦΟΣ", "Straße", "Café"):
        letters = rng.choice(list("ABCÉΣΩ"), 4)
        yield (f"{''.join(letters)} {word}",)


def longest_match(word, vocabulary):
    """Cut a word greedily into the longest pieces that are in the vocabulary, a set; pieces that do
    not begin the word have "##" in front. Return them in a list, or ["[UNK]"] if nothing fits.
    """
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in vocabulary:
                break
        else:
            return ["[UNK]"]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces


VOCABULARY = {"a", "b", "ab", "##a", "##b", "##ab", "##ba", "ca", "##c", "ba", "abc", "bad"}


def inputs_of_match(rng):
    yield "abba", VOCABULARY
    yield "abd", VOCABULARY
    for _ in range(6):
        yield "".join(rng.choice(list("abc"), 5)), VOCABULARY


def match_by_npbert(word, vocabulary):
    ids = {piece: number for number, piece in enumerate(sorted(vocabulary))}
    found = stages.wordpiece(word, ids)
    names = sorted(vocabulary)
    return ["[UNK]"] if found is None else [names[number] for number, _, _ in found]


def match(word, vocabulary, prefix="##", shortest=False, keeps=False):
    pieces: list[str] = []
    start = 0
    while start < len(word):
        before = prefix if start else ""
        ends = [e for e in range(start + 1, len(word) + 1) if before + word[start:e] in vocabulary]
        if not ends:
            return [*pieces, "[UNK]"] if keeps else ["[UNK]"]
        end = min(ends) if shortest else max(ends)
        pieces.append(before + word[start:end])
        start = end
    return pieces


def spans_in_word(pieces):
    """Return for every piece of a word its (start, end) in the word, in characters; the end is not
    part of it.
    """
    spans, start = [], 0
    for number, piece in enumerate(pieces):
        end = start + len(piece) - (2 if number else 0)
        spans.append((start, end))
        start = end
    return spans


def inputs_of_spans(rng):
    yield (["photo", "##synth", "##esis"],)
    for _ in range(3):
        lengths = rng.integers(1, 6, 3)
        yield ([("##" if i else "") + "x" * int(n) for i, n in enumerate(lengths)],)


def spans_with_signs(pieces):
    ends = np.cumsum([len(piece) for piece in pieces]).tolist()
    return [*zip([0, *ends], ends)]


def truncate_pair(first, second, room):
    """Shorten two lists of pieces to `room` pieces together: remove the last piece of the longer
    one, again and again; where both are as long, that of the second. Return both.
    """
    a, b = len(first), len(second)
    while a + b > room:
        if a > b:
            a -= 1
        else:
            b -= 1
    return first[:a], second[:b]


def inputs_of_truncation(rng):
    for a, b, room in ((3, 3, 3), (6, 3, 6), (3, 8, 5), (2, 2, 9)):
        yield rng.integers(0, 99, a).tolist(), rng.integers(0, 99, b).tolist(), room


def truncate_first_on_a_tie(first, second, room):
    a, b = len(first), len(second)
    while a + b > room:
        if a >= b:
            a -= 1
        else:
            b -= 1
    return first[:a], second[:b]


def truncate_at_the_front(first, second, room):
    a, b = map(len, truncate_pair(first, second, room))
    return first[len(first) - a :], second[len(second) - b :]


def truncate_second_only(first, second, room):
    return first[:room], second[: max(0, room - len(first))]


def best_pair(words):
    """Return the pair of neighbouring pieces to merge next: the most frequent one, and of several
    the first in the alphabet. `words` maps tuples of pieces to the number of their occurrences.
    """
    counts: Counter = Counter()
    for pieces, count in words.items():
        for pair in pairwise(pieces):
            counts[pair] += count
    return min(counts, key=lambda pair: (-counts[pair], pair))


def inputs_of_pairs(rng):
    yield ({("a", "b"): 1, ("c", "d"): 5, ("a", "b", "e"): 1},)
    yield ({("a", "b", "a", "b"): 3, ("c", "d"): 4},)
    yield ({("d", "c"): 2, ("a", "b"): 2},)
    for _ in range(3):
        words = {
            tuple(rng.choice(list("abc"), 6).tolist()): int(rng.integers(1, 20)) for _ in range(5)
        }
        yield (words,)


def best_of(words, by_count=True, once=False, last=False):
    counts: Counter = Counter()
    for pieces, count in words.items():
        pairs = [*pairwise(pieces)]
        for pair in dict.fromkeys(pairs) if once else pairs:
            counts[pair] += count if by_count else 1
    most = max(counts.values())
    found = sorted(pair for pair in counts if counts[pair] == most)
    return found[-1 if last else 0]


EXERCISES = (
    Exercise(
        lower_each,
        inputs_of_lower,
        (
            Mistake(
                "Lowered as a whole: then a Σ at the end of a word becomes ς, which is another "
                "piece.",
                lambda text: text.lower(),
            ),
            Mistake(
                "casefold() does more than lower(): ß becomes ss.", lambda text: text.casefold()
            ),
            Mistake(
                "Accents are taken away as well; that is another stage.",
                lambda text: stages.text_of(
                    stages.strip_accents([(character.lower(), 0) for character in text])
                ),
            ),
        ),
        "`str.lower` looks at the neighbours of one letter, Σ. Give it one character at a time.",
        lambda text: stages.text_of(stages.lower([(character, 0) for character in text])),
    ),
    Exercise(
        longest_match,
        inputs_of_match,
        (
            Mistake(
                'Later pieces are looked up without "##".',
                lambda word, vocabulary: match(word, vocabulary, prefix=""),
            ),
            Mistake(
                "The shortest piece is taken, not the longest: begin with the end of the word.",
                lambda word, vocabulary: match(word, vocabulary, shortest=True),
            ),
            Mistake(
                "Only the rest becomes [UNK]: where one piece is missing the whole word is "
                "unknown.",
                lambda word, vocabulary: match(word, vocabulary, keeps=True),
            ),
        ),
        "For each start try the ends from `len(word)` down. A `for` loop has an `else` for the "
        "case "
        "that nothing was found.",
        match_by_npbert,
    ),
    Exercise(
        spans_in_word,
        inputs_of_spans,
        (
            Mistake(
                'The two characters of "##" are counted; the word does not have them.',
                spans_with_signs,
            ),
            Mistake(
                "The end is the last character of the piece; it should be the one behind it.",
                lambda pieces: [(start, end - 1) for start, end in spans_in_word(pieces)],
            ),
            Mistake(
                "Start and length instead of start and end.",
                lambda pieces: [(start, end - start) for start, end in spans_in_word(pieces)],
            ),
        ),
        "Each piece begins where the one before it ends.",
    ),
    Exercise(
        truncate_pair,
        inputs_of_truncation,
        (
            Mistake("Only the second text is shortened.", truncate_second_only),
            Mistake(
                "On a tie the first text loses a piece, not the second.", truncate_first_on_a_tie
            ),
            Mistake("Pieces are removed at the front, not at the end.", truncate_at_the_front),
        ),
        "Count down two lengths, and cut both lists at the end.",
    ),
    Exercise(
        best_pair,
        inputs_of_pairs,
        (
            Mistake(
                "Every word counts once, however often it occurs.",
                lambda words: best_of(words, by_count=False),
            ),
            Mistake(
                "A pair that is in a word twice counts once.",
                lambda words: best_of(words, once=True),
            ),
            Mistake(
                "Of several pairs the last in the alphabet is taken, not the first.",
                lambda words: best_of(words, last=True),
            ),
        ),
        "`itertools.pairwise` gives the neighbours, `Counter` adds up. For the tie take the "
        "minimum of (-count, pair).",
    ),
)
