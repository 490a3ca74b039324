"""Histograms of scores, and counts of names, over many tracks."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.labelling.labels import mood_thresholds
from soundtags.labelling.scores import DECIMALS
from soundtags.models.catalogue import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from soundtags.models.catalogue import Target
    from soundtags.models.settings import Settings

BINS = 50  # of a score from 0 to 1, each is 0.02 wide


@dataclass(frozen=True)
class Histogram:
    """How the values of a field are distributed.

    Attributes
    ----------
    counts
        Tracks per bin, shape (bins,).
    edges
        Where bins begin and end, shape (bins + 1,).
    threshold
        Score from which a track has the label; None where no label depends on
        the field.
    below
        Tracks below the threshold; 0 without one.
    """

    counts: np.ndarray
    edges: np.ndarray
    threshold: float | None
    below: int

    @property
    def total(self) -> int:
        """Number of all tracks."""
        return int(self.counts.sum())


def histograms(
    amounts: Mapping[str, Mapping[float, int]],
    targets: Mapping[str, Target],
    settings: Settings,
) -> dict[str, Histogram]:
    """Return how the values of fields are distributed.

    Parameters
    ----------
    amounts
        Field to value to the number of tracks that have it.
    targets
        All targets by name.
    settings
        Thresholds.

    Returns
    -------
    dict
        Field to histogram, without fields that no track has.
    """
    thresholds = mood_thresholds(targets, settings)
    unbounded = {
        field
        for target in targets.values()
        if target.kind == NUMBERS and not target.scale
        for field in target.classes.values()
    }
    return {
        field: _histogram(each, field not in unbounded, thresholds.get(field))
        for field, each in amounts.items()
        if each
    }


def _histogram(
    amounts: Mapping[float, int], is_share: bool, threshold: float | None
) -> Histogram:
    scale = [*amounts, 0.0, 1.0] if is_share else list(amounts)
    low = math.floor(min(scale))
    high = max(math.ceil(max(scale)), low + 1)
    # Rounded, or 0.7 would be less than the edge that is meant to be 0.7.
    edges = np.linspace(float(low), float(high), BINS + 1).round(DECIMALS)
    counts, _ = np.histogram(
        list(amounts), edges, weights=list(amounts.values())
    )
    below = (
        0
        if threshold is None
        else sum(n for value, n in amounts.items() if value < threshold)
    )
    return Histogram(counts.astype(int), edges, threshold, below)


def occurrences(lists: Iterable[tuple[list[str], int]]) -> Counter[str]:
    """Count the tracks that have each name.

    Parameters
    ----------
    lists
        Lists of names, each with the number of tracks that have this list.
    """
    found: Counter[str] = Counter()
    for names, tracks in lists:
        found.update(dict.fromkeys(names, tracks))
    return found
