"""Fields of albums: what their tracks have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.database import own_value, track_values
from beetsplug.soundtags.fields import LIST_OF_NAMES, NUMBER
from soundtags.labelling.scores import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from beets.dbcore.types import Type
    from beets.library import Album

    Lists = Sequence[list[str]]


def ranked(lists: Iterable[list[str]]) -> list[str]:
    """Return names, the most common first; those early in a list count more."""
    votes: dict[str, float] = defaultdict(float)
    for names in lists:
        for place, name in enumerate(names, start=1):
            votes[name] += 1 / place
    return sorted(votes, key=lambda name: -votes[name])


def prevailing(lists: Lists) -> list[str]:
    """Return the names that at least half of the tracks have."""
    counts = Counter(name for names in lists for name in set(names))
    return [name for name in ranked(lists) if 2 * counts[name] >= len(lists)]


def commonest(lists: Lists) -> list[str]:
    """Return as many names as the longest list has, most common first."""
    return ranked(lists)[: max(map(len, lists))]


def mean(scores: Sequence[float]) -> float:
    """Return the mean of scores, as they are stored."""
    return round(sum(scores) / len(scores), DECIMALS)


FIELDS: dict[str, tuple[Type, Callable[[Any], Any]]] = {
    "mood": (LIST_OF_NAMES, prevailing),
    "danceability": (NUMBER, mean),
    "soundtags": (LIST_OF_NAMES, commonest),
}


def album_value(album: Album, name: str) -> Any:
    """Return the value of an album, or else what its tracks have in common.

    None if it has no tracks, or if one of them has no value: beets shows the
    album's value for such a track, which would thus seem to have one.

    Parameters
    ----------
    album
        An album of a library.
    name
        One of `FIELDS`.
    """
    own = own_value(album, name)
    if own is not None:
        return own
    kind, in_common = FIELDS[name]
    values = [
        value if value is None else kind.from_sql(value)
        for value in track_values(album, name)
    ]
    return in_common(values) if values and None not in values else None
