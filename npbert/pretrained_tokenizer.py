"""What a tokenizer does besides cutting a text: rows and batches, directories, its settings.

The text itself is cut by a subclass, `BertTokenizer` in tokenizer.py.
"""

from __future__ import annotations

import os
from typing import Any

from npbert.encoding import (
    LARGEST_LIMIT,
    BatchEncoding,
    Encoding,
    Pieces,
    as_arrays,
    strategies,
    texts_of_rows,
    truncate,
)
from npbert.vocabulary import SETTINGS, Vocabulary


class PreTrainedTokenizer(Vocabulary):
    """Turns texts into rows of ids; a subclass says into which pieces a text is cut.

    A subclass has the attributes that SETTINGS names, and `_cut_into_pieces`.
    """

    _obeys_normalizer = False  # whether the normalizer in a tokenizer.json counts

    model_max_length: int
    padding_side: str
    truncation_side: str

    def _cut_into_pieces(self, text: str | list[str]) -> Pieces:
        """Cut one text, or one text that came split into words, into word pieces."""
        raise NotImplementedError

    # ---- encoding ----

    def __call__(
        self,
        text: Any,
        text_pair: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool = True,
        return_attention_mask: bool = True,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
    ) -> BatchEncoding:
        """Turn texts into rows of ids that a model takes.

        text, text_pair     a string each (one row), or a list of strings each (one row for each);
                            a list of pairs of strings needs no `text_pair`. With
                            is_split_into_words every string is a list of words instead.
        add_special_tokens  add [CLS] and [SEP]
        padding             False; True or "longest": to the longest row; "max_length"
        truncation          False; True or "longest_first", "only_first", "only_second"; None: True
                            if max_length is given and padding is not
        max_length          in tokens, special tokens included; None: model_max_length
        pad_to_multiple_of  round the length up to a multiple of this when padding
        padding_side        "right" or "left"; None: the tokenizer's
        return_tensors      None: lists, a single text without the batch axis; "np": int64 [B, T]
        return_...          what the result holds besides input_ids: token_type_ids,
                            attention_mask, special_tokens_mask, offset_mapping, length

        A ValueError says what does not fit.
        """
        if return_tensors not in (None, "np"):
            raise ValueError(f'return_tensors is {return_tensors!r}, expected None or "np"')
        side = self.padding_side if padding_side is None else padding_side
        if side not in ("right", "left"):
            raise ValueError(f'padding_side is {side!r}, expected "right" or "left"')
        padding, truncation, max_length = strategies(
            padding, truncation, max_length, pad_to_multiple_of, self.model_max_length
        )
        texts, is_batched = texts_of_rows(text, text_pair, is_split_into_words)

        rows = []
        for first_text, second_text in texts:
            first = self._cut_into_pieces(first_text)
            second = None if second_text is None else self._cut_into_pieces(second_text)
            if truncation != "do_not_truncate":
                room = self._room(max_length, second is not None, add_special_tokens)
                truncate(first, second, room, truncation, self.truncation_side)
            rows.append(Encoding(self, first, second, add_special_tokens))
        if padding != "do_not_pad" and rows:
            length = max(map(len, rows)) if padding == "longest" else max_length
            if pad_to_multiple_of:
                length += -length % pad_to_multiple_of
            for row in rows:
                row.pad(length, side)

        data: dict[str, list[Any]] = {"input_ids": [row.ids for row in rows]}
        if return_token_type_ids:
            data["token_type_ids"] = [row.type_ids for row in rows]
        if return_attention_mask:
            data["attention_mask"] = [row.attention_mask for row in rows]
        if return_special_tokens_mask:
            data["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if return_offsets_mapping:
            data["offset_mapping"] = [row.offsets for row in rows]
        if return_length:
            data["length"] = [len(row) for row in rows]
        if return_tensors == "np":
            return BatchEncoding(as_arrays(data), rows)
        if not is_batched:  # the length of a single text stays a list, as in the reference
            data = {name: row[0] if name != "length" else row for name, row in data.items()}
        return BatchEncoding(data, rows)

    def _room(self, max_length: int, pair: bool, add_special_tokens: bool) -> int:
        special = self.num_special_tokens_to_add(pair) if add_special_tokens else 0
        if max_length < special:  # the reference would not truncate at all
            raise ValueError(
                f"max_length is {max_length}, expected at least {special}: so many special tokens "
                f"are added to {'a pair of texts' if pair else 'a text'}"
            )
        return max_length - special

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Return the input_ids of a call with the same arguments."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(
        self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Return the tokens of a text, or of a pair one after the other, as strings."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in SETTINGS}
        shown = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, {shown})"

    # ---- directories ----

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> Any:
        """Read a tokenizer from a directory, or from a shipped checkpoint by its name.

        The files are those that tokenizer_files.py names, vocab.txt or tokenizer.json at least;
        `options` are arguments of the constructor and go before them. No vocabulary at all is a
        FileNotFoundError; a damaged file, or another tokenizer than BERT's, is a ValueError.
        """
        from npbert.shipped import checkpoint_directory  # here: a tokenizer can do without it
        from npbert.tokenizer_files import read_arguments

        directory = os.fspath(checkpoint_directory(os.fspath(pretrained_model_name_or_path)))
        return cls(**read_arguments(directory, SETTINGS, options, cls._obeys_normalizer))

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write vocab.txt and the files beside it, which transformers reads; return their paths.

        The directory is made where it is missing, and each file is written atomically.
        """
        from npbert.tokenizer_files import write_files

        directory = os.fspath(save_directory)
        os.makedirs(directory, exist_ok=True)
        settings = {name: getattr(self, name) for name in SETTINGS}
        if self.model_max_length > LARGEST_LIMIT:
            del settings["model_max_length"]
        settings["tokenizer_class"] = type(self).__name__
        return (*self.save_vocabulary(directory), *write_files(directory, self, settings))
