"""The stages of tokenizer.py put together faster: what they made of a piece of text is remembered.

tests/tokenizer/test_tokenizer.py holds it to `Pipeline.pieces`, which is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, partial
from itertools import accumulate, chain
from typing import Any

from npbert.tokenizer.bert_tokenizer import LONGEST_WORD, Pipeline
from npbert.tokenizer.characters import combining_classes, decompositions, ranges
from npbert.tokenizer.encoding import Pieces, Span

# Nothing in the stages looks across white space: marks are sorted between two characters that are
# none, and a space is none. So a text is the sum of its chunks, as text.split() gives them, and
# because words recur, what became of a chunk is worth remembering.
#
# Within a chunk, nothing but the sorting of marks looks beyond one character. So what becomes of a
# character is worth remembering too, and str.translate then does five stages at once. The few
# chunks with a mark that is sorted and not removed afterwards go through the stages one by one; so
# do all where a token is looked for in the normalized text.

MOST_REMEMBERED = 1 << 15  # entries
LONGEST_KEY, LONGEST_VALUE = 64, 16  # what is longer hardly ever recurs


class Memory(dict):
    """A dict that computes what it lacks and remembers it.

    It holds at most 32,768 entries, of a key of at most 64 characters and a value of at most 16
    parts each, and starts anew when it is full. Threads may share it: all it does is get, set and
    clear, so at worst two of them compute the same entry, or it holds an entry more for each.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self.compute = compute

    def __missing__(self, key: Any) -> Any:
        value = self.compute(key)
        if len(value) <= LONGEST_VALUE and len(str(key)) <= LONGEST_KEY:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[key] = value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Memory, (self.compute,)  # a copy, or the same in another process, begins empty


# str.split() splits at these too, but they are no white space here: cleaning removes them.
NOT_WHITE_SPACE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


def made_fit_for_split(text: str) -> str:
    """Replace what str.split() would wrongly split at by NUL, which cleaning removes as well."""
    if any([character in text for character in NOT_WHITE_SPACE]):
        return text.translate(dict.fromkeys(map(ord, NOT_WHITE_SPACE), "\0"))
    return text


def starts_of_chunks(text: str, chunks: list[str]) -> Iterable[int]:
    if " ".join(chunks) == text:
        return accumulate([len(chunk) + 1 for chunk in chunks], initial=0)
    starts, end = [], 0
    for chunk in chunks:
        starts.append(text.index(chunk, end))
        end = starts[-1] + len(chunk)
    return starts


@cache
def sorted_marks() -> frozenset[str]:
    """Return the characters that leave a mark behind which is sorted and is no accent."""
    classes, marks = combining_classes(), ranges("MARKS")
    staying = {mark for mark in classes if ord(mark) not in marks}
    whole = {c for c, parts in decompositions().items() if not staying.isdisjoint(parts)}
    return frozenset(staying | whole)


