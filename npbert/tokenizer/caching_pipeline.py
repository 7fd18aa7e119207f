"""The stages of stages.py put together faster: what became of a piece of text is cached.

tests/tokenizer/test_tokenizer.py holds it to `Pipeline.pieces`, which is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, cached_property
from itertools import accumulate, chain, compress, count, pairwise, repeat
from operator import add
from typing import Any

from npbert.tokenizer.characters import combining_classes, decompositions, ranges
from npbert.tokenizer.stages import LONGEST_WORD, Pipeline
from npbert.tokenizer.truncation import Pieces, Span

# No stage looks across white space: marks are sorted within runs of marks, and a space is no mark.
# So a text can be cut into chunks at its white space, as text.split() does, and each chunk goes
# through the stages by itself. Chunks recur, so their pieces are cached.
#
# Within a chunk, nothing but the sorting of marks looks at more than one character. So what each
# character becomes is cached as well, and str.translate does five stages at once. The exceptions
# go through the stages one by one: chunks with marks that are sorted and not removed afterwards,
# and chunks in which a token is found after normalization.

MOST_CACHED = 1 << 15  # entries
LONGEST_KEY, LONGEST_VALUE = 64, 16  # longer ones hardly ever recur
LONGEST_CHUNK = 16  # characters, on average, in a text whose chunks are likely to recur


class Cache(dict):
    """A dict that computes the entries that it lacks.

    It holds at most 32,768 entries, with keys of at most 64 characters and values of at most 16
    parts, and is emptied when it is full. Threads may share it, since it only gets, sets and clears
    entries: at worst two threads compute the same entry, or it holds one entry more per thread.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self.compute = compute

    def __missing__(self, key: Any) -> Any:
        value = self.compute(key)
        if len(value) <= LONGEST_VALUE and len(str(key)) <= LONGEST_KEY:
            if len(self) >= MOST_CACHED:
                self.clear()
            self[key] = value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, (self.compute,)  # copied or pickled without its entries


# str.split() splits at these too, but cleaning removes them and does not make them spaces.
NOT_WHITE_SPACE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"


def made_fit_for_split(text: str) -> str:
    """Replace the characters of NOT_WHITE_SPACE by NUL, which cleaning removes as well."""
    if any([character in text for character in NOT_WHITE_SPACE]):
        return text.translate(dict.fromkeys(map(ord, NOT_WHITE_SPACE), "\0"))
    return text


def starts_of_chunks(text: str, chunks: list[str]) -> Iterable[int]:
    """Return where each chunk of text.split() starts in the text."""
    if " ".join(chunks) == text:
        return accumulate([len(chunk) + 1 for chunk in chunks], initial=0)
    starts, end = [], 0
    for chunk in chunks:
        starts.append(text.index(chunk, end))
        end = starts[-1] + len(chunk)
    return starts


@cache
def sorted_marks() -> frozenset[str]:
    """Return the characters that decompose into, or are, a mark that is sorted but not removed."""
    classes, marks = combining_classes(), ranges("MARKS")
    staying = {mark for mark in classes if ord(mark) not in marks}
    whole = {c for c, parts in decompositions().items() if not staying.isdisjoint(parts)}
    return frozenset(staying | whole)


Located = tuple[list[int], list[Span]]  # the ids of pieces, and their offsets


def joined(parts: Iterable[Located]) -> Located:
    """Put the pieces of several parts into one list of ids and one of offsets."""
    all_ids: list[int] = []
    all_offsets: list[Span] = []
    for ids, offsets in parts:
        all_ids += ids
        all_offsets += offsets
    return all_ids, all_offsets


