"""The library's database: all that needs beets' internals or its tables.

Beets takes minutes and a lot of memory to load the items of a large library.
Ids and single fields are enough to tell which of them are not up to date, and
values are counted by the database itself.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from beets import context
from beets.dbcore.query import InvalidQueryArgumentValueError
from beets.exceptions import UserError
from beets.library import Item, parse_query_parts

from soundtags.models.catalogue import PLAN_FIELD

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from beets.dbcore import Model
    from beets.dbcore.query import Query
    from beets.dbcore.sort import Sort
    from beets.dbcore.types import Type
    from beets.library import Album, Library

T = TypeVar("T")

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

ITEMS_WITHOUT = """\
SELECT other.entity_id, name.value, other.value
FROM item_attributes AS other, json_each(?1) AS name
WHERE other.key = ?2 AND NOT EXISTS (
    SELECT 1 FROM item_attributes AS own
    WHERE own.entity_id = other.entity_id
    AND own.key = name.value AND own.value <> ''
)
"""
ITEMS_WITHOUT_GENRES = """\
SELECT items.id, 'genres', item_attributes.value FROM items
JOIN item_attributes ON entity_id = items.id AND key = ?1
WHERE genres IS NULL OR genres = ''
"""
TRACKS_OF_ALBUMS = """\
SELECT items.id, genres, item_attributes.value FROM items
JOIN item_attributes ON entity_id = items.id AND key = ?1
WHERE album_id AND instr(item_attributes.value, ?2)
AND items.id IN (SELECT value FROM json_each(?3))
"""
# Beets stores blanks for what has not been analysed, too.
TRACK_VALUES = """\
SELECT (
    SELECT value FROM item_attributes AS own
    WHERE own.entity_id = items.id AND own.key = ?2 AND (
        own.value <> '' OR EXISTS (
            SELECT 1 FROM item_attributes AS other
            WHERE other.entity_id = items.id AND other.key = ?3
        )
    )
) FROM items WHERE album_id = ?1
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


def split_query(query: str, option: str) -> list[str]:
    """Return the parts of a query that is the value of an option.

    Raises
    ------
    UserError
        If quotation marks do not match.
    """
    try:
        return shlex.split(query)
    except ValueError as exc:
        raise UserError(f"{option}: {query!r}: {exc}") from exc


def queried_fields(query: Sequence[str]) -> set[str]:
    """Return the names of the fields that a query, as typed, asks for."""
    parsed, _ = parse_query_parts(query, Item)
    return set(parsed.field_names)


def track_values(album: Album, name: str) -> list[str | None]:
    """Return a flexible field of each track of an album, as it is stored.

    None for a track that has no value, or has a blank but was not analysed.
    """
    with album.db.transaction() as transaction:
        rows = transaction.query(TRACK_VALUES, (album.id, name, PLAN_FIELD))
    return [value for (value,) in rows]


def matching_ids(lib: Library, query: Sequence[str]) -> list[int]:
    """Return the ids of the items that match a query, in its order.

    Parameters
    ----------
    lib
        The library.
    query
        Its parts, as on the command line.

    Raises
    ------
    beets.dbcore.InvalidQueryError
        If the query cannot be understood.
    """
    try:
        with context.music_dir(lib.directory):
            parsed, sort = parse_query_parts(query, Item)
    except InvalidQueryArgumentValueError:
        return _fetched(lib, query)  # which raises an error that says why
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
    """Return whether any item has a flexible field; quick if one does."""
    statement = "SELECT 1 FROM item_attributes WHERE key = ? LIMIT 1"
    with lib.transaction() as transaction:
        return bool(transaction.query(statement, (name,)))


def items_without(
    lib: Library, names: Collection[str], beside: str
) -> list[tuple[int, str, str]]:
    """Return the items that have one flexible field, but lack another.

    Parameters
    ----------
    lib
        The library.
    names
        Names of the fields that they may lack, or have no value for;
        ``genres`` is looked at as well.
    beside
        Name of the field that the items have.

    Returns
    -------
    list
        Ids, names of the missing fields, and values of the other field.
    """
    of_names = json.dumps(list(names))
    with lib.transaction() as transaction:
        rows = [
            *transaction.query(ITEMS_WITHOUT, (of_names, beside)),
            *transaction.query(ITEMS_WITHOUT_GENRES, (beside,)),
        ]
    return [(item_id, name, value) for item_id, name, value in rows]


def count_values(
    lib: Library, ids: Sequence[int], names: Collection[str]
) -> dict[str, dict[str, int]]:
    """Count which values items have.

    Parameters
    ----------
    lib
        The library.
    ids
        Ids of the items.
    names
        Names of flexible fields; ``genres`` is counted as well.

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
    """Return columns of the table of items, for some of the items.

    Parameters
    ----------
    lib
        The library.
    ids
        Ids of the items.
    columns
        Their names, such as ``title``; values are as the database has them.
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
        Ids of the tracks to choose from.
    name
        Name of the other field, which is flexible.
    part
        Text that the other field must contain.

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
    # Beets has made both, with placeholders for values.
    return f"SELECT id FROM items WHERE {where} ORDER BY {order}"  # noqa: S608
