"""Progress on a terminal: a bar, and the track that is being analysed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.commands.showing import brief_name
from soundtags.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from beets.library import Item
    from rich.progress import Progress as Bar

COLUMNS = 20  # of the bar


class Progress:
    """Shows how far a run has come.

    Parameters
    ----------
    total
        Number of tracks.
    quiet
        Whether to show nothing; without a terminal, nothing is shown anyway.
    """

    def __init__(self, total: int, quiet: bool) -> None:
        shown = total and not quiet and sys.stdout.isatty()
        self._bar: Bar | None = _bar(total) if shown else None
        self._names: dict[int | None, str] = {}  # being analysed, oldest first

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def begin(self, item: Item) -> None:
        """Take note that the analysis of an item begins."""
        if self._bar:
            self._names[item.id] = printable(brief_name(item))
            self._update()

    def advance(self, item_id: int | None) -> None:
        """Count an item as done."""
        if self._bar:
            self._names.pop(item_id, None)
            self._update(1)

    def aside(self, show: Callable[[], Any]) -> None:
        """Print something while the bar is out of the way."""
        if self._bar is None:
            show()
            return
        self._bar.stop()
        show()
        self._bar.start()

    def _update(self, advance: int = 0) -> None:
        if self._bar:
            name = next(iter(self._names.values()), "")
            (task,) = self._bar.task_ids
            self._bar.update(task, advance=advance, description=name)


def _bar(total: int) -> Bar:
    from rich import progress, table

    rest = table.Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar = progress.Progress(
        progress.BarColumn(COLUMNS),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("ETA"),
        progress.TimeRemainingColumn(),
        # Names can look like markup.
        progress.TextColumn(
            "{task.description}", markup=False, table_column=rest
        ),
        transient=True,
        expand=True,
    )
    bar.add_task("", total=total)
    return bar
