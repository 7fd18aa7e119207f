"""Lets attention heads of BERT and SqueezeBERT start out looking at the neighbouring pieces.

ConvBERT and MobileBERT see neighbours by construction, through a convolution and the trigram input.
A head of BERT has to find out from the position embeddings where the neighbour is, and stays on a
plateau until it has: thousands of steps in which the model knows little but unigrams. So position
embeddings start as a code of sines in directions that the word embeddings leave nearly free, and
the queries and keys of some heads from a regression of that code on the hidden states.
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
def place_positions(model, frequencies: int, groups: int) -> torch.Tensor:
    """Write the code into the position embeddings, once for each group of features; return it."""
    embeddings = model.base_model.embeddings
    table, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
    code = position_code(len(positions), frequencies)
    energy = SHARE * table.var() * table.shape[1]
    amplitude = (energy / (groups * frequencies)).sqrt()
    for features in torch.arange(table.shape[1]).chunk(groups):
        _, directions = torch.linalg.eigh(table[:, features].T.cov())  # the least varying first
        positions[:, features] = amplitude * code @ directions[:, : 2 * frequencies].T
    return code


@torch.no_grad()
def fit_near_heads(model, batches: list[dict], near: tuple) -> None:
    """Let heads look at a neighbour: near[layer][head] is how far on it is, 0 for a free head."""
    groups = getattr(model.config, "q_groups", 1)
    width = model.config.hidden_size // model.config.num_attention_heads
    frequencies = width // 2 if groups == 1 else width // 6
    code = place_positions(model, frequencies, groups)
    encoder = model.base_model.encoder
    for index, offsets in enumerate(near):
        states = torch.cat([hidden_states(model, b)[0][index].flatten(0, 1) for b in batches])
        wanted = torch.cat([code[: b["ids"].shape[1]].repeat(len(b["ids"]), 1) for b in batches])
        layer = (
            encoder.layer[index].attention.self if groups == 1 else encoder.layers[index].attention
        )
        for head, offset in enumerate(offsets):
            if not offset:
                continue
            x = states if groups == 1 else states.chunk(groups, dim=1)[head]
            mean = x.mean(0)
            x = x - mean
            covariance = x.T @ x / len(x)
            covariance += 1e-3 * covariance.diagonal().mean() * torch.eye(x.shape[1])
            weight = torch.linalg.solve(covariance, x.T @ wanted / len(x)).T  # [code, features]
            found = x @ weight.T + wanted.mean(0)
            explained = 1 - (found - wanted).var() / wanted.var()
            scale = (PEAK * width**0.5 / found.square().sum(1).mean()).sqrt()
            weight, bias = scale * weight, scale * (wanted.mean(0) - weight @ mean)
            rows = slice(head * width, head * width + 2 * frequencies)
            turn = moved(code, offset).T
            layer.key.weight[rows] = weight.view_as(layer.key.weight[rows])
            layer.key.bias[rows] = bias
            layer.query.weight[rows] = (turn @ weight).view_as(layer.query.weight[rows])
            layer.query.bias[rows] = turn @ bias
            print(f"layer {index}, head {head}: {explained:.0%} of the position code", flush=True)
