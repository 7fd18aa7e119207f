"""The catalogue of mistakes from word pieces to rows, and to their places in the text."""

from __future__ import annotations

from functools import partial

from npbert.golden.wordpiece import mistaken_rows as rows
from npbert.golden.wordpiece.exchanging import exchanging
from npbert.golden.wordpiece.steps import in_bytes, in_characters

ROWS = (
    exchanging(
        "no_special_tokens",
        "special tokens",
        "ids",
        "that adds no [CLS] and [SEP]",
        lay_out=rows.without_special_tokens,
    ),
    exchanging(
        "special_tokens_always",
        "special tokens",
        "ids",
        "that adds [CLS] and [SEP] where none were asked for",
        lay_out=rows.with_special_tokens,
    ),
    exchanging(
        "no_final_sep",
        "special tokens",
        "ids",
        "that does not close the row with [SEP]",
        lay_out=rows.without_final_sep,
    ),
    exchanging(
        "two_seps",
        "pairs",
        "ids",
        "that puts two [SEP] between the texts of a pair, as RoBERTa does",
        lay_out=partial(rows.between, tokens=("[SEP]", "[SEP]")),
    ),
    exchanging(
        "cls_twice",
        "pairs",
        "ids",
        "that begins the second text of a pair with a [CLS] of its own",
        lay_out=partial(rows.between, tokens=("[SEP]", "[CLS]")),
    ),
    exchanging(
        "no_sep_between",
        "pairs",
        "ids",
        "that puts no [SEP] between the texts of a pair",
        lay_out=partial(rows.between, tokens=()),
    ),
    exchanging(
        "types_all_zero",
        "pairs",
        "type_ids",
        "whose type ids are 0 in both texts of a pair",
        lay_out=partial(rows.with_types, types=(0, 0, 0, 0)),
    ),
    exchanging(
        "sep_of_second_type",
        "pairs",
        "type_ids",
        "that gives the [SEP] between the texts of a pair the type id 1",
        lay_out=partial(rows.with_types, types=(0, 1, 1, 1)),
    ),
    exchanging(
        "types_from_one",
        "pairs",
        "type_ids",
        "whose type ids are 1 and 2 instead of 0 and 1",
        lay_out=partial(rows.with_types, types=(1, 1, 2, 2)),
    ),
    exchanging(
        "final_sep_of_first_type",
        "pairs",
        "type_ids",
        "that gives the last [SEP] of a pair the type id 0",
        lay_out=partial(rows.with_types, types=(0, 0, 1, 0)),
    ),
    exchanging("not_truncated", "truncation", "ids", "that does not truncate", truncate=rows.whole),
    exchanging(
        "truncated_with_special_tokens",
        "truncation",
        "ids",
        "that cuts the row after the special tokens were added, and so loses the last [SEP]",
        truncate=rows.whole,
        lay_out=rows.cut_afterwards,
    ),
    exchanging(
        "length_without_special_tokens",
        "truncation",
        "ids",
        "that does not count the special tokens in max_length",
        truncate=rows.without_room,
    ),
    exchanging(
        "truncated_at_the_start",
        "truncation",
        "ids",
        "that cuts texts at their start instead of their end",
        truncate=rows.at_the_start,
    ),
    exchanging(
        "pair_cut_at_its_end",
        "truncation",
        "ids",
        "that cuts a pair at its end, so that the second text vanishes first",
        truncate=rows.second_first,
    ),
    exchanging(
        "odd_piece_to_second",
        "truncation",
        "ids",
        "that gives the odd piece to the second text of a pair where both are cut to half the "
        "room, though the first is longer",
        truncate=rows.odd_piece_to_second,
    ),
    exchanging(
        "pair_cut_in_proportion",
        "truncation",
        "ids",
        "that cuts both texts of a pair in proportion instead of the longest first",
        truncate=rows.in_proportion,
    ),
)

PLACES = (
    exchanging(
        "offsets_in_bytes",
        "offsets in bytes instead of characters",
        "offsets",
        "whose offsets count bytes of UTF-8 where characters are asked for",
        offsets=in_bytes,
    ),
    exchanging(
        "offsets_in_utf16",
        "offsets in units of UTF-16",
        "offsets",
        "whose offsets count units of UTF-16, where characters above U+FFFF are two",
        offsets=rows.in_utf16,
    ),
    exchanging(
        "offsets_in_normalized_text",
        "offsets",
        "offsets",
        "whose offsets are places in the text after it was cleaned, stripped and lowered",
        normalized=rows.counted_anew,
    ),
    exchanging(
        "last_character_included",
        "offsets",
        "offsets",
        "whose offsets end at the last character instead of behind it",
        offsets=lambda *span: rows.without_last(in_characters(*span)),
    ),
    exchanging(
        "byte_offsets_in_characters",
        "offsets in characters instead of bytes",
        "byte_offsets",
        "whose byte offsets count characters",
        byte_offsets=in_characters,
    ),
    exchanging(
        "byte_offsets_in_normalized_text",
        "offsets",
        "byte_offsets",
        "whose byte offsets are places in the text after it was cleaned, stripped and lowered",
        normalized=rows.counted_anew,
        byte_offsets=in_characters,
    ),
    exchanging(
        "last_byte_included",
        "offsets",
        "byte_offsets",
        "whose byte offsets end at the last byte instead of behind it",
        byte_offsets=lambda *span: rows.without_last(in_bytes(*span)),
    ),
    exchanging(
        "byte_offsets_in_utf16",
        "offsets in units of UTF-16",
        "byte_offsets",
        "whose byte offsets count units of UTF-16",
        byte_offsets=rows.in_utf16,
    ),
)
