"""The command `beet soundreport`."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from beets.exceptions import UserError

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.commands.showing import say, telling_title, tracks
from beetsplug.soundtags.commands.soundlists import make_playlists
from beetsplug.soundtags.database import (
    field_type,
    field_values,
    item_columns,
    matching_ids,
)
from beetsplug.soundtags.player_paths import PlayerPaths
from beetsplug.soundtags.provenance import Provenance, is_blank
from beetsplug.soundtags.taught import taught_words
from soundtags.atomic import writing
from soundtags.audio.limits import SILENCE
from soundtags.collection.disagreement import find_disagreements
from soundtags.collection.projection import project
from soundtags.collection.report.page import Collection, ListSummary, Map, page
from soundtags.inference.cache import PredictionCache
from soundtags.labelling.estimates import GENRES
from soundtags.models.catalogue import MOOD_FIELD, NUMBERS, SCORE, TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from optparse import Values

    from beets.library import Library
    from confuse import ConfigView

    from soundtags.collection.disagreement import Disagreements
    from soundtags.inference.cache_index import TrackVectors
    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan

FACTS = ("title", "artist", "album", GENRES, "length", "path")
FIRST = 3  # tracks of a list that are named
MOOD = "mood"


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If there is nothing to show, or the page cannot be written.
    """
    if not opts.output:
        raise UserError("name the file to write: -o FILE")
    target = Path(opts.output).expanduser()
    found = _collection(lib, config, log, query)
    with writing(target) as file:
        file.write(page(found).encode("ascii"))
    say(f"{tracks(len(found.titles))}: {target}")


def _collection(
    lib: Library, config: ConfigView, log: Any, query: list[str]
) -> Collection:
    """Gather what the page shows."""
    rows = item_columns(lib, matching_ids(lib, query), FACTS)
    if not rows:
        raise UserError("no track matches")
    analysed = rows.keys() & field_values(lib, fields.PLAN).keys()
    if not analysed:
        raise UserError(
            "no matching track has been analysed; run: beet soundtags"
        )
    plan = configuration.plan(config, log)
    ids = list(rows)
    titles, artists, albums, genres, lengths, paths = zip(*rows.values())
    labels = Labels(lib, ids, genres)
    words = {MOOD_FIELD + each.word: each.word for each in taught_words()}
    scores = _scores(lib, dict.fromkeys([*_score_fields(plan), *words]), ids)
    with closing(PredictionCache(configuration.store(config))) as store:
        cached = CachedPredictions(
            store, plan, field_values(lib, fields.INPUT), ids
        )
        return Collection(
            query=" ".join(query),
            analysed=len(analysed),
            seconds=sum(filter(None, lengths)),
            titles=[
                telling_title(*each) for each in zip(artists, titles, paths)
            ],
            artists=[each or "" for each in artists],
            albums=[each or "" for each in albums],
            genres=labels.names(GENRES),
            moods=labels.names(MOOD),
            own_genres=labels.own(GENRES),
            own_moods=labels.own(MOOD),
            scores=scores,
            taught=[words[name] for name in words if name in scores],
            map=cached.map(),
            disagreements=cached.disagreements(),
            lists=_lists(lib, log, query),
        )


def _lists(lib: Library, log: Any, query: list[str]) -> list[ListSummary]:
    """Summarise the playlists that `beet soundlists` would write."""
    paths = PlayerPaths(os.fsdecode(lib.directory), None, None)
    warn = partial(log.debug, "{}")  # soundlists gives these warnings
    music, playlists = make_playlists(lib, query, paths, warn)
    return [
        ListSummary(
            each.recipe.title,
            len(each.places),
            [music.name(place) for place in each.places[:FIRST]],
        )
        for each in playlists
    ]


def _values(lib: Library, name: str, ids: Sequence[int]) -> list[str | None]:
    found = field_values(lib, name)
    return [found.get(each) for each in ids]


def _scores(
    lib: Library, names: Iterable[str], ids: Sequence[int]
) -> dict[str, list[float | None]]:
    """Return the scores of tracks, by the names of fields that have any."""
    found = {name: _numbers(_values(lib, name, ids)) for name in names}
    return {
        name: values for name, values in found.items() if {*values} != {None}
    }


