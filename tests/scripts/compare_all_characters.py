"""Compares the tokenizer with the Rust library over every code point and every setting.

    python tests/scripts/compare_all_characters.py [--assigned]

Every code point but the surrogates stands alone, between letters, after a space and doubled; the
settings are cased and uncased, strip_accents None, True and False, ideographs as words or not.
Compared are ids, tokens, offsets, word ids, type ids and both masks. The default suite does the
same for the code points that some stage does something with; this takes twenty minutes, or four
with --assigned, which leaves out unassigned and private code points. Exit status 1 if there is a
difference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import unicodedata

import tokenizers
from tokenizers import normalizers

from npbert import BertTokenizer

CODE_POINTS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
AT_ONCE = 4_000


def in_context(code: int) -> str:
    """A character alone, between letters, after a space, and doubled."""
    character = chr(code)
    return f" {character} a{character}b {character}{character}."


def vocabulary_of_characters() -> dict[str, int]:
    """Make a vocabulary in which every character that can come out of the stages is a piece."""
    found = {"a", "b", "."}
    for options in ({}, {"lowercase": False}, {"strip_accents": False}):
        normalizer = normalizers.BertNormalizer(**options)
        for start in range(0, len(CODE_POINTS), AT_ONCE):
            text = " ".join(map(chr, CODE_POINTS[start : start + AT_ONCE]))
            found.update(normalizer.normalize_str(text))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [piece for character in sorted(found) for piece in (character, f"##{character}")]
    return {token: number for number, token in enumerate(special + pieces)}


def differs(mine: BertTokenizer, theirs: tokenizers.BertWordPieceTokenizer, text: str) -> bool:
    got, expected = mine(text)[0], theirs.encode(text)
    return any(
        getattr(got, name) != getattr(expected, name)
        for name in ("ids", "tokens", "offsets", "word_ids", "type_ids", "attention_mask",
                     "special_tokens_mask")
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assigned", action="store_true", help="leave out Cn and Co")
    code_points = CODE_POINTS
    if parser.parse_args().assigned:
        unassigned = ("Cn", "Co")
        code_points = [c for c in CODE_POINTS if unicodedata.category(chr(c)) not in unassigned]
    vocabulary = vocabulary_of_characters()
    differences = 0
    for lower, strip, cjk in itertools.product((True, False), (None, True, False), (True, False)):
        start = time.perf_counter()
        mine = BertTokenizer(
            vocabulary, do_lower_case=lower, strip_accents=strip, tokenize_chinese_chars=cjk
        )
        theirs = tokenizers.BertWordPieceTokenizer(
            vocabulary, lowercase=lower, strip_accents=strip, handle_chinese_chars=cjk
        )
        found = []
        for first in range(0, len(code_points), AT_ONCE):
            codes = code_points[first : first + AT_ONCE]
            if differs(mine, theirs, "".join(map(in_context, codes))):
                found += [code for code in codes if differs(mine, theirs, in_context(code))]
                found += [] if found else codes[:1]  # only together
        differences += len(found)
        print(
            f"lower {lower!s:5} strip {strip!s:5} cjk {cjk!s:5}: {len(code_points)} code points, "
            f"{len(found)} differences {[f'{code:X}' for code in found[:10]]}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
