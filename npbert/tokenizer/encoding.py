"""A row of the tokenizer: word pieces between special tokens, with padding and places.

A row holds one text or a pair, laid out as BERT was trained:

    [CLS] first [SEP]                  type ids  0 0...0 0
    [CLS] first [SEP] second [SEP]     type ids  0 0...0 0 1...1 1
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npbert.tokenizer.truncation import Pieces, Span

if TYPE_CHECKING:
    from npbert.tokenizer.vocabulary import Vocabulary

NO_LIMIT = int(1e30)  # the reference's model_max_length where none is known
LARGEST_LIMIT = int(1e20)  # a model_max_length above this counts as none


class Encoding:
    """One row: a text or a pair, with special tokens and padding, and the place of every token.

    These are lists with one entry a token: `ids`, `type_ids`, `attention_mask`,
    `special_tokens_mask`, `tokens`, `offsets` (start and end in the text, in characters),
    `word_ids` (counted from 0 in each text) and `sequence_ids` (0 for the first text, 1 for the
    second). Special tokens and padding have the offsets (0, 0) and None for a word and a sequence.

    Methods take a word or a character by its number and the number of its text, `sequence_index`.
    They return None where there is nothing, as for a character between two words.
    """

    __slots__ = (
        "add_special_tokens",
        "first",
        "least_length",
        "length",
        "padding_side",
        "second",
        "special_ids",
        "vocabulary",
    )

    def __init__(
        self,
        vocabulary: Vocabulary,
        first: Pieces,
        second: Pieces | None,
        add_special_tokens: bool,
        special_ids: tuple[int, int, int],
    ) -> None:
        self.vocabulary = vocabulary
        self.special_ids = special_ids  # of [CLS], [SEP] and [PAD]
        self.first = first
        self.second = second
        self.add_special_tokens = add_special_tokens
        length = len(first.ids)
        if second is not None:
            length += len(second.ids)
        if add_special_tokens:
            length += 2 if second is None else 3
        self.length = length  # without padding
        self.least_length = 0  # with padding
        self.padding_side = "right"

    def __len__(self) -> int:
        return max(self.length, self.least_length)

    def __repr__(self) -> str:
        return (
            f"Encoding(num_tokens={len(self)}, attributes=[ids, type_ids, tokens, offsets, "
            "attention_mask, special_tokens_mask, overflowing])"
        )

    def pad(self, length: int, direction: str = "right") -> None:
        """Pad the row to `length` tokens at its end ("right") or its start ("left")."""
        if direction not in ("right", "left"):
            raise ValueError(f'direction is {direction!r}, expected "right" or "left"')
        self.least_length = max(length, self.least_length)
        self.padding_side = direction

    # ---- a value for every token ----

    def lay_out(
        self, first: list[Any], second: list[Any], special: tuple[Any, Any, Any], padding: Any
    ) -> list[Any]:
        """Return the row of the values of pieces, of the three special tokens and of padding."""
        opening, closing, closing_second = special
        row = [opening, *first, closing] if self.add_special_tokens else list(first)
        if self.second is not None:
            row += second
            if self.add_special_tokens:
                row.append(closing_second)
        return self.fill_up(row, padding)

    def fill_up(self, row: list[Any], padding: Any) -> list[Any]:
        """Add the padding to a row."""
        missing = self.least_length - self.length
        if missing <= 0:
            return row
        filling = [padding] * missing
        return filling + row if self.padding_side == "left" else row + filling

    def spread(self, first: Any, second: Any, special: tuple[Any, Any, Any], pad: Any) -> list[Any]:
        """Lay out one value for all pieces of the first text and another for the second's."""
        length = 0 if self.second is None else len(self.second.ids)
        return self.lay_out([first] * len(self.first.ids), [second] * length, special, pad)

    @property
    def ids(self) -> list[int]:
        cls, sep, pad = self.special_ids
        second = [] if self.second is None else self.second.ids
        return self.lay_out(self.first.ids, second, (cls, sep, sep), pad)

    @property
    def tokens(self) -> list[str]:
        token = self.vocabulary.token_of_id
        if not self.vocabulary.holds_loose_tokens:
            return [token[number] for number in self.ids]
        cls, sep, pad = (token.get(number, "") for number in self.special_ids)
        second = [] if self.second is None else self.second.tokens()
        return self.lay_out(self.first.tokens(), second, (cls, sep, sep), pad)

    @property
    def type_ids(self) -> list[int]:
        if self.second is None:
            return [0] * len(self)
        return self.spread(0, 1, (0, 0, 1), 0)

    @property
    def attention_mask(self) -> list[int]:
        return self.fill_up([1] * self.length, 0)

    @property
    def special_tokens_mask(self) -> list[int]:
        # 1 for what the tokenizer added. A [MASK] that stands in the text counts as text.
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

    @property
    def words(self) -> list[int | None]:
        """The older name of `word_ids`."""
        return self.word_ids

    # ---- the row as a whole ----

    @property
    def n_sequences(self) -> int:
        """1 for a text, 2 for a pair."""
        return 1 if self.second is None else 2

    @property
    def overflowing(self) -> list[Encoding]:
        """The rows that hold what truncation cut off, padded like this one.

        Of a pair in which both texts were cut, every window of the first text is combined with
        every window of the second.
        """
        firsts = [self.first, *self.first.overflowing()]
        seconds = [None] if self.second is None else [self.second, *self.second.overflowing()]
        pairs = [(first, second) for first in firsts for second in seconds]
        # All but the first pair, which is this row; those with the same first text come last.
        pairs = pairs[len(seconds) :] + pairs[1 : len(seconds)]
        how = self.add_special_tokens, self.special_ids
        rows = [Encoding(self.vocabulary, *pair, *how) for pair in pairs]
        for row in rows:
            row.pad(self.least_length, self.padding_side)
        return rows

    def tokens_of_sequence(self, sequence_index: int) -> range:
        """Return the range of the pieces of a text within the row."""
        if sequence_index not in (0, 1):
            raise ValueError(f"sequence_index is {sequence_index!r}, expected 0 or 1")
        if sequence_index == 1 and self.second is None:
            return range(len(self))  # as in the reference, which finds the tokens of the first
        start = int(self.add_special_tokens)
        if self.padding_side == "left":
            start += len(self) - self.length
        if sequence_index == 1:
            start += len(self.first) + int(self.add_special_tokens)
            return range(start, start + len(self.second or ()))
        return range(start, start + len(self.first))

    # ---- from tokens to words and characters, and back ----

    def token_to_sequence(self, token_index: int) -> int | None:
        """Return which text a token belongs to."""
        for sequence_index in range(self.n_sequences):
            if checked_index(token_index, "token_index") in self.tokens_of_sequence(sequence_index):
                return sequence_index
        return None

    def token_to_word(self, token_index: int) -> int | None:
        """Return the number of a token's word."""
        is_text = self.token_to_sequence(token_index) is not None
        return self.word_ids[token_index] if is_text else None

    def token_to_chars(self, token_index: int) -> Span | None:
        """Return where a token starts and ends in its text."""
        is_text = self.token_to_sequence(token_index) is not None
        return self.offsets[token_index] if is_text else None

    def char_to_token(self, char_index: int, sequence_index: int = 0) -> int | None:
        """Return the first token to which a character belongs."""
        checked_index(char_index, "char_index")
        offsets = self.offsets
        for token in self.tokens_of_sequence(sequence_index):
            start, end = offsets[token]
            if start <= char_index < end:
                return token
        return None

    def char_to_word(self, char_index: int, sequence_index: int = 0) -> int | None:
        """Return the number of the word to which a character belongs."""
        token = self.char_to_token(char_index, sequence_index)
        return None if token is None else self.word_ids[token]

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> Span | None:
        """Return the first token of a word, and the one after its last."""
        checked_index(word_index, "word_index")
        word_ids = self.word_ids
        tokens = [
            token
            for token in self.tokens_of_sequence(sequence_index)
            if word_ids[token] == word_index
        ]
        return (tokens[0], tokens[-1] + 1) if tokens else None

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> Span | None:
        """Return where a word starts and ends in its text."""
        tokens = self.word_to_tokens(word_index, sequence_index)
        if tokens is None:
            return None
        offsets = self.offsets
        return offsets[tokens[0]][0], offsets[tokens[1] - 1][1]


def checked_index(number: Any, what: str) -> int:
    """Return the number of a token, word or character; what is none is a ValueError."""
    if not hasattr(number, "__index__") or number < 0:
        raise ValueError(f"{what} is {number!r}, expected a number of 0 or more")
    return number
