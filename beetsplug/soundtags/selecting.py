"""Items of a library by their ids, without what is stored with each.

To fetch the items of a large library takes beets minutes and a lot of memory;
to know which of them are not up to date takes only their ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from beets import context
from beets.dbcore.query import InvalidQueryArgumentValueError
from beets.library import Item, parse_query_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beets.dbcore.query import Query
    from beets.dbcore.sort import Sort
    from beets.library import Library


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
