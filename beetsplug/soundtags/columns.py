"""Fields of many tracks at once, as the database has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from beets.library import Item

from beetsplug.soundtags.database import item_columns
from beetsplug.soundtags.fields import LIST_OF_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from beets.library import Library

FLEXIBLE = """\
SELECT entity_id, key, value FROM item_attributes
WHERE key IN (SELECT value FROM json_each(?))
"""


def columns(
    lib: Library, ids: Sequence[int], names: Collection[str]
) -> dict[str, list[Any]]:
    """Read fields of some tracks.

    Parameters
    ----------
    lib
        The library.
    ids
        Ids of the tracks.
    names
        Names of fields: columns of the table of items, or flexible fields.

    Returns
    -------
    dict
        Field to a value per track, None where it has none. Lists are lists, and
        numbers of flexible fields are texts.
    """
    fixed = [name for name in names if name in Item._fields]
    rows = item_columns(lib, ids, fixed) if fixed else {}
    found: dict[str, list[Any]] = {
        name: [_split(rows[each][place]) for each in ids]
        for place, name in enumerate(fixed)
    }
    places = {each: place for place, each in enumerate(ids)}
    flexible = [name for name in names if name not in Item._fields]
    found.update({name: [None] * len(ids) for name in flexible})
    with lib.transaction() as transaction:
        for item_id, name, value in transaction.query(
            FLEXIBLE, (json.dumps(flexible),)
        ):
            place = places.get(item_id)
            if place is not None:
                found[name][place] = _split(value)
    return found


def numbered(values: Sequence[Any]) -> np.ndarray:
    """Return a number per value; each empty value has one of its own."""
    numbers: dict[Any, int] = {}
    return np.array(
        [
            numbers.setdefault(value or ("", place), place)
            for place, value in enumerate(values)
        ],
        int,
    )


def _split(value: Any) -> Any:
    if isinstance(value, str) and LIST_OF_NAMES.db_delimiter in value:
        return value.split(LIST_OF_NAMES.db_delimiter)
    return value
