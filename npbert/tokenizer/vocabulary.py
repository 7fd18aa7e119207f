"""The vocabulary: tokens and their ids, special and added tokens, and decoding of ids to text."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from npbert.checkpoints.writing import output_directory
from npbert.tokenizer.added_tokens import AddedToken, AddedTokens, added_token, short
from npbert.tokenizer.file_values import NEEDED
from npbert.tokenizer.files import check_vocabulary, read_vocabulary, write_vocabulary

SPECIAL_TOKENS = {  # by the names of the constructor's arguments, with what BERT calls them
    "bos_token": None,
    "eos_token": None,
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
    "split_special_tokens",
    "model_input_names",
)

# What decoding joins, within one token and the space before it.
JOINED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
# What clean_up_tokenization_spaces joins, in the finished text.
CLEANED_UP = tuple(pair for pair in JOINED if pair[0] != " do not")


def special_token(name: str) -> Any:
    """Return a property for a special token: its text, or None; it can be set."""

    def get(self: Vocabulary) -> str | None:
        token = self._named_tokens.get(name)
        return None if token is None else str(token)

    def put(self: Vocabulary, token: str | AddedToken | None) -> None:
        if token is None:
            self._named_tokens.pop(name, None)
        elif isinstance(token, (str, AddedToken)):
            self._named_tokens[name] = token
        else:
            raise ValueError(f"{name} is {token!r}, expected a string or an AddedToken")

    return property(get, put)


def special_token_id(name: str) -> Any:
    """Return a property for the id of a special token, or None; it can be set."""

    def get(self: Vocabulary) -> int | None:
        token = self._named_tokens.get(name)
        return None if token is None else self.convert_tokens_to_ids(str(token))

    def put(self: Vocabulary, number: int | None) -> None:
        setattr(self, name, None if number is None else self.convert_ids_to_tokens(number))

    return property(get, put)


class Vocabulary:
    """Knows the id of every token, which tokens are special, and how ids turn back into text.

    vocab      path of a vocab.txt, or a dict from token to id
    normalize  what is done to a text before added tokens are looked for in it
    named      the special tokens by the names in SPECIAL_TOKENS, or by other names that end in
               "_token"; each is an attribute, and so is its id (`mask_token`, `mask_token_id`)
    extra      special tokens without a name
    added      tokens beside those of `vocab`, in the order of their ids
    clean_up_tokenization_spaces
               the default of `decode`

    Special and added tokens that `vocab` lacks get the next ids. Two tokens with one id, or no
    unk_token in `vocab`, are a ValueError.
    """

    def __init__(
        self,
        vocab: str | os.PathLike[str] | dict[str, int] | None,
        normalize: Callable[[str], str],
        named: dict[str, str | AddedToken | None],
        extra: Iterable[str | AddedToken] = (),
        added: Iterable[AddedToken] = (),
        clean_up_tokenization_spaces: bool = False,
    ) -> None:
        if isinstance(vocab, dict):
            self.id_of_token, where = dict(vocab), "the vocabulary"
        elif isinstance(vocab, (str, os.PathLike)):
            self.id_of_token, where = read_vocabulary(vocab), os.fspath(vocab)
        else:
            raise ValueError(f"vocab is {vocab!r}, expected the path of a vocab.txt or a dict")
        check_vocabulary(self.id_of_token, where)
        self.token_of_id = {number: token for token, number in self.id_of_token.items()}
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        self.pad_token_type_id = 0
        self.added_tokens = AddedTokens(self.id_of_token, self.token_of_id, normalize)
        self._extra_tokens = list(extra)
        self._named_tokens: dict[str, str | AddedToken] = {}
        for name in [*SPECIAL_TOKENS, *named]:
            token = named.get(name)
            if token is None and name in NEEDED:
                raise ValueError(f"{name} is None, expected a token")
            if token is not None:
                text = str(added_token(token, name))
                if not text:
                    raise ValueError(f"{name} is {token!r}, expected a string that is not empty")
                self._named_tokens[name] = token
        # The id of words that no pieces make up, whatever unk_token is set to afterwards.
        self.unknown_id = self.id_of_token.get(str(named["unk_token"]))
        if self.unknown_id is None:
            raise ValueError(
                f"{where}: no unk_token {short.repr(str(named['unk_token']))} among its "
                f"{len(self.id_of_token)} tokens"
            )

        # The order is the reference's, and decides about ids.
        texts = set(map(str, self._named_tokens.values()))
        tokens = [token.as_special() if token.content in texts else token for token in added]
        known = {token.content for token in tokens}
        tokens += [
            added_token(token, special=True)
            for token in self._named_tokens.values()
            if str(token) not in known
        ]
        tokens += [
            added_token(token, special=isinstance(token, str) or str(token) in texts)
            for token in self._extra_tokens
            if str(token) not in known
        ]
        self._add(tokens)

    # ---- its size and its tokens ----

    @property
    def vocab_size(self) -> int:
        """The number of distinct tokens that the tokenizer was built with."""
        return len(self.id_of_token)

    def __len__(self) -> int:
        """Return the number of distinct tokens, added ones included."""
        return len(self.id_of_token.keys() | self.added_tokens.id_of.keys())

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return a new dict from token to id, added tokens included."""
        return self.id_of_token | self.added_tokens.id_of

    @property
    def vocab(self) -> dict[str, int]:
        """A new dict from token to id, added tokens included."""
        return self.get_vocab()

    @property
    def holds_loose_tokens(self) -> bool:
        """Whether an added token may be found as another text than its own."""
        tokens = self.added_tokens.token_of_id.values()
        return any(token.lstrip or token.rstrip or token.normalized for token in tokens)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """A new dict from id to token of the special and added tokens, in the order of ids."""
        return dict(sorted(self.added_tokens.token_of_id.items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """A new dict from text to id of the special and added tokens, in the order of ids."""
        return {token.content: number for number, token in self.added_tokens_decoder.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return a new dict from text to id of the special and added tokens."""
        return self.added_tokens_encoder

    # ---- adding tokens ----

    def add_tokens(
        self,
        new_tokens: str | AddedToken | Sequence[str | AddedToken],
        special_tokens: bool = False,
    ) -> int:
        """Add tokens, which are then found in a text as they stand, and return how many were new.

        new_tokens      a string or an AddedToken, or several; what the vocabulary lacks gets the
                        next ids, for which a model needs more embeddings
        special_tokens  make them special: looked for in the raw text, skipped by `decode`
        """
        if not isinstance(new_tokens, (list, tuple)):
            new_tokens = [new_tokens] if new_tokens else []  # type: ignore[list-item]
        return self._add([added_token(token, special=special_tokens) for token in new_tokens])

    def add_special_tokens(
        self,
        special_tokens_dict: dict[str, Any],
        replace_extra_special_tokens: bool = True,
    ) -> int:
        """Set special tokens by their names, add those that are new, and return how many were.

        special_tokens_dict           names as in SPECIAL_TOKENS, or "extra_special_tokens" (also
                                      called "additional_special_tokens") with a list of tokens
        replace_extra_special_tokens  whether the list takes the place of the one before
        """
        tokens = []
        for name, value in special_tokens_dict.items():
            if name in ("extra_special_tokens", "additional_special_tokens"):
                if not isinstance(value, (list, tuple)):
                    raise ValueError(f"{name} is {value!r}, expected a list of tokens")
                new = [
                    added_token(token, name, special=isinstance(token, str))
                    for token in value
                    if replace_extra_special_tokens or str(token) not in self.extra_special_tokens
                ]
                kept = [] if replace_extra_special_tokens and new else self._extra_tokens
                self._extra_tokens = [*kept, *new]
                tokens += new
            elif name in SPECIAL_TOKENS or name in self._named_tokens:
                token = added_token(value, name, special=isinstance(value, str))
                self._named_tokens[name] = token
                tokens.append(token)
            else:
                known = ", ".join([*SPECIAL_TOKENS, "extra_special_tokens"])
                raise ValueError(f"{name!r} is no special token, expected one of {known}")
        return self._add([token.as_special() for token in tokens])

    def _add(self, tokens: list[AddedToken]) -> int:
        return self.added_tokens.add(tokens)

    # ---- from tokens to ids and back ----

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> Any:
        """Return the id of a token or a list of ids; an unknown token has the id of unk_token."""
        if isinstance(tokens, str):
            number = self.added_tokens.id_of.get(tokens, self.id_of_token.get(tokens))
            if number is None and tokens != self.unk_token:
                return self.unk_token_id
            return number
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or a list of tokens; None for an id that has no token."""
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
        # Skipped are tokens that were added as special; convert_ids_to_tokens skips by name.
        skipped = self.added_tokens.special if skip_special_tokens else ()
        tokens = self.convert_ids_to_tokens(token_ids)
        text = self.convert_tokens_to_string(
            [token for token in tokens if token is not None and token not in skipped]
        )
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        if clean_up_tokenization_spaces:
            for before, after in CLEANED_UP:
                text = text.replace(before, after)
        return text

    def batch_decode(self, sequences: Any, *options: Any, **named_options: Any) -> list[str]:
        """Decode rows as `decode` does; the result is a list even for a single row."""
        texts = self.decode(sequences, *options, **named_options)
        return [texts] if isinstance(texts, str) else texts

    # ---- special tokens and the rows they make ----

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return the number of special tokens that are added to a text (2) or a pair (3)."""
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
        """Return the type ids of the row that `build_inputs_with_special_tokens` makes."""
        first = [0] * (len(token_ids_0) + 2)
        return first if token_ids_1 is None else first + [1] * (len(token_ids_1) + 1)

    def get_special_tokens_mask(
        self,
        token_ids_0: list[int],
        token_ids_1: list[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for every special token of a row, else 0.

        already_has_special_tokens  token_ids_0 is a finished row, not the ids of a text
        """
        if not already_has_special_tokens:
            row = [1] + [0] * len(token_ids_0) + [1]
            return row if token_ids_1 is None else row + [0] * len(token_ids_1) + [1]
        if token_ids_1 is not None:
            raise ValueError("a finished row holds both texts, so there can be no token_ids_1")
        special = set(self.all_special_ids)
        return [int(number in special) for number in token_ids_0]

    bos_token, bos_token_id = special_token("bos_token"), special_token_id("bos_token")
    eos_token, eos_token_id = special_token("eos_token"), special_token_id("eos_token")
    unk_token, unk_token_id = special_token("unk_token"), special_token_id("unk_token")
    sep_token, sep_token_id = special_token("sep_token"), special_token_id("sep_token")
    pad_token, pad_token_id = special_token("pad_token"), special_token_id("pad_token")
    cls_token, cls_token_id = special_token("cls_token"), special_token_id("cls_token")
    mask_token, mask_token_id = special_token("mask_token"), special_token_id("mask_token")

    def __getattr__(self, name: str) -> Any:
        """Return a special token with a name of its own, such as `entity_token`, or its id."""
        named = self.__dict__.get("_named_tokens", {})  # not there yet while a copy is being made
        if name in named:
            return str(named[name])
        if name.removesuffix("_id") in named:
            return self.convert_tokens_to_ids(str(named[name.removesuffix("_id")]))
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def extra_special_tokens(self) -> list[str]:
        """The special tokens without a name; can be set."""
        return [str(token) for token in self._extra_tokens]

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens: Sequence[str | AddedToken] | None) -> None:
        if not isinstance(tokens, (list, tuple, type(None))):
            raise ValueError(f"extra_special_tokens is {tokens!r}, expected a list of tokens")
        self._extra_tokens = list(tokens or [])

    @property
    def extra_special_tokens_ids(self) -> list[int]:
        """The ids of the special tokens without a name."""
        return self.convert_tokens_to_ids(self.extra_special_tokens)

    additional_special_tokens = extra_special_tokens  # as version 4 of the reference calls them
    additional_special_tokens_ids = extra_special_tokens_ids

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by their names: {"unk_token": "[UNK]", ...}."""
        names = dict.fromkeys([*SPECIAL_TOKENS, *self._named_tokens])
        return {name: str(self._named_tokens[name]) for name in names if name in self._named_tokens}

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens without repetition, named ones first."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self.extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of the special tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    # ---- saving ----

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write vocab.txt atomically into an existing directory, and return its path."""
        name = f"{filename_prefix}-vocab.txt" if filename_prefix else "vocab.txt"
        path = os.path.join(output_directory(save_directory), name)
        write_vocabulary(path, self.id_of_token)
        return (path,)


def as_lists(ids: Any) -> Any:
    """Turn arrays, and lists of arrays, into lists."""
    if hasattr(ids, "tolist"):
        return ids.tolist()
    return [as_lists(row) for row in ids] if isinstance(ids, (list, tuple)) else ids


def checked_id(number: Any) -> int:
    """Return an id as an int; anything else than an integer >= 0 is a ValueError."""
    if not hasattr(number, "__index__") or number < 0:
        raise ValueError(f"{number!r} is not an id, expected an int of 0 or more")
    return operator.index(number)
