"""The family files differ in what the papers differ in, and in nothing else.

bert.py is the text that the others are held to. For every function that a family shares with it,
the differences are listed here, each with the reason; after them the code must be the same.
"""

import ast
from pathlib import Path

import pytest

import npbert

HERE = Path(npbert.__file__).parent
WIDE = "p.embedding_transformation"

# family -> function or class -> [(in bert.py, in the family's file)]; "" is for all of them.
DIFFERENCES = {
    "convbert": {
        "": [("Bert", "ConvBert"), ("'bert'", "'convbert'")],
        # The order in which the reference adds the three.
        "embeddings": [("words + types + positions", "words + positions + types")],
        # Section 3.3: maps of groups of channels.
        "feed_forward": [
            ("activation = ", "transform = linear if config.num_groups == 1 else grouped_linear\n"
             "    activation = "),
            ("linear(x,", "transform(x,"),
            ("linear(wide,", "transform(wide,"),
        ],
        # Section 3.3: a convolution beside the attention heads.
        "layer": [
            ("self_attention(x,", "mixed_attention(x,"),
            ("context", "mixed"),
        ],
        # The embeddings may be narrower than the layers.
        "encoder": [
            ("yield (x, None)", "if config.embedding_size != config.hidden_size:\n"
             "        x = linear(x, p.embeddings_project)\n    yield (x, None)"),
        ],
    },
    "mobilebert": {
        "": [("Bert", "MobileBert"), ("'bert'", "'mobilebert'")],
        # Section 3.4: trigrams, and a map from the narrow embeddings to the layers.
        "embeddings": [
            ("positions = p.", "grams = trigrams(words) if config.trigram_input else words\n"
             "    mapped = config.trigram_input or config.embedding_size != config.hidden_size\n"
             f"    full = linear(grams, {WIDE}) if mapped else grams\n    positions = p."),
            ("words + types + positions", "full + positions + types"),
            ("layer_norm(summed, p.LayerNorm, config.layer_norm_eps)",
             "norm(summed, p.LayerNorm, config, DEFAULT_EPS)"),
        ],
        # Section 3.1: query and key read a bottleneck that they share.
        "self_attention": [
            ("def self_attention(x", "def self_attention(shared, x"),
            ("query = linear(x", "query = linear(shared"),
            ("key = linear(x", "key = linear(shared"),
            ("x.shape", "shared.shape"),
        ],
        # Section 3.3: norms that only scale and shift; the last one has an epsilon of its own.
        "feed_forward": [
            ("config)", "config, eps)"),
            ("layer_norm(x + narrow, p.output.LayerNorm, config.layer_norm_eps)",
             "norm(x + narrow, p.output.LayerNorm, config, eps)"),
        ],
        "pool": [
            ("(x, p)", "(x, p, config)"),
            ("return np.tanh(linear(first, p.dense))",
             "pooled = first\n    if config.classifier_activation:\n"
             "        pooled = np.tanh(linear(first, p.pooler.dense))\n    return pooled"),
        ],
        # The embeddings are narrower than the layers: `dense` holds the other channels, and their
        # product is no `linear`, so that the whole has the twin.
        "masked_lm_head": [
            ("def masked_lm_head", "@operation()\ndef masked_lm_head"),
            ("activation = ", "E = config.embedding_size\n    activation = "),
            ("return linear(transformed, p.decoder)",
             "narrow = transformed[..., :E]\n    rest = transformed[..., E:]\n"
             "    by_embedding = linear(narrow, p.decoder)\n"
             "    by_dense = rest @ p.dense.weight\n    return by_embedding + by_dense"),
        ],
    },
    "squeezebert": {
        "": [("Bert", "SqueezeBert")],
        "embeddings": [("words + types + positions", "words + positions + types")],
        # Grouped convolutions in the place of linear maps; the scores are what is returned.
        "self_attention": [
            ("linear(", "grouped_convolution("),
            ("context, probs, _", "context, _, scores"),
            ("probs)", "scores)"),
        ],
        "feed_forward": [
            ("linear(", "grouped_convolution("),
            ("dense)", "conv1d)"),
            ("LayerNorm, config.layer_norm_eps", "layernorm, ENCODER_EPS"),
        ],
        "layer": [
            ("config.layer_norm_eps", "ENCODER_EPS"),
            ("p.attention.self", "p.attention"),
            ("p.attention.output.dense", "p.post_attention.conv1d"),
            ("p.attention.output.LayerNorm", "p.post_attention.layernorm"),
            ("linear(", "grouped_convolution("),
            ("probs", "scores"),
        ],
        "layers": [("probs", "scores"), ("encoder.layer[", "encoder.layers[")],
    },
}  # fmt: skip
# What is the family's own altogether: its layers' middle, its parameters' shapes.
OWN = {
    "convbert": {"encoder_shapes", "layer_shapes", "masked_lm_head", "ConvBertModel",
                 "ConvBertForMaskedLM", "ConvBertForSequenceClassification",
                 "ConvBertForMultipleChoice"},
    "mobilebert": {"layer", "encoder_shapes", "layer_shapes", "masked_lm_shapes",
                   *(f"MobileBert{head}" for head in ("Model", "ForPreTraining",
                     "ForNextSentencePrediction", "ForSequenceClassification",
                     "ForMultipleChoice"))},
    "squeezebert": {"encoder_shapes", "layer_shapes", "SqueezeBertPreTrainedModel",
                    "SqueezeBertModel", "SqueezeBertForMaskedLM",
                    "SqueezeBertForSequenceClassification", "SqueezeBertForMultipleChoice"},
}  # fmt: skip


def definitions(family):
    """Return the code of every function and class of a family's file, without its docstrings."""
    found = {}
    for node in ast.parse((HERE / f"{family}.py").read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
                    inner.body = inner.body[1:] or [ast.Pass()]
            found[node.name] = ast.unparse(node)
    return found


def expected_of(family, name, code):
    """Return the code of bert.py as it must stand in another family's file."""
    changes = [*DIFFERENCES[family].get(name, ()), *DIFFERENCES[family][""]]
    for old, new in changes:
        assert old in code or old in ("Bert", "'bert'"), f"{family}.{name}: no {old!r} to replace"
        code = code.replace(old, new)
    return code


@pytest.mark.parametrize("family", DIFFERENCES)
def test_what_no_paper_changes_is_the_same_text(family):
    ours, bert = definitions(family), definitions("bert")
    prefix = DIFFERENCES[family][""][0][1]
    shared = {name: name.replace("Bert", prefix) for name in bert}
    compared = {n: m for n, m in shared.items() if m in ours and m not in OWN[family]}
    assert DIFFERENCES[family].keys() - {""} <= compared.keys()
    for name, mine in compared.items():
        assert ours[mine] == expected_of(family, name, bert[name]), name
    assert len(compared) >= 7


def test_an_accidental_difference_is_found():
    code = definitions("bert")["feed_forward"]
    other = code.replace("narrow", "small")
    assert (
        expected_of("squeezebert", "feed_forward", other)
        != definitions("squeezebert")["feed_forward"]
    )
