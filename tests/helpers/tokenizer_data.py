"""What the tokenizer's tests share: a small vocabulary, the ids in it, and awkward texts."""

from pathlib import Path

from hypothesis import strategies as st

TINY = Path(__file__).parents[2] / "weights" / "convbert-tiny" / "vocab.txt"
LINES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "un", "##aff", "##able", "man", ",", ".",
    "!", "##s", "e", "##e", "été", "naive", "中", "'", "don", "t",
]  # fmt: skip
PAD, UNK, CLS, SEP, MASK, THE, UN, AFF, ABLE, MAN, COMMA, STOP, BANG, S = range(14)

AWKWARD = st.sampled_from([
    *"aAbEzZ019 ,.!?'$#[]", "[MASK]", "[SEP]", "[PAD", "##s", "été", "İ", "ΑΣ", "한국", "中文",
    "\t", "\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000", "\0", "\x7f",
    "\u0301", "\u0327", "\u302e", "\u302f", "\u1baa", "\u1b44", "\u09bc", "\u0f73", "\u0344",
    "\u200d", "\u200b", "\ufeff", "\ufffd", "\ue000", "\u0378", "\U0001f600", "\U0001d15e",
])  # fmt: skip
ANY = st.characters(exclude_categories=["Cs"])
