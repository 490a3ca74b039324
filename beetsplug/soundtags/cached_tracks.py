"""The tracks of the library whose predictions are in the cache."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from beets.exceptions import UserError

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.columns import numbered
from beetsplug.soundtags.database import field_values, item_columns
from soundtags.audio.limits import SILENCE
from soundtags.collection.teaching import Lesson
from soundtags.inference.cache import PredictionCache
from soundtags.labelling.taught_scores import Block
from soundtags.models.catalogue import TAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beets.library import Library
    from confuse import ConfigView

    from soundtags.inference.cache_index import TrackVectors
    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan


@dataclass(frozen=True)
class CachedTracks:
    """The tracks of the library with cached predictions of auto-taggers.

    Attributes
    ----------
    ids
        Ids of the items.
    albums
        The number of each item's album; unique for an item without an album.
    blocks
        Activations and embeddings of the items, a block per auto-tagger.
    silent
        Ids of items without sound, which are left out.
    """

    ids: list[int]
    albums: np.ndarray
    blocks: list[Block]
    silent: set[int]

    @classmethod
    def read(cls, lib: Library, config: ConfigView, plan: Plan) -> CachedTracks:
        """Read the tracks from the cache.

        Raises
        ------
        beets.exceptions.UserError
            If the plan has no auto-tagger with an embedding.
        """
        taggers = [model for model in plan.fed if _is_tagger(model, plan)]
        if not taggers:
            raise UserError(
                "no auto-tagger among soundtags.models; add msd-musicnn-1"
            )
        inputs = field_values(lib, fields.INPUT)
        with closing(PredictionCache(configuration.store(config))) as cache:
            silent = cache.silent(SILENCE)
            digests = [
                [each for each in audio.split() if each not in silent]
                for audio in inputs.values()
            ]
            found = [_Cached.read(cache, plan, model) for model in taggers]
        places = np.array([each.places(digests) for each in found])
        complete = np.min(places, axis=0) >= 0
        ids = [n for n, known in zip(inputs, complete) if known]
        blocks = [
            each.block(rows[complete]) for each, rows in zip(found, places)
        ]
        quiet = {n for n, own in zip(inputs, digests) if not own}
        return cls(ids, _albums(lib, ids), blocks, quiet)

    def lesson(self, examples: set[int], refused: set[int]) -> Lesson:
        """Return what to learn a word from, given ids of tracks."""
        return Lesson(
            self.blocks,
            np.array([each in examples for each in self.ids], bool),
            np.array([each in refused for each in self.ids], bool),
            self.albums,
        )


class _Cached(NamedTuple):
    """All that the cache has for an auto-tagger.

    Attributes
    ----------
    model
        Its identity.
    classes
        Its classes.
    activations, embeddings
        Its vectors.
    """

    model: str
    classes: tuple[str, ...]
    activations: TrackVectors
    embeddings: TrackVectors

    @classmethod
    def read(cls, cache: PredictionCache, plan: Plan, model: Model) -> _Cached:
        """Read all that the cache has for a model."""
        name = plan.identity(model)
        return cls(
            name,
            model.metadata.classes,
            cache.activations(name),
            cache.embeddings(name),
        )

    def places(self, digests: Sequence[Sequence[str]]) -> list[int]:
        """Return the row of each track among the embeddings, or -1."""
        known = self.activations.rows
        return self.embeddings.places(
            [each for each in own if each in known] for own in digests
        )

    def block(self, rows: np.ndarray) -> Block:
        """Return the block of some rows of the embeddings."""
        names = list(self.embeddings.rows)
        return Block.of(
            self.model,
            self.classes,
            self.activations.values[
                [self.activations.rows[names[row]] for row in rows]
            ],
            self.embeddings.values[rows],
        )


def _is_tagger(model: Model, plan: Plan) -> bool:
    target = plan.targets.get(str(model.target))
    return (
        model in plan.models
        and target is not None
        and target.kind == TAGS
        and model.metadata.embedding is not None
    )


def _albums(lib: Library, ids: list[int]) -> np.ndarray:
    """Return the number of each track's album.

    A folder that was imported as one album can have tracks of several.
    """
    found = item_columns(lib, ids, ["album_id", "album"])
    names = [found.get(each, (None, "")) for each in ids]
    return numbered([key if any(key) else None for key in names])
