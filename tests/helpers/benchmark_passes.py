"""A measured forward pass of the benchmark: a model, a size, and how fast each contestant was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """What a row of the table and the points of the figure are made of.

    seconds: the median of each contestant. rate, bandwidth: what the machine showed beside it, in
    operations and bytes a second. operations, moved: what the pass costs, see benchmark_costs.py.
    """

    model: str
    size: str
    operations: int
    moved: int
    rate: float
    bandwidth: float
    seconds: dict[str, float]

    @property
    def speeds(self) -> dict[str, float]:
        """The operations a second of each contestant."""
        return {who: self.operations / taken for who, taken in self.seconds.items()}
