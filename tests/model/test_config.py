"""npbert/model/config.py: defaults, what is refused and how, unknown keys, config.json."""

import dataclasses
import json
import re

import pytest
from limits import within

from npbert.activations import ACTIVATIONS
from npbert.checkpoints.directory import read_json
from npbert.model.config import BertConfig, ConvBertConfig, MobileBertConfig, SqueezeBertConfig

FAMILIES = [BertConfig, ConvBertConfig, MobileBertConfig, SqueezeBertConfig]
families = pytest.mark.parametrize("family", FAMILIES)


SUMMARY = ("summary_type", "summary_activation")  # of text


def fields(config):
    return [option.name for option in dataclasses.fields(config) if option.name != "other"]


# ---- defaults ------------------------------------------------------------------------------


@pytest.mark.reference
@families
def test_defaults_are_those_of_the_reference(family):
    transformers = pytest.importorskip("transformers")
    ours, theirs = family(), getattr(transformers, family.__name__)()
    if family is ConvBertConfig:  # which it reads where they are set, and does not declare
        for name in (*SUMMARY, "summary_use_proj", "summary_proj_to_labels"):
            assert not hasattr(theirs, name)
            setattr(theirs, name, getattr(ours, name))
    both = [name for name in fields(ours) if hasattr(theirs, name)]
    assert {name: getattr(ours, name) for name in both} == {
        name: getattr(theirs, name) for name in both
    }
    assert both == fields(ours)  # no option is npbert's own
    named = vars(transformers).get(family.__name__).__annotations__
    assert set(named) - {"model_type"} <= set(fields(ours))  # and none of the family's is left out
    assert ours.model_type == theirs.model_type


@families
def test_each_configuration_has_its_own_other(family):
    family().other["a"] = 1
    assert family().other == {}


# ---- what is refused -----------------------------------------------------------------------


def assert_refused(family, options, message):
    with pytest.raises(ValueError) as error:
        family(**options)
    assert str(error.value) == f"{family.__name__}: {message}"


@families
@pytest.mark.parametrize(
    "options, message",
    [
        ({"hidden_size": "768"}, "hidden_size is '768', expected int"),
        ({"hidden_size": 768.0}, "hidden_size is 768.0, expected int"),
        ({"hidden_size": True}, "hidden_size is True, expected int"),
        ({"vocab_size": None}, "vocab_size is None, expected int"),
        ({"pad_token_id": "0"}, "pad_token_id is '0', expected int | None"),
        ({"eos_token_id": (1, 2)}, "eos_token_id is (1, 2), expected int | list[int] | None"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12', expected float"),
        ({"layer_norm_eps": False}, "layer_norm_eps is False, expected float"),
        ({"hidden_act": 3}, "hidden_act is 3, expected str"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1, expected bool"),
        ({"classifier_dropout": "0"}, "classifier_dropout is '0', expected float | None"),
        ({"other": None}, "other is None, expected dict[str, Any]"),
        ({"num_labels": "3"}, "num_labels is '3', expected int | None"),
        ({"num_labels": True}, "num_labels is True, expected int | None"),
        ({"num_labels": 3.0}, "num_labels is 3.0, expected int | None"),
        ({"num_labels": 0}, "num_labels is 0, expected >= 1"),
        ({"num_labels": -1}, "num_labels is -1, expected >= 1"),
        ({"id2label": ["a", "b"]}, "id2label is ['a', 'b'], expected dict[int, str] | None"),
        ({"id2label": {"x": "a"}}, "id2label has keys ['x'], expected whole numbers"),
        ({"id2label": {}}, "id2label is empty"),
        ({"label2id": 3}, "label2id is 3, expected dict[str, int] | None"),
        (
            {"id2label": {0: "a", 1: "b"}, "num_labels": 3},
            "num_labels is 3, but id2label has 2 labels",
        ),
        ({"problem_type": 1}, "problem_type is 1, expected str | None"),
        (
            {"problem_type": "classification"},
            "problem_type is 'classification', expected None or one of regression, "
            "single_label_classification, multi_label_classification",
        ),
        (
            {"problem_type": "single_label_classification", "num_labels": 1},
            "problem_type single_label_classification needs num_labels > 1; for a yes or no take "
            "num_labels 2, for a number problem_type regression",
        ),
        ({"chunk_size_feed_forward": 0.5}, "chunk_size_feed_forward is 0.5, expected int"),
        ({"initializer_range": -0.1}, "initializer_range is -0.1, expected >= 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1, expected 0 to 10000"),
        ({"layer_norm_eps": -1e-5}, "layer_norm_eps is -1e-05, expected >= 0"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan, expected >= 0"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps is inf, expected >= 0"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5, expected 0 to 1"),
        ({"classifier_dropout": -1}, "classifier_dropout is -1, expected 0 to 1"),
        ({"vocab_size": 9, "pad_token_id": 9}, "pad_token_id is 9, expected -9 to 8"),
        ({"vocab_size": 9, "pad_token_id": -10}, "pad_token_id is -10, expected -9 to 8"),
        *[
            (
                {name: True},
                f"{name} is True, but npbert has encoders only; the reference would hide from each "
                "token those that follow it (a causal mask). For the answers of the encoder, in "
                f"which every token sees all, set {name} to false",
            )
            for name in ("is_decoder", "add_cross_attention")
        ],
        *[
            ({name: value}, f"{name} is {value}, expected >= 1")
            for name in (
                "vocab_size",
                "hidden_size",
                "num_attention_heads",
                "intermediate_size",
                "max_position_embeddings",
                "type_vocab_size",
            )
            for value in (0, -1)
        ],
    ],
)
def test_refused_by_every_family(family, options, message):
    if not set(options) <= {*fields(family), "other"}:  # a family without bos_token_id, say
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(options))}'"):
            family(**options)
        return
    assert_refused(family, options, message)


@families
@pytest.mark.parametrize("name", ["gleu", "", "GELU"])
def test_unknown_activation(family, name):
    known = ", ".join(sorted(ACTIVATIONS))
    assert_refused(family, {"hidden_act": name}, f"hidden_act is {name!r}, expected one of {known}")


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"hidden_size": 16, "num_attention_heads": 3},
            "hidden_size 16 is not a multiple of num_attention_heads 3",
        )
    ],
)
def test_refused_by_bert(options, message):
    assert_refused(BertConfig, options, message)


