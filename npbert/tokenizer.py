"""BERT's tokenizer: from text to the ids of word pieces, one function per stage, as text flows.

    text -> split at special tokens -> clean -> space out CJK -> strip accents -> lower case
         -> split at white space -> isolate punctuation -> greedy WordPiece -> rows (encoding.py)

The truth is the Rust library `tokenizers` with the settings of BERT's checkpoints; every stage,
oddities included, equals its. First come the stages as plain definitions, then the tokenizer,
which does the same faster.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from npbert.character_tables import combining_classes, decompositions, lower_case, ranges
from npbert.encoding import NO_LIMIT, Pieces, Span
from npbert.pretrained_tokenizer import PreTrainedTokenizer

if TYPE_CHECKING:
    from npbert.explanation import Explanation

# ---- the stages ----------------------------------------------------------------------------

# Text on its way through the stages: every character with the place, in the text that the caller
# gave, of the character it came from.
Characters = list[tuple[str, int]]

LONGEST_WORD = 100  # characters; a longer word is unknown, as a whole


def split_special_tokens(text: str, special: re.Pattern[str]) -> list[tuple[int, str, bool]]:
    """Split raw text into (start, part, whether the part is a special token).

    Special tokens are found before anything else happens to the text, even inside words:
    "the[MASK]is" holds one, "[mask]" none.
    """
    parts, end = [], 0
    for match in special.finditer(text):
        if match.start() > end:
            parts.append((end, text[end : match.start()], False))
        parts.append((match.start(), match.group(), True))
        end = match.end()
    if end < len(text):
        parts.append((end, text[end:], False))
    return parts


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


# ---- what makes it fast --------------------------------------------------------------------

# Nothing in the stages looks across white space: marks are sorted between two characters that are
# none, and a space is none. So a text is the sum of its chunks, as text.split() gives them, and
# because words recur, what became of a chunk is worth remembering.
#
# Within a chunk, nothing but the sorting of marks looks beyond one character. So what becomes of a
# character is worth remembering too, and str.translate then does five stages at once. The few
# chunks with a mark that is sorted and not removed afterwards go through the stages one by one.

MOST_REMEMBERED = 1 << 15  # entries
LONGEST_KEY, LONGEST_VALUE = 64, 16  # what is longer hardly ever recurs

# str.split() splits at these too, but they are no white space here: cleaning removes them.
NOT_WHITE_SPACE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


def made_fit_for_split(text: str) -> str:
    """Replace what str.split() would wrongly split at by NUL, which cleaning removes as well."""
    if any(character in text for character in NOT_WHITE_SPACE):
        return text.translate(dict.fromkeys(map(ord, NOT_WHITE_SPACE), "\0"))
    return text


class Memory(dict):
    """A dict that computes what it lacks and remembers it.

    It holds at most 32,768 entries, each of at most 64 characters and 16 pieces, and starts anew
    when it is full. The four of a tokenizer take 20 MB when full of English text and its places,
    less where only ids are asked for. Threads may share it: all it does is get, set and clear, so
    at worst two of them compute the same entry, or it holds an entry more for each thread.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self.compute = compute

    def __missing__(self, key: Any) -> Any:
        value = self.compute(key)
        if len(str(key)) <= LONGEST_KEY and len(value) <= LONGEST_VALUE:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[key] = value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Memory, (self.compute,)  # a copy, or the same in another process, begins empty


@cache
def sorted_marks() -> frozenset[str]:
    """Return the characters that leave a mark behind which is sorted and is no accent."""
    classes, marks = combining_classes(), ranges("MARKS")
    staying = {mark for mark in classes if ord(mark) not in marks}
    whole = {c for c, parts in decompositions().items() if not staying.isdisjoint(parts)}
    return frozenset(staying | whole)


# ---- the tokenizer -------------------------------------------------------------------------


