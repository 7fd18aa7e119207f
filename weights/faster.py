"""The library's slow forward passes, written anew: the same result in less time on a CPU.

install() puts them in place of the library's, check() stops at once if they are not the same.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.convbert.modeling_convbert import ConvBertSelfAttention
from transformers.models.squeezebert.modeling_squeezebert import SqueezeBertEncoder


def shifted_self_attention(self, x, attention_mask=None, *args, **kwargs):
    """ConvBertSelfAttention.forward with its convolutions as sums of shifted arrays.

    The library unfolds K copies of the values; nine shifted products need neither the copies nor
    their gradients. The four projections of x are one matrix product.
    """
    B, T, _ = x.shape
    A, H, K = self.all_head_size, self.num_attention_heads, self.conv_kernel_size
    projections = (self.query, self.key, self.value, self.conv_out_layer)
    weight = torch.cat([p.weight for p in projections])
    bias = torch.cat([p.bias for p in projections])
    query, key, value, local = F.linear(x, weight, bias).split(A, dim=-1)

    def shifted_sum(values, factors):
        padded = F.pad(values, (0,) * 2 * (values.ndim - 2) + (K // 2, K // 2))
        return sum(padded[:, k : k + T] * factors[k] for k in range(K))

    separable = self.key_conv_attn_layer
    span = shifted_sum(x, separable.depthwise.weight[:, 0].t())
    span = F.linear(span, separable.pointwise.weight[:, :, 0], separable.bias[:, 0])
    filters = self.conv_kernel_layer(span * query).view(B, T, H, K, 1).softmax(3)
    near = shifted_sum(local.reshape(B, T, H, -1), filters.unbind(3))

    query, key, value = (y.view(B, T, H, -1).transpose(1, 2) for y in (query, key, value))
    scores = query @ key.transpose(-1, -2) / math.sqrt(self.attention_head_size)
    scores = scores.float()
    probs = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
    far = (probs.to(value.dtype) @ value).transpose(1, 2)
    return torch.cat([far, near], 2).reshape(B, T, -1), probs


def grouped(x, *convolutions):
    """Return what convolutions of kernel 1 make of x, in one batched product of their groups.

    x: [G, N, I/G], the features of each group. Returns [G, N, O/G] for each convolution.
    """
    G = len(x)
    weight = torch.cat([c.weight.view(G, -1, x.shape[-1]) for c in convolutions], 1)
    bias = torch.cat([c.bias.view(G, 1, -1) for c in convolutions], 2)
    product = torch.baddbmm(bias.to(x.dtype), x, weight.transpose(1, 2).to(x.dtype))
    return product.split([c.out_channels // G for c in convolutions], dim=-1)


def channels_last_encoder(self, hidden_states, attention_mask=None, *args, **kwargs):
    """SqueezeBertEncoder.forward with the channels last, so that nothing is transposed for a norm.

    The groups of query, key, value, intermediate and output are equal in number; between the two
    of the feed-forward network the features stay sorted by group.
    """
    B, T, D = hidden_states.shape
    states = [hidden_states]
    for layer in self.layers:
        attention, x = layer.attention, states[-1].reshape(B * T, D)
        G, H = attention.query.groups, attention.num_attention_heads
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype

        def by_group(y, G=G, dtype=dtype):  # [N, D] -> [G, N, D/G]
            return y.to(dtype).view(len(y), G, -1).transpose(0, 1)

        projections = grouped(by_group(x), attention.query, attention.key, attention.value)
        query, key, value = (
            y.transpose(0, 1).reshape(B, T, H, -1).transpose(1, 2) for y in projections
        )
        scores = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).float()
        probs = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
        context = (probs.to(value.dtype) @ value).transpose(1, 2).reshape(B * T, D)

        after = layer.post_attention
        context = F.linear(context, after.conv1d.weight[:, :, 0], after.conv1d.bias)
        x = F.layer_norm(
            x + context, (D,), after.layernorm.weight, after.layernorm.bias, after.layernorm.eps
        )
        (inner,) = grouped(by_group(x), layer.intermediate.conv1d)
        (outer,) = grouped(layer.intermediate.act(inner), layer.output.conv1d)
        norm = layer.output.layernorm
        x = x + outer.transpose(0, 1).reshape(B * T, D)
        states.append(F.layer_norm(x, (D,), norm.weight, norm.bias, norm.eps).view(B, T, D))
    return BaseModelOutput(last_hidden_state=states[-1], hidden_states=tuple(states))


FASTER = {
    ConvBertSelfAttention: (ConvBertSelfAttention.forward, shifted_self_attention),
    SqueezeBertEncoder: (SqueezeBertEncoder.forward, channels_last_encoder),
}


def install(fast: bool = True) -> None:
    """Let the two classes compute fast, or as the library does."""
    for kind, forwards in FASTER.items():
        kind.forward = forwards[fast]


def check(model) -> None:
    """Stop at once if the fast forward pass is not the library's own."""
    ids = torch.arange(2 * 20).view(2, 20) + 5
    attended = torch.ones(2, 20)
    attended[1, 15:] = 0
    with torch.no_grad():
        install(False)
        slow = model(ids, attention_mask=attended)
        install()
        fast = model(ids, attention_mask=attended)
    difference = (fast[0] - slow[0])[attended.bool()].abs().max()
    assert difference < 1e-4, difference
