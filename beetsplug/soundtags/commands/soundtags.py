"""The command `beet soundtags`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags.analyser import input_digests
from beetsplug.soundtags.commands import stats, undo
from beetsplug.soundtags.commands.progress import Progress
from beetsplug.soundtags.commands.showing import (
    describe,
    explain,
    say,
    show_changes,
    tracks,
)
from beetsplug.soundtags.commands.work import Work
from beetsplug.soundtags.configuration import MANY_JOBS
from beetsplug.soundtags.database import matching_ids, own_value
from beetsplug.soundtags.fields import PLAN
from beetsplug.soundtags.interrupt import postponed_interrupt
from beetsplug.soundtags.library_access import (
    get_album,
    get_item,
    get_items,
    store_items,
)
from beetsplug.soundtags.lost_genres import restore_genres
from beetsplug.soundtags.safe_write import write_item
from beetsplug.soundtags.tagger import make_tagger
from soundtags.errors import (
    SoundtagsError,
    StorageError,
    UnusableLibrary,
    capture_errors,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

    from beetsplug.soundtags.tagger import Tagger
    from soundtags.labelling.interpret import Interpretation, Outcome

P = ParamSpec("P")
T = TypeVar("T")

REMOVED = "removed from the library meanwhile"
BATCH_SIZE = 500  # items loaded and stored together


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If nothing could be done at all.
    """
    if opts.stats:
        stats.run(lib, config, query)
        return
    if opts.undo:
        undo.run(lib, log, opts, query)
        return
    if opts.jobs is not None and not 1 <= opts.jobs <= MANY_JOBS:
        raise UserError(f"--jobs: {opts.jobs} is not from 1 to {MANY_JOBS}")
    tagger = make_tagger(
        config, log, opts.models, opts.jobs, opts.force, opts.cluster
    )
    try:
        Run(lib, tagger, opts, log).go(matching_ids(lib, query))
    finally:
        tagger.close()


