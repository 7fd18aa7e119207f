"""The texts of the tokenizer's golden kit: many scripts, and the traps of every stage.

The sentences are the beginning of the Universal Declaration of Human Rights.
"""

from __future__ import annotations

from typing import Any

from npbert.golden.wordpiece.steps import Case

SETTINGS: dict[str, dict[str, bool]] = {
    "uncased": dict(do_lower_case=True, strip_accents=True, tokenize_chinese_chars=True),
    "cased": dict(do_lower_case=False, strip_accents=False, tokenize_chinese_chars=True),
    "accents": dict(do_lower_case=True, strip_accents=False, tokenize_chinese_chars=True),
}
UNKNOWN = "ꙮᚦ🧿\u2e3b"  # characters that are in no piece of the kit's vocabulary
# What is there in the vocabulary of the word "ɮɤɞʘ": its longest first piece leads nowhere, for
# there is no "##ʘ", and a shorter one would.
DEAD_END = ("ɮɤɞ", "ɮɤ", "##ɞʘ")
MISSING = "##ʘ"
LONG = 100  # the length of the longest word that is cut into pieces

SCRIPTS = {
    "Latin": "All human beings are born free and equal in dignity and rights.",
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι.",
    "Cyrillic": "Все люди рождаются свободными; її й ёлка, Ђорђе.",
    "Arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة، وُهِبوا عقلًا؟",
    "Hebrew": "כל בני אדם נולדו בני חורין, שָׁלוֹם עוֹלָם.",
    "Devanagari": "सभी मनुष्यों को गौरव और अधिकारों में समानता। ज़रा",
    "Bengali": "সমস্ত মানুষ স্বাধীনভাবে জন্মগ্রহণ করে। বাংলা ড়",
    "Tamil": "மனிதர் சகலரும் சுதந்திரமாக பிறக்கின்றனர்; கொ",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระ น้ำ",
    "Tibetan": "འགྲོ་བ་མིའི་རིགས་རྒྱུད། ཱི",
    "Myanmar": "လူတိုင်းသည် တူညီ လွတ်လပ်သော",
    "Georgian": "ყველა ადამიანი იბადება თავისუფალი. ᲧᲕᲔᲚᲐ",
    "Armenian": "Բոլոր մարդիկ ծնվում են ազատ և հավասար։",
    "Ethiopic": "የሰው ልጅ ሁሉ ሲወለድ ነፃ፡፡ ነው።",
    "Cherokee": "ᏂᎦᏓ ᎠᏂᏴᏫ ꮒꭶꮣ",
    "Hangul": "모든 인간은 태어날 때부터 자유로우며, 한국어.",
    "Japanese": "すべての人間は、生まれながらにして自由。ガギグ がぎ",
    "Han": "人人生而自由，在尊严和权利上一律平等。",
    "Deseret": "𐐀𐐟𐐲𐑌𐐻 𐐨𐑌 𞤀𞤁𞤢",
}

