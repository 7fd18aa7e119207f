"""The tokenizer's call and what belongs to it: rows and batches, padding, reading and saving.

`BertTokenizer`, the subclass in bert_tokenizer.py, says how a text is cut into pieces.
"""

from __future__ import annotations

import os
from typing import Any

from npbert.checkpoints.saving import reading, saving
from npbert.terminal import progress as with_progress
from npbert.tokenizer.arguments import (
    checked_number,
    checked_side,
    refuse_unknown,
    strategies,
    texts_of_rows,
)
from npbert.tokenizer.batch_encoding import BatchEncoding, check_tensor_type
from npbert.tokenizer.encoding import LARGEST_LIMIT, Encoding
from npbert.tokenizer.file_values import naming
from npbert.tokenizer.files import read_arguments, write_files
from npbert.tokenizer.padding import pad
from npbert.tokenizer.truncation import Pieces, truncate
from npbert.tokenizer.vocabulary import SETTINGS, Vocabulary


class PreTrainedTokenizer(Vocabulary):
    """Turns texts into rows of ids; a subclass says into which pieces a text is cut.

    A subclass has the attributes that SETTINGS names, and `_cut_into_pieces`.
    """

    _obeys_normalizer = False  # whether the normalizer in a tokenizer.json counts

    model_input_names: list[str]
    model_max_length: int
    padding_side: str
    split_special_tokens: bool
    truncation_side: str

    def _cut_into_pieces(
        self, text: str | list[str], split_special_tokens: bool, with_offsets: bool = False
    ) -> Pieces:
        """Cut one text, or one text that came split into words, into word pieces.

        with_offsets  whether the offsets will be asked for, so that they are best computed at once
        """
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
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        split_special_tokens: bool | None = None,
        verbose: bool = True,
        progress: bool | None = False,
        **unknown: Any,
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
        stride              how many word pieces a row of overflow repeats of the one before
        pad_to_multiple_of  round the length up to a multiple of this when padding
        padding_side        "right" or "left"; None: the tokenizer's
        return_tensors      None: lists, a single text without the batch axis; "np": int64 [B, T]
        return_token_type_ids, return_attention_mask
                            whether the result holds them; None: if model_input_names names them
        return_overflowing_tokens
                            make further rows of what truncation cuts off; they follow the row that
                            they continue. overflow_to_sample_mapping gives each row's text, and a
                            single text gives a batch
        return_...          what else the result holds: special_tokens_mask, offset_mapping, length
        split_special_tokens
                            treat [SEP] and the like in a text as text; None: the tokenizer's
        verbose             warn of a max_length that has no effect
        progress            show a progress bar on stderr; None: after a second, on a terminal

        Arguments that do not fit are a ValueError.
        """
        if unknown:
            refuse_unknown(unknown, type(self).__call__.__kwdefaults__ or ())
        check_tensor_type(return_tensors, "return_tensors")
        if padding_side is None:
            padding_side = self.padding_side
        side = checked_side("padding_side", padding_side)
        checked_number("stride", stride, "a number of word pieces, 0 or more", 0)
        padding, truncation, max_length = strategies(
            padding, truncation, max_length, pad_to_multiple_of, self.model_max_length, verbose
        )
        truncates = truncation != "do_not_truncate"
        if truncates:
            self._check_stride(stride, max_length)
        if split_special_tokens is None:
            split_special_tokens = self.split_special_tokens
        texts, is_batched = texts_of_rows(text, text_pair, is_split_into_words)

        # Rows keep these ids, even if the tokenizer's special tokens change afterwards.
        special_ids = self.cls_token_id, self.sep_token_id, self.pad_token_id
        if padding != "do_not_pad" and self.pad_token_id is None:
            raise ValueError(f"padding is {padding!r}, but the tokenizer has no pad_token")
        how = split_special_tokens, return_offsets_mapping
        rows: list[Encoding] = []
        rooms: dict[bool, int] = {}  # by whether it is a pair; computed for the first of each
        for first_text, second_text in with_progress(texts, len(texts), "texts", progress):
            first = self._cut_into_pieces(first_text, *how)
            second = None if second_text is None else self._cut_into_pieces(second_text, *how)
            if truncates:
                is_pair = second is not None
                if is_pair not in rooms:
                    rooms[is_pair] = self._room(max_length, is_pair, add_special_tokens)
                truncate(first, second, rooms[is_pair], truncation, self.truncation_side, stride)
            rows.append(Encoding(self, first, second, add_special_tokens, special_ids))
        if padding != "do_not_pad" and rows:
            length = max(map(len, rows)) if padding == "longest" else max_length
            if pad_to_multiple_of:
                length += -length % pad_to_multiple_of
            for row in rows:
                row.pad(length, side)
        sources = list(range(len(rows)))
        if return_overflowing_tokens:
            groups = [[row, *row.overflowing] for row in rows]
            sources = [source for source, group in enumerate(groups) for _ in group]
            rows = [row for group in groups for row in group]

        data: dict[str, list[Any]] = {"input_ids": [row.ids for row in rows]}
        if self._returns("token_type_ids", return_token_type_ids):
            data["token_type_ids"] = [row.type_ids for row in rows]
        if self._returns("attention_mask", return_attention_mask):
            data["attention_mask"] = [row.attention_mask for row in rows]
        if return_special_tokens_mask:
            data["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if return_offsets_mapping:
            data["offset_mapping"] = [row.offsets for row in rows]
        if return_length:
            data["length"] = [len(row) for row in rows]
        if return_overflowing_tokens:
            data["overflow_to_sample_mapping"] = sources
        elif not is_batched and return_tensors is None:
            # The length of a single text stays a list, as in the reference.
            data = {name: row[0] if name != "length" else row for name, row in data.items()}
        return BatchEncoding(data, rows, return_tensors)

    def _returns(self, name: str, asked_for: bool | None) -> bool:
        return name in self.model_input_names if asked_for is None else bool(asked_for)

    def _room(self, max_length: int, pair: bool, add_special_tokens: bool) -> int:
        special = self.num_special_tokens_to_add(pair) if add_special_tokens else 0
        if max_length < special:  # the reference would not truncate at all
            raise ValueError(
                f"max_length is {max_length}, expected at least {special}, the number of special "
                f"tokens that are added to {'a pair of texts' if pair else 'a text'}"
            )
        return max_length - special

    def _check_stride(self, stride: int, max_length: int) -> None:
        # As in the reference, pairs and rows without special tokens are held to this as well.
        special = self.num_special_tokens_to_add()
        if special <= max_length < special + stride:
            raise ValueError(
                f"stride is {stride}, expected less than {max_length - special}: a max_length of "
                f"{max_length} leaves room for so many word pieces beside {special} special tokens"
            )

    def encode(
        self,
        text: Any,
        text_pair: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        **options: Any,
    ) -> Any:
        """Return the input_ids of a call with the same arguments."""
        options |= {"padding": padding, "truncation": truncation, "max_length": max_length}
        return self(text, text_pair, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Do what a call does; an older name for a call with one text or pair."""
        return self(text, text_pair, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Any, add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        """Do what a call does; an older name for a call with a list of texts or pairs."""
        return self(batch_text_or_text_pairs, add_special_tokens=add_special_tokens, **options)

    def tokenize(
        self, text: Any, pair: Any = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """Return the tokens of a text, or of a pair one after the other, as strings.

        `options` are those of a call. A list of texts is a ValueError.
        """
        got = self(text, pair, add_special_tokens=add_special_tokens, **options)
        if not isinstance(text, str) and not options.get("is_split_into_words"):
            raise ValueError(f"text is a list of {len(text)}, expected a string")
        return got.tokens()

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Pad rows that were made before, and return them as a batch.

        encoded_inputs  the result of a call, or a list of results for single texts; mappings from
                        input_ids and other names to lists or arrays will do
        padding, ...    as in a call; return_tensors None: arrays if the ids came as arrays

        input_ids, token_type_ids, attention_mask (made where it is wanted and missing) and
        special_tokens_mask are padded; other lists, such as labels, stay as they are. What does not
        fit is a ValueError.
        """
        check_tensor_type(return_tensors, "return_tensors")
        side = checked_side(
            "padding_side", self.padding_side if padding_side is None else padding_side
        )
        strategy, _, length = strategies(
            padding, False, max_length, pad_to_multiple_of, self.model_max_length, verbose
        )
        return pad(
            encoded_inputs,
            {
                self.model_input_names[0]: self.pad_token_id,
                "special_tokens_mask": 1,
                "token_type_ids": self.pad_token_type_id,
            },
            strategy,
            length,
            pad_to_multiple_of,
            side,
            return_attention_mask,
            return_tensors,
            has_mask="attention_mask" in self.model_input_names,
        )

    @property
    def max_len_single_sentence(self) -> int:
        """The number of word pieces of a text that fit into a row of model_max_length."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """The number of word pieces of a pair that fit into a row of model_max_length."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in SETTINGS}
        shown = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, {shown})"

    # ---- directories ----

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> Any:
        """Read a tokenizer from a directory, a shipped checkpoint or one of the Hub, by its name.

        The files are those that files.py describes, vocab.txt or tokenizer.json at least; `options`
        are arguments of the constructor and override the files, and those of the Hub (revision,
        cache_dir, token, local_files_only). No vocabulary at all is a
        FileNotFoundError; a damaged file, or another tokenizer than BERT's, is a ValueError.
        """
        # Imported here: a tokenizer made from a vocabulary does without it.
        from npbert.checkpoints.hub_files import TOKENIZER
        from npbert.checkpoints.shipped import checkpoint_directory, hub_options

        name = pretrained_model_name_or_path
        found = checkpoint_directory(name, (TOKENIZER,), **hub_options(options))
        directory = os.fspath(found)
        with reading(directory):
            arguments = read_arguments(directory, SETTINGS, options, cls._obeys_normalizer)
            with naming(directory):
                return cls(**arguments)  # which reads vocab.txt

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write vocab.txt and the files beside it, which transformers reads; return their paths.

        The directory is made where it is missing. The files change together, whatever happens:
        checkpoints/saving.py says how.
        """
        settings = {name: getattr(self, name) for name in SETTINGS}
        if self.model_max_length > LARGEST_LIMIT:
            del settings["model_max_length"]
        if self.model_input_names == type(self).model_input_names:
            del settings["model_input_names"]
        settings["tokenizer_class"] = type(self).__name__
        with saving(save_directory) as new:
            self.save_vocabulary(new)
            names = ["vocab.txt", *write_files(new, self, settings)]
        return tuple(os.path.join(os.fspath(save_directory), name) for name in names)
