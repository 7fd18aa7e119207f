"""Lets some attention heads of the other families start out looking at the neighbouring pieces.

ConvBERT sees neighbours by construction, through its convolutions. A head of BERT has to find out
from the position embeddings where the neighbour is, and stays on a plateau until it has: thousands
of steps in which the model knows little but unigrams. So position embeddings start as a code of
sines in directions that the word embeddings leave nearly free, and the queries and keys of some
heads from a regression of that code on the hidden states.
"""

from __future__ import annotations

import math

import torch
from families import hidden_states

PEAK = 5.0  # the attention score of the place looked for, others being near 0
SHARE = 0.25  # of the variance of word embeddings, for positions


def position_code(positions: int, frequencies: int) -> torch.Tensor:
    """Return sines and cosines [positions, 2 * frequencies]; their products peak at equal places.

    From slow to fast turning, at uneven distances so that the products have one peak only.
    """
    speeds = math.pi * ((torch.arange(frequencies) + 0.5) / frequencies) ** 1.5
    angles = torch.arange(positions)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], 1)


def moved(code: torch.Tensor, offset: int) -> torch.Tensor:
    """Return the matrix that turns the code of every place into that of the place `offset` on."""
    n = code.shape[1] // 2
    speeds = math.pi * ((torch.arange(n) + 0.5) / n) ** 1.5 * offset
    cos, sin = speeds.cos().diag(), speeds.sin().diag()
    return torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])


@torch.no_grad()
def place_positions(model, contents, frequencies: int, groups: int) -> torch.Tensor:
    """Write the code into the position embeddings, once for each group of features; return it.

    contents: what the positions will be added to for each word piece [V, D].
    """
    positions = model.base_model.embeddings.position_embeddings.weight
    code = position_code(len(positions), frequencies)
    energy = SHARE * contents.var() * contents.shape[1]
    amplitude = (energy / (groups * frequencies)).sqrt()
    for features in torch.arange(contents.shape[1]).chunk(groups):
        _, directions = torch.linalg.eigh(contents[:, features].T.cov())  # the least varying first
        positions[:, features] = amplitude * code @ directions[:, : 2 * frequencies].T
    return code


def regress(x: torch.Tensor, wanted: torch.Tensor):
    """Return weight and bias of the ridge regression of wanted [N, C] on x [N, D], and its R^2."""
    x_mean, wanted_mean = x.mean(0), wanted.mean(0)
    x, wanted = x - x_mean, wanted - wanted_mean
    covariance = x.T @ x / len(x)
    covariance += 1e-3 * covariance.diagonal().mean() * torch.eye(x.shape[1])
    weight = torch.linalg.solve(covariance, x.T @ wanted / len(x)).T
    explained = 1 - (x @ weight.T - wanted).var() / wanted.var()
    return weight, wanted_mean - weight @ x_mean, explained


@torch.no_grad()
def fit_near_heads(model, batches: list[dict], contents, near: tuple) -> None:
    """Let heads look at a neighbour: near[layer][head] is how far on it is, 0 for a free head.

    Layer by layer, since each changes what the next one gets. A head of SqueezeBERT sees its group
    of features only; the heads of MobileBERT share a bottleneck, whose first features become the
    code.
    """
    kind, heads = model.config.model_type, model.config.num_attention_heads
    groups = heads if kind == "squeezebert" else 1
    thin = kind == "mobilebert"
    width = (model.config.intra_bottleneck_size if thin else model.config.hidden_size) // heads
    frequencies = width // 6 if kind == "squeezebert" else width // 2
    code = place_positions(model, contents, frequencies, groups)
    encoder = model.base_model.encoder
    layers = encoder.layers if kind == "squeezebert" else encoder.layer
    wanted = torch.cat([code[: b["ids"].shape[1]].repeat(len(b["ids"]), 1) for b in batches])
    for index, (layer, offsets) in enumerate(zip(layers, near)):
        attention = layer.attention if kind == "squeezebert" else layer.attention.self
        states = torch.cat([hidden_states(model, b)[0][index].flatten(0, 1) for b in batches])
        fits = [regress(x, wanted) for x in states.chunk(groups, dim=1)]
        if thin:
            weight, bias, explained = fits[0]
            layer.bottleneck.attention.dense.weight[: len(weight)] = weight
            layer.bottleneck.attention.dense.bias[: len(bias)] = bias
            fits = [(torch.eye(len(bias), width * heads), torch.zeros(len(bias)), explained)]
        for head, offset in enumerate(offsets):
            if not offset:
                continue
            weight, bias, explained = fits[head % len(fits)]
            scale = (PEAK * width**0.5 / (explained * frequencies)).sqrt()
            turn = scale * moved(code, offset).T
            rows = slice(head * width, head * width + 2 * frequencies)
            shape = attention.key.weight[rows].shape
            attention.key.weight[rows] = scale * weight.view(shape)
            attention.key.bias[rows] = scale * bias
            attention.query.weight[rows] = (turn @ weight).view(shape)
            attention.query.bias[rows] = turn @ bias
        found = ", ".join(f"{explained:.0%}" for _, _, explained in fits)
        print(f"layer {index}: {found} of the position code found in the states", flush=True)