@pytest.mark.parametrize(
    "options, message",
    [
        *[
            ({name: 0}, f"{name} is 0, expected >= 1")
            for name in ("embedding_size", "head_ratio", "conv_kernel_size", "num_groups")
        ],
        ({"head_ratio": 1.5}, "head_ratio is 1.5, expected int"),
        ({"conv_kernel_size": 4}, "conv_kernel_size is 4, expected an odd number"),
        # heads that do not divide hidden_size, or into slices of odd width
        (
            {"hidden_size": 18, "num_attention_heads": 4},
            "hidden_size 18 does not divide into two equal halves of 2 heads "
            "(num_attention_heads 4 // head_ratio 2)",
        ),
        (
            {"hidden_size": 15, "num_attention_heads": 1},
            "hidden_size 15 does not divide into two equal halves of 1 heads "
            "(num_attention_heads 1 // head_ratio 2)",
        ),
        (
            {"hidden_size": 16, "num_attention_heads": 2, "num_groups": 3},
            "hidden_size 16 is not a multiple of num_groups 3",
        ),
        (
            {"intermediate_size": 100, "num_groups": 3},
            "intermediate_size 100 is not a multiple of num_groups 3",
        ),
        (
            {"summary_type": "attn"},
            "summary_type is 'attn', expected one of last, first, mean, cls_index",
        ),
        ({"summary_type": None}, "summary_type is None, expected str"),
        ({"summary_use_proj": 1}, "summary_use_proj is 1, expected bool"),
        ({"summary_proj_to_labels": "no"}, "summary_proj_to_labels is 'no', expected bool"),
        (
            {"summary_activation": "gleu"},
            "summary_activation is 'gleu', expected None or one of "
            + ", ".join(sorted(ACTIVATIONS)),
        ),
    ],
)
def test_refused_by_convbert(options, message):
    assert_refused(ConvBertConfig, options, message)


