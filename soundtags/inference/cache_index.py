"""What the prediction cache has for a plan, and for a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Iterable, Sequence

    import numpy as np

    from soundtags.models.plan import Plan


@dataclass(frozen=True)
class Coverage:
    """Which models of a plan have predictions for a track in the cache.

    Attributes
    ----------
    cached : frozenset of str
        Ids of the models whose predictions are in the cache.
    missing : frozenset of str
        Ids of the others.
    """

    cached: frozenset[str]
    missing: frozenset[str]


@dataclass(frozen=True)
class CacheIndex:
    """What the cache has for a plan, in memory.

    Attributes
    ----------
    plan : Plan
        The plan.
    front_ends : dict of str to str
        Input to its front end, for all inputs made with the plan's patches and
        resampler.
    models : dict of str to set of str
        Input to the ids of the models that have predictions for it.
    """

    plan: Plan
    front_ends: dict[str, str]
    models: defaultdict[str, set[str]]

    def coverage(self, inputs: Iterable[str]) -> Coverage:
        """Return which models have predictions for a track.

        Parameters
        ----------
        inputs : iterable of str
            Digests of the track, from runs with this plan or others. If
            several belong to one front end, the last one counts.
        """
        latest = {self.front_ends.get(each): each for each in inputs}
        latest.pop(None, None)
        known = {name for each in latest.values() for name in self.models[each]}
        ids = frozenset(model.id for model in self.plan.models)
        return Coverage(ids & known, ids - known)


class TrackVectors(NamedTuple):
    """The vectors of all tracks that a model has predictions for.

    Attributes
    ----------
    rows : dict of str to int
        Input to its row.
    values : numpy.ndarray
        Shape (inputs, dimensions), float32.
    """

    rows: dict[str, int]
    values: np.ndarray

    def places(self, tracks: Iterable[Sequence[str]]) -> list[int]:
        """Return the row of each track, or -1.

        Parameters
        ----------
        tracks : iterable of sequence of str
            The inputs of each track. If several have rows, the last counts.
        """
        return [
            next((self.rows[n] for n in reversed(own) if n in self.rows), -1)
            for own in tracks
        ]
