"""How one array is compared with another: which entries count, and how far they are apart.

There are three kinds of entries (the rules of a golden kit):

    real          at positions that hold tokens
    padded        at padded positions, where a trained model is ill-conditioned. Along the
                  first axis called T, where that position is not real in the row of axis B; a
                  tensor without these two axes counts as padded as a whole where its case has
                  any padding
    not compared  in rows that consist of padding only, once the mask has been applied: the result
                  depends on the implementation. And where the expected value is below -1e30, the
                  smallest float of some dtype for a masked score: there the given value only has
                  to be -1e4 or less
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npbert.golden.manifest import Case, Sampled, Tensor, Tolerance
from npbert.tracing.quantities import MASKED  # a masked score is another number in every dtype

SMALL_ENOUGH = -1e4  # a port may give this instead: softmax turns it into 0


@dataclass(frozen=True)
class Entries:
    """Which entries of an array are padded, and which are compared; both of the array's shape."""

    padded: np.ndarray
    compared: np.ndarray


@dataclass(frozen=True)
class Difference:
    """How far an array is from what is expected.

    real, padded  the largest absolute error of each kind of entries, None where there are none;
                  infinite where the given value is no finite number
    unmasked      how many masked places hold more than -1e4
    scale         the largest magnitude expected, of the entries compared
    worst         the index of the largest error, None where nothing is compared
    """

    real: float | None
    padded: float | None
    unmasked: int
    scale: float
    worst: tuple[int, ...] | None

    @property
    def largest(self) -> float:
        """Return the largest absolute error of all entries, 0 where nothing is compared."""
        return max(self.real or 0.0, self.padded or 0.0)

    @property
    def relative(self) -> float:
        """Return the largest error relative to the largest expected magnitude."""
        if self.largest == 0:
            return 0.0
        return self.largest / self.scale if self.scale else np.inf

    def is_within(self, tolerance: Tolerance, verdict: str = "expected") -> bool:
        """Tell whether no error is above its tolerance; verdict: "expected" or "local"."""
        return self.excess(tolerance, verdict) <= 1

    def excess(self, tolerance: Tolerance, verdict: str = "expected") -> float:
        """Return the largest error in tolerances: above 1 the tensor has left them."""
        if self.unmasked:
            return np.inf
        return max((share(*pair) for pair in self.errors(tolerance, verdict)), default=0.0)

    def errors(self, tolerance: Tolerance, verdict: str) -> list[tuple[float, float]]:
        """Return the error of each kind of entries that there are, and the most it may be."""
        allowed: float = getattr(tolerance, verdict)
        of_padded: float | None = getattr(tolerance, f"{verdict}_padded")
        pairs = [(self.real, allowed), (self.padded, allowed if of_padded is None else of_padded)]
        return [(error, most) for error, most in pairs if error is not None]


def share(error: float, most: float) -> float:
    if not error:
        return 0.0
    return error / most if most else np.inf


def entries_of(tensor: Tensor, case: Case, shape: tuple[int, ...]) -> Entries:
    """Return which entries of a tensor count as what, in one case; `shape` is its whole shape."""
    return entries(tensor.axes, tensor.depends_on_mask, case, shape)


def entries(
    axes: tuple[str, ...] | None, depends_on_mask: bool, case: Case, shape: tuple[int, ...]
) -> Entries:
    """Do the work of `entries_of`, from the names of the axes."""
    B, T = case.real.shape
    rows, tokens = axis_of(axes, "B", B, shape), axis_of(axes, "T", T, shape)
    if rows is None or tokens is None:
        padded = np.full(shape, not case.real.all())
    else:
        padded = np.broadcast_to(spread(~case.real, (rows, tokens), len(shape)), shape)
    compared = np.ones(shape, bool)
    if depends_on_mask and case.undefined_rows:
        defined = np.ones(B, bool)
        defined[list(case.undefined_rows)] = False
        if rows is None:  # nothing says which entries belong to which row
            compared[...] = False
        else:
            compared &= spread(defined, (rows,), len(shape))
    return Entries(padded, compared)


def axis_of(
    axes: tuple[str, ...] | None, letter: str, size: int, shape: tuple[int, ...]
) -> int | None:
    """Return the first axis of that name, if it is as long as the case says."""
    if axes is None or letter not in axes or len(axes) != len(shape):
        return None
    place = axes.index(letter)
    return place if shape[place] == size else None


def spread(array: np.ndarray, places: tuple[int, ...], number: int) -> np.ndarray:
    """Give an array the number of axes of another: its own go to these places, in any order."""
    ordered = array.transpose(np.argsort(places))
    sizes = dict(zip(sorted(places), ordered.shape))
    return ordered.reshape([sizes.get(axis, 1) for axis in range(number)])


def sample(array: np.ndarray, sampled: Sampled | None) -> np.ndarray:
    """Return what the files of expected values hold of an array."""
    if sampled is None:
        return array
    index = [slice(None)] * array.ndim
    index[sampled.axis] = slice(None, None, sampled.step)
    return array[tuple(index)]


def compare(
    tensor: Tensor, case: Case, given: np.ndarray, expected: np.ndarray, sampled: bool = True
) -> Difference:
    """Compare a whole tensor with what is expected of it in one case.

    `expected` is as the kit holds it, a sample of a sampled tensor; with sampled=False it is whole,
    too. Raises ValueError where the shapes do not fit.
    """
    kind, step = entries_of(tensor, case, given.shape), tensor.sampled if sampled else None
    return difference(
        sample(given, step),
        expected,
        Entries(sample(kind.padded, step), sample(kind.compared, step)),
    )


def difference(given: np.ndarray, expected: np.ndarray, kind: Entries) -> Difference:
    """Return how far an array is from another of its shape; raise ValueError for another shape."""
    if given.shape != expected.shape or kind.padded.shape != expected.shape:
        raise ValueError(f"shape {list(given.shape)}, expected {list(expected.shape)}")
    expected, given = expected.astype(np.float64), given.astype(np.float64)
    masked = expected < MASKED
    counted = kind.compared & ~masked
    wanted = np.where(counted, expected, 0.0)
    with np.errstate(invalid="ignore"):  # a NaN or an infinity of the port
        errors = np.abs(np.where(counted, given, 0.0) - wanted)
    errors[np.isnan(errors)] = np.inf
    unmasked = kind.compared & masked & ~(given <= SMALL_ENOUGH)
    worst = None
    if counted.any():
        place = np.where(counted, errors, -1.0).argmax()
        worst = tuple(int(i) for i in np.unravel_index(place, errors.shape))
    return Difference(
        real=largest(errors[counted & ~kind.padded]),
        padded=largest(errors[counted & kind.padded]),
        unmasked=int(unmasked.sum()),
        scale=float(np.abs(wanted).max(initial=0)),
        worst=worst,
    )


def largest(errors: np.ndarray) -> float | None:
    return float(errors.max()) if errors.size else None