@pytest.mark.reference
@pytest.mark.parametrize(
    "family, options",
    [
        (BertConfig, {"num_attention_heads": 3}),
        (BertConfig, {"pad_token_id": 20}),
        (BertConfig, {"initializer_range": -1.0}),
        (BertConfig, {"hidden_dropout_prob": 1.5}),
        (BertConfig, {"classifier_dropout": 1.5}),
        (ConvBertConfig, {"conv_kernel_size": 4}),
        (ConvBertConfig, {"hidden_size": 18}),
        (ConvBertConfig, {"hidden_size": 15, "num_attention_heads": 1}),
        (ConvBertConfig, {"num_groups": 3}),
        (ConvBertConfig, {"vocab_size": 1}),  # pad_token_id is 1
        (BertConfig, {"id2label": {"x": "a"}}),
        (BertConfig, {"problem_type": "single_label_classification", "num_labels": 1}),
        (ConvBertConfig, {"summary_type": "attn"}),
        (ConvBertConfig, {"summary_activation": "gleu"}),
    ],
)
def test_what_is_refused_does_not_run_in_the_reference_either(family, options):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sizes = dict(
        vocab_size=20, hidden_size=16, num_attention_heads=4, num_hidden_layers=1,
        intermediate_size=16, max_position_embeddings=8,
    )  # fmt: skip
    if family is ConvBertConfig:
        sizes["embedding_size"] = 16
    prefix = family.__name__.removesuffix("Config")
    head = "ForTokenClassification" if "classifier_dropout" in options else "Model"
    if any(option.startswith("summary") for option in options):
        head = "ForMultipleChoice"
    model_class = getattr(transformers, prefix + head)
    config_class = getattr(transformers, family.__name__)
    ids = torch.zeros((1, 3), dtype=torch.long)
    family(**sizes)
    ids = ids[None] if head == "ForMultipleChoice" else ids
    model_class(config_class(**sizes)).eval()(ids)
    with pytest.raises(ValueError):
        family(**{**sizes, **options})
    failures = (RuntimeError, ValueError, AssertionError, KeyError, IndexError)
    with pytest.raises(failures):
        model_class(config_class(**{**sizes, **options})).eval()(ids)


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(TypeError, match="hiden_size"):
        BertConfig(hiden_size=4)


@pytest.mark.parametrize(
    "heads, ratio, expected_heads, mixed",
    [(12, 2, 6, 12), (4, 4, 1, 12), (4, 8, 1, 12), (4, 1, 4, 12), (6, 4, 1, 12), (6, 3, 2, 12)],
)
def test_heads_that_convbert_keeps(heads, ratio, expected_heads, mixed):
    config = ConvBertConfig(hidden_size=24, num_attention_heads=heads, head_ratio=ratio)
    assert (config.heads, config.mixed_size) == (expected_heads, mixed)


# ---- labels --------------------------------------------------------------------------------


@families
@pytest.mark.parametrize(
    "options, names",
    [
        ({}, ["LABEL_0", "LABEL_1"]),
        ({"num_labels": None}, ["LABEL_0", "LABEL_1"]),
        ({"num_labels": 2}, ["LABEL_0", "LABEL_1"]),
        ({"num_labels": 1}, ["LABEL_0"]),
        ({"num_labels": 3}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"id2label": {0: "no", 1: "yes", 2: "both"}}, ["no", "yes", "both"]),
        ({"id2label": {"0": "no", "1": "yes"}}, ["no", "yes"]),
        ({"id2label": {"0": "no", "1": "yes"}, "num_labels": 2}, ["no", "yes"]),
    ],
)
def test_labels_settle_each_other(family, options, names):
    config = family(**options)
    assert config.num_labels == len(names)
    assert config.id2label == dict(enumerate(names))
    assert config.label2id == {name: i for i, name in enumerate(names)}
    assert family.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert dataclasses.replace(config, hidden_act="relu").id2label == config.id2label


@families
def test_labels_are_the_configurations_own(family):
    names = {"0": "no", "1": "yes"}
    config = family(id2label=names)
    config.id2label[0] = "never"
    assert names == {"0": "no", "1": "yes"} and family().id2label[0] == "LABEL_0"


def test_labels_in_two_directions_need_not_agree():
    """As in the reference; many a published config.json has kept the old label2id."""
    config = BertConfig(id2label={0: "no", 1: "yes"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1}
    config = BertConfig(label2id={"no": 0, "yes": 1})
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert BertConfig.from_dict(config.to_dict()) == config


def test_replacing_the_number_of_labels_replaces_the_names():
    config = BertConfig(num_labels=3)
    with pytest.raises(ValueError, match="num_labels is 5, but id2label has 3 labels"):
        dataclasses.replace(config, num_labels=5)
    again = dataclasses.replace(config, num_labels=5, id2label=None, label2id=None)
    assert again == BertConfig(num_labels=5)


@pytest.mark.reference
@families
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_labels": 1},
        {"num_labels": 5, "problem_type": "regression"},
        {"id2label": {"0": "no", "1": "yes", "2": "both"}, "label2id": {"no": 0}},
        {"id2label": {0: "no"}, "label2id": {"no": 0}, "problem_type": "regression"},
        {"num_hidden_layers": 0},
    ],
)
def test_config_json_is_read_as_the_reference_reads_it(tmp_path, family, options):
    transformers = pytest.importorskip("transformers")
    names = ("num_labels", "id2label", "label2id", "problem_type", "num_hidden_layers")
    ours, theirs = family(**options), getattr(transformers, family.__name__)(**options)
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    read = [
        ours,
        theirs,
        family.from_pretrained(tmp_path / "theirs"),
        type(theirs).from_pretrained(tmp_path / "ours"),
        type(theirs).from_pretrained(tmp_path / "theirs"),
    ]
    for config in read[1:]:
        assert {n: getattr(config, n) for n in names} == {n: getattr(ours, n) for n in names}


