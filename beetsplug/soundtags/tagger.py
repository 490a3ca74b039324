"""Applies the results of an analysis to library fields and file tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beets import config as beets_config

from beetsplug.soundtags import configuration, unknown_names
from beetsplug.soundtags.albums import ranked
from beetsplug.soundtags.analyser import Analyser
from beetsplug.soundtags.database import own_value, set_values
from beetsplug.soundtags.fields import INPUT, NUMBER, PLAN, item_types
from beetsplug.soundtags.history import record_changes, snapshot
from beetsplug.soundtags.library_access import store_album
from beetsplug.soundtags.provenance import Provenance, is_blank
from soundtags.errors import UnusableCache
from soundtags.inference.cache import PredictionCache
from soundtags.inference.executor import LocalExecutor
from soundtags.labelling.estimates import GENRES
from soundtags.models import installed
from soundtags.models.catalogue import MOOD_FIELD
from soundtags.version import installed_twice

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from logging import Logger

    from beets.library import Album, Item
    from confuse import ConfigView

    from soundtags.inference.executor import Executor
    from soundtags.models.plan import Plan


@dataclass
class Tagger(Analyser):
    """Analyses items, and applies the results to them.

    Attributes
    ----------
    genre
        Policy for ``genres``: fill, replace or never.
    placeholders
        Genres that count as none, in lower case.
    file_tags
        Fields that are written to files, besides ``genres``.
    force
        Whether to analyse items that are up to date, too, and to replace
        what their owner has set (but for ``genres``).
    """

    genre: str
    placeholders: frozenset[str]
    file_tags: list[str]

    def apply(self, item: Item, fields: Mapping[str, Any]) -> list[str]:
        """Set the fields of an item to the results of an analysis.

        The item is not stored.

        Returns
        -------
        list of str
            The fields to write to its file.
        """
        provenance = Provenance.from_field(item) or Provenance()
        forgotten = self._forgotten(item, provenance)
        before = snapshot(item, [*fields, *forgotten])
        names = fields.keys() - {PLAN, INPUT}
        ours = {name for name in names if self._may_set(item, name, provenance)}
        taken_back = (
            fields.get(GENRES) == []
            and not is_blank(item.genres)
            and provenance.wrote(GENRES, item.genres)
        )
        for name in ours:
            if name != GENRES or fields[name] or taken_back:
                item[name] = fields[name]
        set_values(item, dict.fromkeys(forgotten))
        item.update({PLAN: fields[PLAN], INPUT: fields[INPUT]})
        written = {name: item[name] for name in ours}
        Provenance.of(written, owned=names - ours).to_field(item)
        record_changes(item, {**before, **_lost(before, written, provenance)})
        file_tags = [*self.file_tags, *forgotten]
        genres = fields.get(GENRES)
        # Also true if a run that was killed had already set them.
        is_set = genres and item.genres == genres
        if (is_set or taken_back) and self.genre != "never":
            file_tags.append(GENRES)
        return file_tags

    def _may_set(
        self, item: Item | Album, name: str, provenance: Provenance
    ) -> bool:
        """Return whether a field may be set: it is ours, or may be replaced."""
        if name == GENRES and self.genre != "fill":
            return self.genre == "replace"
        if name != GENRES and self.force:
            return True
        value = own_value(item, name)
        if is_blank(value) or (name == GENRES and self._is_placeholder(value)):
            return True
        if not provenance.knows(name):
            # Not ours yet: scores come from other programs, words from people.
            return name not in (GENRES, "mood")
        return provenance.is_ours(name, value)

    def _forgotten(self, item: Item, provenance: Provenance) -> list[str]:
        """Return fields with scores of words that have been forgotten."""
        return [
            name
            for name in sorted(provenance.digests)
            if name.startswith(MOOD_FIELD)
            and name not in self.plan.targets
            and provenance.wrote(name, NUMBER.normalize(own_value(item, name)))
        ]

    def _is_placeholder(self, genres: list[str]) -> bool:
        return {genre.strip().lower() for genre in genres} <= self.placeholders

    def update_album(self, album: Album) -> None:
        """Set the genres of an album to the most common of its tracks."""
        votes = ranked(item.genres for item in album.items())
        genres = votes[: self.plan.settings.max_genres]
        new = genres and genres != album.genres
        provenance = Provenance.from_field(album) or Provenance()
        if new and self._may_set(album, GENRES, provenance):
            before = snapshot(album, [GENRES])
            album.genres = genres
            Provenance.of({GENRES: genres}).to_field(album)
            record_changes(album, before)
            store_album(album)


def _lost(
    before: Mapping[str, Any],
    written: Mapping[str, Any],
    provenance: Provenance,
) -> dict[str, Any]:
    """Return values of ours that have been emptied, and are set once more.

    For undo, they have not changed.
    """
    return {
        name: value
        for name, value in written.items()
        if is_blank(before[name]) and provenance.wrote(name, value)
    }


def make_tagger(
    config: ConfigView,
    logger: Logger,
    names: list[str] | None = None,
    jobs: int | None = None,
    force: bool = False,
    cluster: str | None = None,
    brief: bool = False,
) -> Tagger:
    """Return a tagger as the configuration and the command line describe it.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Receives the messages of the run.
    names, jobs, force, cluster
        What the command line says instead of the configuration.
    brief
        Whether few tracks are expected. Loading TensorFlow then takes longer
        than it saves, unless there are models that NumPy may run slowly.

    Raises
    ------
    confuse.ConfigError
        If a value is not allowed.
    SoundtagsError
        If a model that was asked for is not installed or cannot be used.
    """
    for complaint in unknown_names.complaints(config):
        logger.warning("{}", complaint)
    if twice := installed_twice():
        logger.warning("{}", twice)
    names = names or configuration.models(config)

    def replan(without: Collection[str] = ()) -> Plan:
        return configuration.plan(config, logger, names, without)

    plan = replan()
    models = {*plan.models, *plan.fed}
    brief = brief and all(installed.is_embedded(m.graph) for m in models)
    executor = make_executor(config, logger, jobs, cluster, brief)
    try:
        cache = PredictionCache(configuration.store(config))
    except UnusableCache as exc:
        logger.warning("predictions are not cached: {}", exc)
        cache = None
    return Tagger(
        plan=plan,
        executor=executor,
        cache=cache,
        genre=configuration.genre_policy(config),
        placeholders=configuration.placeholder_genres(config),
        file_tags=configuration.file_tags(
            config, item_types(plan.targets.values())
        ),
        force=force,
        logger=logger,
        replan=None if names else replan,
    )


def make_executor(
    config: ConfigView,
    logger: Logger,
    jobs: int | None = None,
    cluster: str | None = None,
    brief: bool = False,
) -> Executor:
    """Return the executor that the configuration or the command line names.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Receives the messages of the run.
    jobs, cluster
        What the command line says instead of the configuration.
    brief
        See :func:`configuration.engine_choice`.

    Raises
    ------
    confuse.ConfigError
        If a value is not allowed.
    """
    memory = configuration.session_memory(config)
    address = cluster or configuration.cluster(config)
    if address is None:
        choice = configuration.engine_choice(config, logger, brief)
        return LocalExecutor(jobs or configuration.jobs(config), memory, choice)

    from soundtags.inference.dask.client import Cluster
    from soundtags.inference.dask.paths import PathMapping

    mapping = PathMapping.for_library(
        beets_config["directory"].as_filename(),
        configuration.cluster_paths(config),
        configuration.cluster_ship(config),
    )
    engine = configuration.engine(config)
    return Cluster(address, mapping, memory, engine, logger)
