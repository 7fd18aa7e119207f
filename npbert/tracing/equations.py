"""Every quantity in words: what to compute, for somebody who does not read Python.

File by file and function by function, in computing order. For each function the section of the
paper that describes it, and the sentences:

    "scores"          what is assigned to this name
    "returned"        what the function gives, as the output of a module
    "layer_norm"      the same of another function, where it is called from here
    "linear of dense" the same of one of its calls alone, by the name of what it gives
    "layer_norm.x"    what another function is called with here, and has no other name

What depends on the config stands in braces; npbert.tracing.annotations fills it in.
"""

from __future__ import annotations

Function = tuple[str, dict[str, str]]  # the section of the paper, "" for none; the sentences

# ---- papers --------------------------------------------------------------------------------

ATTENTION = "Vaswani et al. 2017, section 3.2.1, equation 1"
MULTI_HEAD = "Vaswani et al. 2017, section 3.2.2"
RESIDUAL = "Vaswani et al. 2017, section 3.1"
FEED_FORWARD = "Vaswani et al. 2017, section 3.3, equation 2"
GELU = "Hendrycks and Gimpel 2016, section 2"
NORM = "Ba et al. 2016, section 3"
INPUT = "Devlin et al. 2019, section 3, figure 2"
PRE_TRAINING = "Devlin et al. 2019, section 3.1"
ELECTRA = "Clark et al. 2020, section 2"
SPAN = "Jiang et al. 2020, section 3.2"
MIXED = "Jiang et al. 2020, section 3.3"
BOTTLENECK = "Sun et al. 2020, section 3.1"
CONVOLUTIONS = "Iandola et al. 2020"

# Where the classifiers are described that stand on the last layer, by the kind of head.
HEADS = {
    "MaskedLM": PRE_TRAINING,
    "SequenceClassification": "Devlin et al. 2019, section 4.1",
    "MultipleChoice": "Devlin et al. 2019, section 4.4",
    "TokenClassification": "Devlin et al. 2019, section 5.3",
    "QuestionAnswering": "Devlin et al. 2019, section 4.2",
    "NextSentencePrediction": PRE_TRAINING,
    "PreTraining": PRE_TRAINING,
}

# What `hidden_act` may name; others are said by their name alone.
ACTIVATIONS = {
    "gelu": "the exact GELU, x (1 + erf(x / √2)) / 2",
    "gelu_new": "the approximation of GELU by a tanh",
    "gelu_pytorch_tanh": "the approximation of GELU by a tanh",
    "relu": "the larger of x and 0",
    "tanh": "the hyperbolic tangent",
}

# ---- what the families have in common ------------------------------------------------------

EMBEDDINGS = {
    "words": "the row of the word embeddings that each id names",
    "positions": "the row of the position embeddings that each position id names, from 0 on",
    "types": "the row of the token type embeddings that each segment's id names",
}
SUM = {"summed": "the sum of words, positions and types"}
HEADS_APART = {
    "queries": "query with its channels cut into H heads of S, heads before tokens",
    "keys": "key with its channels cut into H heads of S, heads before tokens",
    "values": "value with its channels cut into H heads of S, heads before tokens",
}
HEADS_TOGETHER = "the contexts of all heads side by side, head 0 first"
AFTER_ATTENTION = {"layer_norm.x": "what entered attention plus what the linear map after it gives"}
AFTER_FEED_FORWARD = {"layer_norm.x": "what entered the feed-forward network plus what it gives"}
WIDE = "{activation}, of every number of intermediate.dense"
POOL = {
    "first": "the first position of each text, [CLS]",
    "returned": "the hyperbolic tangent of every number of pooler.dense",
}
MASKED_LM = {
    "activated": "{activation}, of every number of transform.dense",
}
DECODER = {
    "linear of decoder": "transformed times the transposed word embeddings, plus a bias for each "
                         "word piece",
}  # fmt: skip
FIXED_EPSILON = (
    "centred divided by the square root of variance plus 1e-12, whatever layer_norm_eps says, "
    "times the weight, plus the bias"
)