# ---- config.json ---------------------------------------------------------------------------


def write(directory, values):
    (directory / "config.json").write_text(json.dumps(values))


@families
def test_round_trip(tmp_path, family):
    changed = dict(
        vocab_size=48, hidden_act="relu", layer_norm_eps=0.5, pad_token_id=None,
        tie_word_embeddings=False,
    )  # fmt: skip
    if "eos_token_id" in fields(family):
        changed |= dict(eos_token_id=[1, 2])
    changed |= dict(id2label={0: "é", 1: "b", 2: "c"}, problem_type="regression")
    config = family(**changed, other={"transformers_version": "5", "a": {"0": "é"}})
    config.save_pretrained(tmp_path / "made" / "here")
    again = family.from_pretrained(str(tmp_path / "made" / "here"))
    assert again == config
    assert {name: getattr(again, name) for name in changed} == changed
    written = read_json(tmp_path / "made" / "here", "config.json")
    text = {str(number): label for number, label in config.id2label.items()}  # as JSON has it
    assert written == config.to_dict() | {"id2label": text}
    assert written["model_type"] == family.model_type
    assert "other" not in written and written["a"] == {"0": "é"}


@families
def test_round_trip_of_the_defaults_says_nothing_of_labels(tmp_path, family):
    family().save_pretrained(tmp_path)
    written = read_json(tmp_path, "config.json")
    assert not {"num_labels", "id2label", "label2id", "problem_type", "other"} & written.keys()
    assert family.from_pretrained(tmp_path) == family()
    assert family.from_dict(family().to_dict()) == family()


@families
def test_unknown_keys_are_kept(family):
    values = {"vocab_size": 48, "torch_dtype": "float32", "other": {"other": 1}}
    config = family.from_dict(values)
    assert config.vocab_size == 48
    assert config.other == {"torch_dtype": "float32", "other": {"other": 1}}
    assert config.to_dict().items() >= values.items()
    assert family.from_dict(config.to_dict()) == config


def test_a_saved_configuration_keeps_no_tie_to_the_one_it_came_from():
    values = {"a": 1}
    config = BertConfig.from_dict(values)
    config.other["b"] = 2
    assert values == {"a": 1}


@pytest.mark.parametrize("spelling", ["convbert", "conv_bert", None])
def test_model_type_as_early_configurations_spell_it(tmp_path, spelling):
    write(tmp_path, {"hidden_size": 48} | ({"model_type": spelling} if spelling else {}))
    config = ConvBertConfig.from_pretrained(tmp_path)
    assert config.hidden_size == 48
    assert config.to_dict()["model_type"] == "convbert"


@families
@pytest.mark.parametrize("found", ["roberta", "", 5, None, ["bert"]])
def test_configuration_of_another_family(tmp_path, family, found):
    write(tmp_path, {"model_type": found})
    message = f"{tmp_path / 'config.json'}: model_type is {found!r}, expected {family.model_type!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        family.from_pretrained(tmp_path)


def test_the_two_families_are_told_apart(tmp_path):
    ConvBertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model_type is 'convbert', expected 'bert'"):
        BertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"hidden_size": "48"}', "BertConfig: hidden_size is '48', expected int"),
        ('{"is_decoder": true}', "BertConfig: is_decoder is True, but npbert"),
        ('{"layer_norm_eps": NaN}', "not JSON: layer_norm_eps is nan, expected a finite"),
        ('{"hidden_size": 48', "not JSON at line 1, column 19"),
        ("[]", "holds a list, expected a JSON object"),
    ],
)
def test_damaged_configuration_names_its_file(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError) as error:
        BertConfig.from_pretrained(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'config.json'}: {message}")
    assert "\n" not in str(error.value)


