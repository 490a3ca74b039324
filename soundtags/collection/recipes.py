"""Recipes for playlists: data that say which tracks fit, and how well."""

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
        """Return the part of this range that is also in another."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    def __str__(self) -> str:
        """Return the range as it is written in beets queries."""
        low, high = (
            "" if math.isinf(end) else f"{end:g}"
            for end in (self.low, self.high)
        )
        return f"{low}..{high}"


NOTHING = Range(math.inf, -math.inf)
Condition = Range | str  # or a word that a field is, or has in a list


@dataclass(frozen=True)
class Recipe:
    """How to make a playlist.

    Attributes
    ----------
    name : str
        Name of the playlist's file, without the ending.
    title : str
        What players show.
    where : dict of str to Range or str
        Field to what it must be: in a range, or a word. If a field has several
        words, one of them must be that word.
    query : str
        A beets query that tracks must match as well; empty if there is none.
    by : dict of str to float
        Score to its weight: the higher the score, the better a track fits;
        with a negative weight, the lower the score, the better.
    fit : Range
        Tracks fit from the upper end on; those below the lower end are never
        taken.
    tracks : Range
        How many tracks the playlist should have at least, and has at most.
    source : str
        The user's own file that it comes from, for messages; empty if it is
        ready-made.
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
        """All fields of its conditions and scores."""
        return {*self.where, *self.by}


def parse_recipe(name: str, data: Any, source: str = "") -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name
        Name of its playlist.
    data
        Content of a YAML file.
    source
        The file, if it is one of the user's own.

    Returns
    -------
    Recipe

    Raises
    ------
    UnusableRecipe
        If something in it cannot be understood; the message names the entry.
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
        raise UnusableRecipe(f"tracks: {tracks} allows no tracks")
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
    """Make several recipes from one that has the entry ``each``.

    Parameters
    ----------
    name, data
        As for :func:`parse_recipe`. In a recipe with ``each: genre``, all
        texts can contain ``$genre``.
    values
        Kind, such as ``genre``, to the values that get a recipe each.

    Yields
    ------
    tuple
        Name and data of a recipe; those given, if it is for one playlist.

    Raises
    ------
    UnusableRecipe
        If ``each`` is not one of the kinds.
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
    """Return a text as part of a file name that every system accepts.

    Examples
    --------
    >>> slug("Drum/Bass"), slug("R&B"), slug("Español")
    ('drum-bass', 'r-b', 'español')
    """
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")


def unused(name: str, taken: set[str]) -> str:
    """Return a name, with a number if it is taken, and mark it as taken."""
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
