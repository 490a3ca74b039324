"""Projects embeddings onto a plane, for the map of a collection."""

from __future__ import annotations

import numpy as np

from soundtags.blas import single_threaded

AXES = 2


def project(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Put tracks on a plane so that those that sound alike lie close.

    These are the principal components of the embeddings' directions, as
    angles are what :func:`similarity.nearest` goes by. Methods that unfold
    neighbourhoods, such as t-SNE, part groups more clearly, but they need
    another package, take much longer where there are 500,000 tracks, and
    distances between the groups then mean nothing.

    Parameters
    ----------
    embeddings
        Shape (tracks, dimensions).

    Returns
    -------
    places : numpy.ndarray
        Shape (tracks, 2). The farthest from the middle has a coordinate of 1
        or -1. The same on every machine, but for rounding.
    share : float
        What part of all variance the plane shows, from 0 to 1.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.where(lengths > 0, lengths, 1)
    unit -= unit.mean(axis=0)
    with single_threaded():
        # Of a matrix as small as an embedding, however many tracks there are.
        variances, axes = np.linalg.eigh((unit.T @ unit).astype(float))
        strongest = axes[:, ::-1][:, :AXES]
        # Either end of an axis could be the positive one.
        ends = np.abs(strongest).argmax(axis=0)
        strongest = strongest * np.sign(strongest[ends, range(AXES)])
        places = unit @ strongest
    total = variances.sum()
    share = variances[-AXES:].sum() / total if total > 0 else 0.0
    return places / (np.abs(places).max(initial=0) or 1), float(share)
