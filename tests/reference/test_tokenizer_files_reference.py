"""The tokenizer's files against transformers: each reads what the other wrote, and agrees."""

import itertools
import json

import pytest
from tokenizer_data import LINES

import npbert
from npbert import BertTokenizer

REASON = "compares with the Rust library (extra `reference`)"
tokenizers = pytest.importorskip("tokenizers", reason=REASON)
transformers = pytest.importorskip("transformers", reason=REASON)

pytestmark = pytest.mark.reference

VOCABULARY = {token: number for number, token in enumerate(LINES)}
TEXTS = [
    "the unaffable man, [MASK] the man!",
    "The été <mask>  中 É the<new>man NEW [mask]",
    "<e> <e>x  <s> [MASK]s the\u0301 한국 \ufffd",
    "",
]
NAMES = [
    f"{family}Tokenizer{kind}"
    for family in ("Bert", "ConvBert", "MobileBert", "SqueezeBert")
    for kind in ("", "Fast")
] + ["AutoTokenizer"]


def theirs_by(name):
    """Return the reference's class of a name, or the one that stands for it."""
    return getattr(transformers, name, None) or getattr(transformers, name.removesuffix("Fast"))


def known_of(tokenizer):
    """Return what a tokenizer says of itself."""
    added = {
        number: [getattr(token, option) for option in ("content", "lstrip", "rstrip",
                 "single_word", "normalized", "special")]
        for number, token in sorted(tokenizer.added_tokens_decoder.items())
    }  # fmt: skip
    return {
        "vocab": tokenizer.get_vocab(),
        "sizes": (tokenizer.vocab_size, len(tokenizer)),
        "added": added,
        "special": (tokenizer.special_tokens_map, tokenizer.all_special_ids),
        "extra": tokenizer.extra_special_tokens,
        "length": tokenizer.model_max_length,
        "sides": (tokenizer.padding_side, tokenizer.truncation_side),
        "clean up": tokenizer.clean_up_tokenization_spaces,
    }


def rows_of(tokenizer):
    rows = []
    for text in TEXTS:
        row = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        rows.append((dict(row), row.word_ids(), tokenizer.decode(row.input_ids)))
    return rows


def assert_same(mine, theirs):
    assert known_of(mine) == known_of(theirs)
    assert rows_of(mine) == rows_of(theirs)


OPTIONS = {
    "plain": {},
    "cased": {"do_lower_case": False, "model_max_length": 512, "padding_side": "left"},
    "accents": {"strip_accents": False, "tokenize_chinese_chars": False},
    "named": {"mask_token": "<mask>", "bos_token": "<s>", "truncation_side": "left"},
    "extra": {"extra_special_tokens": ["<e>", "the"], "clean_up_tokenization_spaces": True},
}
ADDED = {
    "nothing": [],
    "tokens": [("<new>", {}), ("NEW", {"single_word": True}), ("man", {})],
    "stripping": [("<new>", {"lstrip": True, "rstrip": True, "special": True})],
    "raw": [("New", {"normalized": False}), ("the", {"rstrip": True, "special": True})],
}


def made(module, options, added):
    tokenizer = module.BertTokenizer(dict(VOCABULARY), **options)
    tokenizer.add_tokens([module.AddedToken(content, **flags) for content, flags in added])
    return tokenizer


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize("options", OPTIONS)
def test_each_reads_what_the_other_saved(tmp_path, options, added):
    mine = made(npbert, OPTIONS[options], ADDED[added])
    theirs = made(transformers, OPTIONS[options], ADDED[added])
    assert_same(mine, theirs)
    mine.save_pretrained(tmp_path / "mine")
    theirs.save_pretrained(tmp_path / "theirs")
    for directory, name in itertools.product(("mine", "theirs"), NAMES):
        read = getattr(npbert, name).from_pretrained(tmp_path / directory)
        expected = theirs_by(name).from_pretrained(tmp_path / directory)
        assert_same(read, expected)
        assert rows_of(read) == rows_of(mine), (directory, name)


def test_saving_over_another_tokenizer(tmp_path):
    """An older tokenizer.json in the directory does not win over the new vocab.txt."""
    transformers.BertTokenizer(dict(VOCABULARY)).save_pretrained(tmp_path)
    mine = BertTokenizer.from_pretrained(tmp_path)
    mine.add_tokens(["<new>"])
    mine.save_pretrained(tmp_path)
    assert_same(mine, transformers.BertTokenizer.from_pretrained(tmp_path))
    assert_same(mine, BertTokenizer.from_pretrained(tmp_path))