# name: (text, the kinds of mistakes that it is there for)
TRAPS: dict[str, tuple[str, tuple[str, ...]]] = {
    # special tokens
    "mask": ("the [MASK] sat.", ("special tokens",)),
    "mask-in-word": ("the[MASK]sat, un[MASK]", ("special tokens",)),
    "all-special-tokens": ("[CLS] [SEP][PAD] [UNK]", ("special tokens",)),
    "mask-small": ("[mask] [Mask] [sep]", ("special tokens",)),
    "mask-spaced": ("[ MASK ] [[MASK]] [MASK", ("special tokens",)),
    # control characters
    "nul": ("a\0b c\0 d", ("control characters",)),
    "bell": ("a\x07b \x1bc\x7f", ("control characters",)),
    "c1": ("a\x80b\x9fc", ("control characters",)),
    "next-line": ("a\x85b", ("control characters", "white space")),
    "vertical-tab": ("a\x0bb\x0cc", ("control characters", "white space")),
    "separators": ("a\x1cb\x1fc", ("control characters", "white space")),
    "soft-hyphen": ("photo\u00adsynthesis", ("control characters",)),
    "zero-width-space": ("photo\u200bsynthesis", ("control characters",)),
    "joiners": ("a\u200cb\u200dc", ("control characters",)),
    "directions": ("\u200fabc\u202e def\u2066", ("control characters",)),
    "byte-order-mark": ("\ufeffbegin", ("control characters",)),
    "replacement": ("caf\ufffd, \ufffd\ufffd", ("control characters",)),
    "private-use": ("a\ue000b \U000f0000", ("control characters",)),
    "unassigned": ("a\u0378b \u0e5c", ("control characters",)),
    "only-controls": ("\u200b\u00ad", ("control characters",)),
    # white space
    "tabs": ("one\ttwo\nthree\r\nfour", ("white space",)),
    "no-break-space": ("5\u00a0km \u202f6", ("white space",)),
    "wide-spaces": ("a\u2003b\u3000c\u2009d\u1680e", ("white space",)),
    "line-separators": ("a\u2028b\u2029c", ("white space",)),
    "many-spaces": ("  two  spaces   ", ("white space",)),
    "empty": ("", ("white space",)),
    "only-spaces": (" \t\u00a0", ("white space",)),
    # ideographs
    "han-in-latin": ("NumPy配列abc", ("CJK",)),
    "han-extension-a": ("㐀㐁x", ("CJK",)),
    "han-extension-b": ("𠀀𠀁x 𪚥", ("CJK",)),
    "han-compatibility": ("豈更x", ("CJK", "accents")),
    "kana": ("カタカナひらがな", ("CJK",)),
    "wide-letters": ("ＡＢＣ１２３", ("CJK", "lower case")),
    "han-punctuation": ("東京、大阪。「京都」・", ("CJK", "punctuation")),
    "han-numbers": ("二〇二四年12月", ("CJK",)),
    "hangul-and-han": ("한국韓國", ("CJK", "accents")),
    "radicals": ("⺀⼀㇀㌔", ("CJK",)),
    # accents
    "french": ("Crème brûlée à la carte", ("accents",)),
    "french-decomposed": ("Cre\u0300me bru\u0302le\u0301e", ("accents",)),
    "vietnamese": ("Tiếng Việt, Đà Nẵng", ("accents",)),
    "no-accents": ("Łódź, Søren, Straße, Æ, ħ", ("accents",)),
    "angstrom": ("\u212bngstr\u00f6m A\u030a \u2126", ("accents", "lower case")),
    "two-marks": ("a\u0323\u0307 a\u0307\u0323 q\u0307\u0323", ("accents",)),
    "mark-alone": ("\u0301 a \u0301b", ("accents",)),
    "ligatures": ("ﬁne oﬃce ĳ ½ ²", ("accents",)),
    "voiced-kana": ("がぎ か\u3099 ﾊﾞ", ("accents", "CJK")),
    "hangul-syllables": ("한글 각 가", ("accents",)),
    "hangul-letters": ("\u1112\u1161\u11ab \u3131", ("accents",)),
    "spacing-marks": ("कि की கொ ไ", ("accents",)),
    "enclosing-mark": ("1\ufe0f\u20e3 a\u20dd", ("accents",)),
    "points": ("שָׁ \ufb2a \u05e9\u05c1", ("accents",)),
    "musical": ("\U0001d15e \U0001d1be", ("accents",)),
    # lower case
    "sigma": ("ΟΔΟΣ ΑΣ. Σ", ("lower case",)),
    "sigma-small": ("οδος", ("lower case",)),
    "turkish": ("İstanbul IĞDIR ısı", ("lower case", "accents")),
    "sharp-s": ("ẞ STRASSE Straße", ("lower case",)),
    "titlecase": ("ǅep Ǆ ǆ", ("lower case",)),
    "kelvin": ("\u212a 300K ſ", ("lower case",)),
    "mixed-case": ("McDonald's iPhone USA", ("lower case",)),
    "cyrillic-capitals": ("ЁЛКА Йод", ("lower case", "accents")),
    # punctuation
    "contractions": ("don't won’t rock'n'roll", ("punctuation",)),
    "ascii-symbols": ("$5 ^_^ a+b=c <x> `y` ~z|", ("punctuation",)),
    "runs": ("Wait... what?!! --- (no)", ("punctuation",)),
    "numbers": ("3.14 1,000 e.g. 50%", ("punctuation",)),
    "quotes": ("“quoted” — ‘single’ … ¿Qué? «non»", ("punctuation",)),
    "currencies": ("€5 £3 ¥7 ₹9 ¢", ("punctuation",)),
    "symbols": ("♥ a★b © x°", ("punctuation",)),
    "underscore": ("snake_case __init__", ("punctuation",)),
    "address": ("user@example.org #tag http://x.y/z?a=1", ("punctuation",)),
    "other-punctuation": ("a؟b،c।d፡e։f", ("punctuation",)),
    "emoji": ("👍🏽 ok👩\u200d👩\u200d👧 🇫🇷 ❤️", ("punctuation", "control characters", "offsets")),
    # pieces
    "pieces": ("unaffable photosynthesis dignity", ("word pieces",)),
    "hashes": ("## ##s the##s #", ("word pieces", "punctuation")),
    "dead-end": ("ɮɤɞʘ ɮɤɞ ɮɤ", ("word pieces",)),
    "unknown-word": ("a ꙮ b", ("unknown",)),
    "unknown-inside": ("abꙮcd photoᚦ ꙮa", ("unknown",)),
    "unknown-emoji": ("ok🧿 🧿", ("unknown",)),
    # long words
    "longest": ("e" * LONG + " x", ("a long word",)),
    "too-long": ("e" * (LONG + 1) + " x", ("a long word",)),
    "twice-too-long": ("e" * 201, ("a long word",)),
    "long-in-bytes": ("д" * 60, ("a long word",)),
    "long-in-utf16": ("𐐨" * 60, ("a long word",)),
    "long-by-accents": ("e\u0301" * 60, ("a long word", "accents")),
    "long-without": ("e" * 60 + "\u200b" * 50, ("a long word", "control characters")),
    "long-hangul": ("한" * 40, ("a long word", "accents")),
    # offsets
    "offsets-latin": ("é à ü", ("offsets",)),
    "offsets-wide": ("𠀀 a 👍 b", ("offsets",)),
    "offsets-removed": ("a\u200b\u00ad b  c", ("offsets",)),
}