def _numbers(stored: Sequence[str | None]) -> list[float | None]:
    """Return stored values as numbers from 0 to 1; None for all others."""
    read = [fields.NUMBER.from_sql(each) for each in stored]
    return [
        each if each is not None and 0 <= each <= 1 else None for each in read
    ]


def _score_fields(plan: Plan) -> Iterator[str]:
    """Yield the fields of models whose values are from 0 to 1."""
    for name, target in plan.targets.items():
        if target.kind == SCORE:
            yield name
        elif target.kind == NUMBERS and target.scale:
            yield from target.classes.values()


class Labels:
    """The genres and moods of some tracks, and who has set them.

    Parameters
    ----------
    lib
        The library.
    ids
        Ids of the tracks.
    genres
        Their genres, as stored in the database.
    """

    def __init__(
        self, lib: Library, ids: Sequence[int], genres: Sequence[str | None]
    ) -> None:
        moods = _values(lib, MOOD, ids)
        self._values = {
            GENRES: [field_type(GENRES).from_sql(each) for each in genres],
            MOOD: [fields.LIST_OF_NAMES.from_sql(each) for each in moods],
        }
        self._provenances = [
            Provenance.parse(each or "")
            for each in _values(lib, fields.WRITTEN, ids)
        ]

    def names(self, field: str) -> list[list[str]]:
        """Return the names that each track has."""
        return [list(filter(None, each or [])) for each in self._values[field]]

    def own(self, field: str) -> list[int]:
        """Return the indices of tracks whose names we have not written."""
        both = zip(self._values[field], self._provenances)
        return [
            n
            for n, (value, provenance) in enumerate(both)
            if not is_blank(value) and not provenance.wrote(field, value)
        ]


class CachedPredictions:
    """The cached predictions for some tracks, without silent ones.

    Parameters
    ----------
    store
        The cache.
    plan
        The models.
    audio
        Id of an item to the digests of its inputs, for all items.
    ids
        Ids of the tracks.
    """

    def __init__(
        self,
        store: PredictionCache,
        plan: Plan,
        audio: dict[int, str],
        ids: Sequence[int],
    ) -> None:
        self._store = store
        self._plan = plan
        silent = store.silent(SILENCE)
        self._inputs = [
            [each for each in audio.get(n, "").split() if each not in silent]
            for n in ids
        ]

    def map(self) -> Map | None:
        """Place tracks so that those that sound alike are close.

        The embeddings are those of the auto-tagger that has them for most
        tracks. Other models come last, as they have only learnt what their few
        classes sound like.
        """
        found = {
            model: self._aligned(
                self._store.embeddings(self._plan.identity(model))
            )
            for model in self._plan.fed
        }
        counts = {model: _known(rows).sum() for model, rows in found.items()}
        best = max(
            (model for model in found if counts[model]),
            key=lambda model: (self._is_tagger(model), counts[model]),
            default=None,
        )
        if best is None:
            return None
        known = _known(found[best])
        places = np.full((len(known), 2), np.nan)
        places[known], share = project(found[best][known])
        return Map(best.id, places, share)

    def _is_tagger(self, model: Model) -> bool:
        target = self._plan.targets.get(str(model.target))
        return target is not None and target.kind == TAGS

    def disagreements(self) -> Disagreements:
        """Find where models disagree."""
        activations = {
            model.id: dict(zip(model.metadata.classes, means.T))
            for model in self._plan.models
            if len(
                means := self._aligned(
                    self._store.activations(self._plan.identity(model))
                )
            )
        }
        return find_disagreements(
            activations,
            [model for model in self._plan.models if model.id in activations],
            self._plan.targets,
            len(self._inputs),
        )

    def _aligned(self, found: TrackVectors) -> np.ndarray:
        """Return a row per track, NaN where it has none; empty if none has."""
        if not found.rows:
            return np.zeros((0, 0))
        vectors = found.values
        nothing = np.full((1, vectors.shape[1]), np.nan, vectors.dtype)
        return np.concatenate([vectors, nothing])[found.places(self._inputs)]


def _known(vectors: np.ndarray) -> np.ndarray:
    known: np.ndarray = ~np.isnan(vectors).any(axis=1)
    return known