def test_the_rust_library_reads_what_is_saved(tmp_path):
    mine = made(npbert, {}, ADDED["tokens"])
    mine.save_pretrained(tmp_path)
    rust = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        for pair in ((text,), (text, "the man")):
            got, expected = mine(*pair, return_offsets_mapping=True), rust.encode(*pair)
            assert got.input_ids == expected.ids and got.token_type_ids == expected.type_ids
            assert got.offset_mapping == expected.offsets


# ---- directories as other versions left them -----------------------------------------------

MASK = {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False,
        "normalized": False}  # fmt: skip
NEW = {**MASK, "content": "<new>", "special": False, "normalized": True}
CONFIGS = {
    "none": None,
    "settings": {
        "do_lower_case": False,
        "model_max_length": 32,
        "tokenizer_class": "BertTokenizer",
    },
    "old": {"max_len": 16, "do_basic_tokenize": True, "never_split": None, "strip_accents": None},
    "mask": {
        "mask_token": {"__type": "AddedToken", **MASK},
        "tokenizer_class": "ConvBertTokenizer",
    },
    "decoder": {
        "mask_token": "<mask>",
        "added_tokens_decoder": {
            "0": {**MASK, "content": "[PAD]", "lstrip": False, "special": True},
            "22": {**MASK, "special": True},
            "23": NEW,
        },
        "clean_up_tokenization_spaces": True,
    },
    "extra": {"additional_special_tokens": ["<e>", "<s>"]},
    "named": {"extra_special_tokens": {"entity_token": "<e>"}, "image_token": "<s>"},
}
MAPS = {
    "none": None,
    "strings": {"mask_token": "<mask>", "pad_token": "[PAD]"},
    "options": {"mask_token": MASK, "unk_token": {**MASK, "content": "[UNK]", "lstrip": False}},
}
ADDED_FILES = {"none": None, "some": {"<new>": 23, "<mask>": 22}}
PIPELINES = {
    "none": None,
    "plain": {},
    "cased": {"lowercase": False, "strip_accents": None},
    "odd": {"strip_accents": False, "handle_chinese_chars": False},
}


def pipeline_with(normalizer, added):
    rust = tokenizers.BertWordPieceTokenizer(dict(VOCABULARY))
    rust.add_tokens([tokenizers.AddedToken(c, **flags) for c, flags in added])
    pipeline = json.loads(rust.to_str())
    pipeline["normalizer"].update(normalizer)
    pipeline["padding"] = {"strategy": "BatchLongest", "direction": "Left", "pad_id": 0,
        "pad_token": "[PAD]", "pad_type_id": 0, "pad_to_multiple_of": None}  # fmt: skip
    return pipeline


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("config", CONFIGS)
def test_any_combination_of_files(tmp_path, config, pipeline):
    for number, (mapped, added) in enumerate(itertools.product(MAPS, ADDED_FILES)):
        directory = tmp_path / str(number)
        directory.mkdir()
        contents = {
            "config": {"model_type": "bert"},  # for AutoTokenizer
            "tokenizer_config": CONFIGS[config],
            "special_tokens_map": MAPS[mapped],
            "added_tokens": ADDED_FILES[added],
        }
        if PIPELINES[pipeline] is not None:
            contents["tokenizer"] = pipeline_with(PIPELINES[pipeline], ADDED["stripping"])
        if PIPELINES[pipeline] is None or number % 2:
            (directory / "vocab.txt").write_text("\n".join([*LINES]), "utf-8")
        for name, content in contents.items():
            if content is not None:
                (directory / f"{name}.json").write_text(json.dumps(content), "utf-8")
        for name in ("BertTokenizer", "ConvBertTokenizer", "AutoTokenizer"):
            read = getattr(npbert, name).from_pretrained(directory)
            expected = getattr(transformers, name).from_pretrained(directory)
            assert_same(read, expected)


def test_model_input_names_are_kept(tmp_path):
    names = ["input_ids", "attention_mask"]
    (tmp_path / "vocab.txt").write_text("\n".join(LINES), "utf-8")
    theirs = transformers.BertTokenizer.from_pretrained(tmp_path, model_input_names=names)
    theirs.save_pretrained(tmp_path / "theirs")
    mine = BertTokenizer.from_pretrained(tmp_path / "theirs")
    mine.save_pretrained(tmp_path / "mine")
    again = transformers.BertTokenizer.from_pretrained(tmp_path / "mine")
    for tokenizer in (theirs, mine, again):
        assert tokenizer.model_input_names == names
        assert list(tokenizer("the man")) == names
        assert "token_type_ids" in tokenizer("the man", return_token_type_ids=True)
