"""npbert.tracing.annotations: the axes of every quantity, and the words for how it is computed."""

import ast
import dataclasses
import functools
import re
from pathlib import Path

import numpy as np
import pytest
from sized_models import MODELS, B, L, N, Q, T, V, classes_of, labels_for
from traced_models import small_model

import npbert
from npbert.model import heads
from npbert.tracing.annotations import annotate, annotation, legend, place_in_equations, sizes
from npbert.tracing.axes import size_of
from npbert.tracing.equations import EQUATIONS

CASES = [(name, head) for name in MODELS for head in classes_of(name)]
TOKENS = np.ones((B, T), int)
IDS = [f"{name} - {head.__name__}" for name, head in CASES]


def model_of_all_sizes(name, head, **options):
    """Return a model whose sizes all differ, so that no letter can stand for another by chance."""
    if not issubclass(head, heads.QuestionAnswering):
        options |= dict(num_labels=L, id2label=None, label2id=None)
    return head(dataclasses.replace(MODELS[name][1], **options))


def traced(model, **inputs):
    shape = (Q, N, T) if isinstance(model, heads.MultipleChoice) else (B, T)
    ids = np.random.default_rng(0).integers(0, V, shape)
    inputs = dict(attention_mask=ids > 9) | inputs
    if "inputs_embeds" not in inputs:
        inputs["input_ids"] = ids
    return npbert.trace(model, **inputs)


# ---- axes ----------------------------------------------------------------------------------


def check_axes(recorded, model):
    known = sizes(model) | dict(B=B, T=T, Q=Q, N=N)
    for quantity, found in zip(recorded, annotate(recorded, model), strict=True):
        assert found.axes is not None, quantity
        assert [size_of(axis, known) for axis in found.axes] == [*quantity.shape], quantity
        unknown = set(re.findall("[A-Z]", "".join(found.axes))) - legend(model).keys()
        assert not unknown, (quantity, unknown)


@pytest.mark.parametrize(("name", "head"), CASES, ids=IDS)
def test_the_axes_of_every_quantity(name, head):
    model = model_of_all_sizes(name, head)
    check_axes(traced(model), model)


OTHER_CONFIGS = {
    "ConvBert": [dict(num_groups=1), dict(embedding_size=60)],
    "MobileBert": [
        dict(normalization_type="layer_norm"),
        dict(use_bottleneck_attention=True),
        dict(classifier_activation=False),
        dict(key_query_shared_bottleneck=False, use_bottleneck_attention=True),
    ],
    "SqueezeBert": [dict(q_groups=2, output_groups=1), dict.fromkeys(["q_groups"], 1)],
}


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in OTHER_CONFIGS for options in OTHER_CONFIGS[name]],
)
def test_the_axes_under_other_configs(name, options):
    model = model_of_all_sizes(name, getattr(npbert, f"{name}Model"), **options)
    check_axes(traced(model), model)


@pytest.mark.parametrize("name", MODELS)
def test_the_axes_with_other_inputs(name):
    model = model_of_all_sizes(name, classes_of(name)[0])
    known = sizes(model)
    check_axes(traced(model, position_ids=np.tile(np.arange(T), (B, 1))), model)
    check_axes(traced(model, inputs_embeds=np.zeros((B, T, known.get("E", known["D"])))), model)
    for shape in [(B, 1, T, T), (B, known["H"], T, T), (1, 1, T, T), (1, 1, 1, T)]:
        check_axes(traced(model, attention_mask=np.zeros(shape)), model)


# Sizes as alike as a family allows. The letters must stay what they are all the same.
ALIKE = {
    "Bert": dict(hidden_size=4, intermediate_size=4, num_attention_heads=2, vocab_size=10),
    "ConvBert": dict(hidden_size=8, intermediate_size=8, num_attention_heads=4, vocab_size=10,
                     embedding_size=4, conv_kernel_size=3, num_groups=2),
    "MobileBert": dict(hidden_size=4, intermediate_size=4, num_attention_heads=2, vocab_size=10,
                       embedding_size=4, intra_bottleneck_size=4),
    "SqueezeBert": dict(hidden_size=8, intermediate_size=8, num_attention_heads=4, vocab_size=10,
                        embedding_size=8),
}  # fmt: skip


