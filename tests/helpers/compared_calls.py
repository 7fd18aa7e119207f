"""One call of npbert's tokenizer and of transformers': all that the results say, compared."""

import itertools
import warnings

import numpy as np

TOKENS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the un ##aff ##able man cat ##s sat , . ! e ##e 中 ' don t"
).split()
VOCABULARY = {token: number for number, token in enumerate(TOKENS)}
CHOICES = {
    "add_special_tokens": [True, True, False],
    "padding": [False, False, True, "longest", "max_length", "do_not_pad"],
    "truncation": [None, True, True, False, "longest_first", "only_first", "only_second",
                   "do_not_truncate"],
    "max_length": [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24],
    "stride": [0, 0, 0, 1, 2, 3, 7],
    "pad_to_multiple_of": [None, None, None, 4, 8],
    "padding_side": [None, "left", "right"],
    "return_tensors": [None, None, None, "np"],
    "return_token_type_ids": [None, True, False],
    "return_attention_mask": [None, True, False],
    "return_overflowing_tokens": [False, True, True],
    "return_special_tokens_mask": [False, True],
    "return_offsets_mapping": [False, True],
    "return_length": [False, True],
    "verbose": [True, False],
}  # fmt: skip


def typed(value):
    """Return a value with the types of all it is made of."""
    if isinstance(value, np.ndarray):
        return "array", str(value.dtype), value.shape, value.tolist()
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return kind, [typed(part) for part in value]
    return type(value).__name__, value


def row_views(row):
    """Return all that a row says of itself, and of the rows that truncation cut off."""
    views = {
        name: typed(getattr(row, name))
        for name in ("ids", "type_ids", "tokens", "offsets", "attention_mask", "words", "word_ids",
                     "special_tokens_mask", "sequence_ids", "n_sequences")
    }  # fmt: skip
    views["places"] = [
        [row.token_to_sequence(i), row.token_to_word(i), row.token_to_chars(i)]
        for i in range(len(row) + 2)
    ]
    for sequence in range(2):
        views["characters", sequence] = [
            [row.char_to_token(i, sequence), row.char_to_word(i, sequence)] for i in range(0, 60, 7)
        ]
        views["words", sequence] = [
            [row.word_to_tokens(i, sequence), row.word_to_chars(i, sequence)] for i in range(6)
        ]
    views["length"], views["repr"] = len(row), repr(row)
    return views, [row_views(other) for other in row.overflowing]


def batch_views(batch):
    """Return all that the result of a call says."""
    data = {name: typed(value) for name, value in batch.items()}
    rows = range(len(batch.encodings))
    views = [
        [batch.tokens(i), batch.word_ids(i), batch.sequence_ids(i), row_views(batch[i])]
        for i in rows
    ]
    for i in rows:
        for token in range(len(batch[i])):
            views.append(
                [
                    batch.token_to_sequence(i, token),
                    batch.token_to_word(i, token),
                    typed(batch.token_to_chars(i, token)),
                ]
            )
        for word, sequence in itertools.product(range(0, 7, 3), range(2)):
            views.append([typed(batch.word_to_tokens(i, word, sequence))])
            if batch.word_to_tokens(i, word, sequence) is not None:
                views.append([typed(batch.word_to_chars(i, word, sequence))])
        for character, sequence in itertools.product((0, 5, 20), range(2)):
            views.append(
                [
                    batch.char_to_token(i, character, sequence),
                    batch.char_to_word(i, character, sequence),
                ]
            )
    if rows:
        views.append([batch.token_to_sequence(0), batch.token_to_word(1), batch.char_to_token(0)])
    return list(data), data, batch.n_sequences, batch.is_fast, views


def outcome(tokenizer, arguments, options, view=batch_views):
    """Return what a call gives, or the kind of error that it ends in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got = tokenizer(*arguments, **options)
        except BaseException as error:  # a panic of the Rust library is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            return type(error).__name__
    return view(got)


def has_no_room(got, options, arguments):
    """Tell whether special tokens alone exceed max_length, and the reference does not truncate."""
    max_length = options["max_length"]
    truncates = options["truncation"] not in (None, False, "do_not_truncate")
    if options["truncation"] is None and options["padding"] is False:
        truncates = max_length is not None
    if not truncates or not options["add_special_tokens"] or max_length is None:
        return False
    return max_length < (3 if any(row.n_sequences == 2 for row in got.encodings) else 2)


def is_ragged(got):
    return any(isinstance(v, np.ndarray) and v.dtype == object for v in got.values())


def assert_same(both, arguments, options):
    """Hold one call to the reference; return "equal", "refused" or "nonsense"."""
    mine, theirs = both
    got = outcome(mine, arguments, options)
    found = outcome(theirs, arguments, options, view=lambda batch: batch)
    if isinstance(found, str):  # an error or a panic
        assert got == "ValueError", (arguments, options, found)
        return "refused"
    if has_no_room(found, options, arguments) or is_ragged(found):
        assert got == "ValueError", (arguments, options)
        return "nonsense"
    for mine_part, theirs_part in zip(got, batch_views(found), strict=True):
        assert mine_part == theirs_part, (arguments, options)
    return "equal"


def drawn_options(generator):
    return {name: generator.choice(values) for name, values in CHOICES.items()}
