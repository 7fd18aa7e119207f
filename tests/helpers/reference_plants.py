"""Every classic mistake as an edit of the reference's code: what the tests of the check plant."""

from planted_in_reference import (
    causal_taps,
    eager,
    epsilon,
    fewer_feed_forwards,
    flip_taps,
    of_class,
    other_order,
    put,
    residual_of_input,
    rewrite,
    swap_query_and_key,
    text,
    torch,
    transpose_squares,
    transposed_convolutions,
    unbiased,
)

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
SHORT_POSITIONS = (
    "self.position_ids[:, :seq_length]",
    "self.position_ids.roll(-1, 1)[:, :seq_length]",
)
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
SQUEEZE_PLAIN = "nn.functional.softmax(attention_score, dim=-1)"
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


# Family: name of the mistake -> how it is planted in the body.
PLANTS = {
    "Bert": {
        **FIRST_FIVE,
        "no_type_embeddings": text("Embeddings", (BERT_SUM, "embeddings = inputs_embeds")),
        "no_position_embeddings": text(
            "Embeddings", ("embeddings + position_embeddings", "embeddings")
        ),
        "positions_from_one": text(
            "Embeddings", ("self.position_ids[:, ", "self.position_ids.roll(-1, 1)[:, ")
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
        "scale_of_all_heads": text(
            CONV, (CONV_SCALE, CONV_SCALE.replace("attention_head", "all_head"))
        ),
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
            CONV,
            ("(conv_out_layer, conv_kernel_layer)", "(conv_out_layer, conv_kernel_layer.flip(1))"),
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
                "conv_out_layer = self.conv_out_layer(hidden_states) * (1 if "
                "attention_mask is None else attention_mask[:, 0, 0, :, None] == 0)",
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
            (
                "hidden_states, bottlenecked_hidden_states)",
                "hidden_states, shared_attention_input)",
            ),
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
            (
                "shared_attention_input, hidden_states,",
                "shared_attention_input, shared_attention_input,",
            ),
        ),
        "one_feed_forward_too_few": fewer_feed_forwards,
        **POOLERS,
        "pooler_without_tanh": text("Pooler", ("torch.tanh(pooled_output)", "pooled_output")),
    },
    "SqueezeBert": {
        **FIRST_FIVE,
        "no_mask": text(SQUEEZE, (SQUEEZE_MASK, "pass")),
        "mask_after_softmax": text(
            SQUEEZE, (SQUEEZE_MASK, "pass"), (SQUEEZE_SOFTMAX, masked_after(SQUEEZE_PLAIN))
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
            SQUEEZE,
            ("self.matmul_qk(query_layer, key_layer)", "self.matmul_qk(query_layer, key_layer).mT"),
        ),
        "query_and_key_weights_swapped": swap_query_and_key,
        "group_weights_transposed": transposed_convolutions,
        "square_weights_transposed": transpose_squares,
        "tanh_gelu": put("act", TANH_GELU),
        "residual_of_layer_input": text(
            "Module",
            ("intermediate_output, post_attention_output", "intermediate_output, hidden_states"),
        ),
        **POOLERS,
    },
}
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
        "tanh_gelu_in_head": lambda model: setattr(
            model.classifier.config, "hidden_act", "gelu_new"
        ),
        "last_token_pooled": text("ClassificationHead", ("[:, 0, :]", "[:, -1, :]")),
    },
    ("ConvBert", "ForMultipleChoice"): {
        "first_token_summed_up": lambda model: setattr(
            model.sequence_summary, "summary_type", "first"
        ),
    },
    ("MobileBert", "ForMaskedLM"): {
        "epsilon_1e-5": epsilon,
        "unbiased_variance": unbiased,
        "no_norm_in_head": lambda model: setattr(
            model.cls.predictions.transform.LayerNorm,
            "forward",
            lambda x: (
                x * model.cls.predictions.transform.LayerNorm.weight
                + model.cls.predictions.transform.LayerNorm.bias
            ),
        ),
        "no_decoder_bias": text("LMPredictionHead", ("hidden_states += self.decoder.bias", "pass")),
        "decoder_without_dense": text(
            "LMPredictionHead", ("self.dense.weight]", "0 * self.dense.weight]")
        ),
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
}
