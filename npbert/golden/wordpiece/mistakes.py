"""The classic mistakes of porting the tokenizer, each as a step in the right one's place.

The catalogue is in the order of the stages. `kind` is what a mistake is about, in a word or two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from npbert.golden.wordpiece import mistaken_normalizing as normalizing
from npbert.golden.wordpiece import mistaken_rows as rows
from npbert.golden.wordpiece import mistaken_words as words
from npbert.golden.wordpiece.steps import Steps, in_bytes, in_characters


@dataclass(frozen=True)
class TokenizerMistake:
    """A classic mistake.

    name, about  the second follows "your values are those of a tokenizer"
    kind         what it is about: "accents", "CJK", "a long word", ...
    stage        the first field that it changes
    change       exchanges the step
    """

    name: str
    kind: str
    stage: str
    about: str
    change: Callable[[Steps], Steps]


def exchanging(name: str, kind: str, stage: str, about: str, **steps: Any) -> TokenizerMistake:
    """Return a mistake that consists in other steps, given by their names in `Steps`."""
    return TokenizerMistake(name, kind, stage, about, lambda right: replace(right, **steps))


def switching(name: str, kind: str, stage: str, about: str, **switches: Any) -> TokenizerMistake:
    """Return a mistake about which stages run: True, False, or another setting whose value counts.

    The other switches stay as they are.
    """

    def change(right: Steps) -> Steps:
        def mistaken(settings: Any) -> Any:
            wrong = {
                stage: settings[value] if isinstance(value, str) else value
                for stage, value in switches.items()
            }
            return {**right.switches(settings), **wrong}

        return replace(right, switches=mistaken)

    return TokenizerMistake(name, kind, stage, about, change)


FIND_RAW = (
    exchanging(
        "specials_as_text",
        "special tokens",
        "find_raw",
        "that takes a [MASK] in the text apart like any word",
        find_raw=normalizing.whole_text,
    ),
    exchanging(
        "specials_in_any_case",
        "special tokens",
        "find_raw",
        "that finds special tokens in any case, [mask] too",
        find_raw=normalizing.find_in_any_case,
    ),
    exchanging(
        "specials_as_words",
        "special tokens",
        "find_raw",
        "that finds special tokens only between spaces",
        find_raw=normalizing.find_between_spaces,
    ),
)

CLEAN = (
    exchanging(
        "controls_kept",
        "control characters",
        "clean",
        "that leaves control and format characters in",
        clean=normalizing.keep_controls,
    ),
    exchanging(
        "format_characters_kept",
        "control characters",
        "clean",
        "that removes control characters, but not those of format (soft hyphen, zero-width space)",
        clean=normalizing.keep_format_characters,
    ),
    exchanging(
        "controls_to_spaces",
        "control characters",
        "clean",
        "that makes spaces of control characters instead of removing them",
        clean=normalizing.controls_to_spaces,
    ),
    exchanging(
        "replacement_kept",
        "control characters",
        "clean",
        "that leaves U+FFFD, which stands for what could not be decoded, in",
        clean=normalizing.keep_replacement,
    ),
    exchanging(
        "unassigned_removed",
        "control characters",
        "clean",
        "that removes characters which Unicode has not assigned",
        clean=normalizing.remove_unassigned,
    ),
    exchanging(
        "controls_as_white_space",
        "white space",
        "clean",
        "that makes spaces of U+000B, U+000C and U+0085, which are to be removed",
        clean=normalizing.white_space_of_controls,
    ),
    exchanging(
        "tabs_removed",
        "white space",
        "clean",
        "that removes tabs and line ends as control characters, so that words run together",
        clean=normalizing.remove_tabs,
    ),
    exchanging(
        "white_space_of_ascii",
        "white space",
        "clean",
        "that knows only the white space of ASCII, not the no-break space or others",
        clean=normalizing.white_space_of_ascii,
    ),
)

CJK = (
    switching(
        "cjk_left_out",
        "CJK",
        "space_out_cjk",
        "that does not put spaces around ideographs",
        space_out_cjk=False,
    ),
    exchanging(
        "cjk_with_kana",
        "CJK",
        "space_out_cjk",
        "that puts spaces around kana as well as around ideographs",
        space_out_cjk=partial(normalizing.space_out, also="\u3040-\u30ff"),
    ),
    exchanging(
        "cjk_with_hangul",
        "CJK",
        "space_out_cjk",
        "that puts spaces around Hangul as well as around ideographs",
        space_out_cjk=partial(normalizing.space_out, also="\uac00-\ud7a3"),
    ),
    exchanging(
        "cjk_in_16_bits",
        "CJK",
        "space_out_cjk",
        "that knows no ideographs above U+FFFF",
        space_out_cjk=partial(normalizing.space_out, last=0xFFFF),
    ),
    exchanging(
        "cjk_first_block",
        "CJK",
        "space_out_cjk",
        "that knows only the first block of ideographs, U+4E00 to U+9FFF",
        space_out_cjk=partial(normalizing.space_out, first=0x4E00, last=0x9FFF),
    ),
)

ACCENTS = (
    switching(
        "accents_kept",
        "accents",
        "strip_accents",
        "that keeps accents where they are to be stripped",
        strip_accents=False,
    ),
    switching(
        "accents_stripped",
        "accents",
        "strip_accents",
        "that strips accents where they are to be kept",
        strip_accents=True,
    ),
    switching(
        "accents_follow_the_case",
        "accents",
        "strip_accents",
        "that strips accents wherever it lowers the case, whatever the setting",
        strip_accents="do_lower_case",
    ),
    exchanging(
        "accents_not_taken_apart",
        "accents",
        "strip_accents",
        "that removes accents without taking letters apart first (NFD), so that é stays",
        strip_accents=normalizing.without_decomposition,
    ),
    exchanging(
        "accents_taken_apart_only",
        "accents",
        "strip_accents",
        "that takes letters and accents apart (NFD), and does not remove the accents",
        strip_accents=normalizing.only_decomposed,
    ),
    exchanging(
        "compatibility_decomposition",
        "accents",
        "strip_accents",
        "that takes letters apart by NFKD instead of NFD: ﬁ becomes fi",
        strip_accents=partial(normalizing.normalized_as, form="NFKD"),
    ),
    exchanging(
        "put_together_again",
        "accents",
        "strip_accents",
        "that puts letters together again (NFC) after stripping: Hangul stays syllables",
        strip_accents=normalizing.composed_again,
    ),
    exchanging(
        "all_marks_stripped",
        "accents",
        "strip_accents",
        "that strips all marks, spacing ones too (vowel signs of Indian scripts), not only "
        "nonspacing ones",
        strip_accents=partial(normalizing.normalized_as, form="NFD", marks="M"),
    ),
    exchanging(
        "only_latin_accents",
        "accents",
        "strip_accents",
        "that strips only the accents U+0300 to U+036F, not the marks of other scripts",
        strip_accents=normalizing.only_common_accents,
    ),
    exchanging(
        "letters_simplified",
        "accents",
        "strip_accents",
        "that makes plain letters of ø, ł, đ and ß, which have no accent",
        strip_accents=normalizing.simplified,
    ),
)

LOWER = (
    switching("case_kept", "lower case", "lower", "that does not lower the case", lower=False),
    switching(
        "case_always_lowered",
        "lower case",
        "lower",
        "that lowers the case where it is to be kept",
        lower=True,
    ),
    switching(
        "cased_as_uncased",
        "lower case",
        "strip_accents",
        "that strips accents and lowers the case, whatever the settings",
        strip_accents=True,
        lower=True,
    ),
    exchanging(
        "final_sigma",
        "lower case",
        "lower",
        "that lowers the case of whole words, so that Σ at their end becomes ς",
        lower=normalizing.lower_words,
    ),
    exchanging(
        "case_folded",
        "lower case",
        "lower",
        "that folds the case instead of lowering it: ß becomes ss",
        lower=normalizing.fold,
    ),
    exchanging(
        "case_of_ascii",
        "lower case",
        "lower",
        "that lowers the case of ASCII letters only",
        lower=normalizing.lower_ascii,
    ),
    exchanging(
        "one_character_lowered",
        "lower case",
        "lower",
        "whose lower case of İ is i alone, without the dot above",
        lower=normalizing.lower_to_one,
    ),
    exchanging(
        "turkish_case",
        "lower case",
        "lower",
        "that lowers I to ı, as the Turkish locale does",
        lower=normalizing.lower_turkish,
    ),
)

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

ROWS = (
    exchanging(
        "no_special_tokens",
        "special tokens",
        "ids",
        "that adds no [CLS] and [SEP]",
        lay_out=rows.without_special_tokens,
    ),
    exchanging(
        "special_tokens_always",
        "special tokens",
        "ids",
        "that adds [CLS] and [SEP] where none were asked for",
        lay_out=rows.with_special_tokens,
    ),
    exchanging(
        "no_final_sep",
        "special tokens",
        "ids",
        "that does not close the row with [SEP]",
        lay_out=rows.without_final_sep,
    ),
    exchanging(
        "two_seps",
        "pairs",
        "ids",
        "that puts two [SEP] between the texts of a pair, as RoBERTa does",
        lay_out=partial(rows.between, tokens=("[SEP]", "[SEP]")),
    ),
    exchanging(
        "cls_twice",
        "pairs",
        "ids",
        "that begins the second text of a pair with a [CLS] of its own",
        lay_out=partial(rows.between, tokens=("[SEP]", "[CLS]")),
    ),
    exchanging(
        "no_sep_between",
        "pairs",
        "ids",
        "that puts no [SEP] between the texts of a pair",
        lay_out=partial(rows.between, tokens=()),
    ),
    exchanging(
        "types_all_zero",
        "pairs",
        "type_ids",
        "whose type ids are 0 in both texts of a pair",
        lay_out=partial(rows.with_types, types=(0, 0, 0, 0)),
    ),
    exchanging(
        "sep_of_second_type",
        "pairs",
        "type_ids",
        "that gives the [SEP] between the texts of a pair the type id 1",
        lay_out=partial(rows.with_types, types=(0, 1, 1, 1)),
    ),
    exchanging(
        "types_from_one",
        "pairs",
        "type_ids",
        "whose type ids are 1 and 2 instead of 0 and 1",
        lay_out=partial(rows.with_types, types=(1, 1, 2, 2)),
    ),
    exchanging(
        "final_sep_of_first_type",
        "pairs",
        "type_ids",
        "that gives the last [SEP] of a pair the type id 0",
        lay_out=partial(rows.with_types, types=(0, 0, 1, 0)),
    ),
    exchanging("not_truncated", "truncation", "ids", "that does not truncate", truncate=rows.whole),
    exchanging(
        "truncated_with_special_tokens",
        "truncation",
        "ids",
        "that cuts the row after the special tokens were added, and so loses the last [SEP]",
        truncate=rows.whole,
        lay_out=rows.cut_afterwards,
    ),
    exchanging(
        "length_without_special_tokens",
        "truncation",
        "ids",
        "that does not count the special tokens in max_length",
        truncate=rows.without_room,
    ),
    exchanging(
        "truncated_at_the_start",
        "truncation",
        "ids",
        "that cuts texts at their start instead of their end",
        truncate=rows.at_the_start,
    ),
    exchanging(
        "pair_cut_at_its_end",
        "truncation",
        "ids",
        "that cuts a pair at its end, so that the second text vanishes first",
        truncate=rows.second_first,
    ),
    exchanging(
        "odd_piece_to_second",
        "truncation",
        "ids",
        "that gives the odd piece to the second text of a pair where both are cut to half the "
        "room, though the first is longer",
        truncate=rows.odd_piece_to_second,
    ),
    exchanging(
        "pair_cut_in_proportion",
        "truncation",
        "ids",
        "that cuts both texts of a pair in proportion instead of the longest first",
        truncate=rows.in_proportion,
    ),
)

PLACES = (
    exchanging(
        "offsets_in_bytes",
        "offsets in bytes instead of characters",
        "offsets",
        "whose offsets count bytes of UTF-8 where characters are asked for",
        offsets=in_bytes,
    ),
    exchanging(
        "offsets_in_utf16",
        "offsets in units of UTF-16",
        "offsets",
        "whose offsets count units of UTF-16, where characters above U+FFFF are two",
        offsets=rows.in_utf16,
    ),
    exchanging(
        "offsets_in_normalized_text",
        "offsets",
        "offsets",
        "whose offsets are places in the text after it was cleaned, stripped and lowered",
        normalized=rows.counted_anew,
    ),
    exchanging(
        "last_character_included",
        "offsets",
        "offsets",
        "whose offsets end at the last character instead of behind it",
        offsets=lambda *span: rows.without_last(in_characters(*span)),
    ),
    exchanging(
        "byte_offsets_in_characters",
        "offsets in characters instead of bytes",
        "byte_offsets",
        "whose byte offsets count characters",
        byte_offsets=in_characters,
    ),
    exchanging(
        "byte_offsets_in_normalized_text",
        "offsets",
        "byte_offsets",
        "whose byte offsets are places in the text after it was cleaned, stripped and lowered",
        normalized=rows.counted_anew,
        byte_offsets=in_characters,
    ),
    exchanging(
        "last_byte_included",
        "offsets",
        "byte_offsets",
        "whose byte offsets end at the last byte instead of behind it",
        byte_offsets=lambda *span: rows.without_last(in_bytes(*span)),
    ),
    exchanging(
        "byte_offsets_in_utf16",
        "offsets in units of UTF-16",
        "byte_offsets",
        "whose byte offsets count units of UTF-16",
        byte_offsets=rows.in_utf16,
    ),
)

MISTAKES: tuple[TokenizerMistake, ...] = (
    *FIND_RAW, *CLEAN, *CJK, *ACCENTS, *LOWER, *WORDS, *PIECES, *ROWS, *PLACES
)  # fmt: skip
KINDS = tuple(dict.fromkeys(mistake.kind for mistake in MISTAKES))
