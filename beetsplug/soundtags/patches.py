"""Mel bands to patches, the pieces that the models see."""

from __future__ import annotations

import numpy as np

PATCH = 187  # frames, 3 s
HOP = 93  # frames between patches when all are wanted


def cut_patches(bands: np.ndarray, limit: int | None) -> np.ndarray:
    """Cut mel bands into patches.

    Parameters
    ----------
    bands
        Shape (frames, bands). Fewer frames than a patch has are repeated
        until they fill one, as when the models were trained.
    limit
        At most this many patches, evenly spread from the first frame to the
        last. None gives every patch, half overlapping, an incomplete last
        one left out, as the reference does; so does a limit they keep to.

    Returns
    -------
    numpy.ndarray
        Shape (patches, 187, bands).
    """
    if len(bands) < PATCH:
        bands = bands[np.arange(PATCH) % len(bands)]
    last = len(bands) - PATCH
    starts = np.arange(0, last + 1, HOP)
    if limit is not None and limit < len(starts):
        starts = np.linspace(0, last, limit).round().astype(int)
    return np.stack([bands[start : start + PATCH] for start in starts])
