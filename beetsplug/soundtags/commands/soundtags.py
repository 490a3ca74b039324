"""The command `beet soundtags`."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags.analyser import input_digests
from beetsplug.soundtags.commands import stats, undo
from beetsplug.soundtags.commands.showing import describe, explain, show_changes
from beetsplug.soundtags.fields import AUDIO, PLAN, own
from beetsplug.soundtags.library import fetch, fetch_all, store
from beetsplug.soundtags.queries import matching, values
from beetsplug.soundtags.tagger import make_tagger, write_item
from soundtags.errors import SoundtagsError, UnwritableTags
from soundtags.labelling.rules import GENRES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView
    from rich.progress import Progress

    from beetsplug.soundtags.tagger import Tagger
    from soundtags.labelling.interpret import Interpretation, Outcome

    Listeners = frozenset[str] | None

REMOVED = "removed from the library meanwhile"
AT_ONCE = 500  # items that are fetched and stored together
ALL = None


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
    try:
        tagger = make_tagger(
            config, log, opts.models, opts.jobs, opts.force, opts.cluster
        )
    except SoundtagsError as exc:
        raise UserError(str(exc)) from exc
    try:
        Run(lib, tagger, opts, log).go(query)
    except SoundtagsError as exc:
        raise UserError(str(exc)) from exc
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
        """Analyse what is not up to date, and say what came of it."""
        stale = self._stale(matching(self.lib, query))
        total = sum(map(len, stale.values()))
        started = time.monotonic()
        try:
            with self._progress(total) as progress:
                self.progress = progress
                self.task = progress and progress.add_task(
                    "analysing", total=total
                )
                stale[ALL] += self._derive(stale.pop(frozenset(), []))
                for models, ids in stale.items():
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

    def _stale(self, ids: list[int]) -> dict[Listeners, list[int]]:
        """Return which models are to listen to which items, if any."""
        if self.opts.force:
            return {ALL: ids}
        plan = self.tagger.plan
        plans, audio = values(self.lib, PLAN), values(self.lib, AUDIO)
        stale = [each for each in ids if plans.get(each) != plan.digest]
        self.skipped = len(ids) - len(stale)
        coverage_of = self.tagger.coverage()
        found: dict[Listeners, list[int]] = defaultdict(list)
        for each in stale:
            coverage = coverage_of(audio.get(each, "").split())
            found[coverage.missing if coverage.cached else ALL].append(each)
        again = sum(each in plans for each in stale)
        if again and not self.opts.quiet:
            self._announce(again, len(stale), len(found[frozenset()]))
        return found

    def _announce(self, again: int, count: int, known: int) -> None:
        ui.print_(
            f"{again} of {count} were analysed with other models or settings,"
            " and are again"
        )
        if known:
            ui.print_(f"{known} of {count} need not be listened to for that")

    def _analyse(self, ids: list[int], models: Listeners) -> None:
        items = self._items(ids)
        for item, outcome in self.tagger.analyse(items, models):
            self._take(item, outcome)
            self._advance()

    def _derive(self, ids: list[int]) -> list[int]:
        """Conclude anew from what was heard; return ids where that fails."""
        failed = []
        for start in range(0, len(ids), AT_ONCE):
            some, unwritten = ids[start : start + AT_ONCE], []
            items = fetch_all(self.lib, some)
            if len(items) < len(some):
                self.failures[REMOVED] += len(some) - len(items)
            for item in items:
                analysis = self.tagger.derive(input_digests(item))
                if analysis is None:
                    failed.append(cast("int", item.id))
                    continue
                before = {name: own(item, name) for name in (PLAN, *self._tags)}
                names = self._apply(item, analysis)
                same = all(own(item, name) == before[name] for name in names)
                # Files that need not change are not opened, if they had what
                # is in the library: without a plan, that is not known.
                if (same and before[PLAN]) or not self.write:
                    unwritten.append(item)
                    if own(item, GENRES) != before[GENRES]:
                        self.albums.add(item.album_id)
                    self._count(item)
                else:
                    self._write(item, names)
                self._advance()
            if unwritten and not self.opts.pretend:
                store(*unwritten)
        return failed

    def _items(self, ids: list[int]) -> Iterator[Item]:
        """Fetch items one by one, as there can be any number."""
        for item_id in ids:
            item = fetch(self.lib, item_id)
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
        fresh = fetch(self.lib, cast("int", item.id))
        if fresh is None:
            self._fail(item, REMOVED)
        elif isinstance(outcome, SoundtagsError):
            self._fail(item, str(outcome), getattr(outcome, "trace", ""))
        else:
            names = self._apply(fresh, outcome)
            if self._write(fresh, names):
                self.seconds += outcome.heard.seconds

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
            store(item)
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
