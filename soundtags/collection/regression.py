"""Logistic regression, and folds to check it with."""

from __future__ import annotations

import numpy as np

from soundtags.blas import single_threaded
from soundtags.labelling.estimates import logistic

STEPS = 50  # at most, of Newton's method; it takes fewer than ten


def regress(
    inputs: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray,
    penalty: float,
) -> np.ndarray:
    """Return the weights of a logistic regression, the bias last.

    Parameters
    ----------
    inputs
        Shape (rows, inputs).
    wanted, weights
        The label of each row, 0 to 1, and how much the row counts.
    penalty
        Penalty on the squares of the weights; there is next to none on the
        bias.
    """
    x = np.column_stack([inputs, np.ones(len(inputs))])
    ridge = np.append(np.full(inputs.shape[1], penalty), 1e-6)
    found = np.zeros(x.shape[1])

    def loss(b: np.ndarray) -> float:
        z = x @ b
        misfit = weights @ (np.logaddexp(0, z) - wanted * z)
        return float(misfit + ridge @ b**2 / 2)

    with single_threaded():
        for _ in range(STEPS):  # Newton's steps, shorter where needed
            p = logistic(x @ found)
            slope = x.T @ (weights * (p - wanted)) + ridge * found
            curve = (x * (weights * p * (1 - p))[:, None]).T @ x
            step = np.linalg.solve(curve + np.diag(ridge), slope)
            before = loss(found)
            while np.abs(step).max() > 1e-7 and loss(found - step) > before:
                step /= 2
            found = found - step
            if np.abs(step).max() < 1e-5:
                break
    return found


def folds_of(groups: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    """Return a random fold for each row, the same for all of a group.

    Parameters
    ----------
    groups
        The group of each row.
    count
        Number of folds.
    seed
        Seed of the random order.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    folds: np.ndarray = order[numbers] % count
    return folds
