"""The twins of the layers and of the masked-LM head in npbert/mobilebert.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from npbert.compiled import prepared
from npbert.compiled.program import Channels, Program


def layers(x, p, config, inputs):
    """Fast because all layers are one compiled call, with features before tokens in memory."""
    return prepared.layers(_write_layers, x, p, config, inputs)


def masked_lm_head(x, p, config):
    """Fast because it is one compiled call; and no token's scores depend on the rest of a batch,
    as those of NumPy's product with the further channels do."""
    return prepared.row_by_row(_write_head, x, p, config)


def _write_head(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the steps from hidden states to scores."""
    E, D, V = config.embedding_size, config.hidden_size, config.vocab_size
    transformed, scores = steps.buffer(D), steps.buffer(V)
    steps.linear(x, p.transform.dense, transformed, config.hidden_act)
    steps.wait()
    steps.norm(transformed, p.transform.LayerNorm, config.layer_norm_eps, transformed)
    steps.wait()
    steps.linear(transformed.some(0, E), p.decoder, scores)
    steps.wait()
    if E < D:
        rest, no_bias = transformed.some(E, D - E), np.zeros(V, np.float32)
        steps.linear(rest, None, scores, add=scores, weight=p.dense.weight.T, bias=no_bias)
        steps.wait()
    steps.leave(scores)


def _write_layers(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the steps of all layers."""
    D, C, I = config.hidden_size, config.true_hidden_size, config.intermediate_size
    H, eps = config.num_attention_heads, config.layer_norm_eps
    narrow, shared, context, summed = (steps.buffer(C) for _ in range(4))
    qkv, wide, full = steps.buffer(3 * C), steps.buffer(I), steps.buffer(D)

    def normed(source: Channels, p: Any, target: Channels, eps: float, add: Any = None) -> None:
        """Write a linear map of `p.dense`, the residual connection, and the norm of p."""
        if config.normalization_type == "no_norm":
            steps.linear(source, p.dense, target, add=add, scale=p.LayerNorm)
        else:
            between = summed if target.width == C else full
            steps.linear(source, p.dense, between, add=add)
            steps.wait()
            steps.norm(between, p.LayerNorm, eps, target)
            steps.wait()  # the next map may need the buffer in between

    def feed_forward(p: Any, eps: float) -> None:
        steps.linear(narrow, p.intermediate.dense, wide, config.hidden_act)
        steps.wait()
        normed(wide, p.output, narrow, eps, add=narrow)
        steps.wait()

    for i in range(config.num_hidden_layers):
        layer = p.encoder.layer[i]
        of = layer.attention.self
        queried, valued, residual = x, x, x
        if config.use_bottleneck:
            normed(x, layer.bottleneck.input, narrow, eps)
            residual = narrow
            if config.use_bottleneck_attention:
                queried, valued = narrow, narrow
            elif config.key_query_shared_bottleneck:
                normed(x, layer.bottleneck.attention, shared, eps)
                queried = shared
            steps.wait()
        for n, (dense, source) in enumerate(
            [(of.query, queried), (of.key, queried), (of.value, valued)]
        ):
            steps.linear(source, dense, qkv.some(n * C, C))
        steps.wait()
        steps.attention(qkv, H, context)
        steps.wait()
        normed(context, layer.attention.output, narrow, eps, add=residual)
        steps.wait()
        for k in range(config.num_feedforward_networks - 1):
            feed_forward(layer.ffn[k], eps)
        feed_forward(layer, 1e-5)
        if config.use_bottleneck:
            normed(narrow, layer.output.bottleneck, x, eps, add=x)
            steps.wait()
        else:
            x, narrow = narrow, x
        steps.state(x, i == config.num_hidden_layers - 1)
