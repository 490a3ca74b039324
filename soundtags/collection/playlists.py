"""Playlists: which tracks of a collection fit a recipe, in a good order."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.collection.recipes import Range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from soundtags.collection.recipes import Condition, Recipe

    Value: TypeAlias = float | str | list[str] | None
    Column: TypeAlias = Sequence[Value]

# How much less a track fits for each better track of its album, or its artist.
SAME_ALBUM, SAME_ARTIST = 0.03, 0.01
RUN = 2  # most tracks of an artist in a row
FEWEST = 3  # tracks in a playlist
SHARES = np.linspace(0, 0.5, 11)  # of tracks that thresholds may leave out
MIXER = 2654435761  # spreads consecutive ids evenly over 32 bits


class Tracks:
    """The tracks to choose from, one per place in every array.

    Parameters
    ----------
    ids : numpy.ndarray
        Ids of the tracks, integers.
    artists, albums : numpy.ndarray
        For each track, a number that stands for its artist, or its album.
    columns : dict
        Field to a number, a word, a list of words, or None, per track.
    """

    def __init__(
        self,
        ids: np.ndarray,
        artists: np.ndarray,
        albums: np.ndarray,
        columns: Mapping[str, Column],
    ) -> None:
        self.ids = ids
        self.artists = artists
        self.albums = albums
        self._columns = columns
        self._numbers: dict[str, np.ndarray] = {}
        self._words: dict[str, dict[str, dict[int, float]]] = {}

    def numbers(self, field: str) -> np.ndarray:
        """Return a field as numbers; NaN where it is not a number."""
        if field not in self._numbers:
            column = self._columns.get(field, [None] * len(self.ids))
            self._numbers[field] = np.array([_number(each) for each in column])
        return self._numbers[field]

    def strengths(self, field: str, condition: Condition) -> np.ndarray:
        """Return how well a condition holds, 0 to 1, and 0 where it does not.

        Where a field has several words, the first counts most.
        """
        if isinstance(condition, Range):
            numbers = self.numbers(field)
            inside = (numbers >= condition.low) & (numbers <= condition.high)
            return inside.astype(float)
        if field not in self._words:
            self._words[field] = _words(self._columns.get(field, ()))
        found = self._words[field].get(condition.lower(), {})
        strengths = np.zeros(len(self.ids))
        strengths[list(found)] = list(found.values())
        return strengths


@dataclass(frozen=True)
class Playlist:
    """The tracks for a recipe.

    Attributes
    ----------
    recipe : Recipe
        How it was made.
    places : numpy.ndarray
        Places of its tracks among all tracks, in the order of the playlist.
    fits : numpy.ndarray
        How well each of its tracks fits, 0 to 1.
    thresholds : dict of str to Range
        Fields to ranges that together hold for roughly these tracks.
    """

    recipe: Recipe
    places: np.ndarray
    fits: np.ndarray
    thresholds: Mapping[str, Range]

    @property
    def conditions(self) -> dict[str, Condition]:
        """Conditions that roughly these tracks, and no others, fulfil."""
        found = dict(self.recipe.where)
        for field, limits in self.thresholds.items():
            given = found.get(field)
            if isinstance(given, Range):
                limits = limits.within(given)
            found[field] = limits
        return found


def choose(
    recipe: Recipe, tracks: Tracks, allowed: np.ndarray | None = None
) -> Playlist:
    """Choose the tracks for a playlist.

    These are all that fit, but no more than the recipe allows; if they are too
    few, the best of those that fit less are added.

    Parameters
    ----------
    recipe
        What is wanted.
    tracks
        The collection.
    allowed
        Which tracks match the query of the recipe, shape (tracks,).

    Returns
    -------
    Playlist
        The best tracks first, but no more than two of an artist in a row where
        that can be avoided. It is empty if there would be fewer than three.
    """
    fits = _fits(recipe, tracks)
    if allowed is not None:
        fits = np.where(allowed, fits, 0)
    possible = np.flatnonzero((fits > 0) & (fits >= recipe.fit.low))
    best = possible[_best_first(fits[possible], tracks.ids[possible])]
    # The second track of an album comes after others that fit nearly as well.
    spread = fits[best] - SAME_ALBUM * _occurrence(tracks.albums[best])
    spread -= SAME_ARTIST * _occurrence(tracks.artists[best])
    least, most = (int(min(end, len(best))) for end in recipe.tracks)
    count = max(least, int((spread >= recipe.fit.high).sum()))
    chosen = best[np.argsort(-spread, kind="stable")][: min(count, most)]
    if len(chosen) < FEWEST:
        chosen = chosen[:0]
    chosen = chosen[space_out(tracks.artists[chosen].tolist())]
    return Playlist(
        recipe, chosen, fits[chosen], _thresholds(recipe, tracks, chosen)
    )


def _fits(recipe: Recipe, tracks: Tracks) -> np.ndarray:
    """Return how well tracks fit, 0 to 1; 0 if a condition does not hold.

    That is the weighted geometric mean of scores, so that all of them must be
    high; if the recipe has no scores, it is how well the conditions hold.
    """
    strengths = np.ones(len(tracks.ids))
    for field, condition in recipe.where.items():
        strengths = strengths * tracks.strengths(field, condition)
    if not recipe.by:
        return strengths
    total = np.ones(len(tracks.ids))
    for field, weight in recipe.by.items():
        numbers = np.clip(tracks.numbers(field), 0, 1)
        total *= (numbers if weight > 0 else 1 - numbers) ** abs(weight)
    means = total ** (1 / sum(map(abs, recipe.by.values())))
    return np.where(strengths > 0, np.nan_to_num(means), 0)


def _best_first(fits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the order by fit; ties are shuffled, the same way each time."""
    mixed = (ids * MIXER) % 2**32
    order: np.ndarray = np.lexsort((mixed, -fits))
    return order


