"""SQL for queries of our fields.

Beets itself loads all tracks, or albums, to search fields that have no column
of their own. Its database can find the same ones without that. What has no SQL
here is still matched by beets, with the same result.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache, partial, partialmethod
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import normalize

from beets.dbcore.query import (
    MatchQuery,
    RegexpQuery,
    StringQuery,
    SubstringQuery,
)
from beets.library import Album, Item, Library

from beetsplug.soundtags.albums import album_value
from beetsplug.soundtags.fields import (
    LIST_OF_NAMES,
    NUMBER,
    PLAIN_TEXT,
    NamesQuery,
    NumberQuery,
    stored_name,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from beets.dbcore.query import FieldQuery, FieldQueryType
    from beets.dbcore.types import Type
    from beets.library import LibModel

    Sources: TypeAlias = list[tuple[str, dict[str, str]]]

# Whether the value of a track or an album matches; NULL where it has none.
TYPED = """\
(SELECT {condition} FROM (SELECT IFNULL(value, '') AS stored
FROM {table} WHERE entity_id = {owner} AND key = ?))"""
# Beets takes "Mood" for "mood" where there is no "mood", but as plain text.
UNTYPED = """\
(SELECT CASE WHEN stored IS NULL THEN {default} ELSE {condition} END
FROM (SELECT value AS stored FROM {table}
WHERE entity_id = {owner} AND key = ? COLLATE NOCASE LIMIT 1))"""
OF_ITEM = {"table": "item_attributes", "owner": "items.id"}
OF_ITS_ALBUM = {"table": "album_attributes", "owner": "items.album_id"}
OF_ALBUM = {"table": "album_attributes", "owner": "albums.id"}

# Text that is not a number is greater than all numbers.
IN_RANGE = """\
stored <= CAST(9e999 AS REAL) AND CAST(stored AS REAL) BETWEEN ? AND ?"""
# Lists are split as beets does it: by their delimiter in the database, or else
# by the one in formatted values.
ANY_NAME = """\
EXISTS (SELECT 1 FROM json_each('[' || replace(
    json_quote(stored), CASE WHEN instr(stored, ?) THEN ? ELSE ? END, '","'
) || ']') AS name WHERE {})"""
DELIMITERS = (
    LIST_OF_NAMES.db_delimiter,
    json.dumps(LIST_OF_NAMES.db_delimiter, ensure_ascii=False)[1:-1],
    LIST_OF_NAMES.fmt_delimiter,
)

# The hint is quick to test, and true of all that match. LIKE ignores case only
# in ASCII letters, so the hint has wildcards for all else, also for "i" and
# "k", which other letters become in lower case. (AND would not save the test.)
TEXT = "CASE WHEN stored LIKE ? THEN {} ELSE 0 END"
LIST = "CASE WHEN stored <> '' AND stored LIKE ? THEN {} ELSE 0 END"
HINT = 100  # characters

# Beets normalises the text that it matches in Python, but not in its database.
# There, this comment asks for it, and is harmless where nobody understands it.
NORMALIZED = "(?#NFC)"

CASED = 0x20000  # no character from here on has upper and lower case
# What lower() makes of a capital sigma depends on its neighbours. Of a dotted
# capital I, it makes two characters, of which the second is U+0307.
DOTTED_I = "İ"
DEPENDENT = set("σς\u0307")


class Condition(NamedTuple):
    """SQL about the value ``stored``, and values for its question marks."""

    sql: str
    values: Sequence[Any] = ()


class Search(NamedTuple):
    """SQL that tests the text ``{}``, and values for a hint and the test."""

    test: str
    values: tuple[str, str]


def answer_from_database() -> None:
    """Have the database answer queries of our fields from now on.

    There is no hook for this: beets itself chooses the queries for
    ``mood:=happy`` and ``mood::^h``, and no query knows if it is for albums.
    """
    for model in (Item, Album):
        made_by_beets = model.field_query
        if getattr(made_by_beets, "func", None) is not _field_query:
            ours = partial(_field_query, made_by_beets, model)
            setattr(model, "field_query", staticmethod(ours))  # noqa: B010
    if not isinstance(vars(Library).get("add_functions"), partialmethod):
        with_ours = partialmethod(_add_functions, Library.add_functions)
        setattr(Library, "add_functions", with_ours)  # noqa: B010


def _field_query(
    made_by_beets: Callable[..., FieldQuery],
    model: type[LibModel],
    field: str,
    pattern: str,
    query_cls: FieldQueryType,
) -> FieldQuery:
    """Return the query that beets makes, with a clause if we have one."""
    query = made_by_beets(field, pattern, query_cls)
    clause = None
    if type(query) in ANSWERED and not (query.fast or query.table):
        clause = _clause(model, query)
    if clause:
        setattr(query, "clause", lambda: clause)  # noqa: B010
    return query


def _add_functions(
    library: Library,
    add_those_of_beets: Callable[[Library, sqlite3.Connection], None],
    connection: sqlite3.Connection,
) -> None:
    """Give a connection to the database all functions that clauses call."""
    add_those_of_beets(library, connection)
    connection.create_function("regexp", 2, _found, deterministic=True)


def _found(value: Any, pattern: str) -> bool:
    """Search as beets does, or in text as beets normalises it in Python."""
    text = value.decode() if isinstance(value, bytes) else str(value)
    if pattern.endswith(NORMALIZED):
        text = normalize("NFC", text)
    return re.search(pattern, text) is not None


def _clause(model: type[LibModel], query: FieldQuery) -> Condition | None:
    name = query.field_name
    kind = model._type(name)
    sources = _sources(model, query) if kind in CONDITIONS else []
    if not sources:
        return None
    default = int(query.match(model()))  # without a value
    parts: list[str] = []
    values: list[Any] = []
    for template, place in sources:
        makers = CONDITIONS[kind if template == TYPED else PLAIN_TEXT]
        make = makers.get(type(query))
        condition = make and make(query)
        if not condition:
            return None
        parts.append(
            template.format(condition=condition.sql, default=default, **place)
        )
        values += [*condition.values, stored_name(name)]
    return Condition(f"COALESCE({', '.join(parts)}, {default})", values)


def _sources(model: type[LibModel], query: FieldQuery) -> Sources:
    """Return where a query looks for values; the first one found counts.

    There is no place for fields that plugins compute.
    """
    name = query.field_name
    if isinstance(query, (NamesQuery, NumberQuery)):
        return [(TYPED, OF_ITEM)] if model is Item else []
    getter = Album._getters().get(name)
    if model is Album:
        return [] if getter else _in_any_case(OF_ALBUM)
    if name in Item._getters() or Album._type(name) is not Item._type(name):
        return []
    if getter is None:
        return _in_any_case(OF_ITEM) + _in_any_case(OF_ITS_ALBUM)
    # Tracks have nothing in common if one of them has no value.
    is_ours = isinstance(getter, partial) and getter.func is album_value
    return _in_any_case(OF_ITEM) + [(TYPED, OF_ITS_ALBUM)] if is_ours else []


def _in_any_case(place: dict[str, str]) -> Sources:
    return [(TYPED, place), (UNTYPED, place)]


def _in_range(query: NumberQuery) -> Condition | None:
    low, high = query.rangemin, query.rangemax
    if query.point is not None:
        low = high = query.point
    bounds = (
        -math.inf if low is None else low,
        math.inf if high is None else high,
    )
    try:
        same = all(float(bound) == bound for bound in bounds)
    except OverflowError:
        return None
    # Neither NaN nor a huge integer is the same in the database.
    return Condition(IN_RANGE, [*map(float, bounds)]) if same else None


def _never(_query: FieldQuery) -> Condition:
    """Return a condition that is always false: no number equals a text."""
    return Condition("0")


def _of_text(query: FieldQuery) -> Condition | None:
    search = _search(query)
    return search and Condition(
        TEXT.format(search.test.format("stored")), search.values
    )


def _of_any_name(query: FieldQuery) -> Condition | None:
    search = _search(query)
    if not search:
        return None
    hint, *rest = search.values
    return Condition(
        LIST.format(ANY_NAME.format(search.test.format("name.value"))),
        [hint, *DELIMITERS, *rest],
    )


def _search(query: FieldQuery) -> Search | None:
    """Return how to search texts; None for what only Python can do."""
    if isinstance(query, RegexpQuery):
        return _made("regexp({}, ?)", query.pattern.pattern + NORMALIZED, "")
    pattern = query.pattern
    if not isinstance(pattern, str):
        return None
    if isinstance(query, MatchQuery):
        return _made("{} = ?", pattern, pattern)
    lower = pattern.lower()
    if DEPENDENT & set(lower):
        return None
    capitals = _capitals()
    folded = "".join(f"[{re.escape(c)}{capitals.get(c, '')}]" for c in lower)
    if isinstance(query, StringQuery):
        folded = rf"\A{folded}\Z"
    elif lower.endswith("i"):
        folded = f"{folded[:-1]}{DOTTED_I}]"
    return _made("regexp({}, ?)", folded, lower)


def _made(test: str, value: str, part: str) -> Search | None:
    # Lone surrogates come from arguments in another encoding.
    if re.search("[\ud800-\udfff]", value):
        return None
    wildcards = re.sub("[^A-HJL-Za-hjl-z]", "_", part[:HINT])
    return Search(test, (f"%{wildcards}%", value))


@cache
def _capitals() -> dict[str, str]:
    """Return the characters that lower() changes, by what they become."""
    capitals: dict[str, str] = {}
    for character in map(chr, range(CASED)):
        lower = character.lower()
        if lower != character:
            capitals[lower] = capitals.get(lower, "") + character
    return capitals


BY_BEETS = (SubstringQuery, MatchQuery, StringQuery, RegexpQuery)
CONDITIONS: dict[
    Type, dict[type[FieldQuery], Callable[[Any], Condition | None]]
] = {
    NUMBER: {NumberQuery: _in_range, MatchQuery: _never},
    PLAIN_TEXT: dict.fromkeys(BY_BEETS, _of_text),
    LIST_OF_NAMES: dict.fromkeys((NamesQuery, *BY_BEETS), _of_any_name),
}
ANSWERED = {query for makers in CONDITIONS.values() for query in makers}
