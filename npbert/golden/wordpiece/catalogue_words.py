"""The catalogue of mistakes from words to word pieces."""

from __future__ import annotations

from functools import partial

from npbert.golden.wordpiece import mistaken_words as words
from npbert.golden.wordpiece.exchanging import exchanging

WORDS = (
    exchanging(
        "empty_words",
        "white space",
        "split_white_space",
        "that makes an unknown word of nothing between two spaces",
        split_white_space=words.with_empty_words,
        isolate_punctuation=words.unless_empty,
        cut=words.empty_unknown,
    ),
    exchanging(
        "punctuation_left",
        "punctuation",
        "isolate_punctuation",
        "that leaves punctuation on its word",
        isolate_punctuation=words.left_together,
    ),
    exchanging(
        "punctuation_in_runs",
        "punctuation",
        "isolate_punctuation",
        "that makes a run of punctuation one word, instead of a word of each character",
        isolate_punctuation=words.in_runs,
    ),
    exchanging(
        "punctuation_of_ascii",
        "punctuation",
        "isolate_punctuation",
        "that knows only the punctuation of ASCII",
        isolate_punctuation=words.punctuation_of_ascii,
    ),
    exchanging(
        "punctuation_of_unicode",
        "punctuation",
        "isolate_punctuation",
        "that asks Unicode what is punctuation, where $ + < = > ^ ` | ~ are not",
        isolate_punctuation=words.punctuation_of_unicode,
    ),
    exchanging(
        "symbols_as_punctuation",
        "punctuation",
        "isolate_punctuation",
        "that isolates symbols, too: € and emoji",
        isolate_punctuation=words.symbols_too,
    ),
    exchanging(
        "underscore_in_words",
        "punctuation",
        "isolate_punctuation",
        "that takes the underscore for a letter, as \\w of regular expressions does",
        isolate_punctuation=words.underscore_in_words,
    ),
)

PIECES = (
    exchanging(
        "no_prefix",
        "word pieces",
        "wordpiece",
        "that looks pieces inside a word up without ## in front",
        cut=words.without_prefix,
    ),
    exchanging(
        "shortest_match",
        "word pieces",
        "wordpiece",
        "that takes the shortest piece instead of the longest",
        cut=partial(words.cut_otherwise, shortest=True),
    ),
    exchanging(
        "backtracking",
        "word pieces",
        "wordpiece",
        "that tries shorter pieces where the longest leads nowhere",
        cut=words.with_backtracking,
    ),
    exchanging(
        "unknown_rest",
        "unknown",
        "wordpiece",
        "that keeps the known pieces of a word and makes only the rest [UNK]",
        cut=partial(words.cut_otherwise, unknown_to=lambda start, end: end),
    ),
    exchanging(
        "unknown_characters",
        "unknown",
        "wordpiece",
        "that makes a single character [UNK] and goes on behind it",
        cut=partial(words.cut_otherwise, unknown_to=lambda start, end: start + 1),
    ),
    exchanging(
        "unknown_left_out",
        "unknown",
        "wordpiece",
        "that leaves unknown words out",
        cut=words.unknown_left_out,
    ),
    exchanging(
        "no_longest_word",
        "a long word",
        "wordpiece",
        "that cuts words of any length, where one of more than 100 characters is unknown",
        cut=partial(words.cut_otherwise, longest=10**9),
    ),
    exchanging(
        "longest_word_200",
        "a long word",
        "wordpiece",
        "whose longest word has 200 characters instead of 100",
        cut=partial(words.cut_otherwise, longest=200),
    ),
    exchanging(
        "longest_word_99",
        "a long word",
        "wordpiece",
        "that makes a word of exactly 100 characters unknown, too",
        cut=partial(words.cut_otherwise, longest=99),
    ),
    exchanging(
        "longest_word_in_bytes",
        "a long word",
        "wordpiece",
        "that counts the 100 characters of the longest word in bytes of UTF-8",
        cut=partial(words.cut_otherwise, length=lambda word: len(word.encode())),
    ),
    exchanging(
        "longest_word_in_utf16",
        "a long word",
        "wordpiece",
        "that counts the 100 characters of the longest word in units of UTF-16",
        cut=partial(words.cut_otherwise, length=lambda word: len(word.encode("utf-16-le")) // 2),
    ),
)
