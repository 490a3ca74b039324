"""Activations to what was heard: the means of a track, which can be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .features import Features

Vectors = dict[str, np.ndarray]


class Said(NamedTuple):
    """What models say of some patches.

    Attributes
    ----------
    activations
        Model id to activations, shape (patches, classes).
    embeddings
        Model id to embeddings, shape (patches, dimensions).
    """

    activations: Vectors
    embeddings: Vectors


@dataclass(frozen=True)
class Heard:
    """All that conclusions need of a track, without its audio.

    Attributes
    ----------
    inputs
        Front end to the digest of what models were fed, see
        :class:`features.Features`.
    seconds
        How long the audio is.
    level
        How loud it gets.
    activations
        Model id to mean activations, shape (classes,), float32.
    embeddings
        Model id to the mean embedding, shape (dimensions,), float32.
    """

    inputs: Mapping[str, str]
    seconds: float
    level: float
    activations: Vectors
    embeddings: Vectors

    def with_more(self, other: Heard) -> Heard:
        """Return this together with what other models said of the same."""
        return Heard(
            {**self.inputs, **other.inputs},
            max(self.seconds, other.seconds),
            max(self.level, other.level),
            {**self.activations, **other.activations},
            {**self.embeddings, **other.embeddings},
        )


def hear(results: Sequence[Said], found: Features) -> Heard:
    """Average what models say over all portions of a track.

    Parameters
    ----------
    results
        What they say of each portion.
    found
        The last portion.
    """
    return Heard(
        found.inputs,
        found.seconds,
        found.level,
        _means([said.activations for said in results]),
        _means([said.embeddings for said in results]),
    )


def _means(portions: Sequence[Vectors]) -> Vectors:
    names = dict.fromkeys(name for portion in portions for name in portion)
    return {
        name: np.concatenate([p[name] for p in portions if name in p])
        .mean(axis=0, dtype=float)
        .astype(np.float32)
        for name in names
    }
