"""Mends tracks of the library that are imported again.

Beets carries flexible fields over from the library, but it reads genres from
the file, which has none of ours if it was not to be written. If the tracks come
from the library (``beet import -L``), they are stored with the flexible fields
of their album instead of their own of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beetsplug.soundtags.albums import FIELDS
from beetsplug.soundtags.database import own_value, set_values
from beetsplug.soundtags.fields import PLAN, UNDO, WRITTEN
from beetsplug.soundtags.library_access import store_fields
from beetsplug.soundtags.provenance import Provenance, is_blank
from soundtags.labelling.estimates import GENRES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beets.library import Item

WITH_ALBUMS = (*FIELDS, UNDO, WRITTEN)  # what tracks and albums can have


def mend(items: Iterable[Item]) -> None:
    """Store fields of our own again, and have lost genres found again.

    An item that has lost its genres is no longer up to date; it is not stored.

    Parameters
    ----------
    items
        Items that have been imported and not analysed yet.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    for item in items:
        provenance = Provenance.from_field(item)
        if provenance is None:  # it has never been analysed
            continue
        own = (n for n in WITH_ALBUMS if own_value(item, n) is not None)
        store_fields(item, *own)
        if provenance.gave(GENRES) and is_blank(item.genres):
            set_values(item, {PLAN: None})
