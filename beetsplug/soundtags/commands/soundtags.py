"""The command `beet soundtags`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from ..errors import SoundtagsError, UnwritableTags
from ..labels import strongest
from ..selecting import analysed, matching
from ..storing import fetch, store
from ..tagging import make_tagger, write_item
from . import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView
    from rich.progress import Progress

    from ..analysis import Analysis
    from ..pipeline import Outcome
    from ..tagging import Tagger

EXPLAINED = 5  # classes of each model
REMOVED = "removed from the library meanwhile"


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
    if opts.jobs is not None and opts.jobs < 1:
        raise UserError(f"--jobs: {opts.jobs} is not 1 or more")
    try:
        tagger = make_tagger(config, log, opts.models, opts.jobs, opts.force)
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
        self.done = 0
        self.skipped = 0
        self.seconds = 0.0  # of audio
        self.failures: Counter[str] = Counter()
        self.albums: set[int] = set()
        self.progress: Progress | None = None
        self.task: Any = None  # of the progress

    def go(self, query: list[str]) -> None:
        """Analyse what is not up to date, and say what came of it."""
        stale = self._stale(matching(self.lib, query))
        started = time.monotonic()
        try:
            with self._progress(len(stale)) as progress:
                self.progress = progress
                self.task = progress and progress.add_task(
                    "analysing", total=len(stale)
                )
                for item, outcome in self.tagger.analyse(self._items(stale)):
                    self._take(item, outcome)
                    self._advance()
        finally:
            self.progress = None
            took = time.monotonic() - started
            try:
                self._update_albums()
            finally:
                self._summarise(took)
        if self.failures and not self.done and not self.skipped:
            raise UserError("no track could be analysed")

    def _stale(self, ids: list[int]) -> list[int]:
        """Return those of some items that are to be analysed."""
        if self.opts.force:
            return ids
        plans, current = analysed(self.lib), self.tagger.plan.digest
        stale = [each for each in ids if plans.get(each) != current]
        again = sum(each in plans for each in stale)
        self.skipped = len(ids) - len(stale)
        if again and not self.opts.quiet:
            ui.print_(
                f"{again} of {len(stale)} were analysed with other models or"
                " settings, and are again"
            )
        return stale

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
            try:
                self._tag(fresh, outcome)
            except UnwritableTags as exc:
                self._fail(item, str(exc))

    def _tag(self, item: Item, analysis: Analysis) -> None:
        names = self.tagger.apply(item, analysis.fields)
        if self.opts.verbose:
            self._aside(lambda: ui.print_(explain(item, analysis)))
        if self.opts.pretend:
            if not self.opts.quiet:
                self._aside(lambda: ui.show_model_changes(item, always=True))
        else:
            if self.write:
                write_item(item, names)
            store(item)
            if item.album_id:
                self.albums.add(item.album_id)
            if not self.opts.quiet and not sys.stdout.isatty():
                ui.print_(describe(item))
        self.done += 1
        self.seconds += analysis.seconds

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
        for album_id in sorted(self.albums):
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
        if self.done:
            speed = self.seconds / max(took, 1e-3)
            line += (
                f"; {self.seconds / 60:.1f} min of music in {took:.1f} s,"
                f" {speed:.0f} x real time"
            )
        ui.print_(line)
        for reason, count in self.failures.most_common():
            ui.print_(f"  {count} x {reason}")


def explain(item: Item, analysis: Analysis) -> str:
    """Return what each model said of an item, a line each."""
    lines = [f"{_name(item)}:"]
    for source, means in analysis.answers.items():
        lines.append(f"  {source}: {_listed(means)}")
    for target, strengths in analysis.estimates.items():
        lines.append(f"  rule for {target}: {_listed(strengths)}")
    return "\n".join(lines)


def _listed(means: Mapping[str, float]) -> str:
    names = strongest(means)
    return ", ".join(f"{name} {means[name]:.4f}" for name in names[:EXPLAINED])


def _name(item: Item) -> str:
    return str(item) if item.title else displayable_path(item.path)


def describe(item: Item) -> str:
    """Return an item and what was found, in one line."""
    found = [
        ", ".join(item.get("genres") or []),
        ", ".join(item.get("mood") or []),
        item.get("voice_instrumental") or "",
    ]
    danceability = item.get("danceability")
    if danceability is not None:
        found.append(f"danceability {danceability:.2f}")
    return f"{_name(item)}: {' | '.join(part for part in found if part)}"
