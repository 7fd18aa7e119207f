"""The twin of the layers in npbert/bert.py."""

from __future__ import annotations

from typing import Any

from npbert.compiled import prepared
from npbert.compiled.program import Channels, Program


def layers(x, p, config, inputs):
    """Fast because all layers are one compiled call, with features before tokens in memory."""
    return prepared.layers(_write_layers, x, p, config, inputs)


def _write_layers(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the steps of all layers."""
    D, I, H = config.hidden_size, config.intermediate_size, config.num_attention_heads
    qkv, context, summed, wide = (steps.buffer(width) for width in (3 * D, D, D, I))
    for i in range(config.num_hidden_layers):
        layer = p.encoder.layer[i]
        of, output = layer.attention.self, layer.attention.output
        for n, dense in enumerate((of.query, of.key, of.value)):
            steps.linear(x, dense, qkv.some(n * D, D))
        steps.wait()
        steps.attention(qkv, H, context)
        steps.wait()
        steps.linear(context, output.dense, summed, add=x)
        steps.wait()
        steps.norm(summed, output.LayerNorm, config.layer_norm_eps, x)
        steps.wait()
        steps.linear(x, layer.intermediate.dense, wide, config.hidden_act)
        steps.wait()
        steps.linear(wide, layer.output.dense, summed, add=x)
        steps.wait()
        steps.norm(summed, layer.output.LayerNorm, config.layer_norm_eps, x)
        steps.wait()
        steps.state(x, i == config.num_hidden_layers - 1)
