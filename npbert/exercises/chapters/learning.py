"""Exercises of the chapter on learning: masks, loss, gradient, slope, Adam, a teacher."""

from __future__ import annotations

import numpy as np

from npbert import ops
from npbert.exercises.exercise import Exercise, Mistake


def hide_tokens(ids, chosen, draws, others):  # [T], [T], [T], [T] -> [T]
    """Hide the chosen tokens: where draws is below 0.8 by [MASK], id 4, from there to below 0.9 by
    the id in others, else they stay.
    """
    hidden = np.where(draws < 0.8, 4, np.where(draws < 0.9, others, ids))
    return np.where(chosen, hidden, ids)


def inputs_of_hiding(rng):
    T = 60
    yield rng.integers(5, 99, T), rng.random(T) < 0.5, rng.random(T), rng.integers(100, 200, T)


def loss_of(logits, labels):  # [N, V], [N] -> []
    """Return the mean of -ln p(label) over the places whose label is not -100."""
    counted = labels != -100
    log_probs = ops.log_softmax(logits[counted])
    return -np.mean(log_probs[np.arange(counted.sum()), labels[counted]])


def inputs_of_loss(rng):
    for N in (8, 12):
        labels = rng.integers(0, 120, N)
        labels[:: N // 4] = -100
        yield rng.normal(size=(N, 120)), labels


def gradient_of_logits(logits, labels):  # [N, V], [N] -> [N, V]
    """Return the gradient of the mean of -ln p(label) with respect to the logits."""
    gradient = ops.softmax(logits)
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)


def inputs_of_gradient(rng):
    for N in (3, 5):
        yield rng.normal(size=(N, 6)), rng.integers(0, 6, N)


def slope_along(function, x, direction, step):
    """Estimate the slope of a function of an array at x in a direction, by its values one step
    before and one step behind.
    """
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def cubes(x):
    """Return the sum of the cubes, a function to try."""
    return float((x**3).sum())


def inputs_of_slope(rng):
    yield cubes, rng.normal(size=4), rng.normal(size=4), 0.1
    yield cubes, rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), 0.25


def adam_step(p, gradient, m, v, t, rate, eps):  # -> p, m, v
    """Do step t (from 1) of Adam with decays 0.9 and 0.999: update both means, correct their bias,
    and move p by rate * m / (sqrt(v) + eps). Return the new p, m and v.
    """
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    unbiased_m, unbiased_v = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return p - rate * unbiased_m / (np.sqrt(unbiased_v) + eps), m, v


def inputs_of_adam(rng):
    for t in (1, 7):
        p, gradient, m = rng.normal(size=(3, 5))
        yield p, gradient, m, rng.random(5), t, 0.1, 0.05


def adam(p, gradient, m, v, corrects=True, shift=0, t=1, rate=0.1, eps=0.0, under=False):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    by_m, by_v = (1 - 0.9 ** (t + shift), 1 - 0.999 ** (t + shift)) if corrects else (1, 1)
    root = np.sqrt(v / by_v + eps) if under else np.sqrt(v / by_v) + eps
    return p - rate * (m / by_m) / root, m, v


def loss_from_teacher(student, teacher, temperature):  # [N, V], [N, V] -> []
    """Return the mean over N of -sum(p ln q), where p and q are the teacher's and the student's
    probabilities at a temperature, times the temperature squared.
    """
    p = ops.softmax(teacher / temperature)
    log_q = ops.log_softmax(student / temperature)
    return -(p * log_q).sum(axis=-1).mean() * temperature**2


def inputs_of_teacher(rng):
    for temperature in (2.0, 0.5):
        yield rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), temperature


