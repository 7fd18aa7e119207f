"""Loading and saving against the reference: whatever it wrote is read, and the other way round."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from reference_models import (
    ALL_HEADS,
    HEADS,
    assert_same,
    errors,
    for_head,
    from_reference_checkpoint,
    largest_error,
    npbert_class,
    random_ids,
    random_labels,
    reference,
    reference_class,
    run,
    torch,
)

import npbert

pytestmark = pytest.mark.reference
safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra `reference`")

PREFIX = {
    "Bert": "bert.",
    "ConvBert": "convbert.",
    "MobileBert": "mobilebert.",
    "SqueezeBert": "transformer.",
}
# The matrix of the masked-LM head that is tied to the word embeddings, and thus not saved.
DECODER = dict.fromkeys(HEADS, "cls.predictions.decoder.weight")
DECODER |= {"ConvBert": "generator_lm_head.weight"}
TIED_BIAS = dict.fromkeys(HEADS, ("cls.predictions.decoder.bias", "cls.predictions.bias"))
del TIED_BIAS["ConvBert"]
WORDS = "embeddings.word_embeddings.weight"

each_family = pytest.mark.parametrize("family", HEADS)
each_class = pytest.mark.parametrize("family, head", ALL_HEADS, ids="".join)


def example(truth):
    inputs = dict(input_ids=random_ids(truth.config, 2, 9), output_hidden_states=True)
    return for_head(truth.head, inputs | random_labels(truth.head, truth.config, 2, 9))


def edited(truth, directory, edit):
    """Copy a checkpoint and change its tensors; `edit` maps {name: tensor} to another such dict."""
    shutil.copytree(truth.directory.name, directory, dirs_exist_ok=True)
    file = Path(directory, "model.safetensors")
    tensors = edit(safetensors.load_file(file))
    safetensors.save_file({n: t.contiguous() for n, t in tensors.items()}, file, {"format": "pt"})
    return directory


def load(family, head, directory, dtype="float64"):
    """Load a checkpoint with npbert, which must find nothing to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return npbert_class(family, head).from_pretrained(directory, dtype)


def renamed(change):
    return lambda tensors: {change(name): tensor for name, tensor in tensors.items()}


# ---- spellings of names --------------------------------------------------------------------


def legacy_norms(name):
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


@each_class
def test_gamma_and_beta_are_weight_and_bias(family, head, tmp_path):
    truth = reference(family, head)
    edited(truth, tmp_path, renamed(legacy_norms))
    assert "gamma" in " ".join(safetensors.load_file(tmp_path / "model.safetensors"))
    got = load(family, head, tmp_path)(**example(truth))
    assert_same(got, truth("float64", **example(truth)), "float64")
    reread = from_reference_checkpoint(family, head, tmp_path)
    assert_same(got, run(reread["float64"], "float64", **example(truth)), "float64")


@each_class
def test_saved_position_ids_are_no_parameter(family, head, tmp_path):
    truth = reference(family, head)
    prefix = "" if head == "Model" else PREFIX[family]
    positions = {f"{prefix}embeddings.position_ids": torch.arange(24)[None]}
    edited(truth, tmp_path, lambda tensors: tensors | positions)
    got = load(family, head, tmp_path)(**example(truth))
    assert_same(got, truth("float64", **example(truth)), "float64")


@each_family
def test_a_body_may_be_saved_with_the_prefix(family, tmp_path):
    truth = reference(family, "Model")
    edited(truth, tmp_path, renamed(lambda name: PREFIX[family] + name))
    got = load(family, "Model", tmp_path)(**example(truth))
    assert_same(got, truth("float64", **example(truth)), "float64")


@each_family
def test_a_head_may_be_saved_with_a_body_without_the_prefix(family, tmp_path):
    truth = reference(family, "ForMaskedLM")
    edited(truth, tmp_path, renamed(lambda name: name.removeprefix(PREFIX[family])))
    got = load(family, "ForMaskedLM", tmp_path)(**example(truth))
    assert_same(got, truth("float64", **example(truth)), "float64")


# ---- the tied decoder ----------------------------------------------------------------------


@each_family
def test_the_tied_decoder_is_not_saved(family, tmp_path):
    truth = reference(family, "ForMaskedLM")
    saved = safetensors.load_file(Path(truth.directory.name, "model.safetensors"))
    assert DECODER[family] not in saved
    model = truth.load("float32")
    assert model.state_dict()[DECODER[family]] is model.state_dict()[PREFIX[family] + WORDS]
    model.save_pretrained(tmp_path)
    assert safetensors.load_file(tmp_path / "model.safetensors").keys() == saved.keys()


