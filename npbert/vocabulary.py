"""The vocabulary: tokens and their ids, special tokens, from ids back to text, and its files."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

SPECIAL_TOKENS = {  # by the names of the constructor's arguments, with what BERT calls them
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
SETTINGS = (
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "clean_up_tokenization_spaces",
)

# What decoding joins, within one token and the space before it.
JOINED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
# What clean_up_tokenization_spaces joins, in the finished text.
CLEANED_UP = tuple(pair for pair in JOINED if pair[0] != " do not")


class Vocabulary:
    """Knows the id of every token, which tokens are special, and how ids turn back into text.

    vocab    path of a vocab.txt, or a dict from token to id
    special  the special tokens by the names in SPECIAL_TOKENS; each becomes an attribute, and its
             id another one (`mask_token`, `mask_token_id`)
    clean_up_tokenization_spaces
             what `decode` does unless told otherwise

    Two tokens with one id, or a special token that is missing, are a ValueError.
    """

    def __init__(
        self,
        vocab: str | os.PathLike[str] | dict[str, int],
        special: dict[str, str],
        clean_up_tokenization_spaces: bool = False,
    ) -> None:
        if isinstance(vocab, dict):
            self.id_of_token, where = dict(vocab), "the vocabulary"
        elif isinstance(vocab, (str, os.PathLike)):
            self.id_of_token, where = read_vocabulary(vocab), os.fspath(vocab)
        else:
            raise ValueError(f"vocab is {vocab!r}, expected the path of a vocab.txt or a dict")
        check_vocabulary(self.id_of_token, special, where)
        self.token_of_id = {number: token for token, number in self.id_of_token.items()}
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        self.unk_token, self.sep_token = special["unk_token"], special["sep_token"]
        self.pad_token, self.cls_token = special["pad_token"], special["cls_token"]
        self.mask_token = special["mask_token"]
        self.unk_token_id = self.id_of_token[self.unk_token]
        self.sep_token_id = self.id_of_token[self.sep_token]
        self.pad_token_id = self.id_of_token[self.pad_token]
        self.cls_token_id = self.id_of_token[self.cls_token]
        self.mask_token_id = self.id_of_token[self.mask_token]
        self.pad_token_type_id = 0

    @property
    def vocab_size(self) -> int:
        """The number of distinct tokens."""
        return len(self.id_of_token)

    def __len__(self) -> int:
        return len(self.id_of_token)

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return a copy of the vocabulary, from token to id."""
        return dict(self.id_of_token)

    @property
    def vocab(self) -> dict[str, int]:
        """A copy of the vocabulary, from token to id."""
        return self.get_vocab()

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int]:
        """Return the id of a token, or of each of several; that of [UNK] for an unknown one."""
        if isinstance(tokens, str):
            return self.id_of_token.get(tokens, self.unk_token_id)
        return [self.id_of_token.get(token, self.unk_token_id) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id or those of several; None for an id that has no token."""
        if hasattr(ids, "__index__"):
            return self.token_of_id.get(operator.index(ids))
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        numbers = map(checked_id, ids)
        return [self.token_of_id.get(number) for number in numbers if number not in skipped]

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Join tokens to a text: a space between words, none before "." and its like."""
        text = []
        for number, token in enumerate(tokens):
            if number > 0:  # a "##" that begins the text stays
                token = token[2:] if token.startswith("##") else f" {token}"
            for before, after in JOINED:
                token = token.replace(before, after)
            text.append(token)
        return "".join(text)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> Any:
        """Turn ids into text, or rows of ids into a list of texts; ids without a token are skipped.

        clean_up_tokenization_spaces  also remove spaces that stand before punctuation across
                                      tokens; None: the tokenizer's setting
        """
        if isinstance(token_ids, Mapping):
            token_ids = token_ids["input_ids"]
        token_ids = as_lists(token_ids)
        if isinstance(token_ids, int):
            token_ids = [token_ids]
        if len(token_ids) > 0 and isinstance(token_ids[0], (list, tuple)):
            return [
                self.decode(row, skip_special_tokens, clean_up_tokenization_spaces)
                for row in token_ids
            ]
        tokens = self.convert_ids_to_tokens(token_ids, skip_special_tokens)
        text = self.convert_tokens_to_string([token for token in tokens if token is not None])
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            for before, after in CLEANED_UP:
                text = text.replace(before, after)
        return text

    def batch_decode(self, sequences: Any, *options: Any, **named_options: Any) -> list[str]:
        """Do what `decode` does, and return a list even for a single row."""
        texts = self.decode(sequences, *options, **named_options)
        return [texts] if isinstance(texts, str) else texts

    # ---- special tokens and the rows they make ----

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens a row gains: 2 for a text, 3 for a pair."""
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Put [CLS] and [SEP] around the ids of a text, or of a pair."""
        row = [self.cls_token_id, *token_ids_0, self.sep_token_id]
        return row if token_ids_1 is None else [*row, *token_ids_1, self.sep_token_id]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Return the type ids of the row that the ids of a text, or of a pair, will make."""
        first = [0] * (len(token_ids_0) + 2)
        return first if token_ids_1 is None else first + [1] * (len(token_ids_1) + 1)

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for special tokens, else 0, of a row to be made or of a finished one."""
        if not already_has_special_tokens:
            row = [1] + [0] * len(token_ids_0) + [1]
            return row if token_ids_1 is None else row + [0] * len(token_ids_1) + [1]
        if token_ids_1 is not None:
            raise ValueError("a finished row holds both texts, so there can be no token_ids_1")
        special = set(self.all_special_ids)
        return [int(number in special) for number in token_ids_0]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by their names: {"unk_token": "[UNK]", ...}."""
        return {name: getattr(self, name) for name in SPECIAL_TOKENS}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once."""
        return list(dict.fromkeys(self.special_tokens_map.values()))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens."""
        return [self.id_of_token[token] for token in self.all_special_tokens]

    # ---- saving ----

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write vocab.txt into a directory that is there, atomically, and return its path."""
        name = f"{filename_prefix}-vocab.txt" if filename_prefix else "vocab.txt"
        path = os.path.join(os.fspath(save_directory), name)
        write_vocabulary(path, self.id_of_token)
        return (path,)


def as_lists(ids: Any) -> Any:
    """Turn arrays, and lists of arrays, into lists."""
    if hasattr(ids, "tolist"):
        return ids.tolist()
    return [as_lists(row) for row in ids] if isinstance(ids, (list, tuple)) else ids


def checked_id(number: Any) -> int:
    """Return an id as an int; what is no id is a ValueError."""
    if not hasattr(number, "__index__") or number < 0:
        raise ValueError(f"{number!r} is not an id, expected an int of 0 or more")
    return operator.index(number)


# ---- files ----

# What the reference removes from the end of a line: Unicode's White_Space, U+0085 included.
LINE_END = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def read_vocabulary(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a vocab.txt: one token a line, whose id is the number of its line, from 0.

    Lines end at the line feed alone and lose the white space at their end. Of several equal tokens
    the last one counts. A file that is not UTF-8 is a ValueError.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not UTF-8 at byte {error.start}") from None
    if not lines[-1]:
        lines.pop()  # the last line feed ends a line, it does not begin one
    return {line.rstrip(LINE_END): number for number, line in enumerate(lines)}


def check_vocabulary(id_of_token: dict[str, int], special: dict[str, Any], where: str) -> None:
    """Raise a ValueError if tokens share an id, or if a special token is missing."""
    token_of_id: dict[int, str] = {}
    for token, number in id_of_token.items():
        if not isinstance(token, str) or not isinstance(number, int) or number < 0:
            raise ValueError(f"{where}: {token!r} has {number!r}, expected a string and its id")
        if number in token_of_id:
            raise ValueError(
                f"{where}: {token_of_id[number]!r} and {token!r} have one id, {number}"
            )
        token_of_id[number] = token
    for name, token in special.items():
        if not isinstance(token, str) or not token:
            raise ValueError(f"{name} is {token!r}, expected a string that is not empty")
    missing = [f"{name} {token!r}" for name, token in special.items() if token not in id_of_token]
    if missing:
        raise ValueError(f"{where}: no {', '.join(missing)} among its {len(id_of_token)} tokens")


def write_vocabulary(path: str | os.PathLike[str], id_of_token: dict[str, int]) -> None:
    """Write a vocab.txt atomically, such that reading it gives the same vocabulary.

    A token that cannot be a line, or ids too sparse for line numbers, are a ValueError.
    """
    from npbert.checkpoint import atomic_write  # here, because it needs NumPy and reading does not

    lines: list[str] = []
    for token, number in sorted(id_of_token.items(), key=lambda entry: entry[1]):
        if "\n" in token or token != token.rstrip(LINE_END):
            raise ValueError(f"token {token!r} (id {number}) cannot be a line of a vocab.txt")
        if number > 2 * len(id_of_token):
            raise ValueError(
                f"token {token!r} has the id {number} in a vocabulary of {len(id_of_token)}: too "
                "sparse for a vocab.txt, where ids are the numbers of lines"
            )
        # An id without a token gets the line of the next id: of equal lines the last one counts.
        lines += [token] * (number + 1 - len(lines))
    with atomic_write(path) as file:
        file.write("".join([f"{line}\n" for line in lines]).encode("utf-8"))


def read_settings(directory: str) -> dict[str, Any]:
    """Read the arguments of the tokenizer from tokenizer_config.json and special_tokens_map.json.

    Either may be absent. A damaged file, or one that asks for what is not supported, is a
    ValueError that names it.
    """
    stored = read_json_if_there(directory, "tokenizer_config.json")
    if "added_tokens_decoder" not in stored:  # otherwise the reference ignores the other file
        stored |= read_json_if_there(directory, "special_tokens_map.json")
    settings = {name: stored[name] for name in SETTINGS if name in stored}
    for name in SPECIAL_TOKENS:
        if stored.get(name) is not None:
            settings[name] = token_text(stored[name], f"{directory}: {name}")
    refuse_added_tokens(directory, stored, {**SPECIAL_TOKENS, **settings})
    return settings


def refuse_added_tokens(directory: str, stored: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise a ValueError if tokens are added to the vocabulary: without them ids would differ."""
    added = list(read_json_if_there(directory, "added_tokens.json"))
    for number, token in (stored.get("added_tokens_decoder") or {}).items():
        added.append(token_text(token, f"{directory}: added token {number}"))
    for name in ("additional_special_tokens", "extra_special_tokens"):
        more = stored.get(name) or []
        added += [token_text(t, name) for t in (more.values() if isinstance(more, dict) else more)]
    special = {settings[name] for name in SPECIAL_TOKENS}
    others = [token for token in added if token not in special]
    if others:
        raise ValueError(
            f"{directory}: adds the tokens {others} to its vocabulary, and none are supported "
            f"besides the special tokens {sorted(special)}"
        )


def token_text(token: Any, what: str) -> str:
    """Return the text of a token that settings hold as a string, or as an object with options."""
    if isinstance(token, dict) and isinstance(token.get("content"), str):
        options = ("lstrip", "rstrip", "single_word", "normalized")
        chosen = [option for option in options if token.get(option)]
        if chosen:
            raise ValueError(f"{what} {token['content']!r} sets {chosen}: not supported")
        token = token["content"]
    if not isinstance(token, str):
        raise ValueError(f"{what} is {token!r}, expected a string")
    return token


def read_json_if_there(directory: str, name: str) -> dict[str, Any]:
    if not os.path.exists(os.path.join(directory, name)):
        return {}
    from npbert.checkpoint import read_json

    return read_json(directory, name)


def write_settings(directory: str, settings: dict[str, Any], special: dict[str, str]) -> list[str]:
    """Write tokenizer_config.json and special_tokens_map.json, and return their paths."""
    from npbert.checkpoint import write_json

    write_json(directory, "tokenizer_config.json", {**settings, **special})
    write_json(directory, "special_tokens_map.json", special)
    return [
        os.path.join(directory, name)
        for name in ("tokenizer_config.json", "special_tokens_map.json")
    ]
