"""The result of a call of the tokenizer: its lists or arrays by name, and the rows behind them."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from npbert.tokenizer.encoding import Encoding


class CharSpan(NamedTuple):
    """Where something starts and ends in a text, in characters; the end is not part of it."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Where something starts and ends in a row, in tokens; the end is not part of it."""

    start: int
    end: int


class BatchEncoding(UserDict):
    """The result of a call of the tokenizer: a dict of its lists or arrays, and the rows behind it.

    `batch["input_ids"]` and `batch.input_ids` are the same; `batch[0]` is the first row as an
    `Encoding`, `batch[:2]` a list of two. A batch made from data alone, as by `pad`, has no rows:
    then `encodings` is None, a slice is taken of every list, and `batch[0]` is a KeyError.

    The methods take the number of a row first; without it they mean the first row:
    `char_to_token(7)` is `char_to_token(0, 7)`. A number that no row has is a ValueError.
    """

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        encoding: Encoding | Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
    ) -> None:
        super().__init__(data or {})
        rows = [encoding] if isinstance(encoding, Encoding) else encoding
        self.encodings = None if rows is None else list(rows)
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @property
    def is_fast(self) -> bool:
        """Whether there are rows, which know words and characters."""
        return self.encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """1 if the first row is of one text, 2 if it is of a pair, None if there is no row."""
        return self.encodings[0].n_sequences if self.encodings else None

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, str):
            return self.data[item]
        if self.encodings is not None and (isinstance(item, slice) or hasattr(item, "__index__")):
            return self.encodings[item]
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.data.items()}
        rows = "rows" if self.encodings is not None else "no rows"
        raise KeyError(f"{item!r}: the encoding has {', '.join(self.data)} and {rows}")

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})  # not there yet while a copy is being made
        if name not in data:
            raise AttributeError(f'the encoding has no "{name}"; it has {", ".join(data)}')
        return data[name]

    def convert_to_tensors(
        self, tensor_type: str | None = None, prepend_batch_axis: bool = False
    ) -> BatchEncoding:
        """Turn lists into int64 arrays where `tensor_type` is "np"; return the encoding itself.

        prepend_batch_axis  make a batch of one out of a single text

        Rows of unlike length are a ValueError, and so is a `tensor_type` of another library.
        """
        if tensor_type is None:
            return self
        check_tensor_type(tensor_type, "tensor_type")
        for name, value in self.data.items():
            self.data[name] = as_array(name, [value] if prepend_batch_axis else value)
        return self

    # ---- what is known of a row ----

    def row(self, batch_index: Any) -> Encoding:
        """Return a row by its number; a negative one counts from the last."""
        if self.encodings is None:
            raise ValueError("the encoding was made from data alone and has no rows")
        count = len(self.encodings)
        if not hasattr(batch_index, "__index__") or not -count <= batch_index < count:
            raise ValueError(f"batch_index is {batch_index!r}, and there are {count} rows")
        return self.encodings[batch_index]

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row, special tokens and padding included."""
        return self.row(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for every token of a row the number of its word in its text, or None."""
        return self.row(batch_index).word_ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """Return what `word_ids` does; its older name."""
        return self.row(batch_index).word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for every token of a row 0 (first text), 1 (second text) or None."""
        return self.row(batch_index).sequence_ids

    def token_to_sequence(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return which text a token belongs to: 0, 1, or None for a special token."""
        row, token = self._row_and_index(batch_or_token_index, token_index)
        return row.token_to_sequence(token)

    def token_to_word(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return the number of a token's word, or None for a special token."""
        row, token = self._row_and_index(batch_or_token_index, token_index)
        return row.token_to_word(token)

    def token_to_chars(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> CharSpan | None:
        """Return where a token starts and ends in its text, or None for a special token."""
        row, token = self._row_and_index(batch_or_token_index, token_index)
        span = row.token_to_chars(token)
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the first token of a word and the one after its last; None if it is not there."""
        row, word = self._row_and_index(batch_or_word_index, word_index)
        span = row.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan:
        """Return where a word starts and ends in its text; no such word is a ValueError."""
        row, word = self._row_and_index(batch_or_word_index, word_index)
        span = row.word_to_chars(word, sequence_index)
        if span is None:
            raise ValueError(f"there is no word {word} in text {sequence_index} of the row")
        return CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the first token to which a character belongs, or None."""
        row, character = self._row_and_index(batch_or_char_index, char_index)
        return row.char_to_token(character, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word to which a character belongs, or None."""
        row, character = self._row_and_index(batch_or_char_index, char_index)
        return row.char_to_word(character, sequence_index)

    def _row_and_index(self, first: int, second: int | None) -> tuple[Encoding, int]:
        return (self.row(0), first) if second is None else (self.row(first), second)


def check_tensor_type(tensor_type: Any, what: str) -> None:
    """Raise a ValueError if arrays of another library than NumPy are asked for."""
    if tensor_type not in (None, "np"):
        raise ValueError(
            f'{what} is {tensor_type!r}, expected None or "np": the arrays are NumPy\'s, and '
            "other libraries take them (torch.from_numpy, tf.convert_to_tensor)"
        )


def as_array(name: str, value: Any) -> Any:
    """Turn rows into an int64 array [B, T], or [B, T, 2] for offsets.

    Rows of unlike length are a ValueError.
    """
    import numpy as np  # here: a call that returns lists does without it

    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        lengths = sorted({len(row) for row in value})
        if len(lengths) > 1:
            raise ValueError(
                f"the rows of {name} have {lengths[0]} to {lengths[-1]} tokens, and an array needs "
                "rows of one length: pass padding=True (and truncation=True with max_length to "
                "limit them)"
            )
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists nested unevenly
        raise ValueError(f"{name} cannot be an array: {error}") from None
    if array.dtype == object:
        raise ValueError(f"{name} cannot be an array: it holds {value!r:.60}")
    if array.size == 0 or array.dtype.kind in "iu":
        array = array.astype(np.int64, copy=False)
    return array
