"""next_sentence and multiple_choice: what comes next. Neither has a pipeline in transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.model.heads import PreTraining
from npbert.ops import softmax
from npbert.tasks.loading import MULTIPLE_CHOICE, NEXT_SENTENCE, HubOptions, Model, load
from npbert.tasks.rows import best_first, check_text, encode, run, text_name, texts_of
from npbert.terminal import counted
from npbert.tokenizer.bert_tokenizer import BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

NEXT_LABELS = ("IsNext", "NotNext")  # Devlin et al. 2019, section 3.1: classes 0 and 1


def next_sentence(
    first: str | list[str],
    second: str | list[str],
    model: Model = None,
    tokenizer: BertTokenizer | None = None,
    *,
    truncation: bool | str = False,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Say whether the second text follows the first one, with probabilities.

    first, second: a text each; or a list each, of one length.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means bert-tiny. A checkpoint of BERT or MobileBERT with both heads of pre-training
        will do, too.
    tokenizer, truncation, progress, hub: as of `text_classification`.

    Returns both labels, best first: {"label": "IsNext" or "NotNext", "score": probability}; for
    lists, a list of such lists.

    Raises ValueError for a text that is empty, for a pair that is longer than the model can take,
    for lists of two lengths, and for a model without a trained head.
    """
    model, tokenizer = load(NEXT_SENTENCE, model, tokenizer, hub)
    firsts, seconds = texts_of(first, "first text"), texts_of(second, "second text")
    is_list = isinstance(first, (list, tuple))
    if is_list != isinstance(second, (list, tuple)) or len(firsts) != len(seconds):
        raise ValueError(
            f"first has {counted(len(firsts), 'text')}, second {len(seconds)}: expected one text "
            "each, or "
            "lists of one length"
        )
    rows = [
        encode(a, model, tokenizer, b, truncation, name=text_name(i, len(firsts), "pair"))
        for i, (a, b) in enumerate(zip(firsts, seconds))
    ]
    field = "seq_relationship_logits" if isinstance(model, PreTraining) else "logits"
    results: list[Any] = [None] * len(rows)
    for i, output in run(model, rows, progress, "pairs"):
        probs = softmax(output[field][0])  # [2]
        order = best_first(probs, None)
        results[i] = [{"label": NEXT_LABELS[k], "score": float(probs[k])} for k in order]
    return results if is_list else results[0]


def multiple_choice(
    prompt: str | list[str],
    choices: list[str] | list[list[str]],
    model: Model = None,
    tokenizer: BertTokenizer | None = None,
    *,
    truncation: bool | str = False,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> Any:
    """Say which of several texts goes best with a prompt, with probabilities.

    prompt: a text; or a list of them.
    choices: at least two texts; for a list of prompts, a list of such lists.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means mobilebert-tiny-choice, which says what comes next.
    tokenizer, truncation, progress, hub: as of `text_classification`.

    Returns the choices, best first: {"score": probability, "index": place among the choices,
    "choice": text}; for a list of prompts, a list of such lists.

    Every choice is read by itself, without padding: in ConvBERT and MobileBERT the logit of a
    choice would otherwise depend on how long the other choices are.

    Raises ValueError for a text that is empty, for a prompt and choice that are longer than the
    model can take, for fewer than two choices, and for a model without a trained head.
    """
    model, tokenizer = load(MULTIPLE_CHOICE, model, tokenizer, hub)
    prompts = texts_of(prompt, "prompt")
    is_list = isinstance(prompt, (list, tuple))
    lists: Any = choices if is_list else [choices]
    if not isinstance(lists, (list, tuple)) or len(lists) != len(prompts):
        raise ValueError(f"choices is {lists!r}, expected a list of choices for each prompt")
    rows, places = [], []
    for number, (text, options) in enumerate(zip(prompts, lists)):
        if not isinstance(options, (list, tuple)) or len(options) < 2:
            raise ValueError(f"the choices are {options!r}, expected at least two texts")
        for place, choice in enumerate(options):
            which = text_name(place, len(options), "choice")
            check_text(choice, which)
            name = f"{text_name(number, len(prompts), 'prompt')} with {which}"
            rows.append(encode(text, model, tokenizer, choice, truncation, name=name))
            places.append((number, place))
    scores = [np.zeros(len(options), model.dtype) for options in lists]
    for i, output in run(model, rows, progress, "choices"):
        number, place = places[i]
        scores[number][place] = output.logits[0, 0]
    results = []
    for options, given in zip(lists, scores):
        probs = softmax(given)  # [N]
        order = best_first(probs, None)
        results.append(
            [{"score": float(probs[k]), "index": k, "choice": options[k]} for k in order]
        )
    return results if is_list else results[0]
