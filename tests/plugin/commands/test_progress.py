"""What `beet soundtags` shows on a terminal while it runs."""

from __future__ import annotations

import os
import re
import select
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from beets.library import Item

from beetsplug.soundtags.commands.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a pty")


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Yield a function that returns what a terminal has shown so far."""
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with open(theirs, "w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)

        def read() -> str:
            stdout.flush()
            shown = ""
            while select.select([ours], [], [], 0)[0]:
                shown += os.read(ours, 1000).decode()
            return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown)

        yield read
    os.close(ours)


def item(number: int, **fields: str) -> Item:
    path = f"/music/{number}.ogg".encode()
    return Item(id=number, path=path, album="Album", **fields)


def test_the_track_that_it_is_at_is_named(monkeypatch):
    with terminal(monkeypatch) as screen, Progress(3, quiet=False) as progress:
        progress.begin(item(1, artist="Can", title="Vitamin C"))
        progress.begin(item(2, title="Spoon"))  # without an artist
        progress.begin(item(3, artist="[red]", title="x\x1b[2J" + 90 * "y"))
        progress.aside(lambda: None)
        shown = screen()
        assert "0/3" in shown
        assert "Can - Vitamin C" in shown
        progress.advance(1)
        progress.aside(lambda: None)
        shown = screen()
        assert "1/3" in shown
        assert " 2.ogg" in shown
        progress.advance(2)
        progress.aside(lambda: None)
        # Neither markup nor escape sequences, and cut to the line.
        shown = screen()
        assert "[red] - x?[2Jyyy" in shown
        lines = re.split(r"[\r\n]+", shown)
        assert max(map(len, lines)) <= 80
        assert "\u2026" in shown


@pytest.mark.parametrize(("total", "quiet"), [(3, True), (0, False)])
def test_where_there_is_nothing_to_show_there_is_no_bar(
    monkeypatch, total, quiet
):
    with terminal(monkeypatch) as screen, Progress(total, quiet) as progress:
        progress.begin(item(1))
        progress.advance(1)
        progress.aside(lambda: sys.stdout.write("aside\n"))
        assert screen() == "aside\r\n"
