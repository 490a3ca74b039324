"""The library's database: all that needs beets' private parts or its tables.

Beets takes minutes and a lot of memory to load the items of a large library.
Which of them are not up to date can be told from their ids alone, and values
are counted by the database itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from beets import context
from beets.dbcore.query import InQuery, InvalidQueryArgumentValueError
from beets.library import Item, parse_query_parts

from beetsplug.soundtags.interrupt import postponed_interrupt
from soundtags.errors import LockedLibrary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from beets.dbcore import Database, Model
    from beets.dbcore.query import Query
    from beets.dbcore.sort import Sort
    from beets.dbcore.types import Type
    from beets.library import Album, Library

T = TypeVar("T")

ATTEMPTS = 12  # each lasts as long as beets' `timeout`, 5 seconds by default
FLEXIBLE_VALUES = """\
SELECT key, value, COUNT(*) FROM item_attributes
WHERE entity_id IN (SELECT value FROM json_each(?1))
AND key IN (SELECT value FROM json_each(?2))
GROUP BY key, value
"""
GENRE_VALUES = """\
SELECT 'genres', genres, COUNT(*) FROM items
WHERE id IN (SELECT value FROM json_each(?1))
GROUP BY genres
"""

TRACKS_OF_ALBUMS = """\
SELECT items.id, genres, item_attributes.value FROM items
JOIN item_attributes ON entity_id = items.id AND key = ?1
WHERE album_id AND instr(item_attributes.value, ?2)
AND items.id IN (SELECT value FROM json_each(?3))
"""
TRACK_VALUES = """\
SELECT (
    SELECT value FROM item_attributes WHERE entity_id = items.id AND key = ?
) FROM items WHERE album_id = ?
"""


def own_value(model: Model, name: str) -> Any:
    """Return the value that a track or an album itself has for a field.

    None if it has none. Beets would also ask its album and all plugins, and
    take several times as long.
    """
    if name in model._fields:
        return model[name]
    return model._values_flex.get(name)


def set_values(model: Model, values: Mapping[str, Any]) -> None:
    """Set fields of a track or an album; None removes a field."""
    for name, value in values.items():
        if value is not None:
            model[name] = value
        elif own_value(model, name) is not None:
            del model[name]


def field_type(name: str) -> Type:
    """Return the type of a field that beets itself has for items."""
    return Item._fields[name]


def queried_fields(query: Sequence[str]) -> set[str]:
    """Return the names of the fields that a query, as typed, asks for."""
    parsed, _ = parse_query_parts(query, Item)
    return set(parsed.field_names)


def track_values(album: Album, name: str) -> list[str | None]:
    """Return a flexible field of each track of an album, as it is stored."""
    with album.db.transaction() as transaction:
        rows = transaction.query(TRACK_VALUES, (name, album.id))
    return [value for (value,) in rows]


def matching_ids(lib: Library, query: Sequence[str]) -> list[int]:
    """Return the ids of the items that match a query, in its order.

    Parameters
    ----------
    lib
        The library.
    query
        As on the command line.

    Raises
    ------
    beets.dbcore.InvalidQueryError
        If the query cannot be understood.
    """
    try:
        with context.music_dir(lib.directory):
            parsed, sort = parse_query_parts(query, Item)
    except InvalidQueryArgumentValueError:
        return _fetched(lib, query)  # which says why
    statement = _statement(parsed, sort or lib.get_default_item_sort())
    if statement is None:
        return _fetched(lib, query)
    with lib.transaction() as transaction:
        rows = transaction.query(statement, parsed.clause()[1])
    return [row["id"] for row in rows]


def field_values(lib: Library, name: str) -> dict[int, str]:
    """Return the ids of all items with a flexible field, and its values."""
    statement = "SELECT entity_id, value FROM item_attributes WHERE key = ?"
    with lib.transaction() as transaction:
        rows = transaction.query(statement, (name,))
    return {row["entity_id"]: row["value"] for row in rows}


def any_item_has(lib: Library, name: str) -> bool:
    """Return whether any item has a flexible field, in no time if some do."""
    statement = "SELECT 1 FROM item_attributes WHERE key = ? LIMIT 1"
    with lib.transaction() as transaction:
        return bool(transaction.query(statement, (name,)))


def count_values(
    lib: Library, ids: Sequence[int], names: Collection[str]
) -> dict[str, dict[str, int]]:
    """Count which values items have.

    Parameters
    ----------
    lib
        The library.
    ids
        Of the items.
    names
        Of flexible fields; ``genres`` is counted as well.

    Returns
    -------
    dict
        Field to value, as the database has it, to the number of items.
    """
    of_items, of_names = json.dumps(ids), json.dumps(list(names))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with lib.transaction() as transaction:
        for name, value, items in (
            *transaction.query(FLEXIBLE_VALUES, (of_items, of_names)),
            *transaction.query(GENRE_VALUES, (of_items,)),
        ):
            found[name][value] = items
    return found


def item_columns(
    lib: Library, ids: Sequence[int], columns: Sequence[str]
) -> dict[int, tuple[Any, ...]]:
    """Return what the table of items itself says of some of them.

    Parameters
    ----------
    lib
        The library.
    ids
        Of the items.
    columns
        Such as ``title``; values are as the database has them.
    """
    statement = (
        f"SELECT id, {', '.join(columns)} FROM items"  # noqa: S608
        " WHERE id IN (SELECT value FROM json_each(?))"
    )
    with lib.transaction() as transaction:
        rows = transaction.query(statement, (json.dumps(ids),))
    return {row[0]: tuple(row)[1:] for row in rows}


def genres_beside(
    lib: Library, ids: Sequence[int], name: str, part: str
) -> list[tuple[int, str, str]]:
    """Return genres and another field of tracks that belong to albums.

    Parameters
    ----------
    lib
        The library.
    ids
        Of the tracks to choose from.
    name
        Of the other, flexible field.
    part
        What that field contains.

    Returns
    -------
    list
        Ids, genres as the database has them, and the other field.
    """
    with lib.transaction() as transaction:
        rows = transaction.query(
            TRACKS_OF_ALBUMS, (name, part, json.dumps(ids))
        )
    return [(item_id, genres, value) for item_id, genres, value in rows]


def _fetched(lib: Library, query: Sequence[str]) -> list[int]:
    return [cast("int", item.id) for item in lib.items(query)]


def _statement(query: Query, sort: Sort) -> str | None:
    """Return SQL for a query; None if the database cannot answer it alone."""
    where, _ = query.clause()
    of_albums = (query.field_names | sort.field_names) & Item.other_db_fields
    if not where or sort.is_slow() or of_albums:
        return None
    order = sort.order_clause() or "id"
    # Beets has made both, and left places for values.
    return f"SELECT id FROM items WHERE {where} ORDER BY {order}"  # noqa: S608


def get_item(lib: Library, item_id: int) -> Item | None:
    """Return an item as it is in the library now; None if it is no more.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    return _read(partial(lib.get_item, item_id))


def get_album(lib: Library, album_id: int) -> Album | None:
    """Return an album as it is in the library now; None if it is no more.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    return _read(partial(lib.get_album, album_id))


def get_items(lib: Library, ids: Sequence[int]) -> list[Item]:
    """Return those of some items that are in the library now.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    query = InQuery("id", ids)
    return _read(lambda: list(lib.items(query)))


def store_items(*items: Item) -> None:
    """Store what is new of some items, all at once.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    _write(items[0].db, *(item.store for item in items))


def store_album(album: Album) -> None:
    """Store what is new of an album, and leave its tracks alone.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    _write(album.db, partial(album.store, inherit=False))


def store_field(item: Item, name: str) -> None:
    """Store one field of an item now, and nothing else that is new of it.

    Raises
    ------
    LockedLibrary
        If another program does not let go of the library.
    """
    same = get_item(item.db, cast("int", item.id))
    if same:
        same[name] = item[name]
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
            # First: a model that fails to be stored forgets what was to be.
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
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            if attempt == ATTEMPTS:
                raise LockedLibrary(
                    "the library is locked by another program;"
                    " run this again when that has ended"
                ) from exc
