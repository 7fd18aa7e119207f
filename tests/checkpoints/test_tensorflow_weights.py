"""npbert/checkpoints/tensorflow_weights.py: files of TF classes, what these answered.

The files and the answers come from tests/scripts/make_tensorflow_fixtures.py.
"""

import functools
import lzma
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from npbert import bert, convbert, mobilebert
from npbert.checkpoints import safetensors, tensorflow_weights
from npbert.checkpoints.directory import read_weights

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tensorflow"
CLASSES = sorted(directory.name for directory in FIXTURES.iterdir())
MODULES = {"TFBert": bert, "TFConvBert": convbert, "TFMobileBert": mobilebert}
TOLERANCE = 5e-6  # of the largest value; 7e-7 was measured, for TensorFlow itself against float64


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="needs the extra `tf`")


@functools.cache
def unpacked(tf_class):
    return lzma.decompress((FIXTURES / tf_class / "tf_model.h5.xz").read_bytes())


@pytest.fixture
def unpack(tmp_path, h5py):
    """Make a checkpoint directory of a TF class."""

    def unpack(tf_class):
        directory = tmp_path / tf_class
        directory.mkdir()
        shutil.copy(FIXTURES / tf_class / "config.json", directory)
        (directory / "tf_model.h5").write_bytes(unpacked(tf_class))
        return directory

    return unpack


def twin(tf_class):
    """Return npbert's class of a TF class."""
    family = tf_class.split("For")[0].removesuffix("Model")
    return getattr(MODULES[family], tf_class.removeprefix("TF"))


