"""`beet soundtags --undo`: restore what was there before."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags.commands.showing import describe, say, show_changes
from beetsplug.soundtags.database import field_values, matching_ids, own_value
from beetsplug.soundtags.fields import UNDO
from beetsplug.soundtags.history import restore_fields
from beetsplug.soundtags.interrupt import postponed_interrupt
from beetsplug.soundtags.library_access import (
    get_album,
    get_item,
    store_album,
    store_items,
)
from beetsplug.soundtags.safe_write import restore_item
from soundtags.errors import SoundtagsError, UnusableLibrary, capture_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from optparse import Values

    from beets.library import Item, Library

DONE, FAILED = "done", "failed"


def run(lib: Library, log: Any, opts: Values, query: list[str]) -> None:
    """Restore what tracks had before the last change.

    Raises
    ------
    beets.exceptions.UserError
        If every track failed.
    UnusableLibrary
        If another program keeps the library locked.
    """
    ids, noted = matching_ids(lib, query), field_values(lib, UNDO)
    nothing = len(set(ids) - noted.keys())
    counts: Counter[str] = Counter()
    albums: set[int] = set()
    try:
        for item in _items(lib, [each for each in ids if each in noted]):
            with postponed_interrupt():
                counts[_undo(item, log, opts)] += 1
            if item.album_id:
                albums.add(item.album_id)
    finally:
        if not opts.pretend:
            _undo_albums(lib, albums)
        if not opts.quiet:
            verb = "would be restored" if opts.pretend else "restored"
            ui.print_(
                f"{counts[DONE]} {verb}, {nothing} had nothing to undo,"
                f" {counts[FAILED]} failed"
            )
    if counts[FAILED] and not counts[DONE] and not nothing:
        raise UserError("no track could be restored")


def _items(lib: Library, ids: list[int]) -> Iterator[Item]:
    for each in ids:
        item = get_item(lib, each)
        if item:
            yield item


def _undo(item: Item, log: Any, opts: Values) -> str:
    """Restore one item; return DONE or FAILED."""
    error = capture_errors(_restore, item, opts)
    if isinstance(error, UnusableLibrary):
        raise error
    if isinstance(error, SoundtagsError):
        log.error("{}: {}", displayable_path(item.path), error)
        return FAILED
    if opts.pretend:
        show_changes(item)
    elif not opts.quiet:
        say(describe(item))
    return DONE


def _restore(item: Item, opts: Values) -> None:
    before = dict(item.items())
    tags = restore_fields(item)
    if opts.pretend:
        return
    if tags and ui.should_write(opts.write):
        written = {name: before.get(name) for name in tags}
        restore_item(item, tags, written)
    store_items(item)


def _undo_albums(lib: Library, ids: set[int]) -> None:
    """Restore the albums all of whose tracks have been restored."""
    for each in sorted(ids):
        album = get_album(lib, each)
        if album and not any(own_value(item, UNDO) for item in album.items()):
            restore_fields(album)
            store_album(album)
