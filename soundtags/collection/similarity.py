"""Embeddings to neighbours: which tracks sound most alike."""

from __future__ import annotations

import numpy as np

from soundtags.blas import single_threaded


def nearest(
    embeddings: np.ndarray, seeds: np.ndarray, count: int
) -> np.ndarray:
    """Find the tracks nearest to some others.

    Parameters
    ----------
    embeddings
        Shape (tracks, dimensions).
    seeds
        Indices of the tracks to start from.
    count
        How many to find at most.

    Returns
    -------
    numpy.ndarray
        Indices, nearest first: by the cosine of the angle to the mean
        direction of the seeds, which are left out, as are their likes.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    lengths[lengths == 0] = 1
    centre = (embeddings[seeds] / lengths[seeds, None]).mean(axis=0)
    with single_threaded():
        cosines = embeddings @ centre / lengths
    cosines[seeds] = -np.inf
    count = min(count, len(embeddings) - len(seeds))
    found = np.argpartition(-cosines, max(count - 1, 0))[:count]
    order: np.ndarray = found[np.argsort(-cosines[found], kind="stable")]
    return order