def load(model_class, directory, **options):
    """Load a checkpoint that has every tensor that the class wants, and no other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model_class.from_pretrained(directory, **options)


def difference(model, expected):
    """Return how far the outputs are from the stored ones, relative to the largest value."""
    inputs = {n.removeprefix("input."): a for n, a in expected.items() if n.startswith("input.")}
    output = model(**inputs, output_hidden_states=True)
    worst, names = 0.0, set()
    for name, theirs in expected.items():
        kind, _, field = name.partition(".")
        if kind == "output":
            field, _, i = field.partition(".")
            ours = output[field][int(i)] if i else output[field]
            assert ours.shape == theirs.shape and theirs.dtype == np.float32, name
            worst = max(worst, np.abs(ours - theirs).max() / np.abs(theirs).max())
            names.add(field)
    assert names == set(output.keys()) and len(output.hidden_states) == 3
    return worst


# ---- outputs -------------------------------------------------------------------------------


def test_every_tf_class_has_a_fixture():
    heads = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForMultipleChoice",
             "ForTokenClassification", "ForQuestionAnswering"]  # fmt: skip
    more = ["ForPreTraining", "ForNextSentencePrediction"]
    expected = {family + head for family in MODULES for head in heads}
    expected |= {family + head for family in ("TFBert", "TFMobileBert") for head in more}
    assert set(CLASSES) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tf_class", CLASSES)
def test_outputs_equal_those_of_the_tf_class(tf_class, dtype, unpack):
    model_class, directory = twin(tf_class), unpack(tf_class)
    model = load(model_class, directory, dtype=dtype)
    assert model.newly_initialized == []
    expected = dict(np.load(FIXTURES / tf_class / "expected.npz"))
    assert difference(model, expected) <= TOLERANCE

    there = model.state_dict()
    for name, array in read_weights(directory).items():
        if name not in there:
            name = name.removeprefix(f"{model.base_model_prefix}.")
        assert np.array_equal(there[name], array), name


@pytest.mark.parametrize("tf_class", CLASSES)
def test_what_is_saved_from_it_loads_to_the_same(tf_class, unpack, tmp_path):
    model = load(twin(tf_class), unpack(tf_class))
    model.save_pretrained(tmp_path / "saved")
    again = load(twin(tf_class), tmp_path / "saved")
    expected = dict(np.load(FIXTURES / tf_class / "expected.npz"))
    assert difference(model, expected) == difference(again, expected)


RULES = [("PATHS", i) for i in range(len(tensorflow_weights.PATHS))]
RULES += [("VARIABLES", i) for i in range(len(tensorflow_weights.VARIABLES))]


def fits(tf_class, directory):
    """Say whether the file gives the names and shapes that the class asks for, all and no other."""
    tensors = tensorflow_weights.read(directory / "tf_model.h5")
    model_class = twin(tf_class)
    config = model_class.config_class.from_pretrained(directory)
    found = {name: array.shape for name, array in tensors.items()}
    return found == model_class.parameter_shapes(config)


def test_every_rule_is_needed(unpack, monkeypatch):
    directories = {name: unpack(name) for name in ("TFBertForPreTraining", "TFConvBertForMaskedLM")}
    assert all(fits(*item) for item in directories.items())
    for table, i in RULES:
        rules = list(getattr(tensorflow_weights, table))
        without = rules.pop(i)
        with monkeypatch.context() as patched:
            patched.setattr(tensorflow_weights, table, rules)
            assert not all(fits(*item) for item in directories.items()), without


def test_square_kernels_are_transposed_too(unpack, monkeypatch):
    """Where the shape does not tell, the outputs must."""

    def unless_square(array):
        return array if array.ndim == 2 and len(set(array.shape)) == 1 else np.transpose(array)

    rules = [(end, name, unless_square if end == "kernel" else turn)
             for end, name, turn in tensorflow_weights.VARIABLES]  # fmt: skip
    monkeypatch.setattr(tensorflow_weights, "VARIABLES", rules)
    model = load(twin("TFBertModel"), unpack("TFBertModel"))
    assert difference(model, dict(np.load(FIXTURES / "TFBertModel" / "expected.npz"))) > 0.1


# ---- names and layouts ---------------------------------------------------------------------

LAYER = "encoder/layer_._11/"
NAMES = [
    ("bert/embeddings/word_embeddings/weight:0", "bert.embeddings.word_embeddings.weight"),
    ("bert/embeddings/position_embeddings/embeddings:0",
     "bert.embeddings.position_embeddings.weight"),
    ("bert/embeddings/LayerNorm/gamma:0", "bert.embeddings.LayerNorm.weight"),
    ("bert/embeddings/LayerNorm/beta:0", "bert.embeddings.LayerNorm.bias"),
    (f"bert/{LAYER}attention/self/query/bias:0", "bert.encoder.layer.11.attention.self.query.bias"),
    ("mlm___cls/predictions/bias:0", "cls.predictions.bias"),
    ("predictions___cls/predictions/decoder/weight:0", "cls.predictions.decoder.weight"),
    ("predictions___cls/predictions/dense/weight:0", "cls.predictions.dense.weight"),
    ("nsp___cls/seq_relationship/bias:0", "cls.seq_relationship.bias"),
    ("seq_relationship___cls/seq_relationship/bias:0", "cls.seq_relationship.bias"),
    (f"mobilebert/{LAYER}ffn.0/output/LayerNorm/weight:0",
     "mobilebert.encoder.layer.11.ffn.0.output.LayerNorm.weight"),
    ("generator_lm_head/bias:0", "generator_lm_head.bias"),
    ("classifier/out_proj/bias:0", "classifier.out_proj.bias"),
    ("sequence_summary/summary/bias:0", "sequence_summary.summary.bias"),
    ("adapter_12/scale_by:0", "adapter_12.scale_by"),  # whatever this is, it is named
]  # fmt: skip


@pytest.mark.parametrize("variable, name", NAMES)
def test_names(variable, name):
    array = np.arange(6.0).reshape(2, 3)
    got_name, got = tensorflow_weights.pytorch(variable, array)
    assert got_name == name and np.array_equal(got, array)


CONVOLUTION = f"convbert/{LAYER}attention/self/key_conv_attn_layer"
LAYOUTS = [  # [index in the file] is [index in PyTorch]
    ("pooler/dense/kernel:0", (2, 3), (3, 2), "pooler.dense.weight", lambda o, i: (i, o)),
    (f"{LAYER}output/dense/kernel:0", (2, 3, 4), (4, 3, 2), "encoder.layer.11.output.dense.weight",
     lambda g, i, o: (o, i, g)),
    (f"{CONVOLUTION}/depthwise_kernel:0", (5, 6, 1), (6, 1, 5), "depthwise.weight",
     lambda d, one, k: (k, d, one)),
    (f"{CONVOLUTION}/pointwise_kernel:0", (1, 6, 4), (4, 6, 1), "pointwise.weight",
     lambda a, d, one: (one, d, a)),
    (f"{CONVOLUTION}/bias:0", (4,), (4, 1), "key_conv_attn_layer.bias", lambda a, one: (a,)),
]  # fmt: skip


@pytest.mark.parametrize("variable, shape, turned, name, place", LAYOUTS)
def test_layouts(variable, shape, turned, name, place):
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    got_name, got = tensorflow_weights.pytorch(variable, array)
    assert got_name.endswith(name) and got.shape == turned and got.dtype == np.float16
    assert got.flags.c_contiguous
    assert all(value == array[place(*index)] for index, value in np.ndenumerate(got))


def test_safetensors_with_a_tf_class_s_names(tmp_path):
    """TF classes wrote model.safetensors, too, on request."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    variables = {"bert/pooler/dense/kernel:0": kernel, "bert/pooler/dense/bias:0": kernel[0]}
    safetensors.write(tmp_path / "model.safetensors", variables, {"format": "tf"})
    got = read_weights(tmp_path)
    assert got.keys() == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert np.array_equal(got["bert.pooler.dense.weight"], kernel.T)