EQUATIONS: dict[str, dict[str, Function]] = {
    # ---- what a model is called with -------------------------------------------------------
    "inputs.py": {
        "Inputs": (INPUT, {
            "input_ids": "the ids of the word pieces, as given",
            "inputs_embeds": "vectors in the place of word embeddings, as given",
            "token_type_ids": "which segment a token belongs to; 0 where nothing was given",
            "position_ids": "the position of each token; 0, 1, 2, ... where nothing was given",
        }),
    },
    # ---- ops.py ----------------------------------------------------------------------------
    "ops.py": {
        "linear": ("", {"returned": "x times the transposed weight, plus the bias"}),
        "layer_norm": (NORM, {
            "centred": "x minus its mean over the channels",
            "variance": "the mean of the squares of centred over the channels: divided by D, not "
                        "by D - 1",
            "returned": "centred divided by the square root of variance plus {layer_norm_eps}, "
                        "times the weight, plus the bias",
        }),
        "softmax": ("", {
            "exponentials": "e to the power of x minus the largest x of its row",
        }),
        "mask_bias": ("", {
            "returned": "0 where a token counts, the smallest finite float where it is padding",
        }),
        "attend": (ATTENTION, {
            "scores": "each query times each key, summed over the head's width, divided by the "
                      "square root of that width",
            "masked_scores": "scores plus mask_bias; SqueezeBERT's attentions in the reference",
            "probs": "softmax of masked_scores over the keys, the last axis",
            "context": "the values of all tokens, weighed by probs and summed; tokens before heads "
                       "again",
        }),
        "cross_entropy": ("", {
            "counted": "whether a label counts: whether it is not -100",
            "log_softmax.x": "the logits of what counts",
            "log_probs": "shifted minus the logarithm of the sum of its exponentials",
            "log_likelihoods": "the entry of log_probs that the label names",
        }),
        "log_softmax": ("", {"shifted": "x minus the largest x of its row"}),
        "binary_cross_entropy": ("", {"softplus": "ln(1 + e to the power of x), of every logit"}),
    },
    # ---- kernels.py ------------------------------------------------------------------------
    "kernels.py": {
        "depthwise_convolution": (SPAN, {
            "padded": "x with K//2 tokens of zeros before the first and after the last",
        }),
        "dynamic_convolution": (SPAN, {
            "padded": "values with K//2 tokens of zeros before the first and after the last",
            "spans": "for each token and channel the K numbers around it, from K//2 tokens before "
                     "to K//2 after",
            "windows": "spans with the channels cut into heads: channel h*S + s is s of head h",
        }),
        "grouped_linear": (MIXED, {
            "groups": "x with its channels cut into G groups of neighbours",
            "mapped": "each group times its own matrix of the weight [groups, in, out], which is "
                      "not transposed",
            "returned": "the groups of mapped side by side, plus the bias",
        }),
        "grouped_convolution": (CONVOLUTIONS, {
            "rows": "x with all tokens on one axis and the channels cut into G groups",
            "out": "each group of channels times the transposed filters of that group, without "
                   "the bias",
            "returned": "the groups of out side by side, plus the bias",
        }),
    },
    # ---- bert.py ---------------------------------------------------------------------------
    "bert.py": {
        "embeddings": (INPUT, {**EMBEDDINGS, **SUM}),
        "self_attention": (MULTI_HEAD, {**HEADS_APART, "returned": HEADS_TOGETHER}),
        "layer": (RESIDUAL, AFTER_ATTENTION),
        "feed_forward": (FEED_FORWARD, {"wide": WIDE, **AFTER_FEED_FORWARD}),
        "pool": (PRE_TRAINING, POOL),
        "masked_lm_head": (PRE_TRAINING, {**MASKED_LM, **DECODER}),
    },
    # ---- convbert.py -----------------------------------------------------------------------
    "convbert.py": {
        "embeddings": (INPUT, {**EMBEDDINGS, **SUM}),
        "encoder": ("Lan et al. 2020, section 3.1", {}),
        "mixed_attention": (MIXED, {
            **HEADS_APART,
            "filters": "softmax of filter_scores over the K taps, the last axis",
            "near": "for each token and head the K neighbours in windows, each times its filter, "
                    "summed",
            "mixed": "the heads of attention, then those of the convolution",
            "returned": "all heads of mixed side by side, those of attention first",
        }),
        "span_summary": (SPAN, {
            "span": "for each channel the K tokens around it, each times its tap of "
                    "depthwise.weight, summed; tap 0 meets the token K//2 before; no bias",
            "returned": "span times the transposed pointwise.weight, plus the bias",
        }),
        "span_filters": (SPAN, {
            "matched": "the summary of the span times query, number by number",
            "linear": "matched times the transposed weight, plus the bias: K scores for each head",
            "filter_scores": "conv_kernel_layer cut into H heads of K taps",
        }),
        "layer": (RESIDUAL, AFTER_ATTENTION),
        "feed_forward": (FEED_FORWARD, {"wide": WIDE, **AFTER_FEED_FORWARD}),
        "masked_lm_head": (ELECTRA, {
            "activated": "the exact GELU, x (1 + erf(x / √2)) / 2, of every number of "
                         "generator_predictions.dense, whatever hidden_act says",
        }),
        "classification_head": ("Devlin et al. 2019, section 4.1", {
            "first": "the first position of each text, [CLS]",
            "activated": "{activation}, of every number of classifier.dense",
        }),
        "sequence_summary": ("Devlin et al. 2019, section 4.4", {"summary": "{summary}"}),
        "head": ("", {"linear.x": "{summary_activation}, of every number of the summary"}),
    },
    # ---- mobilebert.py ---------------------------------------------------------------------
    "mobilebert.py": {
        "embeddings": ("Sun et al. 2020, section 3.4", {
            **EMBEDDINGS,
            "grams": "for each token the embedding of the next, its own and that of the one before "
                     "it, side by side",
            "summed": "the sum of the mapped words, positions and types",
        }),
        "trigrams": ("Sun et al. 2020, section 3.4", {
            "padded": "words with one token of zeros before the first and after the last",
            "following": "the embedding of the next token, zeros at the end of the row",
            "preceding": "the embedding of the token before, zeros at the start of the row",
        }),
        "norm": ("Sun et al. 2020, section 3.3", {"returned": "{norm}"}),
        "squeeze": (BOTTLENECK, {}),
        "self_attention": (MULTI_HEAD, {**HEADS_APART, "returned": HEADS_TOGETHER}),
        "layer": (BOTTLENECK, {
            "norm.x": "what left bottleneck.input plus what the linear map after attention gives",
        }),
        "feed_forward": ("Sun et al. 2020, section 3.2", {
            "wide": WIDE,
            "norm.x": "what entered the feed-forward network plus what it gives",
        }),
        "expand": (BOTTLENECK, {"norm.x": "what entered the layer plus output.bottleneck.dense"}),
        "pool": (PRE_TRAINING, {
            "first": "the first position of each text, [CLS]",
            "pooled": "the hyperbolic tangent of every number of pooler.dense",
        }),
        "masked_lm_head": (PRE_TRAINING, {
            "activated": "{activation}, of every number of transform.dense",
            "narrow": "the first E channels of transformed",
            "rest": "the other D - E channels of transformed",
            "linear of decoder": "narrow times the transposed word embeddings, plus a bias for "
                                 "each word piece",
            "by_dense": "rest times dense.weight, not transposed",
            "returned": "by_embedding plus by_dense",
        }),
    },
    # ---- squeezebert.py --------------------------------------------------------------------
    "squeezebert.py": {
        "embeddings": (INPUT, {**EMBEDDINGS, **SUM}),
        "self_attention": (ATTENTION, {**HEADS_APART, "returned": HEADS_TOGETHER}),
        "layer": (RESIDUAL, {**AFTER_ATTENTION, "layer_norm": FIXED_EPSILON}),
        "feed_forward": (FEED_FORWARD, {
            "wide": "{activation}, of every number of intermediate.conv1d",
            **AFTER_FEED_FORWARD,
            "layer_norm": FIXED_EPSILON,
        }),
        "pool": (PRE_TRAINING, POOL),
        "masked_lm_head": (PRE_TRAINING, {**MASKED_LM, **DECODER}),
    },
    # ---- model/heads.py --------------------------------------------------------------------
    "model/heads.py": {
        "finish": ("", {
            "logits": "the score of each text, the N of a question in one row",
            "start_logits": "the first of the two numbers of each token",
            "end_logits": "the second of the two numbers of each token",
        }),
        "loss": ("", {
            "cross_entropy.logits": "the logits of all tokens in one column",
            "cross_entropy.labels": "the labels, with those of all tokens on one axis",
            "mean_squared_error.labels": "the labels, as numbers",
            "binary_cross_entropy.labels": "the labels, as probabilities from 0 to 1",
        }),
    },
}  # fmt: skip
