"""The command `beet soundlike`."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import ui
from beets.exceptions import UserError

from beetsplug.soundtags import configuration
from beetsplug.soundtags.columns import columns, numbered
from beetsplug.soundtags.commands.showing import item_name, say, tracks
from beetsplug.soundtags.database import field_values, matching_ids, split_query
from beetsplug.soundtags.fields import INPUT
from beetsplug.soundtags.library_access import get_items
from soundtags.collection.similarity import distinct, nearest, path
from soundtags.inference.cache import PredictionCache

if TYPE_CHECKING:
    from collections.abc import Iterable
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

BATCH_SIZE = 500  # items that are fetched together
ARTIST, ALBUM = "artist", "album_id"


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If options are wrong, no track matches, no matching one has an
        embedding, or the ends of a path are not two tracks.
    """
    least = 2 if opts.ends else 1
    if opts.number < least:
        raise UserError(f"--number: {opts.number} is not {least} or more")
    if opts.ends and opts.diverse:
        raise UserError("--path and --diverse exclude each other")
    if opts.ends and query:
        raise UserError(
            "--path takes two queries; quote a query of several words"
        )
    ids, embeddings = _embeddings(lib, config, log, opts.model)
    find = _path if opts.ends else _similar
    found = find(lib, opts, query, ids, embeddings)
    _print(lib, [ids[n] for n in found], opts.format)


def _similar(
    lib: Library,
    opts: Values,
    query: list[str],
    ids: list[int],
    embeddings: np.ndarray,
) -> Iterable[int]:
    """Return the places of the tracks most like those that match."""
    matches = set(matching_ids(lib, query))
    if not matches:
        raise UserError("no track matches")
    seeds = np.array([n for n, each in enumerate(ids) if each in matches], int)
    if not len(seeds):
        raise UserError(
            "no matching track has been analysed with"
            f" {opts.model}; run: beet soundtags"
        )
    if not opts.diverse:
        return nearest(embeddings, seeds, opts.number)
    read = columns(lib, ids, [ARTIST, ALBUM])
    groups = [numbered(read[name]) for name in (ARTIST, ALBUM)]
    everything = nearest(embeddings, seeds, len(ids))
    return islice(distinct(everything, seeds, *groups), opts.number)


def _path(
    lib: Library,
    opts: Values,
    _query: list[str],
    ids: list[int],
    embeddings: np.ndarray,
) -> Iterable[int]:
    """Return the places of the tracks that lead from one to another."""
    first, last = (_place(lib, query, ids, opts.model) for query in opts.ends)
    if first == last:
        raise UserError("--path: both queries match the same track")
    artists = numbered(columns(lib, ids, [ARTIST])[ARTIST])
    return path(embeddings, (first, last), opts.number, artists)


def _place(lib: Library, query: str, ids: list[int], model: str) -> int:
    """Return the place of the one track that matches a query."""
    matching = matching_ids(lib, split_query(query, "--path"))
    if len(matching) != 1:
        raise UserError(
            f"--path: {query!r} matches {tracks(len(matching))}; it must"
            " match one, such as id:12"
        )
    if matching[0] not in ids:
        raise UserError(
            f"--path: the track that matches {query!r} has not been analysed"
            f" with {model}; run: beet soundtags"
        )
    return ids.index(matching[0])


def _print(lib: Library, found: list[int], form: str | None) -> None:
    for start in range(0, len(found), BATCH_SIZE):
        some = found[start : start + BATCH_SIZE]
        items = {item.id: item for item in get_items(lib, some)}
        for each in some:
            if each in items:
                _show(items[each], form)


def _show(item: Item, template: str | None) -> None:
    if template:
        ui.print_(format(item, template))
    else:
        say(item_name(item))


def _embeddings(
    lib: Library, config: ConfigView, log: Any, model: str
) -> tuple[list[int], np.ndarray]:
    """Return the ids of tracks and their embeddings, from the cache."""
    plan = configuration.plan(config, log, [model])
    with closing(PredictionCache(configuration.store(config))) as store:
        embeddings = store.embeddings(plan.identity(plan.fed[0]))
    inputs = field_values(lib, INPUT)
    places = embeddings.places(audio.split() for audio in inputs.values())
    ids = [each for each, place in zip(inputs, places) if place >= 0]
    return ids, embeddings.values[[place for place in places if place >= 0]]
