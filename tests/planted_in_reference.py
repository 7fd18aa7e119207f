"""Porting mistakes planted in the reference's own code, independently of how npbert plants them.

Most are edits of the text of a forward method of transformers; the others change a module. A port
is then what the modules of that model put out, in float32, under the names of npbert's quantities.
"""

import copy
import inspect
import textwrap
import types

import numpy as np
from kits_in_memory import OPTIONS, SMALL
from reference_models import reference_class, reference_config, to_numpy, to_torch, torch
from test_trace_reference import counterpart, in_the_order_of, outputs_of_modules

import npbert

functional = torch.nn.functional

# ---- the reference with npbert's parameters, and what it puts out ------------------------------


def reference_of(model, **options):
    """Return a float32 model of the reference with the parameters of npbert's model."""
    name = type(model).__name__
    family = next(f for f in sorted(OPTIONS, key=len, reverse=True) if name.startswith(f))
    head = name.removeprefix(family)
    given = {**SMALL, **OPTIONS[family], **options}
    if family == "MobileBert":
        given.setdefault("intra_bottleneck_size", 8)
    theirs = reference_class(family, head)(reference_config(family, **given)).eval()
    tensors = {n: to_torch(a, "float32") for n, a in model.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(tensors, strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return theirs


def port_of(theirs, kit):
    """Return {"case/name": array}: what the modules of the reference put out, and its results."""
    given = {}
    for case in kit.cases:
        inputs = kit.inputs(case)
        recorded = npbert.trace(kit.model(), **inputs)
        outputs = outputs_of_modules(theirs, inputs)
        with torch.no_grad():
            results = theirs(**{n: to_torch(a, "float32") for n, a in inputs.items()})
        outputs |= {n: to_numpy(v) for n, v in results.items() if isinstance(v, torch.Tensor)}
        # A module that has the very name of a quantity goes before those that are called otherwise.
        for path in sorted(outputs, key=lambda path: path not in recorded):
            quantity = counterpart(path, recorded)
            if quantity is not None:
                value = in_the_order_of(outputs[path], quantity.shape)
                given.setdefault(f"{case}/{quantity.name}", np.ascontiguousarray(value))
    return given


# ---- how a mistake is planted ------------------------------------------------------------------


def edited(function, edits, **namespace):
    """Return a function of the reference with its text edited; every place must be there."""
    text = textwrap.dedent(inspect.getsource(function))
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    scope = {**function.__globals__, **namespace}
    exec(compile(text, "planted", "exec"), scope)
    return scope[function.__name__]


def rewrite(modules, *edits, method="forward", **namespace):
    """Give some modules of one class an edited method."""
    modules = list(modules)
    assert modules
    function = edited(getattr(type(modules[0]), method), edits, **namespace)
    for module in modules:
        setattr(module, method, types.MethodType(function, module))


def of_class(model, name):
    """Return the modules of a class, whatever family's name is before its own."""
    names = {f"{family}{name}" for family in ("", "Bert", "ConvBert", "MobileBert", "SqueezeBert")}
    return [module for module in model.modules() if type(module).__name__ in names]


def layers(model):
    return of_class(model, "Module") or of_class(model, "Layer")


def text(ending, *edits):
    """Return a plant that edits the forward methods of a class."""
    return lambda model: rewrite(of_class(model, ending), *edits)


def eager(*edits):
    """Return a plant that edits the attention function of BERT and MobileBERT."""

    def plant(model):
        plant_eager(of_class(model, "SelfAttention"), *edits)

    return plant


def plant_eager(modules, *edits):
    whole = inspect.getmodule(type(modules[0])).eager_attention_forward
    rewrite(modules, eager_attention_forward=edited(whole, edits))


def inner_modules(model, name):
    return [getattr(module, name) for module in model.modules() if hasattr(module, name)]


def put(name, value):
    """Return a plant that replaces every attribute of that name."""

    def plant(model):
        for module in list(model.modules()):
            if hasattr(module, name):
                setattr(module, name, copy.deepcopy(value))  # one for each, with a hook of its own

    return plant


def epsilon(model):
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5


def unbiased(model):
    def forward(self, x):
        turned = type(self).__name__.startswith("Squeeze")
        x = x.transpose(1, 2) if turned else x
        variance = x.var(-1, keepdim=True)  # torch's default is the unbiased one
        centred = x - x.mean(-1, keepdim=True)
        x = centred / (variance + self.eps).sqrt() * self.weight + self.bias
        return x.transpose(1, 2) if turned else x

    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.forward = types.MethodType(forward, module)


def swap_query_and_key(model):
    for module in list(model.modules()):
        if hasattr(module, "query"):
            module.query, module.key = module.key, module.query


def transpose_squares(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and len(set(module.weight.shape)) == 1:
            module.weight.data = module.weight.data.T.contiguous()


def residual_of_input(model):
    for layer in layers(model):
        kept = {}

        def keep(module, arguments, kept=kept):
            kept["x"] = arguments[0]

        def forward(self, hidden_states, input_tensor, kept=kept):
            return type(self).forward(self, hidden_states, kept["x"])

        layer.register_forward_pre_hook(keep)
        layer.output.forward = types.MethodType(forward, layer.output)


def other_order(name):
    def plant(model):
        module = model.get_submodule(name)
        for parameter in module.parameters():
            parameter.data = parameter.data.flip(0)

    return plant


def flip_taps(model):
    for module in inner_modules(model, "depthwise"):
        module.weight.data = module.weight.data.flip(-1)


def causal_taps(model):
    for module in inner_modules(model, "depthwise"):
        K = module.kernel_size[0]
        module.padding = (0,)
        whole = module.forward
        module.forward = lambda x, whole=whole, K=K: whole(functional.pad(x, (K - 1, 0)))


def transposed_convolutions(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Conv1d):
            O, width, _ = module.weight.shape
            G = module.groups
            weight = module.weight.data.reshape(G, width, O // G).transpose(1, 2)
            module.weight.data = weight.reshape(O, width, 1).contiguous()


def fewer_feed_forwards(model):
    for layer in layers(model):
        layer.ffn = layer.ffn[:-1]


TANH_GELU = torch.nn.GELU(approximate="tanh")
SOFTMAX = "attn_weights = nn.functional.softmax(attn_weights, dim=-1)"
VIEW = ".view(*hidden_shape).transpose(1, 2)"
ATTENTION = {  # BERT and MobileBERT, which have the same function
    "no_mask": eager(("attn_weights = attn_weights + attention_mask", "pass")),
    "mask_after_softmax": eager(
        ("attn_weights = attn_weights + attention_mask", "pass"),
        (SOFTMAX, SOFTMAX + " * (1 if attention_mask is None else attention_mask == 0)"),
    ),
    "softmax_over_queries": eager(("dim=-1", "dim=-2")),
    "no_scale": eager((" * scaling", "")),
    "scale_of_all_heads": eager((" * scaling", " / (query.size(1) * query.size(3)) ** 0.5")),
    "heads_interleaved": text(
        "SelfAttention",
        (VIEW, ".view(*input_shape, self.attention_head_size, -1).permute(0, 3, 1, 2)"),
    ),
    "heads_not_swapped_back": eager((".transpose(1, 2).contiguous()", "")),
    "scores_transposed": eager(("query, key.transpose(2, 3)", "key, query.transpose(2, 3)")),
    "query_and_key_weights_swapped": swap_query_and_key,
}
SHORT_POSITIONS = ("self.position_ids[:, :seq_length]", "self.position_ids.roll(-1, 1)[:, :seq_length]")
BERT_SUM = "embeddings = inputs_embeds + token_type_embeddings"
SUM = "inputs_embeds + position_embeddings + token_type_embeddings"
POOLERS = {
    "pooler_without_tanh": lambda model: put("activation", torch.nn.Identity())(model.pooler),
    "last_token_pooled": text("Pooler", ("hidden_states[:, 0]", "hidden_states[:, -1]")),
}
FIRST_FIVE = {
    "no_type_embeddings": text("Embeddings", (SUM, "inputs_embeds + position_embeddings")),
    "no_position_embeddings": text("Embeddings", (SUM, "inputs_embeds + token_type_embeddings")),
    "positions_from_one": text("Embeddings", SHORT_POSITIONS),
    "epsilon_1e-5": epsilon,
    "unbiased_variance": unbiased,
}
CONV = "SelfAttention"
CONV_SOFTMAX = "nn.functional.softmax(attention_scores, dim=-1)"
CONV_MASK = "attention_scores = attention_scores + attention_mask"
CONV_SCALE = "attention_scores / math.sqrt(self.attention_head_size)"
UNFOLDED = ".transpose(1, 2).contiguous().unsqueeze(-1)"
SQUEEZE = "SelfAttention"
SQUEEZE_SOFTMAX = "self.softmax(attention_score)"
SQUEEZE_MASK = "attention_score = attention_score + attention_mask"
SQUEEZE_SCALE = "attention_score / math.sqrt(self.attention_head_size)"


def masked_after(softmax):
    return softmax + " * (1 if attention_mask is None else attention_mask == 0)"


def squeeze_interleaved(model):
    view = "x.view(*new_x_shape)"
    shape = "x.view(x.size()[0], self.attention_head_size, self.num_attention_heads, -1)"
    for method in ("transpose_for_scores", "transpose_key_for_scores"):
        rewrite(of_class(model, SQUEEZE), (view, shape + ".transpose(1, 2)"), method=method)


def squeeze_not_swapped_back(model):
    back = "x.permute(0, 1, 3, 2).contiguous()"
    merged = "return x.reshape(len(x), -1, self.all_head_size).transpose(1, 2)"
    rewrite(of_class(model, SQUEEZE), (f"x = {back}", merged), method="transpose_output")


# Family: name of the mutation -> how it is planted in the body.
PLANTS = {
    "Bert": {
        **FIRST_FIVE,
        "no_type_embeddings": text("Embeddings", (BERT_SUM, "embeddings = inputs_embeds")),
        "no_position_embeddings": text("Embeddings", ("embeddings + position_embeddings", "embeddings")),
        "positions_from_one": text(
            "Embeddings", ("self.position_ids[:, past_key", "self.position_ids.roll(-1, 1)[:, past_key")
        ),
        **ATTENTION,
        "square_weights_transposed": transpose_squares,
        "tanh_gelu": put("intermediate_act_fn", TANH_GELU),
        "residual_of_layer_input": residual_of_input,
        **POOLERS,
    },
    "ConvBert": {
        **FIRST_FIVE,
        "no_mask": text(CONV, (CONV_MASK, "pass")),
        "mask_after_softmax": text(
            CONV, (CONV_MASK, "pass"), (CONV_SOFTMAX, masked_after(CONV_SOFTMAX))
        ),
        "softmax_over_queries": text(CONV, (CONV_SOFTMAX, CONV_SOFTMAX.replace("-1", "-2"))),
        "no_scale": text(CONV, (CONV_SCALE, "attention_scores")),
        "scale_of_all_heads": text(CONV, (CONV_SCALE, CONV_SCALE.replace("attention_head", "all_head"))),
        "scale_before_halving": text(CONV, (CONV_SCALE, CONV_SCALE.replace("sqrt(", "sqrt(2 * "))),
        "heads_interleaved": text(
            CONV,
            (
                ".view(hidden_shape).transpose(1, 2)",
                ".view(*input_shape, self.attention_head_size, -1).permute(0, 3, 1, 2)",
            ),
        ),
        "heads_not_swapped_back": text(
            CONV,
            (
                "context_layer.permute(0, 2, 1, 3).contiguous()",
                "context_layer.reshape(*input_shape, -1, self.attention_head_size)",
            ),
        ),
        "scores_transposed": text(
            CONV,
            (
                "(query_layer, key_layer.transpose(-1, -2))",
                "(key_layer, query_layer.transpose(-1, -2))",
            ),
        ),
        "query_and_key_weights_swapped": swap_query_and_key,
        "filters_reversed": text(
            CONV, ("(conv_out_layer, conv_kernel_layer)", "(conv_out_layer, conv_kernel_layer.flip(1))")
        ),
        "taps_reversed": flip_taps,
        "dynamic_convolution_causal": text(
            CONV,
            ("padding=[(self.conv_kernel_size - 1) // 2, 0],", "padding=[0, 0],"),
            (
                "conv_out_layer" + UNFOLDED,
                "nn.functional.pad(conv_out_layer.transpose(1, 2), "
                "(self.conv_kernel_size - 1, 0)).unsqueeze(-1)",
            ),
        ),
        "span_summary_causal": causal_taps,
        "windows_channel_minor": text(
            CONV,
            (
                "(conv_out_layer, [-1, self.attention_head_size, self.conv_kernel_size])",
                "(conv_out_layer.mT, [-1, self.attention_head_size, self.conv_kernel_size])",
            ),
        ),
        "convolution_first": text(CONV, ("[context_layer, conv_out]", "[conv_out, context_layer]")),
        "convolution_masked": text(
            CONV,
            (
                "conv_out_layer = self.conv_out_layer(hidden_states)",
                "conv_out_layer = self.conv_out_layer(hidden_states) * (1 if attention_mask is None "
                "else attention_mask[:, 0, 0, :, None] == 0)",
            ),
        ),
        "filters_without_query": text(
            CONV,
            (
                "torch.multiply(mixed_key_conv_attn_layer, mixed_query_layer)",
                "mixed_key_conv_attn_layer",
            ),
        ),
        "filters_softmax_over_heads": text(
            CONV,
            (
                "torch.softmax(conv_kernel_layer, dim=1)",
                "torch.softmax(conv_kernel_layer.view(-1, self.num_attention_heads, "
                "self.conv_kernel_size), dim=1).view(-1, self.conv_kernel_size, 1)",
            ),
        ),
        "group_weights_transposed": text(
            "GroupedLinearLayer",
            (
                "torch.matmul(x, self.weight)",
                "torch.matmul(x, self.weight.view(self.num_groups, self.group_out_dim, -1).mT)",
            ),
        ),
        "square_weights_transposed": transpose_squares,
        "tanh_gelu": put("intermediate_act_fn", TANH_GELU),
        "residual_of_layer_input": residual_of_input,
    },
    "MobileBert": {
        **{name: plant for name, plant in FIRST_FIVE.items() if "pos" in name or "type" in name},
        "trigrams_reversed": text(
            "Embeddings",
            (
                "self.embedding_transformation(inputs_embeds)",
                "self.embedding_transformation(torch.cat(inputs_embeds.chunk(3, 2)[::-1], 2))",
            ),
        ),
        "layer_norm_for_no_norm": dict(normalization_type="layer_norm"),
        **ATTENTION,
        "square_weights_transposed": transpose_squares,
        "gelu_for_relu": put("intermediate_act_fn", torch.nn.GELU()),
        "residual_of_shared_bottleneck": text(
            "Bottleneck",
            ("hidden_states, bottlenecked_hidden_states)", "hidden_states, shared_attention_input)"),
        ),
        "query_and_key_of_input_bottleneck": text(
            "Bottleneck",
            (
                "(shared_attention_input, shared_attention_input, hidden_states,",
                "(bottlenecked_hidden_states, bottlenecked_hidden_states, hidden_states,",
            ),
        ),
        "value_of_bottleneck": text(
            "Bottleneck",
            ("shared_attention_input, hidden_states,", "shared_attention_input, shared_attention_input,"),
        ),
        "one_feed_forward_too_few": fewer_feed_forwards,
        **POOLERS,
        "pooler_without_tanh": text("Pooler", ("torch.tanh(pooled_output)", "pooled_output")),
    },
    "SqueezeBert": {
        **FIRST_FIVE,
        "no_mask": text(SQUEEZE, (SQUEEZE_MASK, "pass")),
        "mask_after_softmax": text(
            SQUEEZE, (SQUEEZE_MASK, "pass"), (SQUEEZE_SOFTMAX, masked_after("nn.functional.softmax(attention_score, dim=-1)"))
        ),
        "softmax_over_queries": text(
            SQUEEZE, (SQUEEZE_SOFTMAX, "nn.functional.softmax(attention_score, dim=-2)")
        ),
        "no_scale": text(SQUEEZE, (SQUEEZE_SCALE, "attention_score")),
        "scale_of_all_heads": text(
            SQUEEZE, (SQUEEZE_SCALE, SQUEEZE_SCALE.replace("attention_head", "all_head"))
        ),
        "heads_interleaved": squeeze_interleaved,
        "heads_not_swapped_back": squeeze_not_swapped_back,
        "scores_transposed": text(
            SQUEEZE, ("self.matmul_qk(query_layer, key_layer)", "self.matmul_qk(query_layer, key_layer).mT")
        ),
        "query_and_key_weights_swapped": swap_query_and_key,
        "group_weights_transposed": transposed_convolutions,
        "square_weights_transposed": transpose_squares,
        "tanh_gelu": put("act", TANH_GELU),
        "residual_of_layer_input": text(
            "Module", ("intermediate_output, post_attention_output", "intermediate_output, hidden_states")
        ),
        **POOLERS,
    },
}  # fmt: skip
HEAD_ACTIVATION = put("transform_act_fn", TANH_GELU)
NO_BIAS = ("self.decoder(hidden_states)", "hidden_states @ self.decoder.weight.T")
# (family, head): the same for what the heads compute.
IN_HEADS = {
    ("Bert", "ForMaskedLM"): {
        "tanh_gelu_in_head": HEAD_ACTIVATION,
        "no_decoder_bias": text("LMPredictionHead", NO_BIAS),
    },
    ("Bert", "ForNextSentencePrediction"): {
        "next_sentence_labels_swapped": other_order("cls.seq_relationship"),
    },
    ("Bert", "ForQuestionAnswering"): {"start_and_end_swapped": other_order("qa_outputs")},
    ("ConvBert", "ForMaskedLM"): {
        "tanh_gelu_in_head": put("activation", TANH_GELU),
        "no_decoder_bias": lambda model: model.generator_lm_head.bias.data.zero_(),
    },
    ("ConvBert", "ForSequenceClassification"): {
        "tanh_gelu_in_head": lambda model: setattr(model.classifier.config, "hidden_act", "gelu_new"),
        "last_token_pooled": text("ClassificationHead", ("[:, 0, :]", "[:, -1, :]")),
    },
    ("ConvBert", "ForMultipleChoice"): {
        "first_token_summed_up": lambda model: setattr(model.sequence_summary, "summary_type", "first"),
    },
    ("MobileBert", "ForMaskedLM"): {
        "epsilon_1e-5": epsilon,
        "unbiased_variance": unbiased,
        "no_norm_in_head": lambda model: setattr(
            model.cls.predictions.transform.LayerNorm,
            "forward",
            lambda x: x * model.cls.predictions.transform.LayerNorm.weight
            + model.cls.predictions.transform.LayerNorm.bias,
        ),
        "no_decoder_bias": text("LMPredictionHead", ("hidden_states += self.decoder.bias", "pass")),
        "decoder_without_dense": text("LMPredictionHead", ("self.dense.weight]", "0 * self.dense.weight]")),
    },
    ("MobileBert", "ForPreTraining"): {
        "next_sentence_labels_swapped": other_order("cls.seq_relationship"),
    },
    ("MobileBert", "ForQuestionAnswering"): {"start_and_end_swapped": other_order("qa_outputs")},
    ("SqueezeBert", "ForMaskedLM"): {
        "tanh_gelu_in_head": HEAD_ACTIVATION,
        "no_decoder_bias": text("LMPredictionHead", NO_BIAS),
    },
    ("SqueezeBert", "ForQuestionAnswering"): {"start_and_end_swapped": other_order("qa_outputs")},
}  # fmt: skip
