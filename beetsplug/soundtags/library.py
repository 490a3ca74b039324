"""Items from and to the library, in turn with other programs that use it."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from beets.dbcore.query import InQuery

from soundtags.errors import LockedLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from beets.library import Item, Library

T = TypeVar("T")

ATTEMPTS = 12  # each takes beets' `timeout`: a minute, if that is 5 seconds


def fetch(lib: Library, item_id: int) -> Item | None:
    """Return an item as it is in the library now; None if it is no more.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    return _patiently(partial(lib.get_item, item_id))


def fetch_all(lib: Library, ids: Sequence[int]) -> list[Item]:
    """Return those of some items that are in the library now.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    query = InQuery("id", ids)
    return _patiently(lambda: list(lib.items(query)))


def store(*items: Item) -> None:
    """Store what is new of some items, all at once.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    with items[0].db.transaction() as transaction:
        # An item that fails to be stored forgets what was to be.
        _patiently(partial(transaction.mutate, "BEGIN IMMEDIATE"))
        for item in items:
            item.store()


def store_field(item: Item, name: str) -> None:
    """Store one field of an item now, and nothing else that is new of it.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    same = fetch(item.db, cast("int", item.id))
    if same:
        same[name] = item[name]
        store(same)


def _patiently(work: Callable[[], T]) -> T:
    attempt = 0
    while True:
        attempt += 1
        try:
            return work()
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            if attempt == ATTEMPTS:
                raise LockedLibrary(
                    "the library is locked by another program;"
                    " run this again when that has ended"
                ) from exc
