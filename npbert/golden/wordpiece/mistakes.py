"""The classic mistakes of porting the tokenizer, in the order of the stages, and their kinds."""

from __future__ import annotations

from npbert.golden.wordpiece.catalogue_normalizing import ACCENTS, CJK, CLEAN, FIND_RAW, LOWER
from npbert.golden.wordpiece.catalogue_rows import PLACES, ROWS
from npbert.golden.wordpiece.catalogue_words import PIECES, WORDS
from npbert.golden.wordpiece.exchanging import TokenizerMistake

MISTAKES: tuple[TokenizerMistake, ...] = (
    *FIND_RAW, *CLEAN, *CJK, *ACCENTS, *LOWER, *WORDS, *PIECES, *ROWS, *PLACES
)  # fmt: skip
KINDS = tuple(dict.fromkeys(mistake.kind for mistake in MISTAKES))
