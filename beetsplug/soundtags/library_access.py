"""Items and albums, read and stored while other programs use the library."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from beets.dbcore.db import DBAccessError
from beets.dbcore.query import InQuery

from beetsplug.soundtags.interrupt import postponed_interrupt
from soundtags.errors import UnusableLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beets.dbcore import Database
    from beets.library import Album, Item, Library

T = TypeVar("T")

ATTEMPTS = 12  # each lasts as long as beets' `timeout`, 5 seconds by default


def get_item(lib: Library, item_id: int) -> Item | None:
    """Return an item as it is in the library now; None if it is gone.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    return _read(partial(lib.get_item, item_id))


def get_album(lib: Library, album_id: int) -> Album | None:
    """Return an album as it is in the library now; None if it is gone.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    return _read(partial(lib.get_album, album_id))


def get_items(lib: Library, ids: Sequence[int]) -> list[Item]:
    """Return those items with the given ids that are in the library now.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    query = InQuery("id", ids)
    return _read(lambda: list(lib.items(query)))


def store_items(*items: Item) -> None:
    """Store the changes to some items, all at once.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    _write(items[0].db, *(item.store for item in items))


def store_album(album: Album) -> None:
    """Store the changes to an album, and leave its tracks alone.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    _write(album.db, partial(album.store, inherit=False))


def store_fields(item: Item, *names: str) -> None:
    """Store some fields of an item now, and none of its other changes.

    Raises
    ------
    UnusableLibrary
        If another program keeps the library locked, or it is read-only.
    """
    same = get_item(item.db, cast("int", item.id))
    if same:
        same.update({name: item[name] for name in names})
        store_items(same)


def _read(read: Callable[[], T]) -> T:
    """Read a few rows; see :func:`_write` about Ctrl-C."""

    def attempt() -> T:
        with postponed_interrupt():
            return read()

    return _retry_while_locked(attempt)


def _write(database: Database, *stores: Callable[[], None]) -> None:
    """Store models in one transaction, with the library to ourselves.

    Beets keeps its own lock for ever if a transaction fails to end: if another
    program reads the library at that moment, or Ctrl-C is pressed.
    """

    def attempt() -> None:
        with postponed_interrupt(), database.transaction() as transaction:
            # First, as a model that fails to be stored forgets its changes.
            transaction.mutate("BEGIN EXCLUSIVE")
            for store in stores:
                store()

    _retry_while_locked(attempt)


def _retry_while_locked(work: Callable[[], T]) -> T:
    attempt = 0
    while True:
        attempt += 1
        try:
            return work()
        except DBAccessError as exc:
            raise UnusableLibrary(f"cannot access the library: {exc}") from exc
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            if attempt == ATTEMPTS:
                raise UnusableLibrary(
                    "the library is locked by another program;"
                    " run this again when it has finished"
                ) from exc
