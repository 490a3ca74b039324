"""The report: a page about a collection, in one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.labelling.scores import DECIMALS
from soundtags.version import PACKAGE, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundtags.collection.disagreement import Disagreements

HERE = Path(__file__).parent
SCRIPTS = ("maps.js", "report.js")
STEPS = 2000  # of a coordinate, from the middle to the edge: finer than pixels
# What would end a script, or begin a comment in it.
ESCAPES = {ord(each): f"\\u{ord(each):04x}" for each in "<>&"}


@dataclass(frozen=True)
class Map:
    """Where tracks lie.

    Attributes
    ----------
    model
        Id of the model whose embeddings the places come from.
    places
        Shape (tracks, 2), from -1 to 1; NaN for tracks that are not on it.
    share
        Share of all variance that it shows.
    """

    model: str
    places: np.ndarray
    share: float


@dataclass(frozen=True)
class ListSummary:
    """What the page shows of a list of tracks.

    Attributes
    ----------
    title
        Its name.
    count
        How many tracks it has.
    first
        Names of its first tracks.
    """

    title: str
    count: int
    first: Sequence[str]


@dataclass(frozen=True)
class Collection:
    """What the page shows: columns, with a place for each track.

    Attributes
    ----------
    query
        The query that the tracks match.
    analysed
        How many of them have been analysed.
    seconds
        How long all of them are together.
    titles, artists, albums
        Names; empty where there is none.
    genres, moods
        Names, the strongest first.
    own_genres, own_moods
        Indices of the tracks whose genres, or moods, come from the user.
    scores
        Field to scores from 0 to 1; None where a track has none.
    taught
        Moods that are words taught by the user.
    map
        Where tracks lie; None if there are no embeddings.
    disagreements
        Where models disagree.
    lists
        Lists of tracks, in the order in which they are shown.
    """

    query: str
    analysed: int
    seconds: float
    titles: Sequence[str]
    artists: Sequence[str]
    albums: Sequence[str]
    genres: Sequence[Sequence[str]]
    moods: Sequence[Sequence[str]]
    own_genres: Sequence[int]
    own_moods: Sequence[int]
    scores: Mapping[str, Sequence[float | None]]
    taught: Sequence[str]
    map: Map | None
    disagreements: Disagreements
    lists: Sequence[ListSummary]


def page(collection: Collection) -> str:
    """Return the page, in ASCII, with its styles, script and data.

    Its security policy lets it load nothing, and run only its own script.
    """
    style, script = _read("report.css"), "".join(map(_read, SCRIPTS))
    return Template(_read("report.html")).substitute(
        style=style,
        style_digest=_digest(style),
        script=script,
        script_digest=_digest(script),
        data=_embedded(_data(collection)),
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="ascii")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _embedded(data: Any) -> str:
    """Return JSON that can be part of an HTML file."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def _data(collection: Collection) -> dict[str, Any]:
    """Return what the script reads: columns of small whole numbers."""
    return {
        "maker": f"{PACKAGE} {package_version()}",
        "query": collection.query,
        "analysed": collection.analysed,
        "minutes": round(collection.seconds / 60),
        "title": collection.titles,
        "artist": _indexed([each] for each in collection.artists),
        "album": _indexed([each] for each in collection.albums),
        "genres": _indexed(collection.genres),
        # Taught words are shown even if no track has one.
        "moods": _indexed(collection.moods, collection.taught),
        "own": {"genres": collection.own_genres, "moods": collection.own_moods},
        "taught": collection.taught,
        "unit": 10**DECIMALS,
        "scores": {
            name: [None if v is None else _whole(v) for v in values]
            for name, values in collection.scores.items()
        },
        "map": _map(collection.map),
        "disagreements": _disagreements(collection.disagreements),
        "lists": [asdict(each) for each in collection.lists],
    }


def _indexed(
    lists: Iterable[Sequence[str]], known: Iterable[str] = ()
) -> dict[str, Any]:
    """Return each name once, and for each list the numbers of its names."""
    numbers = {name: number for number, name in enumerate(known)}
    of = [
        [numbers.setdefault(each, len(numbers)) for each in names]
        for names in lists
    ]
    return {"names": list(numbers), "of": of}


def _map(found: Map | None) -> dict[str, Any] | None:
    if found is None:
        return None
    places = [
        None if np.isnan(x) else [round(x * STEPS), round(y * STEPS)]
        for x, y in found.places.tolist()
    ]
    return {"model": found.model, "share": found.share, "of": places}


def _disagreements(found: Disagreements) -> dict[str, Any]:
    columns = (
        found.item,
        found.low_by,
        found.low,
        found.high_by,
        found.high,
    )
    rows = zip(*(column.tolist() for column in columns))
    return {
        "kind": found.kind,
        "items": found.items,
        "sources": found.sources,
        "of": [
            [item, low_by, _whole(low), high_by, _whole(high)]
            if item >= 0
            else None
            for item, low_by, low, high_by, high in rows
        ],
    }


def _whole(share: float) -> int:
    whole: int = round(share * 10**DECIMALS)
    return whole