class CachingPipeline(Pipeline):
    """The same as Pipeline, with caches for characters, words and chunks.

    Full caches take 11 MB after calls for ids alone, 16 MB after calls for all places, and cannot
    take more than 100 MB.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.characters = Cache(self.normalize_and_isolate)
        self.normalized = Cache(self.normalize)
        self.ids_of_word, self.lengths_of_word = Cache(self.cut_word), Cache(self.measure_word)
        self.ids_of_chunk, self.words_of_chunk = Cache(self.cut), Cache(self.number_words)
        # Of the characters seen: what those that do not become one character become, in number;
        # and those in sorted_marks().
        self.lengths_of_uneven: dict[str, int] = {}
        self.sorted: set[str] = set()
        self.finds_normalized = bool(self.find_normalized)
        # Whether a token that is looked for in the normalized text may reach beyond a chunk.
        self.reaches_out = any(
            token.lstrip or token.rstrip or token.content.split() != [token.content]
            for token in self.find_normalized.of_text.values()
        )

    @cached_property
    def token_of_id(self) -> dict[int, str]:
        return {number: token for token, number in self.vocabulary.items()}

    @cached_property
    def length_of_piece(self) -> dict[int, int]:
        # No word begins with "##", since "#" is punctuation: there it is always the prefix.
        pieces = self.vocabulary.items()
        return {number: len(piece) - 2 * (piece[:2] == "##") for piece, number in pieces}

    @cached_property
    def alphabet(self) -> frozenset[str]:
        return frozenset("".join(self.vocabulary))

    # ---- a character, a word, a chunk ----

    def normalize(self, code: int) -> str:
        """Return what a character becomes."""
        return self.normalizer(chr(code))

    def normalize_and_isolate(self, code: int) -> str:
        """Return the same, with spaces around every character that is a word of its own."""
        characters, punctuation = self.normalizer(chr(code)), ranges("PUNCTUATION")
        length = len(characters.replace(" ", ""))
        if length != 1:
            self.lengths_of_uneven[chr(code)] = length
        if self.normalizer.strips and chr(code) in sorted_marks():
            self.sorted.add(chr(code))
        return "".join([f" {c} " if ord(c) in punctuation else c for c in characters])

    def cut_word(self, word: str) -> tuple[int, ...]:
        """Return the ids of a word: `wordpiece` with less work for each piece."""
        if len(word) > LONGEST_WORD or not (word.isascii() or self.alphabet.issuperset(word)):
            return (self.unknown,)
        find, longest = self.vocabulary.get, self.longest_piece
        ids: list[int] = []
        rest, prefix = word, 0
        while True:
            piece = find(rest)
            if piece is not None:  # all that is left is one piece
                return (*ids, piece)
            end = min(len(rest) - 1, longest)
            while end > prefix and (piece := find(rest[:end])) is None:
                end -= 1
            if piece is None:
                return (self.unknown,)
            ids.append(piece)
            rest, prefix = "##" + rest[end:], 2

    def measure_word(self, word: str) -> tuple[int, ...]:
        """Return the length of every piece of a word."""
        ids = self.ids_of_word[word]
        return (len(word),) if len(ids) == 1 else tuple([self.length_of_piece[i] for i in ids])

    def needs_stages(self, text: str) -> bool:
        """Tell whether a text is more than its characters, each by itself."""
        if self.normalizer.strips and not text.isascii() and not sorted_marks().isdisjoint(text):
            return True
        if not self.finds_normalized:
            return False
        return self.find_normalized.pattern.search(text.translate(self.normalized)) is not None

    def words_of(self, chunk: str) -> list[str] | None:
        """Return the words that a chunk becomes; None if it needs the stages one by one."""
        text = chunk.translate(self.characters)  # first, since this is what fills self.sorted
        if self.finds_normalized or (self.sorted and not self.sorted.isdisjoint(chunk)):
            return None if self.needs_stages(chunk) else text.split()
        return text.split()

    def cut(self, chunk: str) -> tuple[int, ...]:
        """Return the ids of a chunk."""
        if chunk.isascii() and chunk.isalnum() and not self.finds_normalized:  # as most are
            return self.ids_of_word[chunk.lower() if self.normalizer.lowers else chunk]
        words = self.words_of(chunk)
        if words is None:
            return tuple([piece.id for piece in self.pieces_of_part(chunk)])
        if len(words) == 1:
            return self.ids_of_word[words[0]]
        return tuple(chain.from_iterable(map(self.ids_of_word.__getitem__, words)))

    def number_words(self, chunk: str) -> tuple[int, ...]:
        """Return for every piece the number of its word in a chunk."""
        words = self.words_of(chunk)
        if words is None:
            return tuple([piece.word for piece in self.pieces_of_part(chunk)])
        return tuple([number for number, word in enumerate(words) for _ in self.ids_of_word[word]])

    # ---- a text ----

    def cut_into_pieces(self, text: str | list[str], with_offsets: bool = False) -> Pieces:
        """Cut one text, or one that came split into words.

        with_offsets  compute the offsets as well; without it they are computed when asked for
        """
        texts = [text] if isinstance(text, str) else text
        places = LazyPlaces(self, texts, is_split=not isinstance(text, str))
        if not with_offsets:
            return Pieces(list(chain.from_iterable(map(self.ids, texts))), places)
        if isinstance(text, str):
            ids, places.offsets = self.ids_and_offsets(text)
        else:
            ids, places.offsets = joined(map(self.ids_and_offsets, texts))
        return Pieces(ids, places)

    def ids_of_part(self, text: str) -> list[int]:
        """Return the ids of what lies between tokens found in the raw text."""
        if self.reaches_out and self.needs_stages(text):
            return [piece.id for piece in self.pieces_of_part(text)]
        chunks = made_fit_for_split(text).split()
        return list(chain.from_iterable(map(self.ids_of_chunk.__getitem__, chunks)))

    def ids(self, text: str) -> list[int]:
        """Return the id of every piece."""
        ids: list[int] = []
        for start, end, token in self.find_raw(text):
            if token is None:
                ids += self.ids_of_part(text[start:end])
            else:
                ids.append(self.id_of_added[token.content])
        return ids

    def ids_and_offsets(self, text: str) -> Located:
        """Return the id of every piece, and where each starts and ends in the text."""
        located: list[Located] = []
        for start, end, token in self.find_raw(text):
            if token is None:
                part = text[start:end]
                located.append(self.located_by_chunks(part, start) or self.located(part, start))
            else:
                located.append(([self.id_of_added[token.content]], [(start, end)]))
        return located[0] if len(located) == 1 else joined(located)

    def located_by_chunks(self, text: str, shift: int) -> Located | None:
        """Return ids and offsets if the pieces follow each other like the characters of the text.

        They do where single spaces stand between the chunks, every character became one, and every
        word is known: as in most texts of a script with spaces. Otherwise the result is None.
        """
        chunks = made_fit_for_split(text).split()
        if self.finds_normalized or len(text) > LONGEST_CHUNK * len(chunks):
            return None
        if not (text.isascii() or self.is_even("".join(chunks))):
            return None
        ids_of_chunks = list(map(self.ids_of_chunk.__getitem__, chunks))
        ids = list(chain.from_iterable(ids_of_chunks))
        if self.unknown in ids:
            return None
        ends = list(accumulate(map(self.length_of_piece.__getitem__, ids), initial=shift))
        if ends[-1] - shift + len(chunks) - 1 != len(text):
            return None
        spaces = list(chain.from_iterable(map(repeat, count(), map(len, ids_of_chunks))))
        return ids, list(zip(map(add, ends, spaces), map(add, ends[1:], spaces)))

    def is_even(self, text: str) -> bool:
        """Tell whether every character of a text becomes one character, in the same place."""
        uneven = self.lengths_of_uneven
        return uneven.keys().isdisjoint(text) and self.sorted.isdisjoint(text)

    def located(self, text: str, shift: int) -> Located:
        """Return ids and offsets of what lies between tokens found in the raw text."""
        words = self.words_of(text)
        if words is None:
            fit = made_fit_for_split(text)
            chunks = fit.split()
            if self.reaches_out or len(chunks) < 2:
                pieces = self.pieces_of_part(text, shift)
                return [p.id for p in pieces], [(p.start, p.end) for p in pieces]
            starts = [shift + start for start in starts_of_chunks(fit, chunks)]
            return joined(map(self.located, chunks, starts))
        ids = list(chain.from_iterable(map(self.ids_of_word.__getitem__, words)))
        lengths = chain.from_iterable(map(self.lengths_of_word.__getitem__, words))
        ends = list(accumulate(lengths, initial=0))  # in the words without the spaces between
        parts = list(map(self.lengths_of_uneven.get, text, repeat(1)))
        places: Any = range(shift, shift + len(text))
        if max(parts, default=1) == 1:  # as usual: characters were removed, none became several
            places = list(compress(places, parts))
        else:
            places = list(chain.from_iterable(map(repeat, places, parts)))
        return ids, [(places[start], places[end - 1] + 1) for start, end in pairwise(ends)]

    def word_ids(self, text: str) -> list[int]:
        """Return for every piece the number of its word."""
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
            elif self.finds_normalized:
                pieces = self.pieces_of_part(part)
                tokens += [piece.text or self.token_of_id[piece.id] for piece in pieces]
            else:
                tokens += [self.token_of_id[piece] for piece in self.ids_of_part(part)]
        return tokens


class LazyPlaces:
    """Offsets, word ids and tokens of the pieces of texts, each list computed when asked for.

    A text that came split into words is a list of texts here: offsets count from the start of each
    word, and words are numbered as they came.
    """

    def __init__(self, pipeline: CachingPipeline, texts: list[str], is_split: bool) -> None:
        self.pipeline, self.texts, self.is_split = pipeline, texts, is_split

    def __getitem__(self, index: int) -> list[Any]:
        return getattr(self, ("offsets", "word_ids", "tokens")[index])

    @cached_property
    def offsets(self) -> list[Span]:
        return [span for text in self.texts for span in self.pipeline.ids_and_offsets(text)[1]]

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
