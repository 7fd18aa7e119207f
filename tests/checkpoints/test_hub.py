"""Checkpoints are fetched from a Hub that runs here: once, what is read, whole or not at all."""

import contextlib
import json
import warnings

import pytest

import npbert
from npbert.checkpoints.directory import read_weights, write_weights
from npbert.checkpoints.hub_cache import cached_snapshot, files_in

TEXT = "the cat [MASK] on the mat."
NAME = "some-org/some-bert"


@pytest.fixture
def files(checkpoint):
    npbert.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(checkpoint)
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def test_what_is_read_is_fetched_and_nothing_else(hub, files, checkpoint):
    rest = dict.fromkeys(
        ["README.md", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx"],
        b"not read",
    )
    commit = hub.add(NAME, files | rest)
    assert npbert.fill_mask(TEXT, NAME) == npbert.fill_mask(TEXT, checkpoint)
    assert sorted(hub.fetched()) == sorted(files)
    snapshot = cached_snapshot(NAME)
    assert snapshot.name == commit and files_in(snapshot) == files.keys()


def test_a_second_time_nothing_is_asked(hub, files):
    files.pop("tokenizer_config.json")
    hub.add(NAME, files)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = npbert.fill_mask(TEXT, NAME)
        asked = len(hub.requests)
        assert npbert.fill_mask(TEXT, NAME) == first
        npbert.AutoModel.from_pretrained(NAME)
        npbert.AutoTokenizer.from_pretrained(NAME)
    assert len(hub.requests) == asked > 0


def test_each_class_fetches_what_it_reads(hub, files):
    hub.add(NAME, files)
    npbert.AutoConfig.from_pretrained(NAME)
    assert hub.fetched() == ["config.json"]
    npbert.AutoTokenizer.from_pretrained(NAME)
    assert set(hub.fetched()) == files.keys() - {"model.safetensors"}
    npbert.ConvBertModel.from_pretrained(NAME)
    assert sorted(hub.fetched()) == sorted(files)


def test_small_files_come_first(hub, files):
    hub.add(NAME, files)
    npbert.fill_mask(TEXT, NAME)
    assert hub.fetched()[-1] == "model.safetensors"


def test_a_revision(hub, files):
    config = json.loads(files["config.json"])
    marked = {**files, "config.json": json.dumps({**config, "marked": 1}).encode()}
    hub.add(NAME, files)
    commit = hub.add(NAME, marked, "refs/pr/1")
    read = npbert.AutoConfig.from_pretrained
    for revision in ("refs/pr/1", commit):
        assert read(NAME, revision=revision).other["marked"] == 1
    assert "marked" not in read(NAME).other
    with pytest.raises(FileNotFoundError, match=f"{NAME} has no revision v9: http"):
        read(NAME, revision="v9")


def test_an_old_name_leads_to_the_new_one(hub, files):
    hub.add(NAME, files)
    hub.moved["bert-base-uncased"] = NAME
    assert npbert.fill_mask(TEXT, "bert-base-uncased")


def test_shards(hub, files, checkpoint, tmp_path):
    tensors = read_weights(checkpoint)
    whole = files.pop("model.safetensors")
    names = list(tensors)
    weight_map = {}
    for number, some in enumerate((names[::2], names[1::2]), 1):
        shard = f"model-0000{number}-of-00002.safetensors"
        folder = tmp_path / "shard"
        write_weights(folder, {n: tensors[n] for n in some})
        files[shard] = (folder / "model.safetensors").read_bytes()
        weight_map |= dict.fromkeys(some, shard)
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    hub.add(NAME, files | {"pytorch_model.bin": whole})
    assert npbert.fill_mask(TEXT, NAME) == npbert.fill_mask(TEXT, checkpoint)
    assert sorted(hub.fetched()) == sorted(files)


def test_weights_of_torch_where_there_are_no_others(hub, files):
    files["pytorch_model.bin"] = files.pop("model.safetensors")  # damaged, but fetched
    hub.add(NAME, files | {"tf_model.h5": b"not read"})
    with pytest.raises(ValueError, match=r"pytorch_model\.bin"):
        npbert.AutoModel.from_pretrained(NAME)
    assert "tf_model.h5" not in hub.fetched() and "pytorch_model.bin" in hub.fetched()


# ---- what can go wrong ---------------------------------------------------------------------


def message_of(kind, name=NAME, **options):
    with pytest.raises(kind) as error:
        npbert.AutoModelForMaskedLM.from_pretrained(name, **options)
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_such_repository(hub):
    message = message_of(FileNotFoundError)
    assert message.startswith(f"the Hub ({hub.address}) has no repository {NAME}, or a private one")
    assert "hf auth login" in message and "--token" in message
    message = message_of(FileNotFoundError, "convbert-tny")
    assert "did you mean convbert-tiny?" in message and "has no repository convbert-tny" in message
    assert "cannot be a repository's name" in message_of(FileNotFoundError, "org/a--b")


def test_a_private_repository(hub, files):
    hub.add(NAME, files, readers=frozenset({"hf_right"}))
    assert "or a private one" in message_of(FileNotFoundError)
    assert "or a private one" in message_of(FileNotFoundError, token="hf_wrong")
    assert npbert.fill_mask(TEXT, NAME, token="hf_right")


def test_a_gated_repository(hub, files):
    hub.add(NAME, files, readers=frozenset({"hf_right"}), gated=True)
    for token in (None, "hf_wrong"):
        message = message_of(PermissionError, token=token)
        assert message.startswith(f"{NAME} is gated: ask for access at {hub.address}/{NAME}, then ")
    assert npbert.fill_mask(TEXT, NAME, token="hf_right")


def test_another_family_costs_its_config_only(hub, files):
    files["config.json"] = b'{"model_type": "roberta"}'
    hub.add(NAME, files)
    message = message_of(ValueError)
    assert message == (
        f"{NAME}: its model_type is 'roberta', and npbert has bert, convbert, mobilebert, "
        "squeezebert only"
    )
    assert hub.fetched() == ["config.json"]
    assert message_of(ValueError) == message  # a second time as the first
    del files["vocab.txt"]  # which such a family need not have
    hub.add(NAME, files, "without-vocabulary")
    with pytest.raises(ValueError) as error:
        npbert.fill_mask(TEXT, NAME, revision="without-vocabulary")
    assert str(error.value) == message
    assert hub.fetched() == ["config.json"]


def test_only_weights_of_other_kinds(hub, files):
    del files["model.safetensors"]
    others = {"flax_model.msgpack": b"f", "onnx/model.onnx": b"o", "rust_model.ot": b"r"}
    hub.add(NAME, files | others)
    message = message_of(FileNotFoundError)
    assert message.startswith(f"{NAME}: it has no weights that npbert reads (model.safetensors, ")
    assert message.endswith(
        "only flax_model.msgpack, onnx/model.onnx, rust_model.ot: "
        "another revision or repository may have some"
    )
    assert not hub.fetched()


def test_no_network(hub, files, monkeypatch):
    hub.add(NAME, files)
    npbert.AutoConfig.from_pretrained(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = message_of(ConnectionError)
    assert message.startswith("the Hub (http://127.0.0.1:9) cannot be reached (Conn")
    assert message.endswith(f"), and {NAME} is not in the cache (or not whole)")
    assert npbert.AutoConfig.from_pretrained(NAME)  # it is in the cache


def test_a_hub_that_fails(hub, files):
    hub.add(NAME, files)
    hub.status = 500
    assert f"fails with 500 for {NAME}" in message_of(ConnectionError)


def test_a_download_that_is_cut_goes_on(hub, files, checkpoint, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.add(NAME, files)
    hub.cuts["model.safetensors"] = 1
    with contextlib.suppress(ConnectionError):  # older releases go on in the next call
        npbert.fill_mask(TEXT, NAME)
    assert npbert.fill_mask(TEXT, NAME) == npbert.fill_mask(TEXT, checkpoint)
    assert hub.fetched().count("model.safetensors") == 2


def test_a_download_that_is_cut_for_good_leaves_nothing(hub, files, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.add(NAME, files)
    hub.cuts["model.safetensors"] = 1000
    message = message_of(ConnectionError)
    assert "cannot be reached" in message
    assert cached_snapshot(NAME) is None  # nothing that could be taken for whole
    hub.cuts.clear()
    assert npbert.fill_mask(TEXT, NAME)


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt"])
def test_a_file_with_a_wrong_hash_is_not_kept(hub, files, name):
    hub.add(NAME, files)
    hub.damaged.add(name)
    with pytest.raises(OSError) as error:
        npbert.fill_mask(TEXT, NAME)
    assert str(error.value) == (
        f"{NAME}: {name} came with another hash than the Hub says, so it was damaged on "
        "the way; it was deleted: try again"
    )
    hub.damaged.clear()
    assert npbert.fill_mask(TEXT, NAME)


def test_what_the_cache_does_not_say_is_asked_once(hub, files):
    hub.add(NAME, {name: files[name] for name in ("config.json", "vocab.txt")})
    npbert.AutoTokenizer.from_pretrained(NAME)
    asked = len(hub.requests)
    npbert.AutoTokenizer.from_pretrained(NAME)
    assert len(hub.requests) == asked
    absent = cached_snapshot(NAME).parents[1] / ".no_exist"
    assert sorted(path.name for path in absent.rglob("*.json")) == ["tokenizer_config.json"]
