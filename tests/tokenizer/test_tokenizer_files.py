"""tokenizer/files.py without the reference: what is read, written and refused."""

import json
import os

import pytest
from tokenizer_data import LINES, TINY

from npbert import AddedToken, AutoTokenizer, BertTokenizer, ConvBertTokenizer
from npbert.tokenizer.files import read_vocabulary


def test_lines_of_a_vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeffa\r\nb \nx\x85y\n\x85\n\u2028\nb\n\nlast\x1c".encode())
    read = read_vocabulary(path)
    assert read == {"\ufeffa": 0, "b": 5, "x\x85y": 2, "": 6, "last\x1c": 7}
    path.write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(ValueError, match=r"vocab\.txt: not UTF-8 at byte 6"):
        BertTokenizer(path)


def test_save_and_load(tmp_path):
    vocabulary = {**{token: number for number, token in enumerate(LINES)}, "": 40, "zz": 33}
    options = {"do_lower_case": False, "strip_accents": True, "model_max_length": 64,
               "padding_side": "left", "clean_up_tokenization_spaces": True}  # fmt: skip
    saved = BertTokenizer(vocabulary, **options)
    paths = saved.save_pretrained(tmp_path / "new")
    assert sorted(os.listdir(tmp_path / "new")) == sorted(os.path.basename(p) for p in paths)
    loaded = BertTokenizer.from_pretrained(tmp_path / "new")
    assert loaded.get_vocab() == vocabulary and repr(loaded) == repr(saved)
    assert BertTokenizer.from_pretrained(tmp_path / "new", do_lower_case=True).do_lower_case
    (path,) = saved.save_vocabulary(tmp_path, "my")
    assert os.path.basename(path) == "my-vocab.txt" and read_vocabulary(path) == vocabulary
    for bad in ({"a\nb": 99}, {"a ": 99}, {"a": 10**9}):
        with pytest.raises(ValueError, match=r"cannot be a line|too sparse"):
            BertTokenizer({**vocabulary, **bad}).save_vocabulary(tmp_path)


def directory_with(path, **files):
    path.mkdir(exist_ok=True)
    (path / "vocab.txt").write_text("\n".join([*LINES, "<mask>"]), "utf-8")
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / f"{name}.json").write_text(text, "utf-8")
    return path


def test_settings(tmp_path):
    plain = {"content": "<mask>", "lstrip": False, "special": True}
    path = directory_with(
        tmp_path, tokenizer_config={"do_lower_case": False, "model_max_length": 512, "other": 1}
    )
    read = BertTokenizer.from_pretrained(path)
    assert read.do_lower_case is False and read.model_max_length == 512
    directory_with(path, special_tokens_map={"mask_token": plain})
    assert BertTokenizer.from_pretrained(str(path)).mask_token == "<mask>"
    # What the caller gives goes before the files.
    assert BertTokenizer.from_pretrained(path, mask_token="[MASK]").mask_token == "[MASK]"
    assert BertTokenizer.from_pretrained(path, do_lower_case=True).do_lower_case


WORDPIECE = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "vocab": {token: number for number, token in enumerate(LINES)}}  # fmt: skip
PIPELINE = {
    "added_tokens": [{"id": 30, "content": "<new>", "lstrip": True, "special": True}],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": False},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": WORDPIECE,
}


def test_tokenizer_json_alone(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(PIPELINE), "utf-8")
    read = BertTokenizer.from_pretrained(tmp_path)
    assert read.tokenize("The <new>") == ["the", " <new>"] and len(read) == len(LINES) + 1
    # The normalizer in it counts for ConvBERT alone, as in the reference.
    obeying = ConvBertTokenizer.from_pretrained(tmp_path)
    assert read.do_lower_case and not obeying.do_lower_case
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is BertTokenizer
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ConvBertTokenizerFast"}')
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is ConvBertTokenizer
    unclean = {**PIPELINE, "normalizer": {"type": "BertNormalizer", "clean_text": False}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(unclean), "utf-8")
    assert BertTokenizer.from_pretrained(tmp_path).do_lower_case
    with pytest.raises(ValueError, match="does not clean the text"):
        ConvBertTokenizer.from_pretrained(tmp_path)


