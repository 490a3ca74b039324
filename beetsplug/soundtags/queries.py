"""Items of a library by their ids, without what is stored with each.

To fetch the items of a large library takes beets minutes and a lot of memory;
to know which of them are not up to date takes only their ids, and to count what
they have the database does alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from beets import context
from beets.dbcore.query import InvalidQueryArgumentValueError
from beets.library import Item, parse_query_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from beets.dbcore.query import Query
    from beets.dbcore.sort import Sort
    from beets.library import Library

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


def matching(lib: Library, query: Sequence[str]) -> list[int]:
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


def values(lib: Library, name: str) -> dict[int, str]:
    """Return the ids of all items that have a flexible field, and its values.

    Parameters
    ----------
    lib
        The library.
    name
        Of the field, such as the plan by which items were analysed.
    """
    statement = "SELECT entity_id, value FROM item_attributes WHERE key = ?"
    with lib.transaction() as transaction:
        rows = transaction.query(statement, (name,))
    return {row["entity_id"]: row["value"] for row in rows}


def tallies(
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


def facts(
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
