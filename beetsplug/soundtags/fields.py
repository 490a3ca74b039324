"""The library fields: their types, and how queries match them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from beets.dbcore import types
from beets.dbcore.query import NumericQuery, SubstringQuery
from beets.library import Item

from beetsplug.soundtags.database import own_value
from soundtags.labelling.scores import DECIMALS
from soundtags.models.catalogue import (
    INPUT_FIELD,
    LIST,
    NUMBERS,
    PLAN_FIELD,
    SCORE,
    STYLE,
    STYLES,
    TAGS_FIELD,
    TEXT,
    UNDO_FIELD,
    WRITTEN_FIELD,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beets.dbcore import Model

    from soundtags.models.catalogue import Target

LISTS = ("mood", TAGS_FIELD)
PLAN = PLAN_FIELD
INPUT = INPUT_FIELD
WRITTEN = WRITTEN_FIELD
UNDO = UNDO_FIELD
HIDDEN = (INPUT, WRITTEN, UNDO)
INTERNAL = (PLAN, *HIDDEN)

# What the database takes for a number: not "nan", for one.
DECIMAL = r"(?a)[ \t-\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t-\r]*"


def _queried_value(model: Model, name: str) -> Any:
    """Return the value of a track or an album that a query compares."""
    if isinstance(model, Item):
        return own_value(model, stored_name(name))
    return model.get(name)


class NumberQuery(NumericQuery):
    """Matches numbers; a track or album without its own never does."""

    def match(self, obj: Model) -> bool:
        value = _queried_value(obj, self.field_name)
        if value is None:
            return False
        if self.point is not None:
            return bool(value == self.point)
        above = self.rangemin is None or value >= self.rangemin
        return above and (self.rangemax is None or value <= self.rangemax)


class NamesQuery(SubstringQuery):
    """Matches lists of names; a track or album without its own never does."""

    def match(self, obj: Model) -> bool:
        names = _queried_value(obj, self.field_name) or []
        return self.value_match(self.pattern, names)


class Number(types.NullFloat):
    """A number; None, rather than 0.0, where nothing was analysed."""

    query = NumberQuery

    def format(self, value: float | None) -> str:
        return "" if value is None else f"{value:.{self.digits}f}"

    def parse(self, string: str) -> float | None:
        return float(string) if re.fullmatch(DECIMAL, string) else None

    def normalize(self, value: Any) -> float | None:
        try:
            number = round(float(value), self.digits)
        except (TypeError, ValueError):
            return None
        return number if math.isfinite(number) else None


class Names(types.DelimitedString):
    """Several names; None formats as an empty text, not as an error."""

    query = NamesQuery

    def format(self, value: list[str] | None) -> str:
        return super().format(value or [])


class Text(types.String):
    """A text; the separate type shows that a field is ours."""


NUMBER = Number(DECIMALS)
PLAIN_TEXT = Text()
LIST_OF_NAMES = Names(types.MULTI_VALUE_DSV.db_delimiter)
TRACK = "track_"
# Computed fields of tracks, needed in paths: there, beets prefers the value of
# an album to that of its track if both have a field of the same name.
TRACK_FIELDS: dict[str, types.Type] = {
    f"{TRACK}mood": LIST_OF_NAMES,
    f"{TRACK}{TAGS_FIELD}": LIST_OF_NAMES,
    f"{TRACK}danceability": NUMBER,
}


def stored_name(name: str) -> str:
    """Return the name under which the value of a field is stored."""
    return name.removeprefix(TRACK) if name in TRACK_FIELDS else name


def track_value(item: Item, name: str) -> Any:
    """Return one of `TRACK_FIELDS`: the value that the track itself has."""
    return own_value(item, stored_name(name))


def item_types(targets: Iterable[Target]) -> dict[str, types.Type]:
    """Return the type of every field."""
    result: dict[str, types.Type] = dict.fromkeys(LISTS, LIST_OF_NAMES)
    for target in targets:
        name = target.name
        if target.kind == SCORE:
            result[name] = NUMBER
        elif target.kind == TEXT:
            result[name] = PLAIN_TEXT
            result[f"{name}_score"] = NUMBER
        elif target.kind == LIST:
            result[name] = LIST_OF_NAMES
        elif target.kind == STYLES:
            result[name] = result[name + STYLE] = LIST_OF_NAMES
        elif target.kind == NUMBERS:
            result.update(dict.fromkeys(target.classes.values(), NUMBER))
    result.update(dict.fromkeys(INTERNAL, PLAIN_TEXT))
    return result


def declare(name: str, kind: types.Type) -> None:
    """Give a new field of tracks a type, as plugins do at the start."""
    Item._types[name] = kind


def kind_of(field: types.Type) -> type:
    """Return the kind of a field's values: list, float or str."""
    if field is LIST_OF_NAMES:
        return list
    return float if field is NUMBER else str
