"""`beet soundtags --undo`: what was there before, put back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path

from beetsplug.soundtags.commands.showing import describe, show_changes
from beetsplug.soundtags.fields import BEFORE, own
from beetsplug.soundtags.history import put_back
from beetsplug.soundtags.library import fetch, store
from beetsplug.soundtags.queries import matching, values
from beetsplug.soundtags.tagger import restore_item
from soundtags.errors import SoundtagsError, UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from optparse import Values

    from beets.library import Item, Library

DONE, FAILED = "done", "failed"


def run(lib: Library, log: Any, opts: Values, query: list[str]) -> None:
    """Put back what tracks had before we last wrote to them.

    Raises
    ------
    beets.exceptions.UserError
        If the library cannot be changed.
    """
    ids, noted = matching(lib, query), values(lib, BEFORE)
    counts: Counter[str] = Counter()
    albums: set[int] = set()
    try:
        for item in _items(lib, [each for each in ids if each in noted]):
            counts[_undo(item, log, opts)] += 1
            if item.album_id:
                albums.add(item.album_id)
    except SoundtagsError as exc:
        raise UserError(str(exc)) from exc
    finally:
        if not opts.pretend:
            _undo_albums(lib, albums)
        if not opts.quiet:
            verb = "would be put back" if opts.pretend else "put back"
            nothing = len(set(ids) - noted.keys())
            ui.print_(
                f"{counts[DONE]} {verb}, {nothing} had nothing to undo,"
                f" {counts[FAILED]} failed"
            )


def _items(lib: Library, ids: list[int]) -> Iterator[Item]:
    for each in ids:
        item = fetch(lib, each)
        if item:
            yield item


def _undo(item: Item, log: Any, opts: Values) -> str:
    """Put back what one item had; return what came of it."""
    tags = put_back(item)
    if opts.pretend:
        show_changes(item)
        return DONE
    try:
        if tags and ui.should_write(opts.write):
            restore_item(item, tags)
    except UnwritableTags as exc:
        log.error("{}: {}", displayable_path(item.path), exc)
        return FAILED
    store(item)
    if not opts.quiet:
        ui.print_(describe(item))
    return DONE


def _undo_albums(lib: Library, ids: set[int]) -> None:
    """Put back what albums had of which no track is as we last left it."""
    for each in sorted(ids):
        album = lib.get_album(each)
        if album and not any(own(item, BEFORE) for item in album.items()):
            put_back(album)
            album.store(inherit=False)