class BertTokenizer(PreTrainedTokenizer):
    """Turns texts into ids of word pieces, and back, exactly as the reference does.

    vocab                   path of a vocab.txt, or a dict from token to id
    do_lower_case           lower the case (True for uncased checkpoints)
    unk_token, sep_token, pad_token, cls_token, mask_token
                            the special tokens, which the vocabulary must contain
    tokenize_chinese_chars  make every ideograph a word
    strip_accents           remove accents; None: if do_lower_case
    model_max_length        the length that truncation=True and padding="max_length" mean
    padding_side, truncation_side
                            "right" or "left": where rows are filled up, where they are cut
    clean_up_tokenization_spaces
                            what `decode` does unless told otherwise

    A ValueError says which argument does not fit; a missing file is a FileNotFoundError.
    """

    model_input_names = ("input_ids", "token_type_ids", "attention_mask")

    def __init__(
        self,
        vocab: str | os.PathLike[str] | dict[str, int],
        do_lower_case: bool = True,
        unk_token: str = "[UNK]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        cls_token: str = "[CLS]",
        mask_token: str = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        model_max_length: int | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
        clean_up_tokenization_spaces: bool = False,
    ) -> None:
        special = {
            "unk_token": unk_token,
            "sep_token": sep_token,
            "pad_token": pad_token,
            "cls_token": cls_token,
            "mask_token": mask_token,
        }
        super().__init__(vocab, special, clean_up_tokenization_spaces)
        for name, value, known in (
            ("do_lower_case", do_lower_case, (True, False)),
            ("tokenize_chinese_chars", tokenize_chinese_chars, (True, False)),
            ("strip_accents", strip_accents, (True, False, None)),
            ("padding_side", padding_side, ("right", "left")),
            ("truncation_side", truncation_side, ("right", "left")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, expected one of {known}")
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

        # Where one special token begins another, the longer one is to be found: it stands first.
        longest_first = sorted(self.all_special_tokens, key=len, reverse=True)
        self._special_tokens = re.compile("|".join(map(re.escape, longest_first)))
        self._longest_piece = max(map(len, self.id_of_token))
        self._strips = do_lower_case if strip_accents is None else strip_accents
        self._characters = Memory(self._normalize_character)
        self._pieces = Memory(self._pieces_of_word)
        self._ids = Memory(self._ids_of_chunk)
        self._places = Memory(self._places_in_chunk)

    # ---- the stages put together ----

    def _normalize(self, characters: Characters) -> Characters:
        characters = clean(characters)
        if self.tokenize_chinese_chars:
            characters = space_out_cjk(characters)
        if self._strips:
            characters = strip_accents(characters)
        if self.do_lower_case:
            characters = lower(characters)
        return characters

    def _words(self, text: str) -> list[Characters]:
        """Take a text without special tokens through all stages up to words: the definition."""
        characters = self._normalize([(character, i) for i, character in enumerate(text)])
        return [
            part for word in split_white_space(characters) for part in isolate_punctuation(word)
        ]

    # ---- the same, remembered: characters, words, chunks ----

    def _normalize_character(self, code: int) -> str:
        """Return what a character becomes on its own, with spaces where it ends a word."""
        characters = self._normalize([(chr(code), 0)])
        punctuation = ranges("PUNCTUATION")
        return "".join([f" {c} " if ord(c) in punctuation else c for c, _ in characters])

    def _pieces_of_word(self, word: str) -> list[tuple[int, int, int]]:
        pieces = wordpiece(word, self.id_of_token, self._longest_piece)
        return [(self.unk_token_id, 0, len(word))] if pieces is None else pieces

    def _is_plain_word(self, chunk: str) -> bool:
        """Tell whether a chunk is what most are: one word of ASCII letters and digits.

        All that the stages do to such a word is to lower its case.
        """
        return chunk.isascii() and chunk.isalnum()

    def _needs_stages(self, chunk: str) -> bool:
        return self._strips and not chunk.isascii() and not sorted_marks().isdisjoint(chunk)

    def _ids_of_chunk(self, chunk: str) -> tuple[int, ...]:
        if self._is_plain_word(chunk):
            words = [chunk.lower() if self.do_lower_case else chunk]
        elif self._needs_stages(chunk):
            words = [text_of(word) for word in self._words(chunk)]
        else:
            words = chunk.translate(self._characters).split()
        return tuple([piece[0] for word in words for piece in self._pieces[word]])

    def _places_in_chunk(self, chunk: str) -> list[tuple[int, int, int]]:
        """Return where every piece starts and ends in the chunk, and the number of its word."""
        if self._is_plain_word(chunk):
            text = chunk.lower() if self.do_lower_case else chunk
            return [(start, end, 0) for _, start, end in self._pieces[text]]
        if self._needs_stages(chunk):
            words = self._words(chunk)
        else:
            words = split_white_space(
                [(part, i) for i, c in enumerate(chunk) for part in self._characters[ord(c)]]
            )
        return [
            (word[start][1], word[end - 1][1] + 1, number)
            for number, word in enumerate(words)
            for _, start, end in self._pieces[text_of(word)]
        ]

    def _ids_of_text(self, text: str) -> list[int]:
        ids: list[int] = []
        for _, part, is_special in split_special_tokens(text, self._special_tokens):
            if is_special:
                ids.append(self.id_of_token[part])
            else:
                chunks = made_fit_for_split(part).split()
                ids.extend(chain.from_iterable(map(self._ids.__getitem__, chunks)))
        return ids

    def _places_in_text(self, text: str) -> tuple[list[Span], list[int]]:
        offsets: list[Span] = []
        word_ids: list[int] = []
        words = 0
        for start, part, is_special in split_special_tokens(text, self._special_tokens):
            if is_special:
                offsets.append((start, start + len(part)))
                word_ids.append(words)
                words += 1
                continue
            part, end = made_fit_for_split(part), 0
            for chunk in part.split():
                begin = part.index(chunk, end)
                end = begin + len(chunk)
                shift = start + begin
                places = self._places[chunk]
                for first, last, number in places:
                    offsets.append((shift + first, shift + last))
                    word_ids.append(words + number)
                if places:  # every word has a piece, so the last one tells how many words
                    words += places[-1][2] + 1
        return offsets, word_ids

    def _places_in_words(self, words: list[str]) -> tuple[list[Span], list[int]]:
        """Do the same for a text that came split: offsets count from the start of each word."""
        offsets: list[Span] = []
        word_ids: list[int] = []
        for number, word in enumerate(words):
            spans, _ = self._places_in_text(word)
            offsets += spans
            word_ids += [number] * len(spans)
        return offsets, word_ids

    def _cut_into_pieces(self, text: str | list[str]) -> Pieces:
        if isinstance(text, str):
            return Pieces(self._ids_of_text(text), partial(self._places_in_text, text))
        ids = [piece for word in text for piece in self._ids_of_text(word)]
        return Pieces(ids, partial(self._places_in_words, text))

    def explain(self, text: str, text_pair: str | None = None) -> Explanation:
        """Return what becomes of a text or a pair, stage by stage; print it to read it."""
        from npbert.explanation import explain  # here: encoding does without it

        return explain(self, text, text_pair)


BertTokenizerFast = BertTokenizer
ConvBertTokenizer = ConvBertTokenizerFast = BertTokenizer
AutoTokenizer = BertTokenizer
MobileBertTokenizer = MobileBertTokenizerFast = BertTokenizer
SqueezeBertTokenizer = SqueezeBertTokenizerFast = BertTokenizer