@pytest.mark.parametrize(("name", "head"), [c for c in CASES if c[0] in ALIKE])
def test_sizes_that_are_alike_are_not_confused(name, head):
    model = model_of_all_sizes(name, head)
    alike = model_of_all_sizes(name, head, **ALIKE[name], **dict(max_position_embeddings=9))
    shape = (2, 2, 4) if isinstance(model, heads.MultipleChoice) else (4, 4)
    recorded, recorded_alike = traced(model), npbert.trace(alike, np.ones(shape, int))
    found = dict(zip(recorded.names(), annotate(recorded, model), strict=True))
    found_alike = zip(recorded_alike, annotate(recorded_alike, alike), strict=True)
    for quantity, annotated in found_alike:
        assert annotated.axes == found[quantity.name].axes, quantity


def test_a_class_of_ones_own():
    class Mine(npbert.BertModel):
        pass

    model = model_of_all_sizes("Bert", Mine)
    check_axes(traced(model), model)
    assert len(traced(model)) > 30


def test_axes_where_sizes_say_nothing():
    recorded = npbert.trace(small_model("ConvBert"), [[2, 31, 7, 3]])
    layer = "convbert.encoder.layer.1.attention.self"
    for name, axes in {
        f"{layer}.query": "B T A",
        f"{layer}.attend.scores": "B H T T",
        f"{layer}.attend.softmax.exponentials": "B H T T",
        f"{layer}.dynamic_convolution.windows": "B T H S K",
        f"{layer}.conv_kernel_layer": "B T H*K",
        "convbert.embeddings.LayerNorm.variance": "B T 1",
        "logits": "B T V",
    }.items():
        found = annotation(name, recorded, small_model("ConvBert"))
        assert found.axes == tuple(axes.split()), name


def test_a_loss_has_axes_too():
    model = small_model("Bert")
    recorded = npbert.trace(model, [[2, 31, 7, 3]], labels=[[-100, 31, 7, -100]])
    found = dict(zip(recorded.names(), annotate(recorded, model), strict=True))
    assert found["cross_entropy.log_probs"].axes == ("M", "V")


# ---- letters -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Bert", "ConvBert", "MobileBert", "SqueezeBert"])
def test_a_legend_says_what_every_letter_means(name):
    model = small_model(name)
    meanings = legend(model)
    assert meanings["B"] == "sentences" and meanings["T"] == "tokens"
    assert all(re.fullmatch(r"[^;]{5,}", meaning) for meaning in meanings.values()), meanings
    assert sizes(model).keys() == meanings.keys() - set("BTQN")
    assert legend(MODELS[name][0]).items() <= meanings.items()


def test_sizes():
    assert sizes(small_model("ConvBert")) == dict(
        V=50, E=16, D=32, H=2, S=8, A=16, K=9, L=2, I=40, G=1
    )
    groups = dict(q_groups=2, output_groups=1)
    assert sizes(small_model("SqueezeBert", **groups))["G"] == 4


def test_a_module_without_a_legend():
    with pytest.raises(ValueError, match=r"npbert\.model\.inputs has no legend"):
        legend(npbert.model.inputs)


# ---- the source ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("query", "return x @ p.weight.T + p.bias"),
        ("keys", "keys = split_heads(key, H)"),
        ("attend.probs", "probs = softmax(masked_scores)"),
        ("", "return mixed.reshape(x.shape), probs"),
        ("mixed", "mixed = np.concatenate([far, near], axis=2)"),
    ],
)
def test_the_statement_that_computes_a_quantity(name, code):
    model = small_model("ConvBert")
    recorded = npbert.trace(model, [[2, 31, 7, 3]])
    name = f"convbert.encoder.layer.0.attention.self.{name}".rstrip(".")
    assert annotation(name, recorded, model).code == code


