"""What all tests share: how Hypothesis draws, and when a missing reference library is an error."""

import importlib.util
import os

import pytest
from hypothesis import settings

# A slow machine is no failure, and the same commit draws the same examples.
settings.register_profile("npbert", deadline=None, derandomize=True)
settings.load_profile("npbert")

REFERENCE_LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "h5py")


def pytest_configure(config):
    """Where the comparison must run, let a missing library stop everything instead of skipping."""
    missing = [name for name in REFERENCE_LIBRARIES if importlib.util.find_spec(name) is None]
    if os.environ.get("NPBERT_REQUIRE_REFERENCE") and missing:
        raise pytest.UsageError(f"NPBERT_REQUIRE_REFERENCE is set, but missing: {missing}")


VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat on mat ##s . , ? a".split()


@pytest.fixture
def checkpoint(tmp_path):
    """A directory with a small random masked-LM ConvBERT of 16 word pieces and 12 positions."""
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
