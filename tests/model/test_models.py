"""npbert/model/base.py: making, loading, saving and calling small models, without the reference."""

import dataclasses
import json
import math
import os
import re
import warnings

import numpy as np
import pytest
from small_models import randomise, small_config

from npbert.bert import BertForMaskedLM, BertModel
from npbert.checkpoints import safetensors
from npbert.checkpoints.directory import read_weights, write_weights
from npbert.convbert import ConvBertForMaskedLM, ConvBertModel
from npbert.model import params
from npbert.model.config import BertConfig

BERT = small_config("Bert", num_hidden_layers=2)
CONVBERT = small_config("ConvBert", num_hidden_layers=2)
CONFIGS = {BertModel: BERT, BertForMaskedLM: BERT,
           ConvBertModel: CONVBERT, ConvBertForMaskedLM: CONVBERT}  # fmt: skip
BODIES = {BertForMaskedLM: BertModel, ConvBertForMaskedLM: ConvBertModel}
HEADS = {
    BertForMaskedLM: [
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.bias",
    ],
    ConvBertForMaskedLM: [
        "generator_predictions.dense.weight",
        "generator_predictions.dense.bias",
        "generator_predictions.LayerNorm.weight",
        "generator_predictions.LayerNorm.bias",
        "generator_lm_head.bias",
    ],
}
# The tensor that scores the word pieces, and the embeddings that it is tied to.
TIES = {
    BertForMaskedLM: (
        "cls.predictions.decoder.weight",
        "bert.embeddings.word_embeddings.weight",
    ),
    ConvBertForMaskedLM: (
        "generator_lm_head.weight",
        "convbert.embeddings.word_embeddings.weight",
    ),
}
IDS = [[2, 3, 4, 5], [6, 7, 8, 0]]
MASK = [[1, 1, 1, 1], [1, 1, 1, 0]]
LABELS = [[2, -100, 9, -100], [-100, 19, 0, -100]]

classes = pytest.mark.parametrize("cls", CONFIGS)
heads = pytest.mark.parametrize("cls", BODIES)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def make(cls, seed=0, dtype=np.float32, **options):
    """Make a random model whose biases and norms are random too, so that a lost one shows."""
    return randomise(cls(dataclasses.replace(CONFIGS[cls], **options), seed, dtype), seed)


def run(model):
    """Return the logits of a head, or the hidden states of a body, for a padded batch."""
    return model(IDS, MASK)[0]


def save(model, directory):
    model.save_pretrained(directory)
    return directory


def edit(directory, change):
    """Read the weights of a checkpoint, let `change` edit the dictionary, write them back."""
    tensors = dict(read_weights(directory))
    change(tensors)
    write_weights(directory, tensors)


def load_with_one_warning(cls, directory, **options):
    with pytest.warns(UserWarning) as caught:
        model = cls.from_pretrained(directory, **options)
    assert len(caught) == 1 and caught[0].filename == __file__  # it points at the caller's line
    return model, str(caught[0].message)


# ---- making --------------------------------------------------------------------------------