class FastPipeline(Pipeline):
    """The same, remembering what became of characters, words and chunks.

    Its memories take 30 MB when full of text with its places, 8 MB where only ids are asked for,
    and could not take more than 120 MB.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.characters = Memory(self.normalize_and_isolate)
        self.unspaced = Memory(self.normalize_character)
        self.ids_of_word, self.spans_of_word = Memory(self.cut_word), Memory(self.locate_in_word)
        self.ids_of_chunk, self.spans_of_chunk = Memory(self.cut), Memory(self.locate)
        self.words_of_chunk = Memory(self.number_words)
        self.token_of_id = {number: token for token, number in self.vocabulary.items()}
        self.alphabet = frozenset("".join(self.vocabulary))
        # Of the characters met: those that became none or several, and those in sorted_marks().
        self.uneven: set[str] = set()
        self.sorted: set[str] = set()
        # Whether a token that is looked for in the normalized text may reach beyond a chunk.
        self.reaches_out = any(
            token.lstrip or token.rstrip or token.content.split() != [token.content]
            for token in self.find_normalized.of_text.values()
        )

    # ---- a character, a word, a chunk ----

    def normalize_character(self, code: int) -> str:
        return self.normalized(chr(code))

    def normalize_and_isolate(self, code: int) -> str:
        """Return what a character becomes on its own, with spaces where it ends a word."""
        characters, punctuation = self.normalized(chr(code)), ranges("PUNCTUATION")
        if len(characters.replace(" ", "")) != 1:
            self.uneven.add(chr(code))
        if self.strips and chr(code) in sorted_marks():
            self.sorted.add(chr(code))
        return "".join([f" {c} " if ord(c) in punctuation else c for c in characters])

    def cut_word(self, word: str) -> tuple[int, ...]:
        whole = self.vocabulary.get(word)
        if whole is not None and len(word) <= LONGEST_WORD:
            return (whole,)
        if not self.alphabet.issuperset(word):  # no piece has such a character
            return (self.unknown,)
        return tuple([piece for piece, _, _ in self.pieces_of_word(word)])

    def locate_in_word(self, word: str) -> tuple[Span, ...]:
        ids = self.ids_of_word[word]
        if len(ids) == 1:
            return ((0, len(word)),)
        # A piece is as long as its token, which begins with "##" for all but the first.
        lengths = [len(self.token_of_id[piece]) - 2 for piece in ids[1:]]
        ends = list(accumulate(lengths, initial=len(self.token_of_id[ids[0]])))
        return tuple(zip([0, *ends], ends, strict=False))

    def needs_stages(self, text: str) -> bool:
        """Tell whether a text is more than its characters, each by itself."""
        if self.strips and not text.isascii() and not sorted_marks().isdisjoint(text):
            return True
        if not self.find_normalized:
            return False
        return self.find_normalized.pattern.search(text.translate(self.unspaced)) is not None

    def words_of(self, chunk: str) -> list[str] | None:
        """Return the words that a chunk becomes, None if it needs the stages one by one."""
        text = chunk.translate(self.characters)  # first: it is how characters are met
        if self.find_normalized or (self.sorted and not self.sorted.isdisjoint(chunk)):
            return None if self.needs_stages(chunk) else text.split()
        return text.split()

    def as_word(self, chunk: str) -> str | None:
        """Return the word that a chunk is if it is what most are: ASCII letters and digits."""
        if chunk.isascii() and chunk.isalnum() and not self.find_normalized:
            return chunk.lower() if self.lowers else chunk
        return None

    def cut(self, chunk: str) -> tuple[int, ...]:
        word = self.as_word(chunk)
        if word is not None:
            return self.ids_of_word[word]
        words = self.words_of(chunk)
        if words is None:
            return tuple([piece.id for piece in self.pieces_of_part(chunk)])
        return tuple(chain.from_iterable(map(self.ids_of_word.__getitem__, words)))

    def locate(self, chunk: str) -> tuple[Span, ...]:
        """Return where every piece starts and ends in a chunk."""
        word = self.as_word(chunk)
        if word is not None:
            one_piece = len(self.ids_of_word[word]) == 1
            return ((0, len(chunk)),) if one_piece else self.spans_of_word[word]
        words = self.words_of(chunk)
        if words is None:
            return tuple([(piece.start, piece.end) for piece in self.pieces_of_part(chunk)])
        starts = accumulate(map(len, words), initial=0)
        spans = [
            (start + first, start + last)
            for start, word in zip(starts, words, strict=False)
            for first, last in self.spans_of_word[word]
        ]
        if self.uneven.isdisjoint(chunk):  # then the characters of the words are the chunk's
            return tuple(spans)
        parts = map(self.characters.__getitem__, map(ord, chunk))
        places = [place for place, part in enumerate(parts) for _ in part.replace(" ", "")]
        return tuple([(places[first], places[last - 1] + 1) for first, last in spans])

    def number_words(self, chunk: str) -> tuple[int, ...]:
        """Return for every piece the number of its word in a chunk."""
        words = self.words_of(chunk)
        if words is None:
            return tuple([piece.word for piece in self.pieces_of_part(chunk)])
        return tuple([number for number, word in enumerate(words) for _ in self.ids_of_word[word]])

    # ---- a text ----

    def cut_into_pieces(self, text: str | list[str]) -> Pieces:
        """Cut one text, or one that came split into words; places are found when asked for."""
        if isinstance(text, str):
            locate: Any = partial(Places, self, [text], is_split=False)
            return Pieces(self.ids(text), locate)
        locate = partial(Places, self, text, is_split=True)
        return Pieces([piece for word in text for piece in self.ids(word)], locate)

    def ids_of_part(self, text: str) -> list[int]:
        """Return the ids of what lies between tokens found in the raw text."""
        if self.reaches_out and self.needs_stages(text):
            return [piece.id for piece in self.pieces_of_part(text)]
        chunks = made_fit_for_split(text).split()
        return list(chain.from_iterable(map(self.ids_of_chunk.__getitem__, chunks)))

    def ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for start, end, token in self.find_raw(text):
            if token is None:
                ids += self.ids_of_part(text[start:end])
            else:
                ids.append(self.id_of_added[token.content])
        return ids

    def offsets(self, text: str) -> list[Span]:
        offsets: list[Span] = []
        for start, end, token in self.find_raw(text):
            if token is not None:
                offsets.append((start, end))
            elif self.reaches_out and self.needs_stages(text[start:end]):
                part = self.pieces_of_part(text[start:end], start)
                offsets += [(piece.start, piece.end) for piece in part]
            else:
                fit = made_fit_for_split(text[start:end])
                chunks = fit.split()
                if chunks == [text]:  # no white space, as in a line of ideographs
                    return list(self.spans_of_chunk[text])
                offsets += [
                    (start + shift + first, start + shift + last)
                    for shift, chunk in zip(starts_of_chunks(fit, chunks), chunks, strict=False)
                    for first, last in self.spans_of_chunk[chunk]
                ]
        return offsets

    def word_ids(self, text: str) -> list[int]:
        word_ids: list[int] = []
        for start, end, token in self.find_raw(text):
            number = word_ids[-1] + 1 if word_ids else 0
            if token is not None:
                word_ids.append(number)
            elif self.reaches_out and self.needs_stages(text[start:end]):
                part = self.pieces_of_part(text[start:end], 0, number)
                word_ids += [piece.word for piece in part]
            else:
                for chunk in made_fit_for_split(text[start:end]).split():
                    words = self.words_of_chunk[chunk]
                    word_ids += [number + word for word in words]
                    number += words[-1] + 1 if words else 0
        return word_ids

    def tokens(self, text: str) -> list[str]:
        """Return every piece as a string: word pieces as in the vocabulary, tokens as found."""
        tokens: list[str] = []
        for start, end, token in self.find_raw(text):
            part = text[start:end]
            if token is not None:
                tokens.append(part)
            elif self.find_normalized:
                pieces = self.pieces_of_part(part)
                tokens += [piece.text or self.token_of_id[piece.id] for piece in pieces]
            else:
                tokens += [self.token_of_id[piece] for piece in self.ids_of_part(part)]
        return tokens


class Places(Sequence):
    """Where the pieces of texts are, and what: (offsets, word ids, tokens), each list computed when
    it is first asked for.

    A text that came split into words is several texts here: its offsets count from the start of
    each word, and its words are numbered as they came.
    """

    def __init__(self, pipeline: FastPipeline, texts: list[str], is_split: bool) -> None:
        self.pipeline, self.texts, self.is_split = pipeline, texts, is_split

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        return getattr(self, ("offsets", "word_ids", "tokens")[index])

    @cached_property
    def offsets(self) -> list[Span]:
        return list(chain.from_iterable(map(self.pipeline.offsets, self.texts)))

    @cached_property
    def word_ids(self) -> list[int]:
        if not self.is_split:
            return self.pipeline.word_ids(*self.texts)
        texts = enumerate(self.texts)
        return [number for number, text in texts for _ in self.pipeline.ids(text)]

    @cached_property
    def tokens(self) -> list[str]:
        """The pieces as strings: an added token as it was found, white space included."""
        return list(chain.from_iterable(map(self.pipeline.tokens, self.texts)))