def test_a_shared_variable_is_one_tensor_and_must_be_equal():
    one = {"a/kernel:0": np.eye(2), "a/kernel:1": np.eye(2)}
    assert list(tensorflow_weights.from_tensorflow(one)) == ["a.weight"]
    two = {"a/kernel:0": np.eye(2), "a/kernel:1": np.zeros((2, 2))}
    with pytest.raises(ValueError, match=r"^'a\.weight' is there twice, and the two differ$"):
        tensorflow_weights.from_tensorflow(two)


# ---- files ---------------------------------------------------------------------------------


def write(h5py, path, variables, **options):
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.21.0"
        for name, array in variables.items():
            file.create_dataset(name, data=array, **options)


def test_prefixes_of_a_keras_file_and_of_a_shard(tmp_path, h5py):
    path = tmp_path / "tf_model.h5"
    write(h5py, path, {"bert/tf_bert_model_3/bert/pooler/dense/bias:0": np.ones(2)})
    assert list(tensorflow_weights.read(path)) == ["bert.pooler.dense.bias"]
    with h5py.File(path, "w") as file:  # a shard has neither prefixes nor the mark of Keras
        file["bert/pooler/dense/bias:0"] = np.ones(2)
    assert list(tensorflow_weights.read(path)) == ["bert.pooler.dense.bias"]


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_dtypes(tmp_path, h5py, dtype):
    array = np.arange(3).astype(dtype)
    write(h5py, tmp_path / "tf_model.h5", {"a/b/c/bias:0": array, "a/b/step:0": np.int64(3)})
    got = tensorflow_weights.read(tmp_path / "tf_model.h5")
    assert got["c.bias"].dtype == array.dtype and np.array_equal(got["c.bias"], array)
    assert got["step"].shape == () and got["step"] == 3


def test_an_unknown_variable_is_reported_by_its_name(unpack, h5py):
    directory = unpack("TFBertForQuestionAnswering")
    with h5py.File(directory / "tf_model.h5", "a") as file:
        file["more/tf_bert_for_question_answering/more_._1/scale_by:0"] = np.ones(2)
    with pytest.warns(UserWarning, match=r"does not use 1 tensor: more\.1\.scale_by$"):
        twin("TFBertForQuestionAnswering").from_pretrained(directory)


def test_no_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)  # import then fails
    path = tmp_path / "tf_model.h5"
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r'takes h5py: pip install "npbert\[tf\]"') as error:
        read_weights(tmp_path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def refused(path, message="."):
    with pytest.raises(ValueError, match=message) as error:
        tensorflow_weights.read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_missing_and_damaged_files(tmp_path, h5py):
    path = tmp_path / "tf_model.h5"
    with pytest.raises(FileNotFoundError):
        tensorflow_weights.read(path)
    data = unpacked("TFBertForQuestionAnswering")
    for damaged in (b"", b"{}", bytes(100_000), data[:1000], data[: len(data) // 2], data[:-1]):
        path.write_bytes(damaged)
        refused(path)


def test_what_is_not_stored_in_the_file_is_refused(tmp_path, h5py):
    path = tmp_path / "tf_model.h5"
    with h5py.File(path, "w") as file:  # a gigabyte of nothing
        file.create_dataset("a/bias:0", (2**28,), "f4")
    refused(path, r"'/a/bias:0': 0 bytes are stored in the file, expected the 1073741824 of float")
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(path, "w") as file:
        file.create_dataset("a/bias:0", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    refused(path, "are stored in the file")
    write(h5py, path, {"a/b/bias:0": np.zeros(1000)}, compression="gzip")
    refused(path, "are stored in the file")
    with h5py.File(path, "w") as file:
        file["a/bias:0"] = h5py.ExternalLink(str(tmp_path / "secret"), "/")
        file["b/bias:0"] = np.ones(2)
    assert list(tensorflow_weights.read(path)) == ["b.bias"]
