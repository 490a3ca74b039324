"""Writing fields to the files of items, and restoring what was there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from beets import plugins
from beets.util import syspath

from beetsplug.soundtags.database import own_value
from beetsplug.soundtags.fields import UNDO
from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from beetsplug.soundtags.history import record_tags
from beetsplug.soundtags.library_access import store_fields
from beetsplug.soundtags.provenance import Provenance, is_blank
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from beets.library import Item

    from beetsplug.soundtags.file_tags import Tags


def write_item(item: Item, names: Iterable[str]) -> None:
    """Write fields to the file of an item, and update its modification time.

    Other plugins are notified and may change what is written, as with
    everything that beets writes.

    Raises
    ------
    UnwritableTags
        If the file cannot be written. The modification time is then unchanged.
    """
    tags = {name: own_value(item, name) for name in names}
    record_file(item, tags)
    store_fields(item, UNDO)
    sent = dict(tags)
    plugins.send("write", item=item, path=item.path, tags=sent)
    _leave_emptied(item, tags)
    tags = {name: sent.get(name) for name in tags}
    _rewrite(item, partial(write_tags, values=tags))


def _leave_emptied(item: Item, names: Iterable[str]) -> None:
    """Leave to the owner those of our values that a plugin has emptied."""
    provenance = Provenance.from_field(item) or Provenance()
    emptied = {
        name
        for name in names
        if provenance.gave(name) and is_blank(own_value(item, name))
    }
    if emptied:
        provenance.leave(emptied).to_field(item)


def restore_item(item: Item, tags: Tags, written: Mapping[str, Any]) -> None:
    """Restore tags that the file of an item once had.

    Parameters
    ----------
    item
        The item.
    tags
        The tags as they were.
    written
        Field to the value that we have written since.

    Raises
    ------
    UnwritableTags
        If the file cannot be written. The item is then unchanged.
    """
    _rewrite(item, partial(restore_tags, tags=tags, written=written))


def record_file(item: Item, names: Iterable[str]) -> None:
    """Record the tags that the file of an item has, for undo.

    Raises
    ------
    UnwritableTags
        If the file cannot be read.
    """
    record_tags(item, read_tags(syspath(item.path), names))


def _rewrite(item: Item, write: Callable[..., bool]) -> None:
    # If the file is newer than the library, somebody else has changed it, and
    # `beet update` must still find that.
    in_step = file_mtime(item) <= item.mtime
    id3v23 = beets_config["id3v23"].get(bool)
    if write(syspath(item.path), id3v23=id3v23):
        if in_step:
            item.mtime = file_mtime(item)
        plugins.send("after_write", item=item, path=item.path)


def file_mtime(item: Item) -> int:
    """Return when the file of an item was modified, as beets records it.

    Raises
    ------
    UnwritableTags
        If the file is gone.
    """
    try:
        return item.current_mtime()
    except OSError as exc:
        raise UnwritableTags(f"tags not written: {exc.strerror}") from exc
