"""Recipes of playlists: data that say which tracks fit, and how well."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.errors import UnusableRecipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RANGE = re.compile(r"(-?\d*\.?\d*)\.\.(-?\d*\.?\d*)")
FIT = "0.4..0.6"
TRACKS = "30..200"
ENTRIES = ("title", "each", "where", "query", "by", "fit", "tracks")


class Range(NamedTuple):
    """Numbers from one to another, both included."""

    low: float
    high: float

    def within(self, other: Range) -> Range:
        """Return what of this range is in another one, too."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    def __str__(self) -> str:
        """As in queries of beets."""
        low, high = (
            "" if math.isinf(end) else f"{end:g}"
            for end in (self.low, self.high)
        )
        return f"{low}..{high}"


NOTHING = Range(math.inf, -math.inf)
Condition = Range | str  # or a word, which a field has or is


@dataclass(frozen=True)
class Recipe:
    """How to make a playlist.

    Attributes
    ----------
    name : str
        Of its file, without the ending.
    title : str
        What players show.
    where : dict of str to Range or str
        Field to what it must be: in a range, or a word. Of a field with several
        words, one must be that word.
    query : str
        What must match besides, a query of beets; empty for nothing.
    by : dict of str to float
        Score to its weight: the higher the score, the better the track fits,
        or, with a negative weight, the lower.
    fit : Range
        From the upper end on, tracks fit; below the lower one, they never do.
    tracks : Range
        How many the playlist should have, and at most has.
    source : str
        The file of the user's own that it is from, for messages.
    """

    name: str
    title: str
    where: Mapping[str, Condition]
    query: str
    by: Mapping[str, float]
    fit: Range
    tracks: Range
    source: str

    @property
    def fields(self) -> set[str]:
        """All fields that it depends on."""
        return {*self.where, *self.by}


def parse_recipe(name: str, data: Any, source: str = "") -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name
        Of its playlist.
    data
        What a YAML file says.
    source
        The file, if it is one of the user's own.

    Returns
    -------
    Recipe

    Raises
    ------
    UnusableRecipe
        If something in it cannot be understood; it names the entry.
    """
    _check_entries(data)
    where = {
        str(field): _condition(f"where: {field}", value)
        for field, value in _mapping(data, "where").items()
    }
    by = {
        str(field): _weight(f"by: {field}", value)
        for field, value in _mapping(data, "by").items()
    }
    query = data.get("query", "")
    if not isinstance(query, str):
        raise UnusableRecipe(f"query: {query!r} is not a query; quote it")
    if not (where or by or query):
        raise UnusableRecipe("one of where, query and by is needed")
    title = str(data.get("title") or name.replace("-", " "))
    tracks = _range("tracks", data.get("tracks", TRACKS))
    if tracks.high < 1:
        raise UnusableRecipe(f"tracks: {tracks} is none at all")
    return Recipe(
        name,
        title[:1].upper() + title[1:],
        where,
        query,
        by,
        _range("fit", data.get("fit", FIT)).within(Range(0, 1)),
        tracks,
        source,
    )


def expand(
    name: str, data: Any, values: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Any]]:
    """Make several recipes of one that says ``each``.

    Parameters
    ----------
    name, data
        As of :func:`parse_recipe`. In a recipe with ``each: genre``, all
        texts can contain ``$genre``.
    values
        What there can be one for each of, such as genres.

    Yields
    ------
    tuple
        Name and data of a recipe; those given, if it is for one playlist.

    Raises
    ------
    UnusableRecipe
        If there is nothing of that kind.
    """
    if not isinstance(data, dict) or "each" not in data:
        yield name, data
        return
    kind = data["each"]
    if not isinstance(kind, str) or kind not in values:
        raise UnusableRecipe(
            f"each: {kind!r} is not one of: {', '.join(values)}"
        )
    taken: set[str] = set()
    for value in values[kind]:
        each = unused(f"{name}-{slug(value)}", taken)
        yield each, _replaced({"title": f"${kind}", **data}, f"${kind}", value)


def slug(text: str) -> str:
    """Return a text as a part of a file's name that every system accepts.

    Examples
    --------
    >>> slug("Drum/Bass"), slug("R&B"), slug("Español")
    ('drum-bass', 'r-b', 'español')
    """
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")


def unused(name: str, taken: set[str]) -> str:
    """Return a name, with a number if it is taken; it is taken then."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def _replaced(data: Any, old: str, new: str) -> Any:
    if isinstance(data, dict):
        pairs = data.items()
        return {
            _replaced(key, old, new): _replaced(value, old, new)
            for key, value in pairs
        }
    return data.replace(old, new) if isinstance(data, str) else data


def _check_entries(data: Any) -> None:
    if not isinstance(data, dict):
        raise UnusableRecipe("entries are needed, such as by: {energy: 1}")
    for entry in data:
        if entry not in ENTRIES:
            raise UnusableRecipe(
                f"{entry}: unknown; entries are: {', '.join(ENTRIES)}"
            )


def _mapping(data: Mapping[str, Any], entry: str) -> Mapping[Any, Any]:
    found = data.get(entry) or {}
    if not isinstance(found, dict):
        raise UnusableRecipe(
            f"{entry}: {found!r} is not a mapping, such as {{energy: 0.5..}}"
            if entry == "where"
            else f"{entry}: {found!r} is not a mapping, such as {{energy: 1}}"
        )
    return found


def _condition(entry: str, value: Any) -> Condition:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnusableRecipe(
            f"{entry}: {value!r} is neither a range, such as 0.5.., nor a word"
        )
    if isinstance(value, str) and not RANGE.fullmatch(value):
        return value
    return _range(entry, value)


def _range(entry: str, value: Any) -> Range:
    match = RANGE.fullmatch(str(value))
    low, high = match.groups() if match else (str(value), str(value))
    try:
        found = Range(float(low or "-inf"), float(high or "inf"))
    except (TypeError, ValueError):
        found = NOTHING
    if found.low <= found.high:
        return found
    raise UnusableRecipe(
        f"{entry}: {value!r} is not a range, such as 0.4..0.6 or 0.5.."
    )


def _weight(entry: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value == 0:
        raise UnusableRecipe(
            f"{entry}: {value!r} is not a weight, such as 1 or -0.5"
        )
    return float(value)
