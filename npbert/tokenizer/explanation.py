"""What becomes of a text, stage by stage: `tokenizer.explain` and `npbert tokenize`.

Every stage is the plain function, or what the Pipeline has, of that name in tokenizer.py, not the
faster way that a call takes; in the end the two are held to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from npbert.terminal import shown, table, underlined
from npbert.tokenizer import bert_tokenizer as stages
from npbert.tokenizer.arguments import checked_text

if TYPE_CHECKING:
    from npbert.tokenizer.bert_tokenizer import BertTokenizer, Characters, Pipeline
    from npbert.tokenizer.encoding import Encoding

WHAT_IT_DOES = {
    "find_raw": "Finds special tokens as they stand, even inside words.",
    "clean": "Removes control characters, makes white space a space.",
    "space_out_cjk": "Puts spaces around every ideograph.",
    "strip_accents": "Takes letters and accents apart, removes accents.",
    "lower": "Lowers the case of every character by itself.",
    "find_normalized": "Finds tokens added to the vocabulary in what is left.",
    "split_white_space": "Splits at spaces.",
    "isolate_punctuation": "Makes every punctuation character a word.",
    "wordpiece": "Cuts words greedily into the longest known pieces.",
    "row": "Adds [CLS] and [SEP], and numbers texts by type ids.",
}


@dataclass(frozen=True)
class Part:
    """A part of a text at some stage, and where in the text it comes from.

    text      what the stages have made of it so far
    start, end
              where it was in the text that was given, in characters; (0, 0) for what was added
    sequence  0 for the first text, 1 for the second, None for what was added
    is_special
              whether it is a special token, found in the text or added
    id        of the word piece, from the stage "wordpiece" on
    type_id   from the stage "row" on
    """

    text: str
    start: int
    end: int
    sequence: int | None = 0
    is_special: bool = False
    id: int | None = None
    type_id: int | None = None


@dataclass(frozen=True)
class Stage:
    """One stage: its name, what it does, the parts after it, and whether it changed any.

    `switched_off` names the setting that leaves the stage out, and is empty if none does.
    """

    name: str
    what: str
    parts: tuple[Part, ...]
    changed: bool
    switched_off: str = ""

    @property
    def state(self) -> str:
        """What is printed: the text of every part, or a remark in brackets if none changed."""
        if self.switched_off:
            return f"(left out: {self.switched_off})"
        if not self.changed:
            return "(changed nothing)"
        shown_parts = []
        for part in self.parts:
            if part.sequence == 1 and "/" not in shown_parts:
                shown_parts.append("/")  # between the two texts of a pair
            shown_parts.append(repr(part.text))
        return " ".join(shown_parts) or "(nothing is left)"

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class Explanation:
    """The stages that a text, or a pair, goes through, in order.

    It is a sequence of stages, of which one may be had by its name: `explanation["lower"]`.
    `text`, `text_pair` are what was given, `encoding` the row that comes out. Printed, it says what
    each stage did, lists the tokens, and underlines each one's characters in the text.
    """

    def __init__(
        self, text: str, text_pair: str | None, stages: list[Stage], encoding: Encoding
    ) -> None:
        self.text = text
        self.text_pair = text_pair
        self.stages = stages
        self.encoding = encoding

    def __len__(self) -> int:
        return len(self.stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __getitem__(self, which: Any) -> Any:
        if not isinstance(which, str):
            return self.stages[which]
        for stage in self.stages:
            if stage.name == which:
                return stage
        raise KeyError(f"no stage {which!r}; there are {', '.join(s.name for s in self.stages)}")

    def __repr__(self) -> str:
        texts = ", ".join(f"{text:.40}" for text in map(repr, self.texts))
        return f"Explanation({texts}: {len(self.stages)} stages, {len(self.encoding)} tokens)"

    def __str__(self) -> str:
        return self.render()

    @property
    def texts(self) -> list[str]:
        """The text, or the two of a pair."""
        return [self.text] if self.text_pair is None else [self.text, self.text_pair]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        row = self.encoding
        return {
            "text": self.text,
            "text_pair": self.text_pair,
            "stages": [asdict(stage) for stage in self.stages],
            "tokens": row.tokens,
            "input_ids": row.ids,
            "token_type_ids": row.type_ids,
            "offset_mapping": row.offsets,
            "word_ids": row.word_ids,
        }

    def render(self, width: int = 80) -> str:
        """Return what is printed, in lines of at most `width` columns."""
        rows = []
        for number, stage in enumerate(self.stages, 1):
            rows.append((str(number), stage.name, stage.what))
            rows.append(("", "", stage.state))
        blocks = [table(rows, width), self.render_tokens(width)]
        for sequence, text in enumerate(self.texts):
            spans = [(p.start, p.end) for p in self.stages[-1].parts if p.sequence == sequence]
            heading = "text" if self.text_pair is None else ("first text", "second text")[sequence]
            heading += ", its tokens underlined:" if text else ", which is empty"
            blocks.append(f"{heading}\n{underlined(text, spans, width, '  ')}".rstrip())
        return "\n\n".join(blocks)

    def render_tokens(self, width: int = 80) -> str:
        """Return a table of the tokens: ids, type ids, words, and the characters they stand for."""
        rows = [("token", "id", "type", "word", "chars", "text")]
        for part, word in zip(self.stages[-1].parts, self.encoding.word_ids, strict=True):
            place = text = ""
            if part.sequence is not None:
                place = f"{part.start}-{part.end}"
                text = repr(self.texts[part.sequence][part.start : part.end])
            token = "".join(map(shown, part.text))
            number = "" if word is None else str(word)
            rows.append((token, str(part.id), str(part.type_id), number, place, text))
        return table(rows, width)


def explain(tokenizer: BertTokenizer, text: str, text_pair: str | None = None) -> Explanation:
    """Return what becomes of a text, or of a pair, stage by stage; what is no text is a ValueError.

    The row in the end is that of `tokenizer(text, text_pair)`.
    """
    texts = [checked_text(text, "text")]
    if text_pair is not None:
        texts.append(checked_text(text_pair, "text_pair"))
    if texts[1:] == [""]:
        texts, text_pair = texts[:1], None  # as in a call, an empty second text counts as none
    found = list(_stages(tokenizer, texts))
    encoding = tokenizer(text, text_pair)[0]
    last = found[-1].parts
    # The stages are the definition, and a call takes a faster way: here the two meet.
    assert [part.id for part in last] == encoding.ids, "a stage differs from what a call does"
    assert [(part.start, part.end) for part in last] == encoding.offsets
    assert [part.type_id for part in last] == encoding.type_ids
    return Explanation(text, text_pair, found, encoding)


# ---- the stages, one after the other ---------------------------------------------------------

# A part on its way: the number of its text, its characters, and the special token that it is.
Item = tuple[int, "Characters", "Part | None"]


def _stages(tokenizer: BertTokenizer, texts: list[str]) -> Iterator[Stage]:
    pipeline = tokenizer._pipeline(tokenizer.split_special_tokens)
    before = [Part(text, 0, len(text), number) for number, text in enumerate(texts) if text]
    items: list[Item] = []
    for number, text in enumerate(texts):
        for start, end, token in pipeline.find_raw(text):
            special = None
            if token is not None:
                token_id = pipeline.id_of_added[token.content]
                special = Part(text[start:end], start, end, number, True, token_id)
            items.append((number, [(text[place], place) for place in range(start, end)], special))

    def stage(name: str, parts: list[Part], switched_off: str = "") -> Stage:
        nonlocal before
        changed = list(map(text_and_span, parts)) != list(map(text_and_span, before))
        before = parts
        return Stage(name, WHAT_IT_DOES[name], tuple(parts), changed, switched_off)

    def state() -> list[Part]:
        return [special or part_of(characters, number) for number, characters, special in items]

    yield stage("find_raw", state())
    for name, function, is_on, setting in (
        ("clean", stages.clean, True, ""),
        ("space_out_cjk", stages.space_out_cjk, pipeline.spaces_out,
         "tokenize_chinese_chars is False"),
        ("strip_accents", stages.strip_accents, pipeline.strips, "strip_accents is False"),
        ("lower", stages.lower, pipeline.lowers, "do_lower_case is False"),
    ):  # fmt: skip
        if is_on:
            items = [
                (number, characters if special else function(characters), special)
                for number, characters, special in items
            ]
        yield stage(name, state(), "" if is_on else setting)
    items = [
        found
        for number, characters, special in items
        for found in (
            [(number, characters, special)]
            if special
            else added_tokens_in(pipeline, characters, number)
        )
    ]
    yield stage("find_normalized", state())
    for name, split in (
        ("split_white_space", stages.split_white_space),
        ("isolate_punctuation", stages.isolate_punctuation),
    ):
        items = [
            (number, word, special)
            for number, characters, special in items
            for word in ([characters] if special else split(characters))
        ]
        yield stage(name, state())

    pieces = [
        piece
        for number, word, special in items
        for piece in ([special] if special else pieces_of_word(tokenizer, pipeline, word, number))
    ]
    yield stage("wordpiece", pieces)
    yield stage("row", row_of(tokenizer, pieces, is_pair=len(texts) == 2))


def text_and_span(part: Part) -> tuple[str, int, int]:
    return part.text, part.start, part.end


def added_tokens_in(pipeline: Pipeline, characters: Characters, sequence: int) -> list[Item]:
    """Split normalized characters at the added tokens that are found in them."""
    items: list[Item] = []
    for start, end, token in pipeline.find_normalized(stages.text_of(characters)):
        part, special = characters[start:end], None
        if token is not None:
            found = part_of(part, sequence)
            special = replace(found, is_special=True, id=pipeline.id_of_added[token.content])
        items.append((sequence, part, special))
    return items


def part_of(characters: Characters, sequence: int) -> Part:
    """Return characters as a part; where they all were removed, it is nowhere."""
    if not characters:
        return Part("", 0, 0, sequence)
    start, end = characters[0][1], characters[-1][1] + 1
    return Part(stages.text_of(characters), start, end, sequence)


def pieces_of_word(
    tokenizer: BertTokenizer, pipeline: Pipeline, word: Characters, sequence: int
) -> list[Part]:
    """Cut a word into pieces, or make it one unknown piece."""
    pieces = pipeline.pieces_of_word(stages.text_of(word))
    return [
        Part(
            tokenizer.convert_ids_to_tokens(number),
            word[start][1],
            word[end - 1][1] + 1,
            sequence,
            id=number,
        )
        for number, start, end in pieces
    ]


def row_of(tokenizer: BertTokenizer, pieces: list[Part], is_pair: bool) -> list[Part]:
    """Lay out the pieces of a text or a pair between special tokens, as a row."""
    first = [piece.id or 0 for piece in pieces if piece.sequence == 0]
    second = [piece.id or 0 for piece in pieces if piece.sequence == 1] if is_pair else None
    row = []
    remaining = iter(pieces)
    for number, type_id, is_added in zip(
        tokenizer.build_inputs_with_special_tokens(first, second),
        tokenizer.create_token_type_ids_from_sequences(first, second),
        tokenizer.get_special_tokens_mask(first, second),
        strict=True,
    ):
        if is_added:
            token = tokenizer.convert_ids_to_tokens(number)
            row.append(Part(token, 0, 0, None, True, number, type_id))
        else:
            row.append(replace(next(remaining), type_id=type_id))
    return row
