"""Interpretations to library fields and file tags."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from beets import plugins
from beets.util import syspath

from beetsplug.soundtags import configuration
from beetsplug.soundtags.albums import ranked
from beetsplug.soundtags.analyser import Analyser
from beetsplug.soundtags.fields import (
    AUDIO,
    BEFORE,
    PLAN,
    SAID,
    item_types,
    own,
)
from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from beetsplug.soundtags.history import note, note_tags, snapshot
from beetsplug.soundtags.library import store_field
from beetsplug.soundtags.provenance import OTHERS, is_ours, remember
from soundtags.errors import UnusableStore, UnwritableTags
from soundtags.inference.cache import PredictionCache
from soundtags.inference.engine import LocalEngine
from soundtags.labelling.rules import GENRES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from logging import Logger

    from beets.library import Album, Item
    from confuse import ConfigView

    from beetsplug.soundtags.file_tags import Tags
    from soundtags.inference.engine import Engine
    from soundtags.models.plan import Plan


@dataclass
class Tagger(Analyser):
    """Analyses items, and applies the results to them.

    Attributes
    ----------
    genre
        What is done with ``genres``: fill, replace or never.
    file_tags
        Fields that are written to files, besides ``genres``.
    force
        Whether to analyse items that are up to date, too, and to replace
        what their owner has set (but for ``genres``).
    """

    genre: str
    file_tags: list[str]

    def apply(self, item: Item, fields: Mapping[str, Any]) -> list[str]:
        """Put the fields of an analysis onto an item, without storing it.

        Returns
        -------
        list of str
            The fields that its file should have from now on, too.
        """
        before = snapshot(item, fields)
        said: dict[str, Any] = {}
        for name in fields.keys() - {PLAN, AUDIO}:
            if not self._may_set(item, name):
                said[name] = OTHERS
            else:
                if name != GENRES or fields[name]:
                    item[name] = fields[name]
                said[name] = item[name]
        item.update({PLAN: fields[PLAN], AUDIO: fields[AUDIO]})
        item[SAID] = remember(said)
        note(item, before)
        written = [*self.file_tags]
        genres = fields.get(GENRES)
        if genres and item.genres == genres and self.genre != "never":
            # Also if they are ours already, from a run that was killed.
            written.append(GENRES)
        return written

    def _may_set(self, item: Item | Album, name: str) -> bool:
        """Whether a field is ours, or not to be left to whose it is."""
        if name == GENRES and self.genre != "fill":
            return self.genre == "replace"
        if name != GENRES and self.force:
            return True
        value, kept = own(item, name), own(item, SAID)
        if kept is None:
            # Scores from before come from other programs, words from people.
            return not value or name not in (GENRES, "mood")
        return is_ours(kept, name, value)

    def update_album(self, album: Album) -> None:
        """Give an album the genres most common among its tracks."""
        votes = ranked(item.genres for item in album.items())
        genres = votes[: self.plan.settings.max_genres]
        new = genres and genres != album.genres
        if new and self._may_set(album, GENRES):
            before = snapshot(album, [GENRES])
            album.genres = genres
            album[SAID] = remember({GENRES: genres})
            note(album, before)
            album.store(inherit=False)


def make_tagger(
    config: ConfigView,
    logger: Logger,
    names: list[str] | None = None,
    jobs: int | None = None,
    force: bool = False,
    cluster: str | None = None,
) -> Tagger:
    """Return a tagger as the configuration or the command line has it.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Where messages of the run arrive.
    names, jobs, force, cluster
        What the command line says instead of the configuration.

    Raises
    ------
    confuse.ConfigError
        If a value is not allowed.
    SoundtagsError
        If a model that was asked for is not there or cannot be used.
    """
    for complaint in configuration.unknown(config):
        logger.warning("{}", complaint)
    names = names or configuration.models(config)

    def replan(without: Collection[str] = ()) -> Plan:
        return configuration.plan(config, logger, names, without)

    plan = replan()
    engine = make_engine(config, logger, jobs, cluster)
    try:
        cache = PredictionCache(configuration.store(config))
    except UnusableStore as exc:
        logger.warning("predictions are not cached: {}", exc)
        cache = None
    return Tagger(
        plan=plan,
        engine=engine,
        cache=cache,
        genre=configuration.genre_policy(config),
        file_tags=configuration.file_tags(
            config, item_types(plan.targets.values())
        ),
        force=force,
        logger=logger,
        replan=None if names else replan,
    )


def make_engine(
    config: ConfigView,
    logger: Logger,
    jobs: int | None = None,
    cluster: str | None = None,
) -> Engine:
    """Return the engine that the configuration or the command line names.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Where messages of the run arrive.
    jobs, cluster
        What the command line says instead of the configuration.

    Raises
    ------
    confuse.ConfigError
        If a value is not allowed.
    """
    memory = configuration.session_memory(config)
    address = cluster or configuration.cluster(config)
    if address is None:
        return LocalEngine(jobs or configuration.jobs(config), memory)

    from soundtags.inference.dask.client import Cluster
    from soundtags.inference.dask.paths import PathMapping

    mapping = PathMapping.for_library(
        beets_config["directory"].as_filename(),
        configuration.cluster_paths(config),
        configuration.cluster_ship(config),
    )
    return Cluster(address, mapping, memory, logger)


def write_item(item: Item, names: Iterable[str]) -> None:
    """Write fields to an item's file; keep its modification time in step.

    Other plugins are told, and may change what is written, as with all that
    beets writes.

    Raises
    ------
    UnwritableTags
        If the file is not to be written; the item is then left alone.
    """
    tags = {name: own(item, name) for name in names}
    note_file(item, tags)
    store_field(item, BEFORE)
    told = dict(tags)
    plugins.send("write", item=item, path=item.path, tags=told)
    tags = {name: told.get(name) for name in tags}
    _rewrite(item, partial(write_tags, values=tags))


def restore_item(item: Item, tags: Tags) -> None:
    """Give an item's file tags that it once had.

    Raises
    ------
    UnwritableTags
        If the file is not to be written; the item is then left alone.
    """
    _rewrite(item, partial(restore_tags, tags=tags))


def note_file(item: Item, names: Iterable[str]) -> None:
    """Keep what tags an item's file has, before they are written.

    Raises
    ------
    UnwritableTags
        If the file cannot be read.
    """
    note_tags(item, read_tags(syspath(item.path), names))


def _rewrite(item: Item, write: Callable[..., bool]) -> None:
    # A file that is newer than the library has somebody else's changes,
    # which `beet update` must still find.
    in_step = modified(item) <= item.mtime
    id3v23 = beets_config["id3v23"].get(bool)
    if write(syspath(item.path), id3v23=id3v23):
        if in_step:
            item.mtime = modified(item)
        plugins.send("after_write", item=item, path=item.path)


def modified(item: Item) -> int:
    """Return when an item's file was modified, as beets counts time.

    Raises
    ------
    UnwritableTags
        If the file is not there any more.
    """
    try:
        return item.current_mtime()
    except OSError as exc:
        raise UnwritableTags(f"tags not written: {exc.strerror}") from exc
