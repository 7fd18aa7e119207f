"""The catalogue of mistakes before words are split: special tokens to lower case."""

from __future__ import annotations

from functools import partial

from npbert.golden.wordpiece import mistaken_normalizing as normalizing
from npbert.golden.wordpiece.exchanging import exchanging, switching

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
