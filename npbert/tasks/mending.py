"""restore: capitals and punctuation put back into a text that has lost them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.tasks.loading import RESTORE, HubOptions, Model, load
from npbert.tasks.restoration import LABELS, bare, find_words, mend
from npbert.tasks.rows import (
    ENTRIES,
    Row,
    check_ids,
    label_names,
    longest_row,
    run,
    text_name,
    texts_of,
)
from npbert.tasks.windows import covering_windows, margin
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


def restore(
    text: str | list[str],
    model: Model = None,
    tokenizer: BertTokenizer | None = None,
    *,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Put capitals and punctuation back into a text, and return the mended text.

    text: of any length, or a list of texts. Capitals and punctuation that are there already stay,
        though the model does not look at them; so do white space, quotation marks and the like.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model, whose
        labels are those of npbert.tasks.restoration; None means squeezebert-tiny-restore.
    tokenizer: for a model that was not loaded from a directory.
    progress: show a bar; None: after a second, where standard error is a terminal.
    hub: of a checkpoint on the Hub its revision, cache_dir, token and local_files_only.

    A text that is longer than the model can take is read in windows that overlap by half, and every
    word is labelled where it stands farthest from the edge of a window.

    An empty text comes back as it is. Raises ValueError for what is no text, and for a model that
    is none for this task.
    """
    model, tokenizer = load(RESTORE, model, tokenizer, hub)
    names = label_names(model)
    unknown = [name for name in names.values() if name not in LABELS]
    if unknown:
        raise ValueError(
            f"the model has the label {unknown[0]!r}, expected those of npbert.tasks.restoration: "
            f"{', '.join(LABELS)}"
        )
    is_list = isinstance(text, (list, tuple))
    texts = texts_of(text, may_be_empty=True)
    room = longest_row(model, tokenizer) - tokenizer.num_special_tokens_to_add()

    rows: list[Row] = []
    origins: list[tuple[int, slice]] = []  # of each row: the number of its text, and its pieces
    word_ids: list[list[Any]] = []  # of each text: for every piece the number of its word
    spans = [find_words(each) for each in texts]
    for number, each in enumerate(texts):
        encoded = tokenizer(
            [bare(each[start:end]) for start, end in spans[number]],
            is_split_into_words=True,
            add_special_tokens=False,
        )
        check_ids(encoded["input_ids"], model, tokenizer, text_name(number, len(texts)))
        word_ids.append(encoded.word_ids(0))
        for window in covering_windows(len(word_ids[-1]), room):
            rows.append(_row(encoded["input_ids"][window], tokenizer))
            origins.append((number, window))

    # The class of every piece, from the row in which it is farthest from an edge.
    classes = [np.zeros(len(ids), int) for ids in word_ids]
    margins = [np.full(len(ids), -1) for ids in word_ids]
    for i, output in run(model, rows, progress):
        number, window = origins[i]
        best = output.logits[0].argmax(axis=-1)[1:-1]  # [T], without [CLS] and [SEP]
        for place, found in zip(range(window.start, window.stop), best):
            distance = margin(place, window, len(word_ids[number]))
            if distance > margins[number][place]:
                classes[number][place], margins[number][place] = found, distance

    results = []
    for each, words, ids, found in zip(texts, spans, word_ids, classes):
        labels = ["lower"] * len(words)  # a word without a piece stays as it is
        for place in reversed(range(len(ids))):  # so that the first piece of a word decides
            labels[ids[place]] = names[int(found[place])]
        results.append(mend(each, labels))
    return results if is_list else results[0]


def _row(ids: list[int], tokenizer: BertTokenizer) -> Row:
    row = tokenizer.build_inputs_with_special_tokens(ids)
    return dict(zip(ENTRIES, (row, [0] * len(row), [1] * len(row))))
