"""encode: texts to vectors, as the folder of a sentence-embedding model says how."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from npbert.checkpoints.hub_files import SENTENCE, WHOLE
from npbert.checkpoints.shipped import checkpoint_directory
from npbert.model.base import PreTrainedModel
from npbert.model.together import Encoded
from npbert.tasks.loading import FEATURE_EXTRACTION, HubOptions, Model, check_hub_options, load
from npbert.tasks.rows import BATCH_TOKENS, Row, check_count, longest_row, run, text_name, texts_of
from npbert.tasks.rows import encode as row_of
from npbert.tasks.sentence_modules import Normalize, Recipe, read_recipe
from npbert.tokenizer.bert_tokenizer import AutoTokenizer, BertTokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


def encode(
    texts: str | list[str],
    model: Model = None,
    prompt_name: str | None = None,
    normalize: bool | None = None,
    batch_tokens: int = BATCH_TOKENS,
    *,
    truncation: bool = True,
    tokenizer: BertTokenizer | None = None,
    progress: bool | None = None,
    **hub: Unpack[HubOptions],
) -> np.ndarray:
    """Return a vector for each text, as sentence-transformers gives it for the same folder.

    texts: a string, or a list of them; a text may be empty.
    model: a directory, the name of a checkpoint (shipped or of the Hub), or a loaded model; None
        means convbert-tiny. What a sentence-embedding folder says (modules.json and what lies
        beside it) is followed: pooling, dense layers, normalisation, prompts, the longest text. Of
        any other checkpoint the vector is the mean over all tokens, as sentence-transformers has
        it, too.
    prompt_name: which of the folder's prompts is put before each text; None: its default, if any.
    normalize: True gives every vector length 1, False leaves out that the folder does; None: as the
        folder says.
    batch_tokens: about how many tokens are run together.
    truncation: False refuses a text that is too long for a plain checkpoint instead of cutting it;
        a sentence-embedding folder says itself where its texts are cut.
    tokenizer, progress, hub: as of `text_classification`.

    Returns float32: [N, D] for a list, [D] for a text. As in sentence-transformers what is longer
    than the model takes is cut off. But nothing is padded here, so a text has the same vector in
    any company: for BERT and SqueezeBERT that of sentence-transformers in any batch, for ConvBERT
    and MobileBERT, whose answers padding changes, the one that it gives for the text alone.

    Raises ValueError for a text that is none or too long, for an unknown prompt_name, and for a
    module that npbert does not have; FileNotFoundError where there is no such checkpoint.
    """
    recipe, body, tokenizer = embedder(model, tokenizer, hub)
    check_count("batch_tokens", batch_tokens)
    if normalize not in (None, True, False):
        raise ValueError(f"normalize is {normalize!r}, expected True, False or None")
    prompt = recipe.prompt(prompt_name)
    given = texts_of(texts, may_be_empty=True)
    limit = longest_row(body, tokenizer)
    if recipe.max_seq_length is not None:
        limit = min(recipe.max_seq_length, body.config.max_position_embeddings)

    def row(text: str, name: str = "the text") -> Row:
        cuts = truncation or recipe.is_folder
        return row_of(text, body, tokenizer, None, cuts, limit, name)

    prompt_tokens = 0
    if prompt and not recipe.pooling.counts_prompt:
        prompt_tokens = len(row(prompt)["input_ids"]) - 1  # without [SEP]
    rows = [row(prompt + text, text_name(i, len(given))) for i, text in enumerate(given)]

    def pooled(model: PreTrainedModel, encoded: Encoded) -> list[np.ndarray]:
        states = encoded.states[0]
        return [recipe.pooling(states[place], prompt_tokens) for place in encoded.places()]

    size = body.config.hidden_size * len(recipe.pooling.modes)
    vectors = np.empty((len(rows), size), np.float32)  # [N, D]
    for i, vector in run(body, rows, progress, finish=pooled, batch_tokens=batch_tokens):
        vectors[i] = vector
    for step in recipe.steps:
        if not (isinstance(step, Normalize) and normalize is False):
            vectors = step(vectors)
    if normalize:
        vectors = Normalize()(vectors)
    return vectors if isinstance(texts, (list, tuple)) else vectors[0]


def embedder(
    model: Model, tokenizer: BertTokenizer | None, hub: HubOptions
) -> tuple[Recipe, PreTrainedModel, BertTokenizer]:
    """Return what is done with a model's hidden states, the model, and its tokenizer."""
    check_hub_options("encode", hub)
    own = tokenizer is None  # the checkpoint's, which its folder may change
    if model is None or isinstance(model, PreTrainedModel):
        body, tokenizer = load(FEATURE_EXTRACTION, model, tokenizer, hub)
        recipe = Recipe() if body.name_or_path is None else _recipe(body.name_or_path.resolve())
    else:
        directory = checkpoint_directory(model, (*WHOLE, SENTENCE), **hub)
        recipe = _recipe(directory.resolve())
        body, tokenizer = load(FEATURE_EXTRACTION, recipe.body, tokenizer)
    if own and recipe.do_lower_case and not tokenizer.do_lower_case:
        tokenizer = _lowercasing(recipe.body, bool(tokenizer.strip_accents))
    return recipe, body, tokenizer


@functools.cache  # as models are: read once a process
def _recipe(directory: Path) -> Recipe:
    return read_recipe(directory)


@functools.cache
def _lowercasing(directory: Path, strip_accents: bool) -> Any:
    return AutoTokenizer.from_pretrained(directory, do_lower_case=True, strip_accents=strip_accents)