def test_missing_configuration(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}: no config.json")):
        BertConfig.from_pretrained(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no directory .*absent, and no shipped checkpoint"
    ):
        BertConfig.from_pretrained(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file, expected the directory of a checkpoint"):
        BertConfig.from_pretrained(tmp_path / "file")


# ---- wrong values ----------------------------------------------------------------------------

# What each value of a saved config.json is replaced by.
REPLACEMENTS = [None, -1, 0, 1e308, float("nan"), "x", "", [], {}, True, "y" * 5000, 10**30, [[]],
                {"0": None}, "\ud800"]  # fmt: skip


def places(value, path=()):
    """Yield where in a JSON value there are values, as keys and indexes."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in entries:
        yield (*path, key)
        if isinstance(below, (dict, list)):
            yield from places(below, (*path, key))


@families
def test_every_value_of_a_wrong_type_is_refused_by_file_and_key(tmp_path, family):
    """... or it is one that the key can have: then the configuration can be saved again."""
    names = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}, "classifier_dropout": 0.5}
    names |= {"problem_type": "regression", "eos_token_id": [1, 2], "summary_activation": "gelu"}
    config = family(**{name: value for name, value in names.items() if name in fields(family)},
                    other={"position_embedding_type": "absolute"})  # fmt: skip
    text = json.dumps(config.to_dict())
    refused = {}
    for path in places(json.loads(text)):
        for replacement in REPLACEMENTS:
            values = json.loads(text)
            holder = values
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = replacement
            write(tmp_path, values)
            try:
                read = family.from_pretrained(tmp_path)
            except ValueError as error:
                message = str(error).removeprefix(f"{tmp_path / 'config.json'}: ")
                assert len(message) < 700 and "\n" not in message
                assert message != str(error) and path[0] in message, (path, replacement, message)
                refused[path] = refused.get(path, 0) + 1
                continue
            written = json.dumps(read.to_dict(), allow_nan=False, ensure_ascii=False).encode()
            assert family.from_dict(json.loads(written)) == read
    # Of every key that has a type, most replacements have another one.
    assert min(refused.values()) >= 9 and {path[0] for path in refused} >= {*fields(family)} - {
        "num_labels"
    }


@families
@pytest.mark.parametrize(
    "values, message",
    [
        ({"num_hidden_layers": 10_001}, "num_hidden_layers is 10001, expected 0 to 10000"),
        ({"num_labels": 10**7}, "num_labels is 10000000, expected 1 to 100000"),
        ({"hidden_size": 10**30}, f"hidden_size is {10**30}, expected at most {2**63 - 1} and at "),
        ({"layer_norm_eps": 10**400}, "layer_norm_eps is 10000000000"),
        ({"hidden_act": "x" * 10**6}, "hidden_act is 'xxx"),
        ({"id2label": {str(i * (2**61 - 1)): "a" for i in range(20_000)}},
         "id2label has the key 2305843009213693951, expected 0 to 1048575"),
        ({"id2label": {"x" * 10**6: "a"}}, "id2label has keys ['xxx"),
        ({"id2label": True}, "id2label is True, expected dict[int, str] | None"),
        ({"vocab_size": [[0] * 1000] * 1000}, "vocab_size is [[0, 0"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_a_refusal_takes_little_time_and_space(tmp_path, family, values, message):
    write(tmp_path, values)
    with pytest.raises(ValueError) as error:
        within(family.from_pretrained, tmp_path)
    start = f"{tmp_path / 'config.json'}: {family.__name__}: {message}"
    assert str(error.value).startswith(start) and len(str(error.value)) < len(start) + 600


def test_feed_forward_networks_count_like_layers():
    MobileBertConfig(num_hidden_layers=100, num_feedforward_networks=100)
    assert_refused(
        MobileBertConfig,
        {"num_hidden_layers": 101, "num_feedforward_networks": 100},
        "num_hidden_layers times num_feedforward_networks is 10100, expected at most 10000",
    )


def test_many_labels_have_names_of_their_own():
    count = 100_001
    assert BertConfig(num_labels=count - 1).id2label[count - 2] == f"LABEL_{count - 2}"
    assert BertConfig(id2label=dict.fromkeys(range(count), "x")).num_labels == count


def test_other_labels_are_asked_for_in_spite_of_damaged_ones(tmp_path):
    write(tmp_path, {"id2label": True, "label2id": 3})
    assert BertConfig.from_pretrained(tmp_path, num_labels=3).id2label[2] == "LABEL_2"