PAIRS = {
    "pair": ("How old are you?", "I'm six."),
    "pair-of-scripts": ("Où est 東京?", "Все люди"),
    "pair-with-mask": ("the [MASK]", "sat [SEP] down"),
    "pair-of-one": ("a", "b"),
}
LONG_PAIR = ("one two three four five six", "seven eight nine ten")
TRUNCATED = {  # name: (texts, max_length, truncation)
    "cut-to-5": (LONG_PAIR[:1], 5, "longest_first"),
    "cut-to-2": (LONG_PAIR[:1], 2, "longest_first"),
    "cut-inside-word": (("photosynthesis unaffable é\u0301 ok",), 4, "longest_first"),
    "cut-not-needed": (("a b",), 4, "longest_first"),
    "cut-pair-to-17": (LONG_PAIR, 17, "longest_first"),
    "cut-pair-to-10": (LONG_PAIR, 10, "longest_first"),
    "cut-pair-to-6": (LONG_PAIR, 6, "longest_first"),
    "cut-pair-second-longer": (LONG_PAIR[::-1], 14, "longest_first"),
    "cut-first": (LONG_PAIR, 15, "only_first"),
    "cut-second": (LONG_PAIR, 16, "only_second"),
}


def cases() -> list[Case]:
    """Return every case of the kit: all texts in all settings, pairs and truncation in two."""
    found = []
    for settings in SETTINGS:
        for script, text in SCRIPTS.items():
            found.append(Case(f"{settings}/{script.lower()}", settings, text, script=script))
        for name, (text, traps) in TRAPS.items():
            found.append(Case(f"{settings}/{name}", settings, text, traps=traps))
    for settings in ("uncased", "cased"):
        for name, (first, second) in PAIRS.items():
            found.append(Case(f"{settings}/{name}", settings, first, second, traps=("pairs",)))
        for name, (texts, length, how) in TRUNCATED.items():
            pair = texts[1] if len(texts) == 2 else None
            name = f"{settings}/{name}"
            found.append(Case(name, settings, texts[0], pair, length, how, traps=("truncation",)))
    bare: dict[str, Any] = {"add_special_tokens": False, "traps": ("special tokens",)}
    return [
        *found,
        Case("uncased/bare", "uncased", "the cat", **bare),
        Case("uncased/bare-pair", "uncased", "the cat", "sat down", **bare),
    ]
