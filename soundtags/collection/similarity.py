"""Similar tracks: nearest neighbours of embeddings, and paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundtags.blas import single_threaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Tracks that are tried for a path, and how many more per track wanted.
CANDIDATES, CANDIDATES_PER_STEP = 400, 4
SAME = 0.05  # chord below which tracks are versions of one recording
UNWANTED = 1.0  # added to the cost of steps that are worse than a large one


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
    """Leave out tracks that share something with an earlier one.

    Parameters
    ----------
    order
        Indices of tracks.
    given
        Indices of tracks that come before these.
    groups
        Numbers that stand for what tracks must not share, such as the artist
        or the album, shape (tracks,).

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
    """Find a path from one track to another in small steps.

    The steps are the chords between the directions of embeddings. Candidates
    are the tracks that are close to both ends, in order from those near the
    first to those near the last. Of all paths through them, the one with the
    smallest sum of fourth powers of steps is found, which avoids large steps.

    Parameters
    ----------
    embeddings
        Float32, shape (tracks, dimensions).
    ends
        Indices of the first and the last track.
    count
        How many tracks there should be, including both ends.
    artists
        A number that stands for the artist of each track, shape (tracks,). Two
        tracks of an artist in a row are avoided.

    Returns
    -------
    list of int
        Indices; fewer than `count` if there are too few tracks.
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
        # The cost of reaching each track by way of one more track each time.
        sums = best[:, None] + costs
        before.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    return _walk_back(way, before)


def _walk_back(way: np.ndarray, before: Sequence[np.ndarray]) -> list[int]:
    """Return the path to the last place, given the best one before each."""
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
