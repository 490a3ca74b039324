"""What the plugin says after the first import: what it did, and what to try.

The library itself tells whether an import is the first: no track in it has
been analysed before.
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from beets import config as beets_config
from beets import ui

from beetsplug.soundtags.database import any_item_has, own_value
from beetsplug.soundtags.fields import PLAN
from soundtags.errors import capture_errors
from soundtags.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from beets.importer import ImportSession
    from beets.library import Item

GENRES = "genres"
IDEAS = ("beet soundlists", "beet soundreport -o report.html")


class Welcome:
    """Counts what an import finds, to report it if the import is the first."""

    def __init__(self) -> None:
        self._is_first = False
        self._tracks = 0
        self._with: Counter[str] = Counter()  # tracks with moods, with genres
        self._moods: Counter[str] = Counter()
        self._in_files = False

    def begin(self, session: ImportSession) -> None:
        """Find out whether the import that begins is the first."""
        quiet = beets_config["import"]["quiet"].get(bool)
        known = capture_errors(any_item_has, session.lib, PLAN)
        self._is_first = not quiet and known is False

    def count(self, item: Item, names: Collection[str]) -> None:
        """Count an item that was analysed, given the fields to be written."""
        moods = own_value(item, "mood") or []
        self._tracks += 1
        self._moods.update(moods)
        self._with.update({"moods": bool(moods), GENRES: GENRES in names})
        self._in_files |= bool(names) and ui.should_write()

    def end(self, **_kwargs: object) -> None:
        """Say what was done, if this was the first import and anything was."""
        if not self._is_first or not self._tracks:
            return
        done = "1 track" if self._tracks == 1 else f"{self._tracks} tracks"
        found = [f"{kind} for {n}" for kind, n in self._with.items() if n]
        if found:
            where = "in library and files" if self._in_files else "in library"
            done = f"{done}: {', '.join(found)}, {where}"
        ui.print_(f"soundtags analysed {done}.")
        moods = [mood for mood, _ in self._moods.most_common(1)]
        lists = [f"beet ls {shlex.quote(f'mood:{mood}')}" for mood in moods]
        ui.print_(printable(f"Try next: {', '.join([*lists, *IDEAS])}"))
