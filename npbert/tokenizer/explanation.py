"""What becomes of a text, stage by stage: `tokenizer.explain` and `npbert tokenize`.

The stages are those of stages.py, not the faster way that a call takes; the result is compared with
the call's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from npbert.terminal import shown, table, underlined
from npbert.tokenizer.stages import Characters, Pipeline, text_of

if TYPE_CHECKING:
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
SWITCHES = {  # the settings that leave a stage out
    "space_out_cjk": "tokenize_chinese_chars is False",
    "strip_accents": "strip_accents is False",
    "lower": "do_lower_case is False",
}


@dataclass(frozen=True)
class Part:
    """A part of a text at some stage, and where in the text it comes from.

    text      what the stages have made of it so far
    start, end
              its span in the text that was given, in characters; (0, 0) for [CLS] and [SEP] that
              the last stage adds
    sequence  0 for the first text, 1 for the second, None for a token that the last stage adds
    is_special
              whether it is a special or added token, found in the text or added by the last stage
    id        of a special or added token; of a word piece, from the stage "wordpiece" on
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
    """One stage: its name, what it does, the parts after it, and whether it changed any part.

    `switched_off` names the setting that leaves the stage out; it is empty if the stage ran.
    """

    name: str
    what: str
    parts: tuple[Part, ...]
    changed: bool
    switched_off: str = ""

    @property
    def state(self) -> str:
        """The text of every part, or a remark in brackets if none changed; this is printed."""
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

    It is a sequence of stages; one of them can be looked up by name: `explanation["lower"]`.
    `text` and `text_pair` are the texts that were given, `encoding` is the resulting row. Printed,
    it says what each stage did, lists the tokens, and underlines their characters in the text.
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
        """Return the explanation as a dict that JSON can hold."""
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
        """Return the text that `print` shows, in lines of at most `width` columns."""
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
        """Return a table of the tokens: ids, type ids, words, and their characters in the text."""
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


def explain(pipeline: Pipeline, texts: list[str], encoding: Encoding) -> Explanation:
    """Return what becomes of a text or of a pair, whose row is `encoding`, stage by stage."""
    found = list(stages_of(pipeline, texts, encoding))
    # The stages are the definition, and a call takes a faster way: here the two meet.
    last = found[-1].parts
    assert [part.id for part in last] == encoding.ids, "a stage differs from what a call does"
    assert [(part.start, part.end) for part in last] == encoding.offsets
    return Explanation(texts[0], texts[1] if len(texts) == 2 else None, found, encoding)


def stages_of(pipeline: Pipeline, texts: list[str], encoding: Encoding) -> Iterator[Stage]:
    before = [Part(text, 0, len(text), number) for number, text in enumerate(texts) if text]
    is_on = {name: switch for name, _, switch in pipeline.normalizer.stages()}

    def stage(name: str, parts: list[Part]) -> Stage:
        nonlocal before
        changed = list(map(text_and_span, parts)) != list(map(text_and_span, before))
        before = parts
        switched_off = "" if is_on.get(name, True) else SWITCHES[name]
        return Stage(name, WHAT_IT_DOES[name], tuple(parts), changed, switched_off)

    words = []
    for of_texts in zip(*map(pipeline.stages, texts), strict=True):
        name, words = of_texts[0][0], [parts for _, parts in of_texts]
        yield stage(name, [
            part_of(characters, number, token and pipeline.id_of_added[token.content])
            for number, parts in enumerate(words)
            for characters, token in parts
        ])  # fmt: skip
    token_of_id = encoding.vocabulary.token_of_id
    pieces = [
        Part(text or token_of_id[piece], start, end, number, text is not None, piece)
        for number, parts in enumerate(words)
        for piece, start, end, _, text in pipeline.pieces_of_words(parts)
    ]
    yield stage("wordpiece", pieces)
    remaining = iter(pieces)
    yield stage("row", [
        Part(token_of_id[number], 0, 0, None, True, number, type_id)
        if is_added
        else replace(next(remaining, Part("", 0, 0)), type_id=type_id)
        for number, type_id, is_added in zip(
            encoding.ids, encoding.type_ids, encoding.special_tokens_mask, strict=True
        )
    ] + list(remaining))  # fmt: skip


def text_and_span(part: Part) -> tuple[str, int, int]:
    return part.text, part.start, part.end


def part_of(characters: Characters, sequence: int, token: int | None) -> Part:
    """Return characters, or the token with an id, as a part; an empty one has the span (0, 0)."""
    if not characters:
        return Part("", 0, 0, sequence)
    start, end = characters[0][1], characters[-1][1] + 1
    return Part(text_of(characters), start, end, sequence, token is not None, token)
