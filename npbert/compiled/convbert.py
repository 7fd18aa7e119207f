"""The twin of the layers in npbert/convbert.py."""

from __future__ import annotations

from typing import Any

from npbert.compiled import prepared
from npbert.compiled.program import Channels, NotCovered, Program


def layers(x, p, config, inputs):
    """Fast because all layers are one compiled call, with features before tokens in memory."""
    return prepared.layers(_write_layers, x, p, config, inputs)


def _write_layers(steps: Program, x: Channels, p: Any, config: Any) -> None:
    """Write the steps of all layers."""
    D, I, G = config.hidden_size, config.intermediate_size, config.num_groups
    H, A, K = config.heads, config.mixed_size, config.conv_kernel_size
    if K % 2 == 0:
        raise NotCovered("filters that reach farther to one side")
    widths = 3 * A, A, D, A, H * K, D, D, I
    qkv, local, span, matched, filters, mixed, summed, wide = map(steps.buffer, widths)

    def feed(source: Channels, p: Any, target: Channels, **then: Any) -> None:
        """Write a linear map, or one in groups, whose weight is stored turned: [G, I/G, O/G]."""
        weight = p.weight if G == 1 else p.weight.swapaxes(-1, -2)
        steps.linear(source, p, target, weight=weight, **then)

    for i in range(config.num_hidden_layers):
        layer = p.encoder.layer[i]
        of, output = layer.attention.self, layer.attention.output
        for n, dense in enumerate((of.query, of.key, of.value)):
            steps.linear(x, dense, qkv.some(n * A, A))
        steps.linear(x, of.conv_out_layer, local)
        steps.depthwise(x, of.key_conv_attn_layer.depthwise.weight, span)
        steps.wait()
        steps.attention(qkv, H, mixed.some(0, A))
        pointwise, bias = of.key_conv_attn_layer.pointwise.weight, of.key_conv_attn_layer.bias
        query = qkv.some(0, A)
        steps.linear(
            span, None, matched, multiply=query, weight=pointwise[:, :, 0], bias=bias[:, 0]
        )
        steps.wait()
        steps.linear(matched, of.conv_kernel_layer, filters)
        steps.wait()
        steps.dynamic(local, filters, H, K, mixed.some(A, A))
        steps.wait()
        steps.linear(mixed, output.dense, summed, add=x)
        steps.wait()
        steps.norm(summed, output.LayerNorm, config.layer_norm_eps, x)
        steps.wait()
        feed(x, layer.intermediate.dense, wide, activation=config.hidden_act)
        steps.wait()
        feed(wide, layer.output.dense, summed, add=x)
        steps.wait()
        steps.norm(summed, layer.output.LayerNorm, config.layer_norm_eps, x)
        steps.wait()
        steps.state(x, i == config.num_hidden_layers - 1)
