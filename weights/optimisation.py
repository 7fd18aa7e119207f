"""The optimisers: Muon for the matrices of the encoder, AdamW for everything else; the rates."""

from __future__ import annotations

import torch
from transformers import SqueezeBertForMaskedLM


class Muon(torch.optim.Optimizer):
    """Momentum whose every matrix is replaced by the nearest orthogonal one (Jordan et al. 2024).

    torch has Muon too, for single matrices; this one takes a grouped convolution as the stack of
    matrices that it is, and orthogonalises all matrices of one shape together, which is faster.
    Scaled so that an update is as large as AdamW's. Parameters carry `groups`.
    """

    def __init__(self, parameters: list[tuple[torch.nn.Parameter, int]], weight_decay: float):
        self.groups_of = {parameter: groups for parameter, groups in parameters}
        defaults = {"lr": 1.0, "weight_decay": weight_decay, "momentum": 0.95}
        super().__init__([parameter for parameter, _ in parameters], defaults)

    @torch.no_grad()
    def step(self) -> None:
        (group,) = self.param_groups
        shapes = {}
        for parameter in group["params"]:
            G = self.groups_of[parameter]
            stack = parameter.view(G, parameter.shape[0] // G, -1)  # [G, out / G, in / G]
            shapes.setdefault(stack.shape[1:], []).append((parameter, stack))
        for (rows, columns), members in shapes.items():
            directions = []
            for parameter, stack in members:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                nesterov = parameter.grad.lerp(momentum, group["momentum"])
                directions.append(nesterov.view_as(stack))
            updates = orthogonalised(torch.cat(directions))
            rate = group["lr"] * 0.2 * max(rows, columns) ** 0.5
            for (_, stack), update in zip(members, updates.split([len(s) for _, s in members])):
                stack.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Return stacked matrices [N, a, b] with all singular values near 1, by Newton and Schulz."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        polynomial = torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315)
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)


def make_optimizers(model, arguments):
    """Return Muon for the encoder's matrices and AdamW for the rest (norms, biases undecayed)."""
    kinds = [torch.nn.Linear]
    if isinstance(model, SqueezeBertForMaskedLM):
        kinds.append(torch.nn.Conv1d)  # all of kernel 1: matrices, in groups
    matrices = {
        f"{name}.weight": getattr(module, "groups", 1)
        for name, module in model.named_modules()
        if "encoder.layer" in name and isinstance(module, tuple(kinds))
    }
    if arguments.optimizer == "adamw":
        matrices = {}
    parameters = dict(model.named_parameters())
    decayed = [p for n, p in parameters.items() if p.ndim > 1 and n not in matrices]
    plain = [p for n, p in parameters.items() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizers = [torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.98))]
    if matrices:
        muon = Muon([(parameters[name], groups) for name, groups in matrices.items()], 0.05)
        optimizers.append(muon)
    return optimizers


def set_rates(optimizers, share: float, arguments) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        peak = arguments.muon_rate if isinstance(optimizer, Muon) else arguments.rate
        for group in optimizer.param_groups:
            group["lr"] = share * peak


def schedule(step: int, arguments) -> tuple[float, float]:
    """Return the learning rate as a share of its peak, and what is left of the constant part.

    The rate rises, is constant, and falls to zero; what is left falls with it, from 1 to 0. The
    sentences at the end start from a third of the peak rate.
    """
    if step >= arguments.steps:
        return (arguments.steps + arguments.sentences - step) / arguments.sentences / 3, 0.0
    left = min(1.0, (arguments.steps - step) / (arguments.falling * arguments.steps))
    return min((step + 1) / arguments.warmup, left), left