@classes
@dtypes
def test_a_seed_gives_the_same_model_always(cls, dtype):
    config = CONFIGS[cls]
    one, again, other = (run(cls(config, seed=seed, dtype=dtype)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@classes
def test_both_dtypes_begin_with_the_same_numbers(cls):
    single, double = (cls(CONFIGS[cls], dtype=dtype) for dtype in (np.float32, np.float64))
    for name, array in single.state_dict().items():
        np.testing.assert_array_equal(array, double.state_dict()[name].astype(np.float32))
    np.testing.assert_allclose(run(single), run(double), atol=1e-4)


@pytest.mark.parametrize(
    "dtype, message",
    [
        (np.float16, "dtype is float16, expected float32 or float64"),
        (np.int32, "dtype is int32, expected float32 or float64"),
        (complex, "dtype is complex128, expected float32 or float64"),
        ("half", "dtype is float16, expected float32 or float64"),
        ("bfloat16", "dtype is bfloat16, expected float32 or float64"),
        (None, "dtype is None, expected float32 or float64"),  # for NumPy this is float64
        (
            np.dtype(np.float32).newbyteorder(),
            f"dtype is {np.dtype(np.float32).newbyteorder()}, expected float32 or float64",
        ),
    ],
)
def test_other_dtypes_are_refused(tmp_path, dtype, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        BertModel(BERT, dtype=dtype)
    save(BertModel(BERT), tmp_path)
    with pytest.raises(ValueError, match=f"^{message}$"):
        BertModel.from_pretrained(tmp_path, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", float, np.float64, np.dtype("f8"), "d"])
def test_names_of_a_dtype(dtype):
    assert BertModel(BERT, dtype=dtype).dtype == np.float64


@pytest.mark.parametrize(
    "config, given", [(CONVBERT, "ConvBertConfig"), ({}, "dict"), ("a", "str")]
)
def test_configuration_of_another_kind(config, given):
    with pytest.raises(ValueError, match=f"^BertModel takes a BertConfig, {given} given$"):
        BertModel(config)


def test_a_seed_that_is_none():
    with pytest.raises(ValueError, match="seed is -1, expected a non-negative integer"):
        BertModel(BERT, seed=-1)


# ---- parameters ----------------------------------------------------------------------------


def test_number_of_parameters():
    """Counted by hand: every linear map I*O + O, every norm 2*D; tied tensors once."""
    V, D, I, P = 20, 12, 6, 8
    body = V * D + P * D + 2 * D + 2 * D
    body += 2 * (4 * (D * D + D) + 2 * D + D * I + I + I * D + D + 2 * D)
    assert BertModel(BERT).num_parameters() == body + D * D + D
    head = D * D + D + 2 * D + V
    assert BertForMaskedLM(BERT).num_parameters() == body + head
    untied = dataclasses.replace(BERT, tie_word_embeddings=False)
    assert BertForMaskedLM(untied).num_parameters() == body + head + V * D + V

    E, A, H, K, G = 4, 6, 1, 3, 3
    body = V * E + P * E + 2 * E + 2 * E + E * D + D
    layer = 3 * (D * A + A) + (A + D * K + D * A) + (A * H * K + H * K) + (D * A + A)
    layer += (D * D + D) + 2 * D + D * I // G + I + I * D // G + D + 2 * D
    assert ConvBertModel(CONVBERT).num_parameters() == body + 2 * layer
    head = D * E + E + 2 * E + V
    assert ConvBertForMaskedLM(CONVBERT).num_parameters() == body + 2 * layer + head


def test_number_of_parameters_of_bert_base():
    """As published for bert-base-uncased."""
    for cls, number in ((BertModel, 109_482_240), (BertForMaskedLM, 109_514_298)):
        assert sum(map(math.prod, cls.parameter_shapes(BertConfig()).values())) == number


@classes
@pytest.mark.parametrize("tied", [True, False])
def test_names_of_the_parameters(cls, tied):
    model = make(cls, tie_word_embeddings=tied)
    shapes = cls.parameter_shapes(model.config)
    state = model.state_dict()
    assert {name: array.shape for name, array in state.items() if name in shapes} == shapes
    assert state.keys() - shapes.keys() == cls.tied(model.config).keys()
    for name, source in cls.tied(model.config).items():
        assert state[name] is state[source]
    assert model.newly_initialized == []
    if cls in BODIES:
        prefix = cls.base_model_prefix
        body = [name for name in state if name.startswith(f"{prefix}.")]
        pooler = {"pooler.dense.weight", "pooler.dense.bias"}
        shapes = BODIES[cls].parameter_shapes(model.config)
        assert {name.removeprefix(f"{prefix}.") for name in body} == shapes.keys() - pooler
        assert (TIES[cls][0] in cls.tied(model.config)) == tied


# ---- saving and loading --------------------------------------------------------------------


@classes
@dtypes
def test_round_trip(tmp_path, cls, dtype):
    model = make(cls, dtype=dtype)
    save(model, tmp_path / "made" / "here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = cls.from_pretrained(str(tmp_path / "made" / "here"), dtype=dtype)
    assert again.dtype == dtype and run(again).dtype == dtype
    np.testing.assert_array_equal(run(again), run(model))
    assert again.state_dict().keys() == model.state_dict().keys()
    assert again.num_parameters() == model.num_parameters()
    about = {"architectures": [cls.__name__], "dtype": np.dtype(dtype).name}
    assert again.config == dataclasses.replace(model.config, other=about)
    assert model.config.other == {}  # saving changes nothing here
    assert sorted(os.listdir(tmp_path / "made" / "here")) == ["config.json", "model.safetensors"]


@classes
def test_the_dtype_is_what_was_asked_for_not_what_is_stored(tmp_path, cls):
    double = make(cls, dtype=np.float64)
    save(double, tmp_path)
    single = cls.from_pretrained(tmp_path)
    assert run(single).dtype == np.float32
    np.testing.assert_allclose(run(single), run(double), rtol=1e-4, atol=1e-4)
    save(single, tmp_path)
    wide = cls.from_pretrained(tmp_path, dtype=np.float64)
    assert run(wide).dtype == np.float64
    # the same weights in another arithmetic: nearer than the rounding of the weights is
    assert 0 < np.abs(run(wide) - run(single)).max() < 1e-4


@heads
@dtypes
@pytest.mark.parametrize("stored", ["F16", "BF16"])
def test_half_precision_is_widened_exactly(tmp_path, cls, dtype, stored):
    model = make(cls, dtype=np.float64)
    save(model, tmp_path)
    tensors = {name: a.astype(np.float32) for name, a in model.state_dict().items()}
    if stored == "F16":
        halves = {name: a.astype(np.float16) for name, a in tensors.items()}
        expected = {name: a.astype(dtype) for name, a in halves.items()}
        write_weights(tmp_path, halves)
    else:  # NumPy has no bfloat16: it is the upper half of a float32
        halves = {name: a.view(np.uint32) >> 16 for name, a in tensors.items()}
        expected = {n: (a << 16).view(np.float32).astype(dtype) for n, a in halves.items()}
        header, data = {}, b""
        for name, a in halves.items():
            piece = a.astype("<u2").tobytes()
            place = [len(data), len(data) + len(piece)]
            header[name] = {"dtype": "BF16", "shape": a.shape, "data_offsets": place}
            data += piece
        text = json.dumps(header).encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    loaded = cls.from_pretrained(tmp_path, dtype=dtype)
    for name, array in loaded.state_dict().items():
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert run(loaded).dtype == dtype


def test_saving_over_the_files_that_a_model_was_loaded_from(tmp_path):
    """The weights are windows on the file that is about to be replaced."""
    save(make(BertForMaskedLM), tmp_path)
    model = BertForMaskedLM.from_pretrained(tmp_path)
    before = run(model)
    for _ in range(2):
        save(model, tmp_path)
        np.testing.assert_array_equal(run(model), before)
        np.testing.assert_array_equal(run(BertForMaskedLM.from_pretrained(tmp_path)), before)


def fail_at(monkeypatch, name, call):
    """Let a function of `os` fail at one of its calls, as a full disk would."""
    real, calls = getattr(os, name), []

    def sometimes(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise OSError("no space left")
        return real(*arguments)

    monkeypatch.setattr(os, name, sometimes)


@pytest.mark.parametrize(
    "function, call", [("fsync", 1), ("fsync", 2), ("replace", 1), ("replace", 2), ("replace", 3)]
)
def test_a_failure_leaves_the_old_files(tmp_path, monkeypatch, function, call):
    """The new model has other shapes: new config and old weights would not load."""
    old = make(BertForMaskedLM)
    save(old, tmp_path)
    new = make(BertForMaskedLM, seed=1, num_hidden_layers=1)
    with monkeypatch.context() as patched:
        fail_at(patched, function, call)
        with pytest.raises(OSError, match="no space left"):
            new.save_pretrained(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]
    np.testing.assert_array_equal(run(BertForMaskedLM.from_pretrained(tmp_path)), run(old))
    new.save_pretrained(tmp_path)
    np.testing.assert_array_equal(run(BertForMaskedLM.from_pretrained(tmp_path)), run(new))


def test_a_configuration_that_json_does_not_have(tmp_path):
    old = make(BertForMaskedLM)
    save(old, tmp_path)
    new = make(BertForMaskedLM, num_hidden_layers=1, other={"a": float("nan")})
    with pytest.raises(ValueError):
        new.save_pretrained(tmp_path)
    np.testing.assert_array_equal(run(BertForMaskedLM.from_pretrained(tmp_path)), run(old))


def test_other_files_of_the_directory_stay(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    save(make(BertModel), tmp_path)
    assert (tmp_path / "vocab.txt").read_text() == "[PAD]\n"
    assert len(os.listdir(tmp_path)) == 3


# ---- what can be wrong with a checkpoint ---------------------------------------------------


def test_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        BertModel.from_pretrained(tmp_path / "absent")
    assert str(error.value).startswith(
        f"no directory {tmp_path / 'absent'}, and no shipped checkpoint of that name ("
    )
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file, expected the directory of a checkpoint"):
        BertModel.from_pretrained(tmp_path / "file")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_file(tmp_path, file):
    save(make(BertModel), tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}: no ")) as error:
        BertModel.from_pretrained(tmp_path)
    assert file in str(error.value)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize(
    "damage", [lambda old: old[:-1], lambda old: old[:20], lambda old: b"", lambda old: old + b"}"]
)
def test_damaged_file(tmp_path, file, damage):
    save(make(BertModel), tmp_path)
    content = (tmp_path / file).read_bytes().rstrip(b"\n" if file == "config.json" else b"")
    (tmp_path / file).write_bytes(damage(content))
    with pytest.raises(ValueError) as error:
        BertModel.from_pretrained(tmp_path)
    assert type(error.value) is ValueError
    assert str(error.value).startswith(f"{tmp_path / file}: ") and "\n" not in str(error.value)


def test_checkpoint_of_another_family(tmp_path):
    save(make(ConvBertModel), tmp_path)
    message = f"{tmp_path / 'config.json'}: model_type is 'convbert', expected 'bert'"
    with pytest.raises(ValueError, match=re.escape(message)):
        BertModel.from_pretrained(tmp_path)


@heads
def test_all_that_does_not_fit_is_one_error(tmp_path, cls):
    body = cls.base_model_prefix
    save(make(cls), tmp_path)

    def damage(tensors):
        tensors[f"{body}.embeddings.LayerNorm.bias"] = np.zeros(5, np.float32)
        dense = f"{body}.encoder.layer.1.output.dense"
        tensors[f"{dense}.weight"] = np.zeros((6, 12), np.int8)
        del tensors[f"{body}.encoder.layer.0.attention.self.query.weight"]
        del tensors[HEADS[cls][0]]

    edit(tmp_path, damage)
    shapes = cls.parameter_shapes(CONFIGS[cls])
    with pytest.raises(ValueError) as error:
        cls.from_pretrained(tmp_path)
    first, *lines = str(error.value).splitlines()
    assert first == f"{tmp_path}: 5 tensors do not fit the config:"

    def expected(name):
        return list(shapes[name])

    name = f"{body}.embeddings.LayerNorm.bias"
    assert f"  {name}: is [5], expected {expected(name)}" in lines
    name = f"{body}.encoder.layer.1.output.dense.weight"
    assert f"  {name}: is [6, 12], expected {expected(name)}" in lines
    assert f"  {name}: has dtype int8, expected floating-point numbers" in lines
    for name in (f"{body}.encoder.layer.0.attention.self.query.weight", HEADS[cls][0]):
        assert f"  {name}: is missing, expected {expected(name)}" in lines


@heads
def test_weights_of_another_size(tmp_path, cls):
    """A config.json that was swapped: one error, and a line for each tensor."""
    save(make(cls), tmp_path)
    dataclasses.replace(CONFIGS[cls], vocab_size=21, num_hidden_layers=3).save_pretrained(tmp_path)
    with pytest.raises(ValueError) as error:
        cls.from_pretrained(tmp_path)
    prefix = cls.base_model_prefix
    E = getattr(CONFIGS[cls], "embedding_size", 12)
    embeddings = f"{prefix}.embeddings.word_embeddings.weight: is [20, {E}], expected [21, {E}]"
    assert embeddings in str(error.value)
    assert f"{prefix}.encoder.layer.2.output.dense.bias: is missing, expected [12]" in str(
        error.value
    )


@heads
def test_tensors_that_the_model_does_not_use(tmp_path, cls):
    model = make(cls)
    save(model, tmp_path)
    more = {"b.weight": np.zeros(1), "a.weight": np.zeros(2, int)}
    edit(tmp_path, lambda tensors: tensors.update(more))
    loaded, message = load_with_one_warning(cls, tmp_path)
    assert message.startswith(f"{tmp_path}: {cls.__name__} does not use 2 tensors: ")
    assert set(message.rpartition(": ")[2].split(", ")) == set(more)
    assert loaded.state_dict().keys() == model.state_dict().keys()
    np.testing.assert_array_equal(run(loaded), run(model))


@heads
def test_legacy_spellings(tmp_path, cls):
    model = make(cls)
    save(model, tmp_path)

    def age(tensors):
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            tensors[old.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(name)
        tensors[f"{cls.base_model_prefix}.embeddings.position_ids"] = np.arange(8)[None]

    edit(tmp_path, age)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(run(cls.from_pretrained(tmp_path)), run(model))


# ---- heads and bodies ----------------------------------------------------------------------


def without_pooler(tensors):
    for name in ("pooler.dense.weight", "pooler.dense.bias"):
        tensors.pop(name, None)


@heads
@dtypes
def test_a_bare_body_is_given_a_random_head(tmp_path, cls, dtype):
    body = make(BODIES[cls], dtype=dtype)
    save(body, tmp_path)
    edit(tmp_path, without_pooler)  # which has no place in a masked-LM model
    model, message = load_with_one_warning(cls, tmp_path, dtype=dtype, seed=3)
    assert model.newly_initialized == HEADS[cls]
    assert message == (
        f"{tmp_path}: the checkpoint lacks 5 tensors: {', '.join(HEADS[cls])}; {cls.__name__} "
        "initialised them randomly, and they need training"
    )
    state = model.state_dict()
    shapes = {name: cls.parameter_shapes(body.config)[name] for name in HEADS[cls]}
    for name, array in params.random_tensors(shapes, 0.5, seed=3).items():
        np.testing.assert_array_equal(state[name], array.astype(dtype))
    hidden = model(IDS, MASK, output_hidden_states=True).hidden_states[-1]
    np.testing.assert_array_equal(hidden, body(IDS, MASK).last_hidden_state)
    assert run(model).dtype == dtype

    # trained and saved, the head is as good as any
    save(model, tmp_path)
    assert cls.from_pretrained(tmp_path).newly_initialized == []


@pytest.mark.parametrize(
    "cls, absent",
    [
        *[(BertForMaskedLM, [name]) for name in HEADS[BertForMaskedLM]],
        *[(ConvBertForMaskedLM, [name]) for name in HEADS[ConvBertForMaskedLM][:4]],
        (BertForMaskedLM, HEADS[BertForMaskedLM][1:]),
        (ConvBertForMaskedLM, HEADS[ConvBertForMaskedLM][4:]),
        (ConvBertForMaskedLM, HEADS[ConvBertForMaskedLM][1:]),
        (ConvBertForMaskedLM, HEADS[ConvBertForMaskedLM][:4]),
    ],
)
def test_a_head_that_is_there_in_part_is_an_error(tmp_path, cls, absent):
    save(make(cls), tmp_path)
    edit(tmp_path, lambda tensors: [tensors.pop(name) for name in absent])
    with pytest.raises(ValueError) as error:
        cls.from_pretrained(tmp_path)
    for name in absent:
        assert f"  {name}: is missing, expected [" in str(error.value)
    assert len(str(error.value).splitlines()) == 1 + len(absent)


@heads
def test_a_body_is_taken_out_of_a_model_with_a_head(tmp_path, cls):
    model = make(cls)
    save(model, tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        body = BODIES[cls].from_pretrained(tmp_path)
    hidden = model(IDS, MASK, output_hidden_states=True).hidden_states[-1]
    np.testing.assert_array_equal(body(IDS, MASK).last_hidden_state, hidden)
    if cls is BertForMaskedLM:  # a masked-LM model was trained without the pooler
        assert body.newly_initialized == ["pooler.dense.weight", "pooler.dense.bias"]
    assert len(caught) == bool(body.newly_initialized)  # the head is a known one: not a word of it


# ---- tied weights --------------------------------------------------------------------------


@heads
def test_tied_weights_are_stored_once(tmp_path, cls):
    save(make(cls), tmp_path)
    decoder, embeddings = TIES[cls]
    names = safetensors.header(tmp_path / "model.safetensors").tensors
    assert embeddings in names and not names.keys() & cls.tied(CONFIGS[cls]).keys()
    model = cls.from_pretrained(tmp_path)
    assert model.state_dict()[decoder] is model.state_dict()[embeddings]


@heads
def test_tied_weights_that_are_stored_twice(tmp_path, cls):
    """As the oldest checkpoints have them."""
    model = make(cls)
    save(model, tmp_path)
    write_weights(tmp_path, model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = cls.from_pretrained(tmp_path)
    assert again.num_parameters() == model.num_parameters()
    for name, source in cls.tied(model.config).items():
        assert again.state_dict()[name] is again.state_dict()[source]
    np.testing.assert_array_equal(run(again), run(model))


@heads
def test_tied_weights_that_are_stored_twice_and_differ(tmp_path, cls):
    """As in the reference the decoder then goes its own way, whatever the config says."""
    model = make(cls)
    save(model, tmp_path)
    decoder, embeddings = TIES[cls]
    edit(tmp_path, lambda tensors: tensors.update({decoder: 2 * tensors[embeddings]}))
    again = cls.from_pretrained(tmp_path)
    bias = model.state_dict()[HEADS[cls][-1]]
    np.testing.assert_allclose(run(again) - bias, 2 * (run(model) - bias), rtol=1e-4, atol=1e-4)
    save(again, tmp_path)
    np.testing.assert_array_equal(run(cls.from_pretrained(tmp_path)), run(again))


@heads
def test_tied_weights_under_the_name_of_the_decoder_alone(tmp_path, cls):
    """As in the reference, ties work in both directions."""
    model = make(cls)
    save(model, tmp_path)

    def rename(tensors):
        for name, source in cls.tied(model.config).items():
            tensors[name] = tensors.pop(source)

    edit(tmp_path, rename)
    np.testing.assert_array_equal(run(cls.from_pretrained(tmp_path)), run(model))


@heads
def test_a_decoder_of_another_shape(tmp_path, cls):
    save(make(cls), tmp_path)
    decoder = TIES[cls][0]
    edit(tmp_path, lambda tensors: tensors.update({decoder: np.zeros((3, 3), np.float32)}))
    with pytest.raises(ValueError, match=re.escape(f"{decoder}: is [3, 3], expected [20, ")):
        cls.from_pretrained(tmp_path)


@heads
def test_weights_that_are_not_tied(tmp_path, cls):
    model = make(cls, tie_word_embeddings=False)
    save(model, tmp_path)
    decoder, embeddings = TIES[cls]
    assert not np.array_equal(model.state_dict()[decoder], model.state_dict()[embeddings])
    np.testing.assert_array_equal(run(cls.from_pretrained(tmp_path)), run(model))
    edit(tmp_path, lambda tensors: tensors.pop(decoder))
    with pytest.raises(ValueError, match=re.escape(f"{decoder}: is missing, expected [20, ")):
        cls.from_pretrained(tmp_path)


# ---- calling -------------------------------------------------------------------------------


@classes
@dtypes
def test_all_outputs(cls, dtype):
    B, T, D, L = 2, 4, 12, 2
    model = make(cls, dtype=dtype)
    assert list(model(IDS)) == (
        {BertModel: ["last_hidden_state", "pooler_output"], ConvBertModel: ["last_hidden_state"]}
    ).get(cls, ["logits"])
    output = model(IDS, MASK, output_hidden_states=True, output_attentions=True)
    assert [state.shape for state in output.hidden_states] == [(B, T, D)] * (L + 1)
    H = getattr(model.config, "heads", 2)
    assert [share.shape for share in output.attentions] == [(B, H, T, T)] * L
    arrays = [*output.hidden_states, *output.attentions, output[0]]
    if cls in BODIES:
        assert output.logits.shape == (B, T, 20)
        arrays.append(model(IDS, labels=LABELS).loss)
    else:
        assert output.hidden_states[-1] is output.last_hidden_state
    if cls is BertModel:
        assert output.pooler_output.shape == (B, D)
        arrays.append(output.pooler_output)
    assert all(array.dtype == dtype and np.isfinite(array).all() for array in arrays)


@classes
def test_attention_is_shared_out_among_the_tokens_that_count(cls):
    for shares in make(cls)(IDS, MASK, output_attentions=True).attentions:
        np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
        assert (shares >= 0).all() and (shares[1, :, :, 3] == 0).all()
        assert (shares[0] > 0).all() and (shares[1, :, :, :3] > 0).all()


@classes
def test_a_sentence_of_padding_alone_attends_to_all_tokens(cls):
    output = make(cls)([[2, 3, 4]], [[0, 0, 0]], output_attentions=True)
    np.testing.assert_allclose(output.attentions[0], 1 / 3, rtol=1e-5)
    assert np.isfinite(output[0]).all()


@classes
def test_the_configuration_decides_what_the_call_leaves_open(cls):
    options = dict(output_hidden_states=True, output_attentions=True, return_dict=False)
    model = make(cls, **options)
    *_, states, shares = result = model(IDS)
    assert type(result) is tuple and len(states) == 3 and len(shares) == 2
    output = model(IDS, output_hidden_states=False, output_attentions=False, return_dict=True)
    assert output.hidden_states is None and output.attentions is None
    np.testing.assert_array_equal(output[0], result[0])


@classes
def test_a_tuple_instead_of_an_output(cls):
    model = make(cls)
    call = dict(output_hidden_states=True, output_attentions=True)
    output = model(IDS, **call)
    result = model(IDS, **call, return_dict=False)
    assert type(result) is tuple and len(result) == len(output.to_tuple())
    for name, value, again in zip(output.keys(), output.values(), result):
        np.testing.assert_array_equal(value, again, err_msg=name)
        assert output[name] is getattr(output, name)


@heads
@dtypes
def test_loss(cls, dtype):
    """The mean over the labels that count of -ln p(label), p the softmax of the logits."""
    model = make(cls, dtype=dtype)
    output = model(IDS, MASK, labels=LABELS)
    logits = output.logits.astype(np.float64)
    terms = []
    for row, labels in zip(logits, LABELS):
        for scores, label in zip(row, labels):
            if label != -100:
                terms.append(math.log(sum(math.exp(s) for s in scores)) - scores[label])
    assert len(terms) == 4
    assert output.loss == pytest.approx(sum(terms) / 4, rel=1e-5 if dtype == np.float32 else 1e-12)
    assert output[0] is output.loss and output[1] is output.logits
    np.testing.assert_array_equal(output.logits, model(IDS, MASK).logits)


@heads
def test_loss_with_nothing_to_count(cls):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss = make(cls)(IDS, labels=[[-100] * 4] * 2).loss
    assert math.isnan(loss) and loss.dtype == np.float32


@heads
def test_loss_of_logits_too_large_for_an_exponential(cls):
    model = make(cls)
    model.state_dict()[HEADS[cls][-1]][:] *= 1e4
    assert np.isfinite(model(IDS, labels=LABELS).loss)


def test_padding_does_not_reach_the_tokens_of_bert():
    model = make(BertModel, dtype=np.float64)
    alone = model([[2, 3, 4, 5]]).last_hidden_state
    for padding in (0, 9):
        padded = model([[2, 3, 4, 5, padding, padding]], [[1, 1, 1, 1, 0, 0]]).last_hidden_state
        np.testing.assert_allclose(padded[:, :4], alone, rtol=0, atol=1e-12)


def test_padding_reaches_the_tokens_of_convbert_beside_it():
    """The convolutions know no mask (a quirk of the reference): K//2 = 1 tokens a layer see it."""
    model = make(ConvBertModel, dtype=np.float64, num_hidden_layers=1)
    alone = model([[2, 3, 4, 5]]).last_hidden_state
    padded = model([[2, 3, 4, 5, 0, 0]], [[1, 1, 1, 1, 0, 0]]).last_hidden_state
    np.testing.assert_allclose(padded[:, :3], alone[:, :3], rtol=0, atol=1e-12)
    assert np.abs(padded[:, 3] - alone[:, 3]).max() > 1e-3


@classes
def test_sentences_of_a_batch_do_not_meet(cls):
    model = make(cls, dtype=np.float64)
    for row, ids, mask in zip(run(model), IDS, MASK):
        np.testing.assert_allclose(model([ids], [mask])[0][0], row, rtol=0, atol=1e-12)


@classes
def test_a_call_changes_no_parameter(cls):
    model = make(cls)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    one, again = run(model), run(model)
    np.testing.assert_array_equal(one, again)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
