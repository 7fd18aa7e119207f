"""Checkpoints in the cache of the Hub are found by name, without its library or a request."""

import json
import sys
import warnings

import numpy as np
import pytest

import npbert
from npbert.auto import FAMILIES
from npbert.checkpoints import hub_files
from npbert.checkpoints.hub_cache import cache_folder, cached_snapshot, cached_snapshots, hub_name
from npbert.checkpoints.shipped import checkpoint_directory

COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40
TEXT = "the cat [MASK] on the mat."


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    """As where only the extra `test` is installed."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub"


def put(cache, name, files, commit=COMMIT, revision="main", absent=()):
    """Lay files into a cache as the library does: blobs, links to them, a reference."""
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        blob = folder / "blobs" / f"{commit[:8]}-{file.replace('/', '-')}"
        blob.write_bytes(content)
        link = folder / "snapshots" / commit / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    for file in absent:
        path = folder / ".no_exist" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if revision:
        (folder / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / revision).write_text(commit)
    return folder / "snapshots" / commit


@pytest.fixture
def files(checkpoint):
    npbert.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(checkpoint)
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def test_a_cached_checkpoint_runs_by_its_name(cache, checkpoint, files):
    put(cache, "some-org/some.bert", files)
    put(cache, "bare-name", files)
    expected = npbert.fill_mask(TEXT, checkpoint)
    for name in ("some-org/some.bert", "bare-name"):
        assert npbert.fill_mask(TEXT, name) == expected
        assert npbert.AutoConfig.from_pretrained(name).hidden_size == 16
        assert npbert.AutoTokenizer.from_pretrained(name).mask_token_id == 4
        model = npbert.AutoModelForMaskedLM.from_pretrained(name)
        same = npbert.ConvBertForMaskedLM.from_pretrained(name, dtype=np.float64)
        np.testing.assert_allclose(model([[1, 2]]).logits, same([[1, 2]]).logits, rtol=1e-4)


def test_revisions(cache, files):
    config = json.loads(files["config.json"])
    other = {**files, "config.json": json.dumps({**config, "marked": 1}).encode()}
    put(cache, "org/name", files)
    put(cache, "org/name", other, OTHER, "refs/pr/3")
    read = npbert.AutoConfig.from_pretrained
    assert "marked" not in read("org/name").other
    for revision in ("refs/pr/3", OTHER):
        assert read("org/name", revision=revision).other["marked"] == 1
    with pytest.raises(FileNotFoundError, match=r"org/name is not in the cache .*npbert\[hub\]"):
        read("org/name", revision="v2")
    for wrong in ("../main", "", "a/../../b", "a\\b"):
        with pytest.raises(ValueError, match=r"revision is .*, expected a branch"):
            read("org/name", revision=wrong)


def test_where_the_cache_is(tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", "~/h")
    assert cache_folder() == tmp_path / "h" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", "$HOME/c")
    assert cache_folder() == tmp_path / "c"
    assert cache_folder("~/d") == tmp_path / "d"


def test_another_cache(tmp_path, cache, files):
    put(tmp_path / "elsewhere", "org/name", files)
    with pytest.raises(FileNotFoundError, match="org/name is not in the cache of the Hub"):
        npbert.fill_mask(TEXT, "org/name")
    assert npbert.fill_mask(TEXT, "org/name", cache_dir=tmp_path / "elsewhere")


def test_what_is_asked_for_decides_what_must_be_there(cache, files):
    put(cache, "org/name", {"config.json": files["config.json"]})
    assert npbert.AutoConfig.from_pretrained("org/name").num_hidden_layers == 2
    with pytest.raises(FileNotFoundError) as error:
        npbert.AutoModel.from_pretrained("org/name")
    assert "not complete in the cache" in str(error.value)
    assert "it has no weights that npbert reads" in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"it has no vocab\.txt and no tokenizer\.json"):
        npbert.AutoTokenizer.from_pretrained("org/name")


def test_a_shard_that_is_missing_is_named(cache, files):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    files["model-1.safetensors"] = files.pop("model.safetensors")
    put(cache, "org/name", files)
    with pytest.raises(FileNotFoundError, match=r"it has no model-2\.safetensors"):
        npbert.AutoModel.from_pretrained("org/name")


def test_what_is_not_known_is_said(cache, files):
    del files["tokenizer_config.json"]
    snapshot = put(cache, "org/name", files)
    with pytest.warns(UserWarning, match=r"whether it has tokenizer_config\.json is not known"):
        npbert.AutoTokenizer.from_pretrained("org/name")
    put(cache, "org/name", {}, absent=["tokenizer_config.json"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        npbert.AutoTokenizer.from_pretrained("org/name")
    assert hub_files.in_doubt(snapshot, (hub_files.SENTENCE,)) == ["modules.json"]


def test_a_directory_comes_first_and_a_shipped_name_second(cache, files, tmp_path, monkeypatch):
    put(cache, "bert-tiny", files)
    put(cache, "org/name", files)
    assert checkpoint_directory("bert-tiny").parent.name == "weights"
    monkeypatch.chdir(tmp_path)
    for name in ("bert-tiny", "org/name"):
        (tmp_path / name).mkdir(parents=True)
        assert checkpoint_directory(name).resolve() == tmp_path / name
        assert checkpoint_directory(name, revision="main").is_dir()
        with pytest.raises(ValueError, match="is a directory, which has no revision 'v1'"):
            checkpoint_directory(name, revision="v1")
    with pytest.raises(ValueError, match="ships with npbert, which has no revision 'v1'"):
        checkpoint_directory("convbert-tiny", revision="v1")


def test_an_untrained_head_is_that_of_the_name(cache, files, checkpoint):
    npbert.ConvBertModel(npbert.AutoConfig.from_pretrained(checkpoint)).save_pretrained(checkpoint)
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    put(cache, "org/bare", files)
    with pytest.raises(ValueError) as error:
        npbert.fill_mask(TEXT, "org/bare")
    assert str(error.value).startswith("org/bare has no trained masked-LM head; missing: ")
    assert "generator_predictions.dense.weight" in str(error.value)


def test_a_name_that_is_nowhere(cache):
    with pytest.raises(FileNotFoundError) as error:
        npbert.fill_mask(TEXT, "convbert-tny")
    message = str(error.value)
    assert message.startswith("no directory convbert-tny, and no shipped checkpoint of that name (")
    assert "did you mean convbert-tiny?" in message and "squeezebert-tiny-restore" in message
    assert message.endswith('needs its extra `hub`: python -m pip install "npbert[hub]"')
    for path in ("./org/name", "/org/name", "a/b/c", "a b", "~/name", "a;b", "-x"):
        with pytest.raises(FileNotFoundError, match=r"no directory .* no shipped") as error:
            npbert.fill_mask(TEXT, path)
        assert "Hub" not in str(error.value)


@pytest.mark.parametrize(
    "name, value", [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "yes"), (None, None)]
)
def test_why_nothing_is_fetched(cache, monkeypatch, name, value):
    options = {}
    if name is None:
        options, reason = {"local_files_only": True}, "local_files_only=True"
    else:
        monkeypatch.setenv(name, value)
        reason = f"{name}={value}"
    with pytest.raises(FileNotFoundError) as error:
        npbert.AutoModel.from_pretrained("org/name", **options)
    assert str(error.value) == (
        f"org/name is not in the cache of the Hub ({cache}), and {reason}"
        f"{' (--local-files-only)' if options else ''} forbids to fetch it"
    )


def test_options_of_the_hub_are_for_names(checkpoint):
    model = npbert.AutoModelForMaskedLM.from_pretrained(checkpoint)
    with pytest.raises(ValueError, match="revision go with the name of a checkpoint"):
        npbert.fill_mask(TEXT, model, revision="v1")
    with pytest.raises(TypeError, match=r"fill_mask\(\) got an unexpected keyword .*'revison'"):
        npbert.fill_mask(TEXT, checkpoint, revison="v1")


@pytest.mark.parametrize("content", ["", "nothing", "../../elsewhere", "\xff"])
def test_a_damaged_reference_is_as_none(cache, files, content):
    snapshot = put(cache, "org/name", files)
    (snapshot.parents[1] / "refs" / "main").write_bytes(content.encode("latin-1"))
    assert cached_snapshot("org/name") is None


def test_what_is_in_the_cache_is_listed(cache, files, tmp_path):
    assert list(cached_snapshots()) == []
    first = put(cache, "org/name", files)
    second = put(cache, "org/name", files, OTHER, None)
    put(cache, "bare", files)
    (cache / "datasets--org--name").mkdir()
    assert [tuple(found) for found in cached_snapshots()] == [
        ("bare", ("main",), cache / "models--bare" / "snapshots" / COMMIT),
        ("org/name", ("main",), first),
        ("org/name", (), second),
    ]
    assert hub_name(first) == "org/name" and hub_name(tmp_path) is None


def test_the_families_are_those_that_npbert_has():
    assert (*FAMILIES,) == hub_files.FAMILIES
