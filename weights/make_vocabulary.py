"""Makes the uncased WordPiece vocabulary that all demonstration checkpoints share.

    python weights/make_vocabulary.py weights/convbert-tiny/vocab.txt

Needs the extra `train`. The result is a function of the corpus and the size alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from corpus import read_documents
from tokenizers import BertWordPieceTokenizer

from npbert.checkpoints.writing import atomic_write

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the vocab.txt to write")
    parser.add_argument("--size", type=int, default=8192, help="word pieces in all (default: 8192)")
    arguments = parser.parse_args()

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    paragraphs = [paragraph for document in read_documents("train") for paragraph in document]
    tokenizer.train_from_iterator(
        paragraphs, vocab_size=arguments.size, min_frequency=2, special_tokens=SPECIAL_TOKENS
    )
    # The trainer finds the same pieces every time but numbers some of them in the order of a hash
    # map, so they are numbered anew: special tokens first, then by code point.
    pieces = sorted(set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(arguments.out) as file:
        file.write("".join(f"{piece}\n" for piece in SPECIAL_TOKENS + pieces).encode())
    print(f"{arguments.out}: {len(SPECIAL_TOKENS) + len(pieces)} word pieces")


if __name__ == "__main__":
    main()