EXERCISES = (
    Exercise(
        hide_tokens,
        inputs_of_hiding,
        (
            Mistake(
                "All chosen tokens become [MASK].",
                lambda ids, chosen, draws, others: np.where(chosen, 4, ids),
            ),
            Mistake(
                "Tokens that were not chosen are hidden, too.",
                lambda ids, chosen, draws, others: np.where(
                    draws < 0.8, 4, np.where(draws < 0.9, others, ids)
                ),
            ),
            Mistake(
                "From 0.9 on the other id is put in and below it the token stays; it is the "
                "other way "
                "round.",
                lambda ids, chosen, draws, others: np.where(
                    chosen, np.where(draws < 0.8, 4, np.where(draws < 0.9, ids, others)), ids
                ),
            ),
        ),
        "`np.where` inside `np.where`, and one more for the tokens that were not chosen.",
    ),
    Exercise(
        loss_of,
        inputs_of_loss,
        (
            Mistake(
                "Divided by all places, not only by those that count.",
                lambda logits, labels: ops.cross_entropy(logits, labels) * np.mean(labels != -100),
            ),
            Mistake(
                "-100 is taken for an index, which counts from the end.",
                lambda logits, labels: (
                    -np.mean(ops.log_softmax(logits)[np.arange(len(labels)), labels])
                ),
            ),
            Mistake(
                "In bits, by the logarithm to base 2; here in nats.",
                lambda logits, labels: ops.cross_entropy(logits, labels) / np.log(2),
            ),
        ),
        "Take the places that count first, by an array of booleans.",
        ops.cross_entropy,
    ),
    Exercise(
        gradient_of_logits,
        inputs_of_gradient,
        (
            Mistake(
                "Not divided by N, though the loss is a mean.",
                lambda logits, labels: ops.softmax(logits) - np.eye(logits.shape[1])[labels],
            ),
            Mistake(
                "The sign: it is the probabilities minus the ones.",
                lambda logits, labels: (
                    (np.eye(logits.shape[1])[labels] - ops.softmax(logits)) / len(labels)
                ),
            ),
            Mistake(
                "The 1 at the labels is not subtracted.",
                lambda logits, labels: ops.softmax(logits) / len(labels),
            ),
        ),
        "Softmax, minus 1 at the label: nothing else is left of the whole chain.",
    ),
    Exercise(
        slope_along,
        inputs_of_slope,
        (
            Mistake(
                "One-sided: the error then falls with the step, not with its square.",
                lambda function, x, direction, step: (
                    (function(x + step * direction) - function(x)) / step
                ),
            ),
            Mistake(
                "The two values lie two steps apart.",
                lambda function, x, direction, step: (
                    (function(x + step * direction) - function(x - step * direction)) / step
                ),
            ),
            Mistake(
                "The direction is left out: every entry of x is moved alike.",
                lambda function, x, direction, step: (
                    (function(x + step) - function(x - step)) / (2 * step)
                ),
            ),
        ),
        "Move x along the direction, forwards and backwards.",
    ),
    Exercise(
        adam_step,
        inputs_of_adam,
        (
            Mistake(
                "The bias is not corrected: the first steps are then far too small or too large.",
                lambda p, gradient, m, v, t, rate, eps: adam(
                    p, gradient, m, v, corrects=False, rate=rate, eps=eps
                ),
            ),
            Mistake(
                "Steps are counted from 1; here t is taken for the steps before.",
                lambda p, gradient, m, v, t, rate, eps: adam(
                    p, gradient, m, v, shift=1, t=t, rate=rate, eps=eps
                ),
            ),
            Mistake(
                "eps is put under the root; it is added to it.",
                lambda p, gradient, m, v, t, rate, eps: adam(
                    p, gradient, m, v, t=t, rate=rate, eps=eps, under=True
                ),
            ),
        ),
        "After t steps a mean with decay b holds 1 - b^t of what it should. Return the means as "
        "they "
        "are, uncorrected.",
    ),
    Exercise(
        loss_from_teacher,
        inputs_of_teacher,
        (
            Mistake(
                "The square of the temperature is missing.",
                lambda student, teacher, temperature: (
                    loss_from_teacher(student, teacher, temperature) / temperature**2
                ),
            ),
            Mistake(
                "Teacher and student are exchanged.",
                lambda student, teacher, temperature: loss_from_teacher(
                    teacher, student, temperature
                ),
            ),
            Mistake(
                "Only the teacher is read at this temperature; both should be.",
                lambda student, teacher, temperature: loss_from_teacher(
                    student * temperature, teacher, temperature
                ),
            ),
        ),
        "`ops.log_softmax` gives ln q without a detour.",
    ),
)
