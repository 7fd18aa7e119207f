"""question_answering: the place of the answer to a question in a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.ops import softmax
from npbert.tasks.loading import QUESTION_ANSWERING, HubOptions, Model, load
from npbert.tasks.rows import (
    ENTRIES,
    Row,
    check_count,
    check_ids,
    longest_row,
    run,
    text_name,
    texts_of,
)
from npbert.tasks.windows import windows
from npbert.terminal import counted
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

Answer = dict[str, Any]

LONGEST_ROW = 384  # tokens of question and context together, where nothing else is said
LARGEST_STRIDE = 128  # pieces that two windows share, where nothing else is said


def question_answering(
    question: str | list[str],
    context: str | list[str],
    model: Model = None,
    top_k: int = 1,
    doc_stride: int | None = None,
    max_answer_len: int = 15,
    max_seq_len: int | None = None,
    handle_impossible_answer: bool = False,
    align_to_words: bool = True,
    tokenizer: BertTokenizer | None = None,
    *,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Find the answer to a question in a text, with its place there.

    question, context: a text each; or lists of one length; or several questions and one context.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means convbert-tiny-answer, whose questions are sentences with a [MASK] for the answer.
    top_k: how many answers at most, best first.
    max_answer_len: in word pieces.
    max_seq_len: how many tokens question and context have together at most, by default 384 or as
        many as the model takes. A longer context is read in windows.
    doc_stride: how many word pieces two windows share, by default 128 or half of max_seq_len; less
        where a long question leaves less room.
    handle_impossible_answer: let "" be an answer, scored by how much every window speaks for none.
    align_to_words: let an answer begin and end where words do.
    tokenizer: for a model that was not loaded from a directory.
    progress: show a bar; None: after a second, where standard error is a terminal.
    hub: of a checkpoint on the Hub its revision, cache_dir, token and local_files_only.

    Returns the best answer, {"score": probability, "start" and "end": in the context, in
    characters, "answer": the text between}; with top_k above 1 a list of answers; for lists, a list
    of either (of one question, as in transformers, its result).

    As in the pipeline of transformers 4 (there is none in 5) the probabilities are those of each
    window by itself, and answers of one wording, upper and lower case alike, are one answer: their
    scores add up, even beyond 1, and the first one found gives the place. What differs: an answer
    always lies in the context (the pipeline fills up with others, of probability 0), and with top_k
    above 1 it is a list even where there is only one.

    Raises ValueError for a text that is empty, a question that leaves no room for the context, for
    an option out of range, and for a model without a trained head.
    """
    model, tokenizer = load(QUESTION_ANSWERING, model, tokenizer, hub)
    check_count("top_k", top_k)
    check_count("max_answer_len", max_answer_len)
    longest = longest_row(model, tokenizer)
    if max_seq_len is None:
        max_seq_len = min(longest, LONGEST_ROW)
    check_count("max_seq_len", max_seq_len, 4, longest, ", what the model takes")
    if doc_stride is not None:
        check_count("doc_stride", doc_stride, 0)
    examples = [
        _Example(q, c, tokenizer, max_seq_len, doc_stride) for q, c in _pairs(question, context)
    ]
    for i, example in enumerate(examples):
        check_ids(example.question, model, tokenizer, text_name(i, len(examples), "question"))
        check_ids(example.pieces, model, tokenizer, text_name(i, len(examples), "context"))
    rows: list[Row] = []
    firsts = []  # of each example: the number of its first row
    for example in examples:
        firsts.append(len(rows))
        rows += [example.row(window) for window in example.windows]
    outputs: list[Any] = [None] * len(rows)
    for i, output in run(model, rows, progress, "windows"):
        outputs[i] = np.stack([output.start_logits[0], output.end_logits[0]], axis=-1)  # [T, 2]
    results: list[Any] = []
    for example, first in zip(examples, firsts):
        answers: list[Answer] = []
        null_score = np.inf
        for window, logits in zip(example.windows, outputs[first:]):
            start, end, null = example.probabilities(window, logits)
            null_score = min(null_score, null)
            wanted = 2 * top_k + 10 if align_to_words else top_k  # words make some of them one
            for i, j, score in best_spans(start, end, max_answer_len, wanted):
                place = example.characters(window, i, j, align_to_words)
                _add(answers, score, *place, example.context)
        if handle_impossible_answer:
            answers.append({"score": float(null_score), "start": 0, "end": 0, "answer": ""})
        answers = sorted(answers, key=lambda answer: -answer["score"])[:top_k]
        results.append(answers[0] if top_k == 1 else answers)
    return results[0] if len(results) == 1 else results


