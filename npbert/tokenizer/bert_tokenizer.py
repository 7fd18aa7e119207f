"""BERT's tokenizer: from text to the ids of word pieces, one function per stage, as text flows.

    text -> find special tokens (added_tokens.py) -> clean -> space out CJK -> strip accents
         -> lower case -> find the tokens added to the vocabulary -> split at white space
         -> isolate punctuation -> greedy WordPiece -> rows (encoding.py)

The truth is the Rust library `tokenizers` with the settings of BERT's checkpoints; every stage,
oddities included, equals its. First come the stages as plain definitions, then all of them put
together, then the tokenizer. What it runs is fast_tokenizer.py, which does the same faster.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from npbert.tokenizer.added_tokens import AddedToken, AddedTokens
from npbert.tokenizer.base import PreTrainedTokenizer
from npbert.tokenizer.characters import combining_classes, decompositions, lower_case, ranges
from npbert.tokenizer.encoding import NO_LIMIT, Pieces

if TYPE_CHECKING:
    from npbert.tokenizer.explanation import Explanation
    from npbert.tokenizer.fast_pipeline import FastPipeline

# ---- the stages ----------------------------------------------------------------------------

# Text on its way through the stages: every character with the place, in the text that the caller
# gave, of the character it came from.
Characters = list[tuple[str, int]]

LONGEST_WORD = 100  # characters; a longer word is unknown, as a whole


def clean(characters: Characters) -> Characters:
    """Remove control and format characters, private use and U+FFFD; make all white space " "."""
    removed, white_space = ranges("REMOVED"), ranges("WHITE_SPACE")
    return [
        (" " if ord(character) in white_space else character, place)
        for character, place in characters
        if ord(character) not in removed
    ]


def space_out_cjk(characters: Characters) -> Characters:
    """Put a space on either side of every ideograph, which makes it a word of its own."""
    cjk = ranges("CJK")
    spaced: Characters = []
    for character, place in characters:
        if ord(character) in cjk:
            spaced += [(" ", place), (character, place), (" ", place)]
        else:
            spaced.append((character, place))
    return spaced


def decompose(character: str) -> str:
    """Return the canonical decomposition of one character: "é" is "e" and U+0301."""
    syllable = ord(character) - 0xAC00
    if not 0 <= syllable < 19 * 21 * 28:
        return decompositions().get(character, character)
    # A Hangul syllable is one of 19 leading consonants, one of 21 vowels, and one of 27 trailing
    # consonants or none, numbered in this order.
    lead, vowel, trail = syllable // (21 * 28), syllable // 28 % 21, syllable % 28
    jamo = chr(0x1100 + lead) + chr(0x1161 + vowel)
    return jamo + chr(0x11A7 + trail) if trail else jamo


def strip_accents(characters: Characters) -> Characters:
    """Decompose every character, sort neighbouring marks canonically (NFD), remove the accents."""
    classes, marks = combining_classes(), ranges("MARKS")
    parts = [
        (part, number > 0)
        for character, _ in characters
        for number, part in enumerate(decompose(character))
    ]
    start = 0
    while start < len(parts):
        end = start + 1
        if parts[start][0] in classes:
            while end < len(parts) and parts[end][0] in classes:
                end += 1
            parts[start:end] = sorted(parts[start:end], key=lambda part: classes[part[0]])
        start = end
    # Marks that have changed places do not take their origins along: the reference deals out the
    # places in the old order, one to every part that did not come second in a decomposition.
    places = iter([place for _, place in characters])
    stripped: Characters = []
    place = 0
    for part, continues in parts:
        if not continues:
            place = next(places)
        if ord(part) not in marks:
            stripped.append((part, place))
    return stripped


def lower(characters: Characters) -> Characters:
    """Lower the case of every character by itself: a final sigma is a sigma like any other."""
    table = lower_case()
    return [(small, place) for large, place in characters for small in table.get(large, large)]


def text_of(characters: Characters) -> str:
    """Return the characters as a string, without their places."""
    return "".join([character for character, _ in characters])


def split_white_space(characters: Characters) -> list[Characters]:
    """Split at white space, of which cleaning left only " "."""
    words: list[Characters] = [[]]
    for character, place in characters:
        if character == " ":
            words.append([])
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


def isolate_punctuation(word: Characters) -> list[Characters]:
    """Make every punctuation character a word of its own."""
    punctuation = ranges("PUNCTUATION")
    words: list[Characters] = [[]]
    for character, place in word:
        if ord(character) in punctuation:
            words += [[(character, place)], []]
        else:
            words[-1].append((character, place))
    return [word for word in words if word]


def wordpiece(
    word: str, vocabulary: dict[str, int], longest: int = LONGEST_WORD
) -> list[tuple[int, int, int]] | None:
    """Cut a word greedily into the longest pieces that are in the vocabulary.

    Pieces that do not begin the word are looked up with "##" in front. The result is (id, start,
    end) for each piece, or None if the word is unknown: too long, or with a remainder that no
    piece begins. `longest` is a length that no piece exceeds.
    """
    if len(word) > LONGEST_WORD:
        return None
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(min(len(word), start + longest), start, -1):
            piece = vocabulary.get(prefix + word[start:end])
            if piece is not None:
                break
        else:
            return None
        pieces.append((piece, start, end))
        start = end
    return pieces


# ---- the stages put together ---------------------------------------------------------------


class Piece(NamedTuple):
    """A word piece, or a special or added token, in a text."""

    id: int
    start: int  # in characters of the text, as is `end`
    end: int
    word: int  # the number of its word; a special or added token counts as one
    text: str | None  # of an added token, as it was found, white space included; else None


class Pipeline:
    """All stages, with one vocabulary and one set of options: from a text to its pieces.

    vocabulary     tokens and their ids
    unknown        the id for words that no pieces make up
    added          the special and added tokens, and `ignored` those that are not looked for
    lowers, strips, spaces_out
                   whether to lower the case, to strip accents, to make ideographs words
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        unknown: int,
        added: AddedTokens,
        ignored: Container[str],
        lowers: bool,
        strips: bool,
        spaces_out: bool,
    ) -> None:
        self.vocabulary, self.unknown = vocabulary, unknown
        self.lowers, self.strips, self.spaces_out = lowers, strips, spaces_out
        self.longest_piece = max(map(len, vocabulary))
        self.id_of_added = dict(added.id_of)
        self.find_raw, self.find_normalized = added.finders(self.normalized, ignored)

    def normalize(self, characters: Characters) -> Characters:
        characters = clean(characters)
        if self.spaces_out:
            characters = space_out_cjk(characters)
        if self.strips:
            characters = strip_accents(characters)
        if self.lowers:
            characters = lower(characters)
        return characters

    def normalized(self, text: str) -> str:
        return text_of(self.normalize([(character, 0) for character in text]))

    def pieces_of_word(self, word: str) -> list[tuple[int, int, int]]:
        pieces = wordpiece(word, self.vocabulary, self.longest_piece)
        return [(self.unknown, 0, len(word))] if pieces is None else pieces

    def pieces(self, text: str) -> list[Piece]:
        """Take a text through all stages: the definition of everything below."""
        pieces: list[Piece] = []
        for start, end, token in self.find_raw(text):
            number = pieces[-1].word + 1 if pieces else 0
            if token is None:
                pieces += self.pieces_of_part(text[start:end], start, number)
            else:
                found = text[start:end]
                pieces.append(Piece(self.id_of_added[str(token)], start, end, number, found))
        return pieces

    def pieces_of_part(self, text: str, shift: int = 0, number: int = 0) -> list[Piece]:
        """Do so for what lies between tokens that were found in the raw text.

        It starts at `shift`, and its first word has the number `number`.
        """
        characters = self.normalize([(character, shift + i) for i, character in enumerate(text)])
        pieces: list[Piece] = []
        for start, end, token in self.find_normalized(text_of(characters)):
            part = characters[start:end]
            if token is not None:
                found = (self.id_of_added[str(token)], part[0][1], part[-1][1] + 1)
                pieces.append(Piece(*found, number, text_of(part)))
                number += 1
                continue
            for run in split_white_space(part):
                for word in isolate_punctuation(run):
                    pieces += [
                        Piece(piece, word[first][1], word[last - 1][1] + 1, number, None)
                        for piece, first, last in self.pieces_of_word(text_of(word))
                    ]
                    number += 1
        return pieces


