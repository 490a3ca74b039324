"""What is said of albums: what their tracks have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.fields import LIST_OF_NAMES, NUMBER, own
from soundtags.labelling.scores import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from beets.dbcore.types import Type
    from beets.library import Album

    Lists = Sequence[list[str]]

OF_TRACKS = """
SELECT (
    SELECT value FROM item_attributes WHERE entity_id = items.id AND key = ?
) FROM items WHERE album_id = ?
"""


def ranked(lists: Iterable[list[str]]) -> list[str]:
    """Return what tracks name, most common first; early names count more."""
    votes: dict[str, float] = defaultdict(float)
    for names in lists:
        for place, name in enumerate(names, start=1):
            votes[name] += 1 / place
    return sorted(votes, key=lambda name: -votes[name])


def prevailing(lists: Lists) -> list[str]:
    """Return what at least half of the tracks name."""
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


def say(album: Album, name: str) -> Any:
    """Return what an album, or else all of its tracks say; None if nothing.

    Beets asks albums for what tracks have not got, so an album of which one
    has nothing to say says nothing, either: it would speak for that track.

    Parameters
    ----------
    album
        In its library.
    name
        One of `FIELDS`.
    """
    set_by_hand = own(album, name)
    if set_by_hand is not None:
        return set_by_hand
    kind, in_common = FIELDS[name]
    with album.db.transaction() as transaction:
        rows = transaction.query(OF_TRACKS, (name, album.id))
    said = [
        value if value is None else kind.from_sql(value) for (value,) in rows
    ]
    return None if None in said else in_common(said)
