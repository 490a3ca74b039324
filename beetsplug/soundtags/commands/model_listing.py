"""How `beet soundmodels` prints models and transfers."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

COLUMNS = ("id", "target", "family", "size", "figures", "state")


def table(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of models, header first."""
    return _columns([COLUMNS, *map(_row, entries)])


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    sizes = [file["size"] for file in facts.get("files", []) if file["size"]]
    figures = facts["metrics"].values()
    return (
        facts["id"],
        facts["target"] or "-",
        facts["family"],
        decimal(sizes[0]) if sizes else "",
        " ".join(f"{figure:.2f}" for figure in figures),
        facts["state"],
    )


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        yield "  ".join(cells).rstrip()


def readable(value: Any) -> str:
    """Return a fact about a model as text."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return "-" if value is None else str(value)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show the progress of a transfer, on a terminal.

    Yields a function that takes the number of bytes transferred and that of
    the whole file, or None if it is not known.
    """
    if not sys.stdout.isatty():
        yield lambda _done, _total: None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
