"""Times the tokenizer beside the Rust library: script by script, on long lines, on a first call.

    python tests/benchmark_tokenizer.py [--vocabulary VOCAB_TXT] [--rounds N] [SCRIPT ...]

The texts are the paragraphs of the corpus's validation split, and for each other script texts made
of tests/texts/languages.tsv: its words in a random order that is always the same, a third of them
with a random ending, so that not all of them recur. The contestants take turns within each round;
printed is each one's median, in megabytes of UTF-8 a second, and how it compares with the Rust
library (extra `reference`), which runs on one thread and is left out where it is not installed:
ids with its ids, ids and offsets with its ids and offsets. A "first pass" is that of a tokenizer
with empty caches; the time to read its vocabulary is left out. To compare two versions of npbert,
run the script in a checkout of each.

The second table tokenizes one line of a million characters: four times the length should take
about four times as long. The third starts a new process that reads a vocabulary of 30,522 lines and
tokenizes a sentence with an accent.
"""

from __future__ import annotations

import argparse
import gc
import lzma
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from npbert import BertTokenizer

ROOT = Path(__file__).parent.parent
VOCABULARY = ROOT / "weights" / "convbert-tiny" / "vocab.txt"
LANGUAGES = ROOT / "tests" / "texts" / "languages.tsv"
SCRIPTS = {
    "Russian": "ru", "Greek": "el", "Arabic": "ar", "Hebrew": "he", "Hindi": "hi", "Thai": "th",
    "Vietnamese": "vi", "Korean": "ko", "Japanese": "ja", "Chinese": "zh", "emoji": "emoji",
}  # fmt: skip
# Each unit makes a line of its own.
UNITS = ("a", "!", "中", "e\u0301", "\u0301", "\u302e", " ", "[", "[MASK]", "ab ", "한", "<new")


def sentences() -> dict[str, str]:
    """Read the sentences of many languages: tag -> text."""
    lines = LANGUAGES.read_text("utf-8").rstrip("\n").split("\n")
    return dict(line.split("\t", 1) for line in lines)


def paragraphs() -> list[str]:
    """Return the validation split of the corpus."""
    path = ROOT / "weights" / "corpus" / "validation.txt.xz"
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return file.read().split("\n")


def texts_of(tag: str, size: int = 200_000) -> list[str]:
    """Make texts of a language, of about `size` bytes in all."""
    draw = random.Random(tag)
    sentence = sentences()[tag]
    words, separator = sentence.split(), " "
    if len(words) < 10:  # no spaces between words
        words, separator = list(sentence), ""
    texts: list[str] = []
    while sum(len(text.encode()) for text in texts) < size:
        made = draw.choices(words, k=80 if separator else 300)
        if separator:
            made = [
                word + "".join(draw.choices(word, k=2)) if draw.random() < 1 / 3 else word
                for word in made
            ]
        texts.append(separator.join(made))
    return texts


def contestants(vocabulary: Path, rounds: int) -> dict[str, Callable[[list[str]], object]]:
    """Return what is timed: each name's function of a list of texts."""
    warm, id_of_token = BertTokenizer(vocabulary), BertTokenizer(vocabulary).get_vocab()
    cold = [BertTokenizer(id_of_token) for _ in range(2 * rounds)]
    found: dict[str, Callable[[list[str]], object]] = {
        "ids": lambda texts: warm(texts),
        "ids, first pass": lambda texts: cold.pop()(texts),
        "offsets": lambda texts: warm(texts, return_offsets_mapping=True),
        "offsets, first pass": lambda texts: cold.pop()(texts, return_offsets_mapping=True),
    }
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        from tokenizers import BertWordPieceTokenizer
    except ImportError:
        return found
    rust = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    return {
        "Rust, ids": lambda texts: [e.ids for e in rust.encode_batch(texts)],
        "Rust, offsets": lambda texts: [(e.ids, e.offsets) for e in rust.encode_batch(texts)],
        **found,
    }


def seconds(run: Callable[..., object], *arguments: object, **options: object) -> float:
    gc.collect()  # what others left behind is not on this one's account
    start = time.perf_counter()
    run(*arguments, **options)
    return time.perf_counter() - start


def compare(name: str, texts: list[str], vocabulary: Path, rounds: int) -> None:
    """Print how fast each contestant is on some texts."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    runs = contestants(vocabulary, rounds)
    measured: dict[str, list[float]] = {run: [] for run in runs}
    for _ in range(rounds):
        for run, function in runs.items():
            measured[run].append(seconds(function, texts))
    medians = {run: statistics.median(times) for run, times in measured.items()}
    for run, median in medians.items():
        rust = medians.get("Rust, offsets" if "offsets" in run else "Rust, ids")
        ratio = "" if rust is None else f"{rust / median:5.1f} x Rust"
        print(f"{name:12} {run:20} {size / median:6.1f} MB/s {ratio}")


def long_lines() -> None:
    """Print how long one line takes, at two lengths."""
    tokenizer = BertTokenizer(VOCABULARY)
    tokenizer.add_tokens(["<new>", "<new"])
    for unit in UNITS:
        for options in ({}, {"return_offsets_mapping": True}):
            times = [
                seconds(tokenizer, unit * (length // len(unit)), **options)
                for length in (250_000, 1_000_000)
            ]
            what = "with offsets" if options else "ids"
            taken = ", ".join(f"{time:.2f} s" for time in times)
            print(f"a line of {unit!a:10} {what:12} 250,000 and 1,000,000 characters: {taken}")


FIRST_CALL = """
import sys, time
start = time.process_time()
from npbert.tokenizer.bert_tokenizer import BertTokenizer
imported = time.process_time()
tokenizer = BertTokenizer(sys.argv[1])
read = time.process_time()
tokenizer("Le cœur a ses raisons, 中 Déjà vu.", return_offsets_mapping=True)["offset_mapping"]
called = time.process_time()
print(*[1000 * (b - a) for a, b in ((start, imported), (imported, read), (read, called))])
"""


def first_call(rounds: int) -> None:
    """Print the processor time of importing, reading 30,522 lines and a first call."""
    lines = VOCABULARY.read_text("utf-8").splitlines()
    lines += [f"word{number}" for number in range(30_522 - len(lines))]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "vocab.txt")
        path.write_text("\n".join(lines) + "\n", "utf-8")
        command = [sys.executable, "-c", FIRST_CALL, str(path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        runs = []
        for _ in range(rounds):
            run = subprocess.run(command, capture_output=True, check=True, env=environment)
            runs.append([float(number) for number in run.stdout.split()])
    imported, read, called = map(statistics.median, zip(*runs, strict=True))
    print(
        f"a new process: import {imported:.0f} ms, vocabulary {read:.0f} ms, call {called:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", help="English, long, start, or one of the others")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    wanted = arguments.scripts or ["English", *SCRIPTS, "long", "start"]
    for name in wanted:
        if name == "long":
            long_lines()
        elif name == "start":
            first_call(arguments.rounds)
        else:
            texts = paragraphs() if name == "English" else texts_of(SCRIPTS[name])
            compare(name, texts, arguments.vocabulary, arguments.rounds)


if __name__ == "__main__":
    main()
