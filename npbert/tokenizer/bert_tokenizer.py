"""The tokenizers that users call, by their names in transformers, and AutoTokenizer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npbert.checkpoints.saving import reading
from npbert.tokenizer.added_tokens import AddedToken, short
from npbert.tokenizer.arguments import checked_text
from npbert.tokenizer.base import PreTrainedTokenizer
from npbert.tokenizer.caching_pipeline import CachingPipeline
from npbert.tokenizer.encoding import NO_LIMIT
from npbert.tokenizer.file_values import is_length
from npbert.tokenizer.files import read_json_if_there
from npbert.tokenizer.stages import Normalizer
from npbert.tokenizer.truncation import Pieces

if TYPE_CHECKING:
    from npbert.tokenizer.explanation import Explanation


class BertTokenizer(PreTrainedTokenizer):
    """Turns texts into ids of word pieces and back, exactly as the reference does.

    vocab                   path of a vocab.txt, or a dict from token to id
    do_lower_case           lower the case: True for uncased checkpoints
    unk_token, sep_token, pad_token, cls_token, mask_token, bos_token, eos_token
                            the special tokens, strings or AddedTokens. Those that the vocabulary
                            lacks get the next ids; unk_token must be in the vocabulary
    tokenize_chinese_chars  make every ideograph a word
    strip_accents           remove accents; None: as do_lower_case
    model_max_length        the length that truncation=True and padding="max_length" mean
    padding_side, truncation_side
                            "right" or "left": where rows are padded, where they are truncated
    clean_up_tokenization_spaces
                            the default of `decode`
    split_special_tokens    treat special tokens in a text like other text
    extra_special_tokens    special tokens without a name (a list), or with other names (a dict)
    added_tokens_decoder    more tokens, AddedTokens by their ids, which decide their order alone
    model_input_names       what a call returns by default

    A ValueError says which argument does not fit; a missing file is a FileNotFoundError.
    """

    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012

    def __init__(
        self,
        vocab: str | os.PathLike[str] | dict[str, int] | None = None,
        do_lower_case: bool = True,
        unk_token: str | AddedToken = "[UNK]",
        sep_token: str | AddedToken = "[SEP]",
        pad_token: str | AddedToken | None = "[PAD]",
        cls_token: str | AddedToken = "[CLS]",
        mask_token: str | AddedToken | None = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        model_max_length: int | None = None,
        padding_side: str = "right",
        truncation_side: str = "right",
        clean_up_tokenization_spaces: bool = False,
        split_special_tokens: bool = False,
        extra_special_tokens: Any = None,
        added_tokens_decoder: dict[int, AddedToken] | None = None,
        model_input_names: Sequence[str] | None = None,
        **other_tokens: Any,
    ) -> None:
        named: dict[str, str | AddedToken | None] = {
            "unk_token": unk_token,
            "sep_token": sep_token,
            "pad_token": pad_token,
            "cls_token": cls_token,
            "mask_token": mask_token,
        }
        extra = other_tokens.pop("additional_special_tokens", None) or extra_special_tokens or []
        named |= other_tokens | (extra if isinstance(extra, dict) else {})
        unknown = [name for name in other_tokens if not name.endswith("_token")]
        if unknown:
            raise TypeError(f"{type(self).__name__} has no arguments {', '.join(unknown)}")
        for name, value, known in (
            ("do_lower_case", do_lower_case, (True, False)),
            ("tokenize_chinese_chars", tokenize_chinese_chars, (True, False)),
            ("strip_accents", strip_accents, (True, False, None)),
            ("padding_side", padding_side, ("right", "left")),
            ("truncation_side", truncation_side, ("right", "left")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {short.repr(value)}, expected one of {known}")
        if isinstance(model_input_names, str):
            raise ValueError(f"model_input_names is {model_input_names!r}, expected a list")
        if model_max_length is None:
            model_max_length = NO_LIMIT
        if not is_length(model_max_length):
            raise ValueError(f"model_max_length is {model_max_length!r:.60}, expected a length")

        added = [token for _, token in sorted((added_tokens_decoder or {}).items())]
        normalizer = Normalizer(
            lowers=do_lower_case,
            strips=do_lower_case if strip_accents is None else strip_accents,
            spaces_out=tokenize_chinese_chars,
        )
        super().__init__(
            vocab,
            normalizer,
            named,
            [] if isinstance(extra, dict) else extra,
            added,
            clean_up_tokenization_spaces,
        )
        self._normalizer = normalizer
        self.do_lower_case = do_lower_case
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = strip_accents
        self.model_max_length = int(model_max_length)
        self.padding_side = padding_side
        self.truncation_side = truncation_side
        self.split_special_tokens = split_special_tokens
        self.model_input_names = list(model_input_names or type(self).model_input_names)

    def _add(self, tokens: list[AddedToken]) -> int:
        # By split_special_tokens; those that were there before do not know the new tokens.
        self._pipelines: dict[bool, CachingPipeline] = {}
        return super()._add(tokens)

    def _pipeline(self, split_special_tokens: bool) -> CachingPipeline:
        pipeline = self._pipelines.get(split_special_tokens)
        if pipeline is None:
            pipeline = self._pipelines[split_special_tokens] = CachingPipeline(
                self.id_of_token,
                self.unknown_id,
                self.added_tokens,
                frozenset(self.added_tokens.special if split_special_tokens else ()),
                self._normalizer,
            )
        return pipeline

    def _cut_into_pieces(
        self, text: str | list[str], split_special_tokens: bool, with_offsets: bool = False
    ) -> Pieces:
        return self._pipeline(split_special_tokens).cut_into_pieces(text, with_offsets)

    def explain(self, text: str, text_pair: str | None = None) -> Explanation:
        """Return what becomes of a text or a pair, stage by stage; print it to read it.

        The row at the end is that of `tokenizer(text, text_pair)`. What is no text is a ValueError.
        """
        from npbert.tokenizer.explanation import explain  # here: encoding does without it

        texts = [checked_text(text, "text")]
        if text_pair is not None and checked_text(text_pair, "text_pair"):
            texts.append(text_pair)  # as in a call, an empty second text counts as none
        pipeline = self._pipeline(self.split_special_tokens)
        return explain(pipeline, texts, self(*texts)[0])


class ConvBertTokenizer(BertTokenizer):
    """A BertTokenizer that obeys the normalizer in a tokenizer.json, as in the reference."""

    _obeys_normalizer = True


class AutoTokenizer:
    """Reads the tokenizer of any family from a checkpoint's directory."""

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str], **options: Any) -> BertTokenizer:
        """Return a ConvBertTokenizer if tokenizer_config.json names one, else a BertTokenizer.

        directory   a directory, or the name of a shipped checkpoint or of one of the Hub
        options     arguments of the constructor, which override the files; and those of the Hub
                    (revision, cache_dir, token, local_files_only)
        """
        # Imported here: a tokenizer made from a vocabulary does without it.
        from npbert.checkpoints.hub_files import TOKENIZER
        from npbert.checkpoints.shipped import checkpoint_directory, hub_options

        found = checkpoint_directory(directory, (TOKENIZER,), **hub_options(options))
        path = os.fspath(found)
        with reading(path):
            name = read_json_if_there(path, "tokenizer_config.json").get("tokenizer_class")
            convbert = name in ("ConvBertTokenizer", "ConvBertTokenizerFast")
            chosen = ConvBertTokenizer if convbert else BertTokenizer
            return chosen.from_pretrained(path, **options)


BertTokenizerFast = BertTokenizer
MobileBertTokenizer = MobileBertTokenizerFast = BertTokenizer
SqueezeBertTokenizer = SqueezeBertTokenizerFast = BertTokenizer
ConvBertTokenizerFast = ConvBertTokenizer
