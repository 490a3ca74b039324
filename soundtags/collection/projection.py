"""Projection of embeddings onto a plane, for the map of a collection."""

from __future__ import annotations

import numpy as np

from soundtags.blas import single_threaded

AXES = 2


def project(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Put tracks on a plane so that those that sound alike lie close.

    Its axes are the principal components of the embeddings' directions, as
    :func:`similarity.nearest` compares angles. Methods that unfold
    neighbourhoods, such as t-SNE, separate groups more clearly, but they need
    another package, take much longer for 500,000 tracks, and leave distances
    between groups without meaning.

    Parameters
    ----------
    embeddings
        Shape (tracks, dimensions).

    Returns
    -------
    places : numpy.ndarray
        Shape (tracks, 2). The coordinate farthest from 0 is 1 or -1. Places
        are the same on every machine, except for rounding.
    share : float
        Share of all variance that the plane shows, from 0 to 1.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.where(lengths > 0, lengths, 1)
    unit -= unit.mean(axis=0)
    with single_threaded():
        # The matrix has a row per dimension, however many tracks there are.
        variances, axes = np.linalg.eigh((unit.T @ unit).astype(float))
        strongest = axes[:, ::-1][:, :AXES]
        # Either end of an axis could be the positive one.
        ends = np.abs(strongest).argmax(axis=0)
        strongest = strongest * np.sign(strongest[ends, range(AXES)])
        places = unit @ strongest
    total = variances.sum()
    share = variances[-AXES:].sum() / total if total > 0 else 0.0
    return places / (np.abs(places).max(initial=0) or 1), float(share)
