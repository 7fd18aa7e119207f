"""What the tokenizer returns: rows of word pieces between special tokens, cut, padded, batched.

A row holds one text or a pair, laid out as BERT was trained:

    [CLS] first [SEP]                  type ids  0 0...0 0
    [CLS] first [SEP] second [SEP]     type ids  0 0...0 0 1...1 1
"""

from __future__ import annotations

import operator
import warnings
from collections import UserDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npbert.vocabulary import Vocabulary

Span = tuple[int, int]


class Pieces:
    """The word pieces of one text: their ids and, found out when first asked for, their places."""

    def __init__(self, ids: list[int], locate: Callable[[], tuple[list[Span], list[int]]]) -> None:
        self.ids = ids
        self.locate = locate
        self.kept = slice(None)  # what truncation left of the places; of the ids it is cut at once
        self.places: tuple[list[Span], list[int]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def truncate(self, length: int, side: str) -> None:
        """Keep `length` pieces, removing the others from the end (side "right") or the start."""
        start = len(self.ids) - length if side == "left" else 0
        self.kept = slice(start, start + length)
        self.ids = self.ids[self.kept]

    def offsets(self) -> list[Span]:
        """Return for every piece where it starts and ends in the text, in characters."""
        if self.places is None:
            self.places = self.locate()
        return self.places[0][self.kept]

    def word_ids(self) -> list[int]:
        """Return for every piece the number of its word."""
        if self.places is None:
            self.places = self.locate()
        return self.places[1][self.kept]


def truncate(first: Pieces, second: Pieces | None, room: int, strategy: str, side: str) -> None:
    """Cut one text or a pair so that together they are at most `room` pieces long.

    `strategy` is "longest_first", "only_first" or "only_second", `side` where pieces are removed.
    A text that would have to give up all its pieces, or that is not there, is a ValueError; with
    no room at all everything goes, whatever the strategy.
    """
    excess = len(first) + (0 if second is None else len(second)) - room
    if excess <= 0:
        return
    if room == 0:
        first.truncate(0, side)
        if second is not None:
            second.truncate(0, side)
    elif strategy == "longest_first":
        if second is None:
            first.truncate(room, side)
            return
        # The shorter one stays whole if the longer one can make up for it. Otherwise the room is
        # halved, and the odd piece goes to the second, or to the first if that was the longer.
        shorter, longer = sorted((len(first), len(second)))
        if 2 * shorter > room:
            shorter, longer = room // 2, room - room // 2
        else:
            longer = room - shorter
        first_is_longer = len(first) > len(second)
        first.truncate(longer if first_is_longer else shorter, side)
        second.truncate(shorter if first_is_longer else longer, side)
    else:
        cut = first if strategy == "only_first" else second
        if cut is None:
            raise ValueError(f'truncation is "{strategy}", but there is no second text to truncate')
        if len(cut) <= excess:
            raise ValueError(
                f'truncation is "{strategy}", but that text has {len(cut)} word pieces and '
                f"{excess} are to be removed: use another strategy or a larger max_length"
            )
        cut.truncate(len(cut) - excess, side)


class Encoding:
    """One row: one text or a pair, with special tokens and padding, and all that is known of it.

    Every attribute is a list with one entry a token: `ids`, `type_ids`, `attention_mask`,
    `special_tokens_mask`, `tokens`, `offsets` (start and end in the text, in characters),
    `word_ids` (counted from 0 in each text) and `sequence_ids` (0 for the first text, 1 for the
    second). Special tokens and padding have the offsets (0, 0) and None for a word and a sequence.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        first: Pieces,
        second: Pieces | None,
        add_special_tokens: bool,
    ) -> None:
        self.vocabulary = vocabulary
        self.first = first
        self.second = second
        self.add_special_tokens = add_special_tokens
        self.padding = 0
        self.padding_side = "right"

    def __len__(self) -> int:
        special = self.vocabulary.num_special_tokens_to_add(self.second is not None)
        pieces = len(self.first) + (0 if self.second is None else len(self.second))
        return pieces + special * self.add_special_tokens + self.padding

    def pad(self, length: int, side: str) -> None:
        """Fill the row up to `length` tokens at its end (side "right") or its start ("left")."""
        self.padding += max(0, length - len(self))
        self.padding_side = side

    def lay_out(
        self, first: list[Any], second: list[Any], special: tuple[Any, Any, Any], padding: Any
    ) -> list[Any]:
        """Put values of the pieces and of the three special tokens and padding in their places."""
        opening, closing, closing_second = special
        row = [opening, *first, closing] if self.add_special_tokens else list(first)
        if self.second is not None:
            row += [*second, closing_second] if self.add_special_tokens else second
        filling = [padding] * self.padding
        return filling + row if self.padding_side == "left" else row + filling

    def spread(self, first: Any, second: Any, special: tuple[Any, Any, Any], pad: Any) -> list[Any]:
        """Lay out one value for all pieces of the first text and one for all of the second."""
        length = 0 if self.second is None else len(self.second)
        return self.lay_out([first] * len(self.first), [second] * length, special, pad)

    @property
    def ids(self) -> list[int]:
        cls, sep = self.vocabulary.cls_token_id, self.vocabulary.sep_token_id
        second = [] if self.second is None else self.second.ids
        return self.lay_out(self.first.ids, second, (cls, sep, sep), self.vocabulary.pad_token_id)

    @property
    def tokens(self) -> list[str]:
        return [self.vocabulary.token_of_id[number] for number in self.ids]

    @property
    def type_ids(self) -> list[int]:
        return self.spread(0, 1, (0, 0, 1), 0)

    @property
    def attention_mask(self) -> list[int]:
        return self.spread(1, 1, (1, 1, 1), 0)

    @property
    def special_tokens_mask(self) -> list[int]:
        # 1 for what the tokenizer added: a [MASK] that was written in the text counts as text.
        return self.spread(0, 0, (1, 1, 1), 1)

    @property
    def sequence_ids(self) -> list[int | None]:
        return self.spread(0, 1, (None, None, None), None)

    @property
    def offsets(self) -> list[Span]:
        nowhere = (0, 0)
        second = [] if self.second is None else self.second.offsets()
        return self.lay_out(self.first.offsets(), second, (nowhere, nowhere, nowhere), nowhere)

    @property
    def word_ids(self) -> list[int | None]:
        second = [] if self.second is None else self.second.word_ids()
        return self.lay_out(self.first.word_ids(), second, (None, None, None), None)


class BatchEncoding(UserDict):
    """The result of a call of the tokenizer: a dict of its lists or arrays, and the rows behind it.

    `batch["input_ids"]` and `batch.input_ids` are the same; `batch[0]` is the first row as an
    `Encoding`. `tokens()`, `word_ids()` and `sequence_ids()` take the number of a row.
    """

    def __init__(self, data: dict[str, Any], encodings: Sequence[Encoding] = ()) -> None:
        super().__init__(data)
        self.encodings = list(encodings)

    def __getitem__(self, item: Any) -> Any:
        return self.data[item] if isinstance(item, str) else self.encodings[item]

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})  # not there yet while a copy is being made
        if name not in data:
            raise AttributeError(f'the encoding has no "{name}"; it has {", ".join(data)}')
        return data[name]

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row, special tokens and padding included."""
        return self.encodings[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for every token of a row the number of its word in its text, or None."""
        return self.encodings[batch_index].word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for every token of a row 0 (first text), 1 (second text) or None."""
        return self.encodings[batch_index].sequence_ids


def as_arrays(data: dict[str, list[Any]]) -> dict[str, Any]:
    """Turn rows into int64 arrays [B, T], offsets [B, T, 2]; rows of unlike length are an error."""
    import numpy as np  # here, so that lists of ids can be had without waiting for NumPy

    lengths = sorted({len(row) for row in data["input_ids"]})
    if len(lengths) > 1:
        raise ValueError(
            f"the rows have {lengths[0]} to {lengths[-1]} tokens, and an array needs rows of one "
            "length: pass padding=True (and truncation=True with max_length to limit them)"
        )
    return {name: np.array(rows, dtype=np.int64) for name, rows in data.items()}


# ---- what a call of the tokenizer is given -------------------------------------------------

PADDINGS: dict[Any, str] = {False: "do_not_pad", True: "longest"}
TRUNCATIONS: dict[Any, str] = {None: "do_not_truncate", False: "do_not_truncate"}
TRUNCATIONS[True] = "longest_first"
NO_LIMIT = int(1e30)  # the reference's model_max_length where none is known
LARGEST_LIMIT = int(1e20)  # a model_max_length above this counts as none


def strategies(
    padding: Any, truncation: Any, max_length: Any, multiple: Any, model_max_length: int
) -> tuple[str, str, int]:
    """Return the names of the padding and truncation strategies and the length for both.

    `multiple` is the call's pad_to_multiple_of. What is no strategy, or no length, is a ValueError.
    """
    if max_length is not None:
        if not hasattr(max_length, "__index__") or max_length < 0:
            raise ValueError(f"max_length is {max_length!r}, expected a number of tokens")
        if padding is False and truncation is None:
            truncation = True
    padding_name = PADDINGS.get(padding, padding)
    truncation_name = TRUNCATIONS.get(truncation, truncation)
    for argument, given, name, known in (
        ("padding", padding, padding_name, ("do_not_pad", "longest", "max_length")),
        ("truncation", truncation, truncation_name,
         ("do_not_truncate", "longest_first", "only_first", "only_second")),
    ):  # fmt: skip
        if name not in known:
            raise ValueError(f"{argument} is {given!r}, expected True, False or one of {known}")
    if padding is True and max_length is not None and truncation_name == "do_not_truncate":
        warnings.warn(
            'max_length does nothing beside padding=True: padding="max_length" pads to it, '
            "truncation=True truncates to it",
            stacklevel=4,
        )
    if max_length is None:
        max_length = model_max_length
        if max_length > LARGEST_LIMIT:
            truncation_name = "do_not_truncate"
            padding_name = "do_not_pad" if padding_name == "max_length" else padding_name
    if multiple is not None:
        if not hasattr(multiple, "__index__") or multiple < 1:
            raise ValueError(f"pad_to_multiple_of is {multiple!r}, expected at least 1")
        both = truncation_name != "do_not_truncate" and padding_name != "do_not_pad"
        if both and max_length % multiple:
            raise ValueError(
                f"truncation to {max_length} tokens and padding to a multiple of {multiple} "
                "exclude each other"
            )
    return padding_name, truncation_name, operator.index(max_length)


def checked_text(text: Any, what: str) -> str:
    """Return the text if it is one: a string, without lone surrogates."""
    if not isinstance(text, str):
        raise ValueError(f"{what} is {text!r}, expected a string")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what} has half a character (the lone surrogate U+{ord(text[error.start]):04X}) "
                f"at {error.start}"
            ) from None
    return text