def test_added_tokens_come_back(tmp_path):
    saved = BertTokenizer(
        {token: number for number, token in enumerate(LINES)},
        mask_token=AddedToken("<mask>", lstrip=True),
        extra_special_tokens=["<e>", AddedToken("<f>", rstrip=True)],
        entity_token="<g>",
    )
    saved.add_tokens([AddedToken("<new>", single_word=True), "New"])
    saved.save_pretrained(tmp_path)
    read = BertTokenizer.from_pretrained(tmp_path)
    assert read.added_tokens_decoder == saved.added_tokens_decoder
    assert read.special_tokens_map == saved.special_tokens_map and read.entity_token == "<g>"
    assert read.extra_special_tokens == ["<e>", "<f>"]
    assert read.encode("the <mask>NEW <f> <new>") == saved.encode("the <mask>NEW <f> <new>")
    again = BertTokenizer.from_pretrained(tmp_path, mask_token="[MASK]", extra_special_tokens=["x"])
    assert again.mask_token == "[MASK]" and again.extra_special_tokens == ["x"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer_config": "{oops"}, r"tokenizer_config\.json.*not JSON"),
        ({"tokenizer_config": "[]"}, r"tokenizer_config\.json.*list"),
        ({"special_tokens_map": "\0"}, r"special_tokens_map\.json.*not JSON"),
        ({"tokenizer_config": {"do_lower_case": "yes"}}, "do_lower_case is 'yes'"),
        ({"tokenizer_config": {"model_max_length": "512"}}, "model_max_length is '512'"),
        ({"tokenizer_config": {"mask_token": 3}}, "mask_token is 3, expected a string"),
        ({"tokenizer_config": {"unk_token": "[X]"}}, r"no unk_token '\[X\]' among its"),
        ({"special_tokens_map": {"mask_token": {"text": "[MASK]"}}}, "mask_token is {'text'"),
        ({"tokenizer_config": {"added_tokens_decoder": {"3": 4}}}, "an added token is 4"),
        ({"tokenizer_config": {"extra_special_tokens": [4]}}, "extra_special_tokens is 4"),
        ({"tokenizer": {"model": {"type": "BPE"}}}, r"tokenizer\.json: its model is BPE"),
        ({"tokenizer": {"model": WORDPIECE}}, "its normalizer is None"),
        ({"tokenizer": {**PIPELINE, "normalizer": {"type": "Lowercase"}}}, "is Lowercase"),
        ({"tokenizer": {**PIPELINE, "pre_tokenizer": {"type": "ByteLevel"}}}, "is ByteLevel"),
        ({"tokenizer": {**PIPELINE, "model": {**WORDPIECE, "vocab": [1]}}}, "no table"),
        (
            {"tokenizer": {**PIPELINE, "model": {**WORDPIECE, "max_input_chars_per_word": 50}}},
            "its max_input_chars_per_word is 50, expected 100",
        ),
    ],
)
def test_settings_that_are_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        BertTokenizer.from_pretrained(directory_with(tmp_path, **files))


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no vocab\.txt and no tokenizer\.json"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        BertTokenizer.from_pretrained(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="absent"):
        BertTokenizer(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="absent"):
        BertTokenizer(TINY).save_vocabulary(tmp_path / "absent")


# ---- values of a wrong type ----------------------------------------------------------------

WRONG = [
    None,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    "x",
    "",
    [],
    {},
    [{}],
    True,
    "long " * 5_000,
]


def values_in(value, path=()):
    """Yield the path of every value in a JSON object."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from values_in(inner, (*path, key))


def put(contents, path, value):
    for key in path[:-1]:
        contents = contents[key]
    contents[path[-1]] = value


@pytest.mark.thorough
@pytest.mark.parametrize("layout", ["version 5", "version 4"])
@pytest.mark.parametrize("kind", [BertTokenizer, ConvBertTokenizer])
def test_every_value_of_a_wrong_type(tmp_path, layout, kind):
    saved = kind(
        {token: number for number, token in enumerate(LINES[:8])},
        mask_token=AddedToken("<mask>", lstrip=True),
        extra_special_tokens=["<e>"],
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )
    saved.add_tokens("<new>")
    saved.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    if layout == "version 4":  # then the older files are read
        del config["added_tokens_decoder"]
        (tmp_path / "tokenizer.json").unlink()
    else:
        pipeline = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
        pipeline["truncation"] = {"direction": "Right"}
        (tmp_path / "tokenizer.json").write_text(json.dumps(pipeline), "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    assert kind.from_pretrained(tmp_path).encode("the <mask>") == saved.encode("the <mask>")

    refused = 0
    for file in sorted(tmp_path.glob("*.json")):
        text = file.read_text("utf-8")
        for path in values_in(json.loads(text)):
            for wrong in WRONG:
                contents = json.loads(text)
                put(contents, path, wrong)
                file.write_text(json.dumps(contents), "utf-8")
                try:
                    read = kind.from_pretrained(tmp_path)
                    assert read("the man <mask>", return_offsets_mapping=True) and repr(read)
                except ValueError as error:
                    message = str(error)
                    refused += 1
                    assert message.startswith(str(tmp_path)) and len(message) < 500, (path, wrong)
                    if file.name not in message:  # two values do not fit each other
                        assert wrong in ("x", WRONG[-1]) and "unk_token" in message, (path, message)
                    names = [key for key in path if isinstance(key, str)]
                    assert any(name in message for name in names), (path, message)
        file.write_text(text, "utf-8")
    assert refused > 100