def test_functions_that_hand_on_what_others_return():
    model = small_model("MobileBert", "Model")
    recorded = npbert.trace(model, [[2, 31, 7, 3]])
    assert annotation("embeddings", recorded, model).code == "return x * p.weight + p.bias"
    model = small_model("Bert", "Model")
    recorded = npbert.trace(model, [[2, 31, 7, 3]])
    code = "return centred / np.sqrt(variance + eps) * p.weight + p.bias"
    assert annotation("embeddings", recorded, model).code == code


def test_statements_of_several_lines_and_names():
    model = small_model("ConvBert", "ForMultipleChoice")
    recorded = npbert.trace(model, [[[2, 31, 7, 3]]])
    assert annotation("summary", recorded, model).code == "summary = x[:, -1]"
    model = small_model("Bert", "ForQuestionAnswering")
    recorded = npbert.trace(model, [[2, 31, 7, 3]])
    assert annotation("end_logits", recorded, model).code == "end_logits = logits[..., 1]"


def test_an_argument_is_what_the_caller_wrote():
    model = small_model("Bert")
    recorded = npbert.trace(model, [[2, 31, 7, 3]])
    found = annotation("bert.encoder.layer.0.output.LayerNorm.x", recorded, model)
    assert found.code == "x = x + narrow"


def check_statements(recorded, model):
    """Hold the code of every quantity to the statement that begins on its line in its file."""
    for quantity, found in zip(recorded, annotate(recorded, model), strict=True):
        assert found.code and "#" not in found.code and "\n" not in found.code, quantity
        if quantity.name.startswith("inputs."):
            assert found.code == quantity.name
            continue
        [statement] = statements_on(quantity.file, quantity.line)
        assert statement.function == quantity.function, quantity
        code = ast.parse(found.code).body[0]
        if ast.dump(code) != ast.dump(statement.node):  # then it is a part of the statement
            assert found.code.startswith(f"{quantity.name.rpartition('.')[2]} = "), quantity
            parts = map(ast.dump, ast.walk(statement.node))
            assert ast.dump(code.value) in parts, (quantity, found.code)


@dataclasses.dataclass
class Statement:
    """A statement of a file, and the name of the function that it stands in."""

    node: ast.stmt
    function: str


@functools.cache
def statements_on(file, line):
    """Return the statements that begin on a line, but no functions."""
    tree = ast.parse((Path(npbert.__file__).parent / file).read_text("utf-8"))
    return [
        Statement(node, function.name)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and node.lineno == line and node is not function
    ]


@pytest.mark.parametrize(("name", "head"), CASES, ids=IDS)
def test_function_file_line_and_code_are_those_of_one_statement(name, head):
    model = model_of_all_sizes(name, head)
    check_statements(traced(model, **labels_for(model, TOKENS)), model)


@pytest.mark.parametrize("options", [dict(normalization_type="layer_norm"), {}])
def test_one_statement_where_functions_hand_on_what_others_return(options):
    model = model_of_all_sizes("MobileBert", npbert.MobileBertModel, **options)
    check_statements(traced(model), model)


# ---- words ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything():
    """Return traces that between them have every quantity there is, each with its annotation."""
    return [
        pair
        for model, recorded in traces_of_everything()
        for pair in zip(recorded, annotate(recorded, model), strict=True)
    ]