def _occurrence(values: np.ndarray) -> np.ndarray:
    """Return how many equal values come before each value."""
    order = np.argsort(values, kind="stable")
    _, starts, counts = np.unique(
        values[order], return_index=True, return_counts=True
    )
    found = np.empty(len(values), int)
    found[order] = np.arange(len(values)) - np.repeat(starts, counts)
    return found


def space_out(artists: Sequence[int]) -> list[int]:
    """Avoid more than two tracks of an artist in a row.

    Parameters
    ----------
    artists
        The artist of each track, in the preferred order.

    Returns
    -------
    list of int
        Places in that order, each once. Tracks move as little as possible.

    Examples
    --------
    >>> space_out([1, 1, 1, 2, 3])
    [0, 1, 3, 2, 4]
    """
    waiting = list(range(len(artists)))
    left = Counter(artists)
    done: list[int] = []
    while waiting:
        last = [artists[each] for each in done[-RUN:]]
        full = last[0] if len(last) == RUN and len({*last}) == 1 else None
        fitting = [each for each in waiting if artists[each] != full] or waiting
        (most, count), *_ = left.most_common(1)
        others = len(waiting) - count
        # Each of the others makes room for two of the most frequent artist.
        is_urgent = count > RUN * others and most != full
        chosen = next(
            each for each in fitting if not is_urgent or artists[each] == most
        )
        waiting.remove(chosen)
        left[artists[chosen]] -= 1
        done.append(chosen)
    return done


def _thresholds(
    recipe: Recipe, tracks: Tracks, chosen: np.ndarray
) -> dict[str, Range]:
    """Find ranges of scores that hold for about as many tracks as chosen.

    A weighted mean is more than players can compute. So the ranges leave out
    the weakest of the chosen tracks, until they hold for no more tracks than
    were chosen.
    """
    found: dict[str, Range] = {}
    if not len(chosen):
        return found
    holds = np.ones(len(tracks.ids), bool)
    for field, condition in recipe.where.items():
        holds &= tracks.strengths(field, condition) > 0
    for share in SHARES:
        inside = holds
        for field, weight in recipe.by.items():
            found[field] = _limit(tracks.numbers(field)[chosen], weight, share)
            inside = inside & (tracks.strengths(field, found[field]) > 0)
        if inside.sum() <= len(chosen):
            break
    return found


def _limit(numbers: np.ndarray, weight: float, share: float) -> Range:
    if weight > 0:
        low = math.floor(100 * np.quantile(numbers, share)) / 100
        return Range(low, math.inf)
    high = math.ceil(100 * np.quantile(numbers, 1 - share)) / 100
    return Range(-math.inf, high)


def _number(value: Value) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _words(column: Column) -> dict[str, dict[int, float]]:
    """Return for each word the places that have it, and how early it comes."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for place, value in enumerate(column):
        words = value if isinstance(value, list) else [str(value)]
        for position, word in enumerate(words if value else ()):
            found[word.lower()].setdefault(place, 1 / (1 + position))
    return found