def _pairs(question: Any, context: Any) -> list[tuple[str, str]]:
    questions, contexts = texts_of(question, "question"), texts_of(context, "context")
    if isinstance(context, str):
        contexts = contexts * len(questions)
    if len(questions) != len(contexts):
        raise ValueError(
            f"{counted(len(questions), 'question')} and {counted(len(contexts), 'context')} given, "
            "expected a context for each question, or one for all"
        )
    return list(zip(questions, contexts))


class _Example:
    """A question and its context as word pieces, and the windows that the context is read in."""

    def __init__(
        self,
        question: str,
        context: str,
        tokenizer: BertTokenizer,
        max_seq_len: int,
        doc_stride: int | None,
    ) -> None:
        encoded = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
        self.tokenizer = tokenizer
        self.context = context
        self.question: list[int] = tokenizer(question, add_special_tokens=False)["input_ids"]
        self.pieces: list[int] = encoded["input_ids"]
        self.offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        self.words: list[int | None] = encoded.word_ids(0)
        if not self.pieces:
            raise ValueError(f"the context {context!r} has no word in it")
        special = tokenizer.num_special_tokens_to_add(pair=True)
        room = max_seq_len - special - len(self.question)
        if room < 1:
            raise ValueError(
                f"the question has {counted(len(self.question), 'word piece')}, and {special} "
                f"special tokens are added: of max_seq_len {max_seq_len} nothing is left for the "
                "context"
            )
        stride = doc_stride
        if stride is None:
            stride = min(max_seq_len // 2, LARGEST_STRIDE)
            stride = stride if stride < room else room // 2
        if stride >= room and len(self.pieces) > room:
            raise ValueError(
                f"doc_stride is {stride}, expected less than {room}: so many word pieces of the "
                f"context fit beside the question"
            )
        self.windows = windows(len(self.pieces), room, min(stride, room - 1))

    def row(self, window: slice) -> Row:
        """Return [CLS] question [SEP] window [SEP]."""
        pair = (self.question, self.pieces[window])
        ids = self.tokenizer.build_inputs_with_special_tokens(*pair)
        types = self.tokenizer.create_token_type_ids_from_sequences(*pair)
        return dict(zip(ENTRIES, (ids, types, [1] * len(ids))))

    def probabilities(  # [T, 2] -> [C], [C], []
        self, window: slice, logits: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the probabilities that the answer starts, and that it ends, at each of C pieces.

        The third is the probability that there is none: [CLS] is both start and end.
        """
        ids = np.array(self.row(window)["input_ids"])
        begin = 2 + len(self.question)
        inside = ids == self.tokenizer.cls_token_id
        inside[begin:-1] = True
        # -10000 rather than -inf, as in the reference: beside [CLS] alone it makes a difference.
        start, end = softmax(np.where(inside[:, None], logits, -10000.0).T.astype(logits.dtype))
        return start[begin:-1], end[begin:-1], float(start[0] * end[0])

    def characters(self, window: slice, i: int, j: int, align_to_words: bool) -> tuple[int, int]:
        """Return where the pieces i to j of a window start and end in the context.

        Aligned to words, they grow to the whole words, as far as these stand in the window.
        """
        words, offsets = self.words[window], self.offsets[window]
        if align_to_words:
            while i > 0 and words[i - 1] == words[i]:
                i -= 1
            while j + 1 < len(words) and words[j + 1] == words[j]:
                j += 1
        return offsets[i][0], offsets[j][1]


def best_spans(
    start: np.ndarray, end: np.ndarray, longest: int, count: int
) -> list[tuple[int, int, float]]:
    """Return the most probable (first piece, last piece, probability), at most `longest` pieces.

    start, end: probabilities [C], which are multiplied.
    """
    C = len(start)
    length = np.arange(C)[None] - np.arange(C)[:, None]  # [C, C], less one
    firsts, lasts = np.nonzero((length >= 0) & (length < longest))
    scores = start[firsts] * end[lasts]
    order = np.argsort(-scores, kind="stable")[:count]
    return [(int(firsts[k]), int(lasts[k]), float(scores[k])) for k in order]


def _add(answers: list[Answer], score: float, start: int, end: int, context: str) -> None:
    """Add an answer to those found, or its score to that of the same wording."""
    text = context[start:end]
    for answer in answers:
        if answer["answer"].lower() == text.lower():
            answer["score"] += score
            return
    answers.append({"score": score, "start": start, "end": end, "answer": text})
