"""The command `beet soundtags`."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags.analyser import input_digests
from beetsplug.soundtags.commands import stats, undo
from beetsplug.soundtags.commands.showing import (
    describe,
    explain,
    show_changes,
    tracks,
)
from beetsplug.soundtags.fields import INPUT, PLAN
from beetsplug.soundtags.queries import (
    field_values,
    get_item,
    get_items,
    matching_ids,
    own_value,
    store_items,
)
from beetsplug.soundtags.safe_write import write_item
from beetsplug.soundtags.tagger import make_tagger
from soundtags.errors import SoundtagsError, UnwritableTags
from soundtags.labelling.rules import GENRES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView
    from rich.progress import Progress

    from beetsplug.soundtags.tagger import Tagger
    from soundtags.inference.cache_index import Coverage
    from soundtags.labelling.interpret import Interpretation, Outcome

REMOVED = "removed from the library meanwhile"
BATCH_SIZE = 500  # items loaded and stored together


@dataclass
class Work:
    """What has to be done, as ids of items.

    Attributes
    ----------
    analyse
        Items that need all models of the plan.
    derive
        Items whose predictions are all in the cache.
    by_models
        Items that need only some models, by the ids of these.
    """

    analyse: list[int] = field(default_factory=list)
    derive: list[int] = field(default_factory=list)
    by_models: dict[frozenset[str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, item_id: int, coverage: Coverage) -> None:
        """Add an item of which the cache covers so much."""
        if not coverage.cached:
            self.analyse.append(item_id)
        elif coverage.missing:
            self.by_models[coverage.missing].append(item_id)
        else:
            self.derive.append(item_id)

    @property
    def total(self) -> int:
        """Number of items."""
        partly = sum(map(len, self.by_models.values()))
        return len(self.analyse) + len(self.derive) + partly


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
    if opts.jobs is not None and opts.jobs < 1:
        raise UserError(f"--jobs: {opts.jobs} is not 1 or more")
    tagger = make_tagger(
        config, log, opts.models, opts.jobs, opts.force, opts.cluster
    )
    try:
        Run(lib, tagger, opts, log).go(query)
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
        self._tags = [*tagger.file_tags, GENRES]
        self.done = 0
        self.skipped = 0
        self.seconds = 0.0  # of audio
        self.failures: Counter[str] = Counter()
        self.albums: set[int | None] = set()  # with tracks that may differ
        self.progress: Progress | None = None
        self.task: Any = None  # of the progress

    def go(self, query: list[str]) -> None:
        """Analyse what is not up to date, and print a summary."""
        work = self._plan_work(matching_ids(self.lib, query))
        total = work.total
        started = time.monotonic()
        try:
            with self._progress(total) as progress:
                self.progress = progress
                self.task = progress and progress.add_task(
                    "analysing", total=total
                )
                failed = self._derive(work.derive)
                self._analyse([*work.analyse, *failed])
                for models, ids in work.by_models.items():
                    self._analyse(ids, models)
        finally:
            self.progress = None
            took = time.monotonic() - started
            try:
                self._update_albums()
            finally:
                self._summarise(took)
        if self.failures and not self.done and not self.skipped:
            raise UserError("no track could be analysed")

    def _plan_work(self, ids: list[int]) -> Work:
        """Find out what has to be done for which items."""
        if self.opts.force:
            return Work(analyse=ids)
        plan = self.tagger.plan
        plans = field_values(self.lib, PLAN)
        inputs = field_values(self.lib, INPUT)
        stale = [each for each in ids if plans.get(each) != plan.digest]
        self.skipped = len(ids) - len(stale)
        coverage_of = self.tagger.coverage()
        work = Work()
        for each in stale:
            work.add(each, coverage_of(inputs.get(each, "").split()))
        again = sum(each in plans for each in stale)
        if again and not self.opts.quiet:
            self._announce(again, len(stale), len(work.derive))
        return work

    def _announce(self, again: int, count: int, cached: int) -> None:
        ui.print_(
            f"Re-analysing {again} of {tracks(count)}: models or settings have"
            " changed"
        )
        if cached:
            ui.print_(f"Predictions for {cached} of them are in the cache")

    def _analyse(
        self, ids: Sequence[int], models: frozenset[str] | None = None
    ) -> None:
        """Analyse items with all models of the plan, or with some of them."""
        items = self._items(ids)
        for item, outcome in self.tagger.analyse(items, models):
            self._take(item, outcome)
            self._advance()

    def _derive(self, ids: list[int]) -> list[int]:
        """Derive fields from the cache; return the ids of which that fails."""
        failed = []
        for start in range(0, len(ids), BATCH_SIZE):
            some, unwritten = ids[start : start + BATCH_SIZE], []
            items = get_items(self.lib, some)
            if len(items) < len(some):
                self.failures[REMOVED] += len(some) - len(items)
            for item in items:
                analysis = self.tagger.derive(input_digests(item))
                if analysis is None:
                    failed.append(cast("int", item.id))
                    continue
                before = {
                    name: own_value(item, name) for name in (PLAN, *self._tags)
                }
                names = self._apply(item, analysis)
                same = all(
                    own_value(item, name) == before[name] for name in names
                )
                # Files that need not change are not opened, if they had what
                # is in the library: without a plan, that is not known.
                if (same and before[PLAN]) or not self.write:
                    unwritten.append(item)
                    if own_value(item, GENRES) != before[GENRES]:
                        self.albums.add(item.album_id)
                    self._count(item)
                else:
                    self._write(item, names)
                self._advance()
            if unwritten and not self.opts.pretend:
                store_items(*unwritten)
        return failed

    def _items(self, ids: Sequence[int]) -> Iterator[Item]:
        """Fetch items one by one, as there can be any number."""
        for item_id in ids:
            item = get_item(self.lib, item_id)
            if item is None:
                self.failures[REMOVED] += 1
                self._advance()
            else:
                yield item

    def _advance(self) -> None:
        if self.progress:
            self.progress.advance(self.task)

    def _progress(self, total: int) -> Any:
        """Return a progress bar, on a terminal."""
        if self.opts.quiet or not total or not sys.stdout.isatty():
            return nullcontext()
        from rich import progress

        return progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("ETA"),
            progress.TimeRemainingColumn(),
            transient=True,
        )

    def _take(self, item: Item, outcome: Outcome | None) -> None:
        """Apply, store and write the outcome of one item, or report it."""
        if outcome is None:
            self.skipped += 1
            return
        fresh = get_item(self.lib, cast("int", item.id))
        if fresh is None:
            self._fail(item, REMOVED)
        elif isinstance(outcome, SoundtagsError):
            self._fail(item, str(outcome), getattr(outcome, "trace", ""))
        else:
            names = self._apply(fresh, outcome)
            if self._write(fresh, names):
                self.seconds += outcome.predictions.seconds

    def _apply(self, item: Item, analysis: Interpretation) -> list[str]:
        """Put what was found onto an item; return what files should have."""
        names = self.tagger.apply(item, analysis.fields)
        if self.opts.verbose:
            self._aside(lambda: ui.print_(explain(item, analysis)))
        return names

    def _write(self, item: Item, names: list[str]) -> bool:
        """Write and store an item, unless only asked to show it."""
        try:
            if self.write and not self.opts.pretend:
                write_item(item, names)
        except UnwritableTags as exc:
            self._fail(item, str(exc))
            return False
        if not self.opts.pretend:
            store_items(item)
        self.albums.add(item.album_id)
        self._count(item)
        return True

    def _count(self, item: Item) -> None:
        """Count an item as done, and show it if wanted."""
        self.done += 1
        if self.opts.quiet:
            return
        if self.opts.pretend:
            self._aside(lambda: show_changes(item))
        elif not sys.stdout.isatty():
            ui.print_(describe(item))

    def _fail(self, item: Item, reason: str, trace: str = "") -> None:
        # Details, which differ from file to file, follow a colon.
        self.failures[reason.split(": ")[0]] += 1
        path = displayable_path(item.path)
        self._aside(lambda: self.log.error("{}: {}", path, reason))
        if trace:
            self.log.debug("{}", trace)

    def _aside(self, say: Any) -> None:
        """Print something while the progress bar is out of the way."""
        if self.progress is None:
            say()
            return
        self.progress.stop()
        say()
        self.progress.start()

    def _update_albums(self) -> None:
        ids = set() if self.opts.pretend else self.albums
        for album_id in sorted(filter(None, ids)):
            album = self.lib.get_album(album_id)
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
            ui.print_(f"  {count} x {reason}")