class Run:
    """One run of the command over some items."""

    def __init__(
        self, lib: Library, tagger: Tagger, opts: Values, log: Any
    ) -> None:
        self.lib = lib
        self.tagger = tagger
        self.opts = opts
        self.log = log
        self.write = ui.should_write(opts.write)
        self.done = 0
        self.skipped = 0
        self.seconds = 0.0  # of audio
        self.failures: Counter[str] = Counter()
        self.albums: set[int | None] = set()  # whose tracks may have changed
        self.progress = Progress(0, quiet=True)

    def go(self, ids: Sequence[int]) -> None:
        """Analyse what is not up to date, and print a summary."""
        self._restore_genres(ids)
        work = Work.find(self.lib, ids, self.tagger)
        self._announce(work)
        self.carry_out(work)
        if self.failures and not self.done and not self.skipped:
            raise UserError("no track could be tagged")

    def carry_out(self, work: Work) -> None:
        """Do what has to be done, and print a summary."""
        self.skipped += work.up_to_date
        started = time.monotonic()
        try:
            with Progress(work.total, self.opts.quiet) as self.progress:
                failed = self._derive(work.derive)
                self._analyse([*work.analyse, *failed])
                for models, ids in work.by_models.items():
                    self._analyse(ids, models)
        finally:
            took = time.monotonic() - started
            try:
                self._update_albums()
            finally:
                self._summarise(took)

    def _restore_genres(self, ids: Sequence[int]) -> None:
        count = restore_genres(self.lib, ids, self.opts.pretend)
        if count and not self.opts.quiet:
            verb = "would get" if self.opts.pretend else "got"
            ui.print_(
                f"{tracks(count)} {verb} back the genres in their files, which"
                " beet update had replaced with those of the album"
            )

    def _announce(self, work: Work) -> None:
        if self.opts.quiet:
            return
        if work.lost:
            verb = "would get" if self.opts.pretend else "will get"
            ui.print_(
                f"{tracks(work.lost)} {verb} back values that have been"
                " cleared, as beet update does if files lack them"
            )
        if not work.again:
            return
        ui.print_(
            f"Re-analysing {work.again} of {tracks(work.total)}: models or"
            " settings have changed"
        )
        if work.derive:
            ui.print_(
                f"Predictions for {len(work.derive)} of them are in the cache"
            )

    def _analyse(
        self, ids: Sequence[int], models: frozenset[str] | None = None
    ) -> None:
        """Analyse items with all models of the plan, or with some of them."""
        items = self._items(ids)
        for item, outcome in self.tagger.analyse(items, models):
            with postponed_interrupt():
                self._take(item, outcome)
                self.progress.advance(item.id)

    def _derive(self, ids: list[int]) -> list[int]:
        """Derive fields from the cache; return the ids where that fails."""
        failed: list[int] = []
        for start in range(0, len(ids), BATCH_SIZE):
            some = ids[start : start + BATCH_SIZE]
            items = get_items(self.lib, some)
            if len(items) < len(some):
                self.failures[REMOVED] += len(some) - len(items)
            unwritten: list[tuple[Item, Interpretation]] = []
            for item in items:
                analysis = self.tagger.derive(input_digests(item))
                if analysis is None:
                    failed.append(cast("int", item.id))
                    continue
                with postponed_interrupt():
                    written = self._attempt(
                        item, self._finish_derived, item, analysis
                    )
                    if written:
                        self._count(item, analysis)
                    elif written is not None:
                        unwritten.append((item, analysis))
                    self.progress.advance(item.id)
            if unwritten and not self.opts.pretend:
                store_items(*(item for item, _ in unwritten))
            for item, analysis in unwritten:
                self._count(item, analysis)
        return failed

    def _finish_derived(self, item: Item, analysis: Interpretation) -> bool:
        """Apply what was derived; return whether the item was also written."""
        before = item.copy()
        names = self.tagger.apply(item, analysis.fields)
        same = all(own_value(item, n) == own_value(before, n) for n in names)
        # A file that need not change is not opened. Without a plan, it is not
        # known whether the file has what is in the library.
        if (same and own_value(before, PLAN)) or not self.write:
            if item.genres != before.genres:
                self.albums.add(item.album_id)
            return False
        self._write(item, names)
        return True

    def _items(self, ids: Sequence[int]) -> Iterator[Item]:
        """Fetch items one by one, as there can be any number."""
        for item_id in ids:
            item = get_item(self.lib, item_id)
            if item is None:
                self.failures[REMOVED] += 1
                self.progress.advance(item_id)
            else:
                self.progress.begin(item)
                yield item

    def _take(self, item: Item, outcome: Outcome | None) -> None:
        """Apply, store and write the outcome of one item, or report it."""
        if outcome is None:
            self.skipped += 1
        elif isinstance(outcome, SoundtagsError):
            self._fail(item, outcome)
        elif fresh := self._attempt(item, self._finish, item, outcome):
            self.seconds += outcome.predictions.seconds
            self._count(fresh, outcome)

    def _finish(self, item: Item, analysis: Interpretation) -> Item:
        """Apply and store what was found; return the item as it is now."""
        fresh = get_item(self.lib, cast("int", item.id))
        if fresh is None:
            raise StorageError(REMOVED)
        self._write(fresh, self.tagger.apply(fresh, analysis.fields))
        return fresh

    def _attempt(
        self,
        item: Item,
        work: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T | None:
        """Return the result of some work on an item; None if it has failed.

        The work must not print: a closed pipe is not a failure of the item.
        """
        done = capture_errors(work, *args, **kwargs)
        if isinstance(done, UnusableLibrary):
            raise done
        if isinstance(done, SoundtagsError):
            self._fail(item, done)
            return None
        return done

    def _write(self, item: Item, names: list[str]) -> None:
        """Write and store an item, unless only asked to show it."""
        if not self.opts.pretend:
            if self.write:
                write_item(item, names)
            store_items(item)
        self.albums.add(item.album_id)

    def _count(self, item: Item, analysis: Interpretation) -> None:
        """Count an item as done, and show it if wanted."""
        self.done += 1
        if self.opts.verbose:
            self.progress.aside(lambda: explain(item, analysis))
        if self.opts.quiet:
            return
        if self.opts.pretend:
            self.progress.aside(lambda: show_changes(item))
        elif not sys.stdout.isatty():
            say(describe(item))

    def _fail(self, item: Item, error: SoundtagsError) -> None:
        # Details, which differ from file to file, follow a colon.
        self.failures[str(error).split(": ")[0]] += 1
        path = displayable_path(item.path)
        self.progress.aside(lambda: self.log.error("{}: {}", path, error))
        if trace := getattr(error, "trace", ""):
            self.log.debug("{}", trace)

    def _update_albums(self) -> None:
        ids = set() if self.opts.pretend else self.albums
        for album_id in sorted(filter(None, ids)):
            album = get_album(self.lib, album_id)
            if album:
                self.tagger.update_album(album)

    def _summarise(self, took: float) -> None:
        if self.opts.quiet:
            return
        verb = "would be tagged" if self.opts.pretend else "tagged"
        parts = [
            f"{self.done} {verb}",
            f"{self.skipped} already up to date",
            f"{sum(self.failures.values())} failed",
        ]
        line = ", ".join(parts)
        if self.seconds:
            speed = self.seconds / max(took, 1e-3)
            line += (
                f"; {self.seconds / 60:.1f} min of music in {took:.1f} s,"
                f" {speed:.0f} x real time"
            )
        ui.print_(line)
        for reason, count in self.failures.most_common():
            say(f"  {count} x {reason}")
