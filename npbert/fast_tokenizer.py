"""The stages of tokenizer.py put together faster: what they made of a piece of text is remembered.

tests/test_tokenizer.py holds it to `Pipeline.pieces`, which is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from itertools import accumulate, chain
from typing import Any

from npbert.character_tables import combining_classes, decompositions, ranges
from npbert.encoding import Span
from npbert.tokenizer import Pipeline

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

    Its memories take 30 MB when full of English text with its places, less for ids alone.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.characters = Memory(self.normalize_character)
        self.ids_of_word, self.spans_of_word = Memory(self.cut_word), Memory(self.locate_in_word)
        self.ids_of_chunk, self.spans_of_chunk = Memory(self.cut), Memory(self.locate)
        self.words_of_chunk = Memory(self.number_words)
        # Whether a token that is looked for in the normalized text may reach beyond a chunk.
        self.reaches_out = any(
            token.lstrip or token.rstrip or token.content.split() != [token.content]
            for token in self.find_normalized.of_text.values()
        )

    # ---- a character, a word, a chunk ----

    def normalize_character(self, code: int) -> str:
        """Return what a character becomes on its own, with spaces where it ends a word."""
        characters, punctuation = self.normalized(chr(code)), ranges("PUNCTUATION")
        return "".join([f" {c} " if ord(c) in punctuation else c for c in characters])

    def cut_word(self, word: str) -> tuple[int, ...]:
        return tuple([piece for piece, _, _ in self.pieces_of_word(word)])

    def locate_in_word(self, word: str) -> tuple[Span, ...]:
        return tuple([(start, end) for _, start, end in self.pieces_of_word(word)])

    def needs_stages(self, chunk: str) -> bool:
        if self.find_normalized:
            return True
        return self.strips and not chunk.isascii() and not sorted_marks().isdisjoint(chunk)

    def split(self, chunk: str) -> list[str]:
        if chunk.isascii() and chunk.isalnum():  # as most are: one word
            return [chunk.lower() if self.lowers else chunk]
        return chunk.translate(self.characters).split()

    def cut(self, chunk: str) -> tuple[int, ...]:
        if self.needs_stages(chunk):
            return tuple([piece.id for piece in self.pieces_of_part(chunk)])
        return tuple(chain.from_iterable(map(self.ids_of_word.__getitem__, self.split(chunk))))

    def locate(self, chunk: str) -> tuple[Span, ...]:
        """Return where every piece starts and ends in a chunk."""
        if self.needs_stages(chunk):
            return tuple([(piece.start, piece.end) for piece in self.pieces_of_part(chunk)])
        parts = list(map(self.characters.__getitem__, map(ord, chunk)))
        places = [place for place, part in enumerate(parts) for _ in part]
        spans, start = [], 0
        for word in "".join(parts).split(" "):
            if word:
                for first, last in self.spans_of_word[word]:
                    spans.append((places[start + first], places[start + last - 1] + 1))
            start += len(word) + 1
        return tuple(spans)

    def number_words(self, chunk: str) -> tuple[int, ...]:
        """Return for every piece the number of its word in a chunk."""
        if self.needs_stages(chunk):
            return tuple([piece.word for piece in self.pieces_of_part(chunk)])
        words = enumerate(self.split(chunk))
        return tuple([number for number, word in words for _ in self.ids_of_word[word]])

    # ---- a text ----

    def ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for start, end, token in self.find_raw(text):
            if token is not None:
                ids.append(self.id_of_added[token.content])
            elif self.reaches_out:
                ids += [piece.id for piece in self.pieces_of_part(text[start:end])]
            else:
                chunks = made_fit_for_split(text[start:end]).split()
                ids.extend(chain.from_iterable(map(self.ids_of_chunk.__getitem__, chunks)))
        return ids

    def offsets(self, text: str) -> list[Span]:
        offsets: list[Span] = []
        for start, end, token in self.find_raw(text):
            if token is not None:
                offsets.append((start, end))
            elif self.reaches_out:
                part = self.pieces_of_part(text[start:end], start)
                offsets += [(piece.start, piece.end) for piece in part]
            else:
                fit = made_fit_for_split(text[start:end])
                chunks = fit.split()
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
            elif self.reaches_out:
                part = self.pieces_of_part(text[start:end], 0, number)
                word_ids += [piece.word for piece in part]
            else:
                for chunk in made_fit_for_split(text[start:end]).split():
                    words = self.words_of_chunk[chunk]
                    word_ids += [number + word for word in words]
                    number += words[-1] + 1 if words else 0
        return word_ids

    def texts(self, text: str) -> list[str]:
        """Return every piece as a string: word pieces as in the vocabulary, tokens as found."""
        return [
            self.token_of_id[piece.id] if piece.text is None else piece.text
            for piece in self.pieces(text)
        ]

    @cached_property
    def token_of_id(self) -> dict[int, str]:
        return {number: token for token, number in self.vocabulary.items()}


class Places(Sequence):
    """Where the pieces of texts are: (offsets, word ids), each found out when first asked for.

    A text that came split into words is several texts here: its offsets count from the start of
    each word, and its words are numbered as they came.
    """

    def __init__(self, pipeline: FastPipeline, texts: list[str], is_split: bool) -> None:
        self.pipeline, self.texts_given, self.is_split = pipeline, texts, is_split

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return (self.offsets, self.word_ids)[index]()

    def offsets(self) -> list[Span]:
        return list(chain.from_iterable(map(self.pipeline.offsets, self.texts_given)))

    def word_ids(self) -> list[int]:
        if not self.is_split:
            return self.pipeline.word_ids(*self.texts_given)
        texts = enumerate(self.texts_given)
        return [number for number, text in texts for _ in self.pipeline.ids(text)]

    def texts(self) -> list[str]:
        return list(chain.from_iterable(map(self.pipeline.texts, self.texts_given)))
