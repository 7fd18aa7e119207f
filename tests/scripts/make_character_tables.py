"""Writes npbert/tokenizer/character_tables.txt by asking the Rust library about every code point.

    python tests/scripts/make_character_tables.py [FILE]

The library's tables come from several versions of Unicode and equal none of them, so they are not
taken from Python's `unicodedata` but measured: each stage of the reference is run on every code
point, and what came out is written down. Needs the extra `reference`.
"""

from __future__ import annotations

import argparse
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

TARGET = Path(__file__).parents[2] / "npbert" / "tokenizer" / "character_tables.txt"
SURROGATES = range(0xD800, 0xE000)  # no characters: the reference does not accept them
HANGUL_SYLLABLES = range(0xAC00, 0xAC00 + 11172)  # decomposed by arithmetic, not by a table
CODE_POINTS = [code for code in range(0x110000) if code not in SURROGATES]


def runs(codes: Iterable[int], step: int = 1) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of every run of ascending code points `step` apart."""
    first = last = None
    for code in codes:
        if first is None or last is None or code != last + step:
            if first is not None and last is not None:
                yield first, last
            first = code
        last = code
    if first is not None and last is not None:
        yield first, last


def write_range(first: int, last: int) -> str:
    return f"{first:X}" if first == last else f"{first:X}-{last:X}"


def write_ranges(codes: Iterable[int]) -> str:
    return " ".join(write_range(*run) for run in runs(codes))


def write_lower_case(lower: dict[int, int]) -> str:
    """Write runs of equal distance; alphabets that alternate between the cases have step 2."""
    parts = []
    for distance in sorted({small - large for large, small in lower.items()}):
        codes = [large for large, small in lower.items() if small - large == distance]
        in_pairs = [run for run in runs(codes, 2) if run[1] > run[0]]
        paired = {code for first, last in in_pairs for code in range(first, last + 1, 2)}
        parts += [(first, f"{first:X}-{last:X}/2={distance:X}") for first, last in in_pairs]
        for first, last in runs([code for code in codes if code not in paired]):
            parts.append((first, f"{write_range(first, last)}={distance:X}"))
    return " ".join(text for _, text in sorted(parts))


def measure_combining_classes(decompose: normalizers.NFD) -> dict[int, int]:
    """Find the class of a mark from which marks it changes places with.

    Two marks in the wrong order are swapped, so a mark behind one of a higher class moves.
    """

    def moves(first: str, second: str) -> bool:
        swapped = decompose.normalize_str(f"a{first}{second}") == f"a{second}{first}"
        return swapped and first != second

    lowest, highest = "\u0334", "\u0345"  # classes 1 and 240: every other mark moves past one
    marks = [c for c in CODE_POINTS if moves(chr(c), lowest) or moves(highest, chr(c))]
    # For each class the first mark of it that the library knows.
    probes = {unicodedata.combining(chr(code)): chr(code) for code in reversed(marks)}
    return {
        code: min(number for number, probe in probes.items() if not moves(chr(code), probe))
        for code in marks
    }


def measure_word_characters() -> list[int]:
    """Find the characters beside which a token that wants to be a single word is not found."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("<>", single_word=True, normalized=False)])
    codes = []
    for start in range(0, len(CODE_POINTS), 1000):
        part = CODE_POINTS[start : start + 1000]
        encoding = tokenizer.encode("".join([f"{chr(code)}<> " for code in part]))
        found = {offsets[0] for offsets, id in zip(encoding.offsets, encoding.ids) if id == 1}
        codes += [code for number, code in enumerate(part) if 4 * number + 1 not in found]
    return codes


def measure() -> dict[str, str]:
    """Return the text of every table by its name."""

    def bert(**options: bool) -> normalizers.BertNormalizer:
        off = dict.fromkeys(
            ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False
        )
        return normalizers.BertNormalizer(**{**off, **options})

    def between_letters(normalizer: normalizers.BertNormalizer, middle: str) -> list[int]:
        return [c for c in CODE_POINTS if normalizer.normalize_str(f"a{chr(c)}b") == f"a{middle}b"]

    decompose, lowercase = normalizers.NFD(), normalizers.Lowercase()
    clean, cjk = bert(clean_text=True), bert(handle_chinese_chars=True)
    punctuation = pre_tokenizers.BertPreTokenizer()

    decomposed = {c: decompose.normalize_str(chr(c)) for c in CODE_POINTS}
    lower = {c: lowercase.normalize_str(chr(c)) for c in CODE_POINTS}
    assert lower.pop(0x130) == "i\u0307"
    return {
        "REMOVED": write_ranges(between_letters(clean, "")),
        "WHITE_SPACE": write_ranges(between_letters(clean, " ")),
        "CJK": write_ranges(c for c in CODE_POINTS if cjk.normalize_str(chr(c)) == f" {chr(c)} "),
        "MARKS": write_ranges(between_letters(bert(strip_accents=True), "")),
        "PUNCTUATION": write_ranges(
            c for c in CODE_POINTS if len(punctuation.pre_tokenize_str(f"a{chr(c)}b")) == 3
        ),
        "COMBINING_CLASSES": " ".join(
            f"{write_range(*run)}={number}"
            for number, codes in sorted(by_value(measure_combining_classes(decompose)).items())
            for run in runs(codes)
        ),
        "LOWER_CASE": write_lower_case(
            {c: ord(small) for c, small in lower.items() if small != chr(c)}
        ),
        "DECOMPOSITIONS": " ".join(
            f"{c:X}=" + "+".join(f"{ord(part):X}" for part in parts)
            for c, parts in decomposed.items()
            if parts != chr(c) and c not in HANGUL_SYLLABLES
        ),
        "WORD": write_ranges(measure_word_characters()),
    }


def by_value(numbers: dict[int, int]) -> dict[int, list[int]]:
    """Turn {code: number} into {number: codes}."""
    turned: dict[int, list[int]] = {}
    for code, number in numbers.items():
        turned.setdefault(number, []).append(code)
    return turned


COMMENTS = {
    "REMOVED": "Removed by cleaning: controls, formats, private use, U+FFFD.",
    "WHITE_SPACE": "Turned into a space by cleaning.",
    "CJK": "Ideographs, which become words of their own.",
    "MARKS": "Accents: the marks that strip_accents removes.",
    "PUNCTUATION": "Isolated as words of their own.",
    "COMBINING_CLASSES": "Canonical ordering sorts neighbours by this number (decimal).",
    "LOWER_CASE": "first-last/step=distance to the lower case. U+0130 is in `lower_case`.",
    "DECOMPOSITIONS": "Full canonical decompositions, without the Hangul syllables.",
    "WORD": "Parts of words, beside which an added token with single_word is not found.",
}


def file_text() -> str:
    """Return the whole text of npbert/tokenizer/character_tables.txt."""
    version = f"tokenizers=={tokenizers.__version__}"
    made_by = f"Measured by tests/scripts/make_character_tables.py with {version}"
    blocks = [f"# {made_by}; do not edit by hand.\n"]
    for name, text in measure().items():
        lines = textwrap.wrap(text, 99, break_on_hyphens=False)
        blocks.append("\n".join([f"# {COMMENTS[name]}", name, *lines, ""]))
    return "\n".join(blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=TARGET, help="the file to write")
    arguments = parser.parse_args()
    arguments.file.write_text(file_text(), "utf-8")
    print(f"{arguments.file}: {arguments.file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
