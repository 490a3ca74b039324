"""Similar tracks: the nearest neighbours of embeddings."""

from __future__ import annotations

import numpy as np

from soundtags.blas import single_threaded


def nearest(
    embeddings: np.ndarray, seeds: np.ndarray, count: int
) -> np.ndarray:
    """Find the tracks most similar to some others.

    Parameters
    ----------
    embeddings
        Float32, shape (tracks, dimensions).
    seeds
        Indices of the tracks to start from.
    count
        The largest number of tracks to find.

    Returns
    -------
    numpy.ndarray
        Indices, most similar first, by the cosine of the angle to the mean
        direction of the seeds. Only the seeds themselves are left out.
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
