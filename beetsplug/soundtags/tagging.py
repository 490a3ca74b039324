"""Analyses to the library and to files: what command and import share."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from beets import plugins
from beets.util import syspath

from . import options
from .albums import ranked
from .analysis import conclude
from .engines import make_engine
from .errors import (
    BrokenModels,
    SoundtagsError,
    UnusableStore,
    UnwritableTags,
    attempt,
)
from .fields import AUDIO, BEFORE, PLAN, SAID, item_types, own
from .filetags import read_tags, restore_tags, write_tags
from .library import store_field
from .ownership import OTHERS, is_ours, remember
from .quiet import quiet
from .rules import GENRES
from .store import Store
from .undo import note, note_tags, snapshot

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
    )
    from contextlib import AbstractContextManager
    from logging import Logger

    from beets.library import Album, Item
    from confuse import ConfigView

    from .analysis import Analysis, Outcome
    from .decoding import Path
    from .engines import Engine
    from .filetags import Tags
    from .hearing import Heard
    from .pipeline import Hearing
    from .plan import Plan


@dataclass
class Tagger:
    """Tags items of a library by one plan.

    Attributes
    ----------
    plan
        Which models run on which patches.
    engine
        What reads files and runs models.
    store
        Where what was heard is kept; None where that cannot be.
    genre
        What is done with ``genres``: fill, replace or never.
    file_tags
        Fields that are written to files, besides ``genres``.
    force
        Whether to analyse what is up to date, too, and to replace what its
        owner says of it (but for ``genres``).
    logger
        Where messages of the run arrive.
    replan
        Makes another plan, without some models; None if the user named them.
    left_out
        Ids of models whose graphs proved unusable.
    """

    plan: Plan
    engine: Engine
    store: Store | None
    genre: str
    file_tags: list[str]
    force: bool
    logger: Logger
    replan: Callable[[Collection[str]], Plan] | None
    left_out: set[str] = field(default_factory=set)

    def is_stale(self, item: Item) -> bool:
        """Whether an item has not been analysed by this very plan."""
        return self.force or own(item, PLAN) != self.plan.digest

    def analyse(
        self, items: Iterable[Item], models: Collection[str] | None = None
    ) -> Iterator[tuple[Item, Outcome | None]]:
        """Analyse the files of items, several at a time.

        A graph that proves unusable is left out of the plan from then on,
        unless the user named it.

        Parameters
        ----------
        items
            What to analyse.
        models
            Ids of those that are to listen, where the store has what the
            others heard; None for all.

        Yields
        ------
        tuple
            The item, and the analysis or the error that prevented it; None if
            the item is up to date, after all, by a plan that leaves out a
            graph.

        Raises
        ------
        UnusableModel
            If a graph that the user named cannot be used.
        NoTensorFlow
            If TensorFlow does not load.
        """
        source = iter(items)
        changed: list[Item] = []  # since others heard them
        with self._quiet():
            while True:
                taken: dict[int, Item] = {}  # and not yet yielded
                tracks = _tracks(source, taken)
                plan = self.plan if models is None else self.plan.only(models)
                if models and not plan.models:  # they were left out
                    changed += source
                    break
                try:
                    for item, found in self.engine.hear(
                        tracks, plan, self._recall
                    ):
                        del taken[id(item)]
                        outcome = self._together(item, found, plan)
                        if outcome:
                            yield item, outcome
                        else:
                            changed.append(item)
                    break
                except BrokenModels as exc:
                    self._leave_out(exc)
                left = [*taken.values(), *source]
                yield from ((i, None) for i in left if not self.is_stale(i))
                source = filter(self.is_stale, left)
        if changed:
            yield from self.analyse(changed)

    def _leave_out(self, broken: BrokenModels) -> None:
        if self.replan is None:
            raise next(iter(broken.faults.values()))
        for fault in broken.faults.values():
            self.logger.warning("left out: {}", fault)
        self.left_out |= broken.faults.keys()
        self.plan = self.replan(self.left_out)

    def missing(self) -> Callable[[Iterable[str]], frozenset[str] | None]:
        """Return how to tell which models have yet to hear a track.

        It takes what a track was when it was heard, as its field says, and
        returns ids of models; None for all.
        """
        with self._storing() as store:
            if store:
                return partial(store.known(self.plan).missing, plan=self.plan)
        return lambda _: None

    def derive(self, audio: Iterable[str]) -> Analysis | None:
        """Conclude from what was heard before; None if that is not all.

        Parameters
        ----------
        audio
            What a track was when it was heard, as its field says.
        """
        with self._storing() as store:
            if store:
                inputs = store.inputs(audio, self.plan)
                heard = store.recall(inputs, self.plan)
                return conclude(heard, self.plan) if heard else None
        return None

    def _recall(self, inputs: Mapping[str, str], plan: Plan) -> Heard | None:
        with self._storing() as store:
            if store and not self.force:
                return store.recall(inputs, plan)
        return None

    def _together(
        self, item: Item, found: Hearing, plan: Plan
    ) -> Outcome | None:
        """Keep what was heard; conclude, with what others heard before.

        None if these have not heard the same.
        """
        if isinstance(found, SoundtagsError):
            return found
        with self._storing() as store:
            if store:
                store.keep(found, plan)
        if plan is self.plan:
            return attempt(conclude, found, plan)
        return self.derive([*heard_of(item), *found.inputs.values()])

    @contextmanager
    def _storing(self) -> Iterator[Store | None]:
        """Go on without the store from where it fails."""
        try:
            yield self.store
        except UnusableStore as exc:
            self.logger.warning("nothing heard is kept: {}", exc)
            self.store = None

    def close(self) -> None:
        """Give back what the engine and the store hold."""
        self.engine.close()
        if self.store:
            self.store.close()

    def _quiet(self) -> AbstractContextManager[None]:
        return quiet(self.logger, beets_config["verbose"].get(int) < 2)

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


def heard_of(item: Item) -> list[str]:
    """Return what an item's track was when it was heard."""
    audio: str = own(item, AUDIO) or ""
    return audio.split()


def _tracks(
    items: Iterable[Item], taken: dict[int, Item]
) -> Iterator[tuple[Item, Path]]:
    # A path is resolved against the library's folder in this thread only, so
    # it is read here, not where the file is opened.
    for item in items:
        taken[id(item)] = item
        yield item, syspath(item.path)


def make_tagger(
    config: ConfigView,
    logger: Logger,
    names: list[str] | None = None,
    jobs: int | None = None,
    force: bool = False,
    cluster: str | None = None,
) -> Tagger:
    """Read the configuration and settle how to tag.

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
    for complaint in options.unknown(config):
        logger.warning("{}", complaint)
    names = names or options.models(config)

    def replan(without: Collection[str] = ()) -> Plan:
        return options.plan(config, logger, names, without)

    plan = replan()
    engine = make_engine(config, logger, jobs, cluster)
    try:
        store = Store(options.store(config))
    except UnusableStore as exc:
        logger.warning("nothing heard is kept: {}", exc)
        store = None
    return Tagger(
        plan=plan,
        engine=engine,
        store=store,
        genre=options.genre_policy(config),
        file_tags=options.file_tags(config, item_types(plan.targets.values())),
        force=force,
        logger=logger,
        replan=None if names else replan,
    )


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