@each_family
def test_a_tied_decoder_that_was_saved_all_the_same(family, tmp_path):
    truth = reference(family, "ForMaskedLM")

    def add_decoder(tensors):
        tensors = {**tensors, DECODER[family]: tensors[PREFIX[family] + WORDS].clone()}
        if family in TIED_BIAS:
            name, source = TIED_BIAS[family]
            tensors[name] = tensors[source].clone()
        return tensors

    edited(truth, tmp_path, add_decoder)
    model = load(family, "ForMaskedLM", tmp_path)
    assert_same(model(**example(truth)), truth("float64", **example(truth)), "float64")
    assert model.num_parameters() == truth.load("float64").num_parameters()


@each_family
def test_a_saved_decoder_that_differs_counts(family, tmp_path):
    """tie_word_embeddings is true in the config, and yet the reference does not tie these two."""
    truth = reference(family, "ForMaskedLM")

    def add_decoder(tensors):
        words = tensors[PREFIX[family] + WORDS]
        return {**tensors, DECODER[family]: words + torch.rand(words.shape)}

    edited(truth, tmp_path, add_decoder)
    reread = from_reference_checkpoint(family, "ForMaskedLM", tmp_path)
    expected = run(reread["float64"], "float64", **example(truth))
    model = load(family, "ForMaskedLM", tmp_path)
    assert_same(model(**example(truth)), expected, "float64")
    tied = truth("float64", **example(truth))
    assert errors(expected, tied, "float64")["logits"] > 0.1  # it does make a difference

    model.save_pretrained(tmp_path / "again")  # and both survive
    again = load(family, "ForMaskedLM", tmp_path / "again")
    assert_same(again(**example(truth)), expected, "float64")


@each_family
def test_a_saved_decoder_without_the_embeddings_that_it_is_tied_to(family, tmp_path):
    truth = reference(family, "ForMaskedLM")

    def move(tensors):
        words = tensors.pop(PREFIX[family] + WORDS)
        return {**tensors, DECODER[family]: words}

    edited(truth, tmp_path, move)
    expected = truth("float64", **example(truth))
    reread = from_reference_checkpoint(family, "ForMaskedLM", tmp_path)
    assert_same(run(reread["float64"], "float64", **example(truth)), expected, "float64")
    assert_same(load(family, "ForMaskedLM", tmp_path)(**example(truth)), expected, "float64")


def test_a_saved_decoder_bias_that_differs_counts(tmp_path):
    truth = reference("Bert", "ForMaskedLM")
    name, source = TIED_BIAS["Bert"]
    edited(truth, tmp_path, lambda tensors: {**tensors, name: tensors[source] + 1})
    reread = from_reference_checkpoint("Bert", "ForMaskedLM", tmp_path)
    expected = run(reread["float64"], "float64", **example(truth))
    assert_same(load("Bert", "ForMaskedLM", tmp_path)(**example(truth)), expected, "float64")


@each_family
def test_an_untied_decoder_is_saved(family, tmp_path):
    truth = reference(family, "ForMaskedLM", tie_word_embeddings=False)
    saved = safetensors.load_file(Path(truth.directory.name, "model.safetensors"))
    assert DECODER[family] in saved
    truth.load("float32").save_pretrained(tmp_path)
    assert safetensors.load_file(tmp_path / "model.safetensors").keys() == saved.keys()
    reread = from_reference_checkpoint(family, "ForMaskedLM", tmp_path)["float64"]
    got = run(reread, "float64", **example(truth))
    assert_same(got, truth("float64", **example(truth)), "float64")


# ---- another head than the one that was saved ----------------------------------------------


def reference_report(family, head, directory):
    """Return what the reference found missing and unexpected in a checkpoint."""
    _, report = reference_class(family, head).from_pretrained(directory, output_loading_info=True)
    return set(report["missing_keys"]), set(report["unexpected_keys"])


