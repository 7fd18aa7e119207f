"""Times the tokenizer beside the Rust library, and on one long line.

    python tests/benchmark_tokenizer.py

The texts are the paragraphs of the validation split. The contestants take turns within each round;
printed is each one's median, in megabytes of UTF-8 a second. The Rust library (extra `reference`)
runs on one thread, and is left out where it is not installed. "First pass" is a tokenizer that has
remembered nothing yet. The second table tokenizes one line of letters, punctuation or ideographs:
four times the length should take about four times as long.
"""

from __future__ import annotations

import lzma
import os
import statistics
import time
from pathlib import Path

from npbert import BertTokenizer

ROOT = Path(__file__).parent.parent
VOCABULARY = ROOT / "weights" / "convbert-tiny" / "vocab.txt"
ROUNDS = 5


def contestants():
    warm = BertTokenizer(VOCABULARY)
    found = {
        "npbert, ids, first pass": lambda texts: BertTokenizer(VOCABULARY)(texts),
        "npbert, ids": lambda texts: warm(texts),
        "npbert, offsets": lambda texts: warm(texts, return_offsets_mapping=True),
    }
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        from tokenizers import BertWordPieceTokenizer
    except ImportError:
        return found
    rust = BertWordPieceTokenizer(str(VOCABULARY), lowercase=True)
    return found | {"tokenizers": lambda texts: [e.ids for e in rust.encode_batch(texts)]}


def seconds(run, *arguments) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def main() -> None:
    with lzma.open(ROOT / "weights" / "corpus" / "validation.txt.xz", "rt", encoding="utf-8") as f:
        texts = f.read().split("\n")
    size = sum(len(text.encode()) for text in texts) / 1e6
    runs = contestants()
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            measured[name].append(seconds(run, texts))
    for name, times in measured.items():
        print(f"{name:24} {size / statistics.median(times):6.1f} MB/s")

    tokenizer = BertTokenizer(VOCABULARY)
    for unit in ("a", "!", "中", "e\u0301"):
        times = [seconds(tokenizer, unit * length) for length in (250_000, 1_000_000)]
        print(f"a line of {unit!r}: 250,000 {times[0]:.2f} s, 1,000,000 {times[1]:.2f} s")


if __name__ == "__main__":
    main()