# ---- the tokenizer -------------------------------------------------------------------------


class BertTokenizer(PreTrainedTokenizer):
    """Turns texts into ids of word pieces, and back, exactly as the reference does.

    vocab                   path of a vocab.txt, or a dict from token to id
    do_lower_case           lower the case (True for uncased checkpoints)
    unk_token, sep_token, pad_token, cls_token, mask_token, bos_token, eos_token
                            the special tokens, strings or AddedTokens. Those that the vocabulary
                            lacks get the next ids, but unk_token must be in it
    tokenize_chinese_chars  make every ideograph a word
    strip_accents           remove accents; None: if do_lower_case
    model_max_length        the length that truncation=True and padding="max_length" mean
    padding_side, truncation_side
                            "right" or "left": where rows are filled up, where they are cut
    clean_up_tokenization_spaces
                            what `decode` does unless told otherwise
    split_special_tokens    do not find special tokens in texts
    extra_special_tokens    special tokens without a name (a list), or with other names (a dict)
    added_tokens_decoder    more tokens, AddedTokens by their ids: they get ids in this order
    model_input_names       what a call returns unless told otherwise

    A ValueError says which argument does not fit; a missing file is a FileNotFoundError.
    """

    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012

    def __init__(
        self,
        vocab: str | os.PathLike[str] | dict[str, int] | None = None,
        do_lower_case: bool = True,
        unk_token: str | AddedToken = "[UNK]",
        sep_token: str | AddedToken = "[SEP]",
        pad_token: str | AddedToken | None = "[PAD]",
        cls_token: str | AddedToken = "[CLS]",
        mask_token: str | AddedToken | None = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        model_max_length: int | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        extra_special_tokens: Any = None,
        added_tokens_decoder: dict[int, AddedToken] | None = None,
        model_input_names: Sequence[str] | None = None,
        **other_tokens: Any,
    ) -> None:
        named: dict[str, str | AddedToken | None] = {
            "unk_token": unk_token,
            "sep_token": sep_token,
            "pad_token": pad_token,
            "cls_token": cls_token,
            "mask_token": mask_token,
        }
        extra = other_tokens.pop("additional_special_tokens", None) or extra_special_tokens or []
        named |= other_tokens | (extra if isinstance(extra, dict) else {})
        unknown = [name for name in other_tokens if not name.endswith("_token")]
        if unknown:
            raise TypeError(f"{type(self).__name__} has no arguments {', '.join(unknown)}")
        for name, value, known in (
            ("do_lower_case", do_lower_case, (True, False)),
            ("tokenize_chinese_chars", tokenize_chinese_chars, (True, False)),
            ("strip_accents", strip_accents, (True, False, None)),
            ("padding_side", padding_side, ("right", "left")),
            ("truncation_side", truncation_side, ("right", "left")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, expected one of {known}")
        if isinstance(model_input_names, str):
            raise ValueError(f"model_input_names is {model_input_names!r}, expected a list")
        if model_max_length is None:
            model_max_length = NO_LIMIT
        if not isinstance(model_max_length, (int, float)) or model_max_length < 0:
            raise ValueError(f"model_max_length is {model_max_length!r}, expected a length")

        self.do_lower_case = do_lower_case
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = strip_accents
        self.model_max_length = int(model_max_length)
        self.padding_side = padding_side
        self.truncation_side = truncation_side
        self.split_special_tokens = split_special_tokens
        self.model_input_names = list(model_input_names or type(self).model_input_names)
        self._pipelines: dict[bool, FastPipeline] = {}  # by split_special_tokens
        added = [token for _, token in sorted((added_tokens_decoder or {}).items())]
        super().__init__(
            vocab,
            named,
            [] if isinstance(extra, dict) else extra,
            added,
            clean_up_tokenization_spaces,
        )

    def _add(self, tokens: list[AddedToken]) -> int:
        looked_for = {
            token.content: self._pipeline(False).normalized(token.content)
            for token in tokens
            if token.normalized and token.content
        }
        if "" in looked_for.values():
            empty = [content for content, normalized in looked_for.items() if not normalized]
            raise ValueError(f"{empty} would be found nowhere: nothing is left of it, normalized")
        number = super()._add(tokens)
        self._pipelines.clear()  # those that were there do not know the new tokens
        for content, normalized in looked_for.items():  # an id stands for what it is found as
            self.token_of_id[self.added_tokens.id_of[content]] = normalized
        return number

    def _pipeline(self, split_special_tokens: bool) -> FastPipeline:
        pipeline = self._pipelines.get(split_special_tokens)
        if pipeline is None:
            from npbert.tokenizer.fast_pipeline import FastPipeline  # here: it builds on this file

            strips = self.do_lower_case if self.strip_accents is None else self.strip_accents
            pipeline = self._pipelines[split_special_tokens] = FastPipeline(
                self.id_of_token,
                self.unknown_id,
                self.added_tokens,
                frozenset(self.added_tokens.special if split_special_tokens else ()),
                self.do_lower_case,
                strips,
                self.tokenize_chinese_chars,
            )
        return pipeline

    def _cut_into_pieces(self, text: str | list[str], split_special_tokens: bool) -> Pieces:
        return self._pipeline(split_special_tokens).cut_into_pieces(text)

    def explain(self, text: str, text_pair: str | None = None) -> Explanation:
        """Return what becomes of a text or a pair, stage by stage; print it to read it."""
        from npbert.tokenizer.explanation import explain  # here: encoding does without it

        return explain(self, text, text_pair)


class ConvBertTokenizer(BertTokenizer):
    """The same; only that it obeys the normalizer in a tokenizer.json, as in the reference."""

    _obeys_normalizer = True


class AutoTokenizer:
    """Reads the tokenizer of any known family."""

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str], **options: Any) -> BertTokenizer:
        """Read a tokenizer: a ConvBertTokenizer if tokenizer_config.json says so."""
        from npbert.checkpoints.shipped import checkpoint_directory
        from npbert.tokenizer.files import read_json_if_there

        path = os.fspath(checkpoint_directory(os.fspath(directory)))
        name = read_json_if_there(path, "tokenizer_config.json").get("tokenizer_class")
        convbert = name in ("ConvBertTokenizer", "ConvBertTokenizerFast")
        return (ConvBertTokenizer if convbert else BertTokenizer).from_pretrained(path, **options)


BertTokenizerFast = BertTokenizer
MobileBertTokenizer = MobileBertTokenizerFast = BertTokenizer
SqueezeBertTokenizer = SqueezeBertTokenizerFast = BertTokenizer
ConvBertTokenizerFast = ConvBertTokenizer