def traces_of_everything():
    for name, head in CASES:
        model = model_of_all_sizes(name, head)
        yield model, traced(model, **labels_for(model, TOKENS))
    summary = dict(summary_use_proj=True, summary_activation="tanh")
    model = model_of_all_sizes("ConvBert", npbert.ConvBertForMultipleChoice, **summary)
    yield model, traced(model)
    model = model_of_all_sizes("Bert", npbert.BertModel)
    yield model, traced(model, inputs_embeds=np.zeros((B, T, 60)))
    for problem in ("regression", "multi_label_classification"):
        options = dict(problem_type=problem)
        model = model_of_all_sizes("Bert", npbert.BertForSequenceClassification, **options)
        yield model, traced(model, labels=np.zeros((B, L)))


def test_every_quantity_has_words_and_all_words_are_used(everything):
    used = set()
    for quantity, found in everything:
        assert re.fullmatch(r"[^{}\n]{10,150}[^.]", found.equation), quantity
        used.add(place_in_equations(quantity))
    written = {
        (file, function, key)
        for file, functions in EQUATIONS.items()
        for function, (_, sentences) in functions.items()
        for key in sentences
    }
    assert written == used
    assert 80 < len(written) < 140


def test_every_quantity_has_a_section_but_for_what_no_paper_says(everything):
    for quantity, found in everything:
        paper = re.fullmatch(r"[A-Z][A-Za-z ]+ (et al\. )?20[12]\d(, .+)?", found.section)
        assert paper or re.search("cross_entropy|mask_bias", quantity.name), quantity


@pytest.mark.parametrize(
    ("family", "name", "equation", "section"),
    [
        ("Bert", "embeddings.summed", "the sum of words", "Devlin et al. 2019, section 3, f"),
        ("Bert", "encoder.layer.1.attention.self.key", "x times the transposed w", "3.2.2"),
        ("Bert", "encoder.layer.1.attention.self.attend.scores", "square root", "equation 1"),
        ("Bert", "encoder.layer.1.attention.output.LayerNorm", "plus 1e-12", "Ba et al. 2016"),
        ("Bert", "encoder.layer.1.wide", "the exact GELU", "Hendrycks and Gimpel 2016"),
        ("ConvBert", "encoder.layer.1.attention.self.conv_kernel_layer", "K scores", "3.2"),
        (
            "ConvBert",
            "encoder.layer.1.attention.self.mixed",
            "attention, then",
            "Jiang et al. 2020",
        ),
        ("MobileBert", "embeddings.grams", "the next, its own", "Sun et al. 2020, section 3.4"),
        ("MobileBert", "encoder.layer.1.wide", "the larger of x and 0", "section 3.2"),
        ("MobileBert", "embeddings.LayerNorm", "without normalising", "section 3.3"),
        ("SqueezeBert", "encoder.layers.1.output.layernorm", "plus 1e-12, whatever", "Ba et al."),
        ("SqueezeBert", "embeddings.LayerNorm", "plus 0.001, times", "Ba et al."),
    ],
)
def test_words_that_a_porter_reads(family, name, equation, section):
    options = dict(layer_norm_eps=1e-3) if family == "SqueezeBert" else {}
    model = small_model(family, "Model", **options)
    found = annotation(name, npbert.trace(model, [[2, 31, 7, 3]]), model)
    assert equation in found.equation
    assert section in found.section


@pytest.mark.parametrize(
    ("family", "head", "options", "name", "equation"),
    [
        ("Bert", "Model", dict(hidden_act="silu"), "encoder.layer.0.wide", "the activation silu"),
        ("MobileBert", "Model", dict(normalization_type="layer_norm"), "embeddings.LayerNorm",
         "1e-5 after the embeddings"),
        ("ConvBert", "ForMultipleChoice", dict(summary_type="first"), "summary", "the first pos"),
        ("ConvBert", "ForMultipleChoice", {}, "summary", "padding included"),
    ],
)  # fmt: skip
def test_words_that_the_config_decides(family, head, options, name, equation):
    model = small_model(family, head, **options)
    ids = [[[2, 31, 7, 3]]] if head == "ForMultipleChoice" else [[2, 31, 7, 3]]
    assert equation in annotation(name, npbert.trace(model, ids), model).equation