def expect_warning(family, head, directory, missing, unexpected):
    """Load with npbert; assert one warning that names all that is missing, and none of the rest.

    What is unexpected belongs to another head of the family: it is not used, without a word.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = npbert_class(family, head).from_pretrained(directory, "float64")
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == bool(missing), messages
    assert all(name in message for name in missing for message in messages)
    assert not unexpected & model.state_dict().keys()
    return model


def without_ties(family, names):
    """The reference counts a tied tensor as missing where its source is."""
    tied = {DECODER[family], *TIED_BIAS.get(family, ())[:1]}
    return set(names) - tied


@each_family
def test_a_bare_body_gets_a_head_that_is_reported(family):
    body = reference(family, "Model")
    missing, unexpected = reference_report(family, "ForMaskedLM", body.directory.name)
    missing = without_ties(family, missing)
    model = expect_warning(family, "ForMaskedLM", body.directory.name, missing, unexpected)
    assert set(model.newly_initialized) == missing
    inputs = dict(input_ids=random_ids(body.config, 2, 9), output_hidden_states=True)
    got = {"last_hidden_state": model(**inputs).hidden_states[-1]}
    expected = {"last_hidden_state": body("float64", **inputs)["last_hidden_state"]}
    assert_same(got, expected, "float64")
    assert not body.load("float64").newly_initialized


@each_family
def test_a_head_is_left_out_of_a_bare_body(family):
    truth = reference(family, "ForMaskedLM")
    missing, unexpected = reference_report(family, "Model", truth.directory.name)
    assert unexpected and not any(name.startswith(PREFIX[family]) for name in unexpected)
    model = expect_warning(family, "Model", truth.directory.name, missing, unexpected)
    assert set(model.newly_initialized) == missing
    inputs = dict(input_ids=random_ids(truth.config, 2, 9), output_hidden_states=True)
    got = model(**inputs)
    expected = truth("float64", **inputs)["hidden_states"]
    assert_same(got.hidden_states, expected, "float64")
    assert got.last_hidden_state is got.hidden_states[-1]


OTHER_HEADS = [
    (family, old, new) for family, heads in HEADS.items() for old in heads for new in heads
]


@pytest.mark.parametrize("family, old, new", OTHER_HEADS)
def test_any_head_from_the_checkpoint_of_any_other(family, old, new):
    """What is missing and what is not used is what the reference says; the rest is taken over."""
    truth = reference(family, old)
    directory = truth.directory.name
    if new == "ForQuestionAnswering" and truth.config.num_labels != 2:
        with pytest.raises(ValueError, match="expected 2 for question answering"):
            npbert_class(family, new).from_pretrained(directory)
        return
    try:
        missing, unexpected = reference_report(family, new, directory)
    except RuntimeError:  # a tensor of the same name and another shape
        with pytest.raises(ValueError, match="not fit the config"):
            npbert_class(family, new).from_pretrained(directory)
        return
    missing = without_ties(family, missing)
    model = expect_warning(family, new, directory, missing, unexpected)
    assert set(model.newly_initialized) == missing
    saved = safetensors.load_file(Path(directory, "model.safetensors"))
    for name, array in model.state_dict().items():
        for spelling in (name, PREFIX[family] + name, name.removeprefix(PREFIX[family])):
            if spelling in saved:
                np.testing.assert_array_equal(array, saved[spelling].double().numpy(), name)


# ---- what npbert saves ---------------------------------------------------------------------


@each_class
def test_the_reference_reads_what_npbert_saves(family, head, tmp_path):
    truth = reference(family, head)
    truth.load("float32").save_pretrained(tmp_path)
    assert reference_report(family, head, tmp_path) == (set(), set())
    reread = from_reference_checkpoint(family, head, tmp_path)
    for dtype in ("float64", "float32"):
        expected = truth(dtype, **example(truth))
        assert_same(run(reread[dtype], dtype, **example(truth)), expected, dtype)
        assert_same(load(family, head, tmp_path, dtype)(**example(truth)), expected, dtype)


@each_class
def test_the_reference_reads_a_new_model(family, head, tmp_path):
    """Random weights by npbert: its defaults, and its shapes, are those of the reference."""
    options = dict(vocab_size=31, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    options |= dict(intermediate_size=8, max_position_embeddings=12)
    options |= {} if family == "Bert" else dict(embedding_size=16 if family == "SqueezeBert" else 6)
    config = getattr(npbert.model.config, f"{family}Config")(**options)
    model = npbert_class(family, head)(config, seed=1, dtype=np.float64)
    model.save_pretrained(tmp_path)
    assert reference_report(family, head, tmp_path) == (set(), set())
    reread = reference_class(family, head).from_pretrained(
        tmp_path, attn_implementation="eager", dtype=torch.float64
    )
    inputs = for_head(head, dict(input_ids=random_ids(config, 2, 9)))
    assert_same(model(**inputs), run(reread.eval(), "float64", **inputs), "float64")
    assert model.num_parameters() == reread.num_parameters()
    assert model.state_dict().keys() == reread.state_dict().keys()


# ---- precision -----------------------------------------------------------------------------


@each_class
@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float64"])
def test_checkpoints_of_other_precision(family, head, stored, tmp_path):
    """They are converted on loading, half precision exactly."""
    truth = reference(family, head)
    narrow = getattr(torch, stored)
    edited(truth, tmp_path, lambda tensors: {n: t.to(narrow) for n, t in tensors.items()})
    reread = from_reference_checkpoint(family, head, tmp_path)
    weights = reread["float32"].state_dict()
    for dtype in ("float64", "float32"):
        model = load(family, head, tmp_path, dtype)
        for name, array in model.state_dict().items():
            assert array.dtype == dtype and np.array_equal(array, weights[name].numpy()), name
        expected = run(reread[dtype], dtype, **example(truth))
        assert_same(model(**example(truth)), expected, dtype)
    if stored != "float64":  # what was stored is not what it was made of
        assert largest_error(expected, truth("float32", **example(truth)), "float32") > 1e-5
