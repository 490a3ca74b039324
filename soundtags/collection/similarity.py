"""Similar tracks: nearest neighbours of embeddings, and ways between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundtags.blas import single_threaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Of a way from one track to another: how many tracks may be on it.
CANDIDATES, CANDIDATES_PER_STEP = 400, 4
SAME = 0.05  # chord between two versions of a recording
UNWANTED = 1.0  # a large step is better


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
    lengths = _lengths(embeddings)
    centre = (embeddings[seeds] / lengths[seeds, None]).mean(axis=0)
    with single_threaded():
        cosines = embeddings @ centre / lengths
    cosines[seeds] = -np.inf
    count = min(count, len(embeddings) - len(seeds))
    found = np.argpartition(-cosines, max(count - 1, 0))[:count]
    order: np.ndarray = found[np.argsort(-cosines[found], kind="stable")]
    return order


def distinct(
    order: Iterable[int], given: Iterable[int], *groups: np.ndarray
) -> Iterator[int]:
    """Leave out tracks that share something with one before them.

    Parameters
    ----------
    order
        Indices of tracks.
    given
        Indices of tracks that come before them.
    groups
        Such as a number per artist and a number per album, shape (tracks,).

    Yields
    ------
    int
        Index of a track whose groups are all new.
    """
    seen = [{group[each] for each in given} for group in groups]
    for each in order:
        values = [group[each] for group in groups]
        if not any(value in known for value, known in zip(values, seen)):
            for value, known in zip(values, seen):
                known.add(value)
            yield each


def path(
    embeddings: np.ndarray,
    ends: tuple[int, int],
    count: int,
    artists: np.ndarray,
) -> list[int]:
    """Find a way from one track to another by small steps.

    The steps are the chords between the directions of embeddings. Candidates
    are the tracks that are close to both ends, from those near the first to
    those near the last; of all ways through them, the one with the smallest
    sum of fourth powers is found, which has no large step if that can be.

    Parameters
    ----------
    embeddings
        Float32, shape (tracks, dimensions).
    ends
        Indices of the first and the last track.
    count
        How many tracks there should be, with both ends.
    artists
        A number per artist, shape (tracks,). One after itself is avoided.

    Returns
    -------
    list of int
        Indices; fewer than `count` if there are not as many tracks.
    """
    first, last = ends
    units = embeddings / _lengths(embeddings)[:, None]
    to_first, to_last = (_chords(units, units[[end]])[:, 0] for end in ends)
    nearest_both = np.argsort(to_first + to_last, kind="stable")
    between = nearest_both[~np.isin(nearest_both, ends)]
    between = between[: CANDIDATES + CANDIDATES_PER_STEP * count]
    steps = min(count - 2, len(between))
    if steps < 1:
        return [first, last]
    between = between[np.argsort((to_first - to_last)[between], kind="stable")]
    way = np.concatenate([[first], between, [last]])
    costs = _step_costs(units[way], artists[way])
    best, before = costs[0], []
    for _ in range(steps):
        # From the first track only by way of others, each time one more.
        sums = best[:, None] + costs
        before.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    return _walk_back(way, before)


def _walk_back(way: np.ndarray, before: Sequence[np.ndarray]) -> list[int]:
    """Return the way to the last place, by what is best before each."""
    place = len(way) - 1
    found = [place]
    for each in reversed(before):
        place = int(each[place])
        found.append(place)
    return [int(way[each]) for each in (0, *reversed(found))]


def _step_costs(units: np.ndarray, artists: np.ndarray) -> np.ndarray:
    """Return what each step costs, infinite if it leads back."""
    chords = _chords(units, units)
    costs = chords**4
    costs[chords < SAME] += UNWANTED
    costs[artists[:, None] == artists] += UNWANTED
    costs[np.tril_indices(len(units))] = np.inf
    return costs


def _chords(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    with single_threaded():
        cosines = some @ others.T
    chords: np.ndarray = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    return chords


def _lengths(embeddings: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    lengths[lengths == 0] = 1  # of silence
    return lengths