def checked_words(words: Any, what: str) -> list[str]:
    """Return a text that came split into words, if it is one."""
    if not isinstance(words, (list, tuple)):
        raise ValueError(f"{what} is {words!r}, expected a list of words")
    return [checked_text(word, f"word {i} of {what}") for i, word in enumerate(words)]


def texts_of_rows(text: Any, text_pair: Any, is_split: bool) -> tuple[list[tuple[Any, Any]], bool]:
    """Return the first and second text (or None) of every row, and whether they came as a batch."""
    check = checked_words if is_split else checked_text
    if is_split:
        is_batched = (
            isinstance(text, (list, tuple)) and len(text) > 0 and isinstance(text[0], (list, tuple))
        )
    else:
        is_batched = isinstance(text, (list, tuple))
    if not is_batched:
        # An empty second text counts as none, though not in a batch: so does the reference.
        second = check(text_pair, "text_pair") if text_pair else None
        return [(check(text, "text"), second)], False
    if text_pair is not None:
        if not isinstance(text_pair, (list, tuple)) or len(text_pair) != len(text):
            given = f"{len(text_pair)}" if isinstance(text_pair, (list, tuple)) else repr(text_pair)
            raise ValueError(f"text_pair is {given}, expected a list as long as text, {len(text)}")
        pairs = zip(text, text_pair, strict=True)
        return [
            (check(a, f"text {i}"), check(b, f"text_pair {i}")) for i, (a, b) in enumerate(pairs)
        ], True
    # Without text_pair an entry may be a pair itself: two strings, or two lists of words.
    inner = (list, tuple) if is_split else str
    rows: list[tuple[Any, Any]] = []
    for i, entry in enumerate(text):
        is_pair = (
            isinstance(entry, (list, tuple))
            and len(entry) == 2
            and all(isinstance(part, inner) for part in entry)
        )
        if is_pair:
            rows.append((check(entry[0], f"text {i}"), check(entry[1], f"the second text {i}")))
        else:
            rows.append((check(entry, f"text {i}"), None))
    return rows, True
