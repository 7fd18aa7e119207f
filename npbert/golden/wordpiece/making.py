"""Makes a golden kit of the tokenizer: `npbert golden make-tokenizer OUT`.

The expected values are those of npbert, which tests hold equal to the Rust library `tokenizers`.
"""

from __future__ import annotations

import os
from pathlib import Path

import npbert
from npbert.golden.wordpiece.kit import FORMAT, SCHEMA, check_target, read_vocabulary, write_kit
from npbert.golden.wordpiece.mistakes import MISTAKES
from npbert.golden.wordpiece.steps import FIELDS, RIGHT, SPECIAL, STAGES, Case, run
from npbert.golden.wordpiece.texts import DEAD_END, LONG, MISSING, SETTINGS, UNKNOWN, cases
from npbert.tokenizer.characters import ranges
from npbert.tokenizer.explanation import WHAT_IT_DOES

DOCUMENTATION = "weights/golden/wordpiece/README.md"
ROW_FIELDS = {
    "ids": "The ids of the row, [CLS] and [SEP] included.",
    "type_ids": "0 for the first text and its special tokens, 1 for the second.",
    "offsets": "Start and end of each token in its text, in characters (Unicode code points); "
    "[0, 0] for [CLS] and [SEP] that were added.",
    "byte_offsets": "The same in bytes of UTF-8.",
}


def make_tokenizer_kit(
    directory: str | os.PathLike[str], vocabulary: str | os.PathLike[str] | None = None
) -> Path:
    """Make a kit and return its directory.

    vocabulary  a vocab.txt to make it with; None: one is made of the texts, in which every
                character is a piece, so that ids show what a text was normalized to
    Raises ValueError for a vocabulary that cannot be read, and for a directory that holds something
    else.
    """
    directory, chosen = check_target(directory), cases()
    if vocabulary is None:
        tokens = vocabulary_of(chosen)
    else:
        known = read_vocabulary(Path(vocabulary))
        tokens = sorted(known, key=lambda token: known[token])
        if [known[token] for token in tokens] != [*range(len(tokens))]:
            raise ValueError(f"{vocabulary}: a token is there twice, or a line is empty")
    manifest = {
        "$schema": SCHEMA,
        "format": FORMAT,
        "name": directory.resolve().name,
        "documentation": DOCUMENTATION,
        "npbert": npbert.__version__,
        "vocabulary": "vocab.txt",
        "special_tokens": [*SPECIAL],
        "unknown_token": "[UNK]",
        "continuing_prefix": "##",
        "longest_word": LONG,
        "settings": SETTINGS,
        "fields": [
            {"name": name, "about": ROW_FIELDS.get(name) or WHAT_IT_DOES[name]} for name in FIELDS
        ],
        "mistakes": [
            {
                "name": mistake.name,
                "kind": mistake.kind,
                "field": mistake.stage,
                "about": f"a tokenizer {mistake.about}",
            }
            for mistake in MISTAKES
        ],
    }
    write_kit(directory, manifest, tokens, chosen)
    return directory


def vocabulary_of(chosen: list[Case]) -> list[str]:
    """Make a vocabulary of the words of some cases, whatever mistakes are made in splitting them.

    Every character is a piece, but for those in UNKNOWN, so that ids tell words apart. Of the right
    words every other is a piece as a whole, and the rest is made of two. Those of 60 characters and
    more are pieces, too, so that one that is too long would be found.
    """
    nothing = dict.fromkeys(SPECIAL, 0)
    words: dict[str, None] = {}
    characters: set[str] = set()
    splitting = [mistake for mistake in MISTAKES if mistake.stage in STAGES[:-1]]
    for case in chosen:
        settings = SETTINGS[case.settings]
        right = run(RIGHT, nothing, settings, case)
        words |= dict.fromkeys(right.get("isolate_punctuation", ()))
        for mistake in splitting:
            made = run(mistake.change(RIGHT), nothing, settings, case)
            characters |= {*"".join(made.get("isolate_punctuation", ()))}
    for text in (text for case in chosen for text in case.texts if case.text_pair):
        words |= dict.fromkeys(text.lower().split())
        characters |= {*"".join(text.split())}
    characters = {c for c in characters - {*UNKNOWN} if is_visible(c)}
    pieces = [piece for c in sorted(characters) for piece in (c, f"##{c}")]
    wholes = []
    hidden = {*UNKNOWN, MISSING[-1]}
    for number, word in enumerate(word for word in words if not {*word} & hidden):
        if number % 2 == 0 or len(word) >= 40:
            wholes.append(word)
        elif len(word) > 3:
            half = (len(word) + 1) // 2
            wholes += [word[:half], f"##{word[half:]}"]
    tokens = dict.fromkeys([*SPECIAL, *pieces, *wholes, *DEAD_END])
    tokens.pop(MISSING)
    return [*tokens]


def is_visible(character: str) -> bool:
    """Tell whether a character is none that cleaning touches: such a line of a file is fragile."""
    code = ord(character)
    return code not in ranges("REMOVED") and code not in ranges("WHITE_SPACE")
