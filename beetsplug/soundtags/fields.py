"""The library fields and their file tags: types, queries, storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mediafile
from beets.dbcore import types
from beets.dbcore.query import NumericQuery, SubstringQuery
from beets.library import Item

from soundtags.labelling.scores import DECIMALS
from soundtags.models.catalogue import (
    AUDIO_FIELD,
    LIST,
    NUMBERS,
    PLAN_FIELD,
    SCORE,
    STYLE,
    STYLES,
    TAGS_FIELD,
    TEXT,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from beets.dbcore import Model

    from soundtags.models.catalogue import Target

LISTS = ("mood", TAGS_FIELD)
PLAN = PLAN_FIELD
AUDIO = AUDIO_FIELD
SAID = "soundtags_written"
BEFORE = "soundtags_undo"
UNREADABLE = (AUDIO, SAID, BEFORE)
INTERNAL = (PLAN, *UNREADABLE)


def own(model: Model, name: str) -> Any:
    """Return what a field of a track or an album says; None if it has none.

    Its album is left aside, and what plugins compute. Beets would ask these,
    too, and take several times as long.
    """
    if name in model._fields:
        return model[name]
    return model._values_flex.get(name)


def put(model: Model, values: Mapping[str, Any]) -> None:
    """Give fields of a track or an album their values; None removes one."""
    for name, value in values.items():
        if value is not None:
            model[name] = value
        elif own(model, name) is not None:
            del model[name]


def _asked(model: Model, name: str) -> Any:
    """Return what a query asks of a track, or of an album."""
    return own(model, name) if isinstance(model, Item) else model.get(name)


class NumberQuery(NumericQuery):
    """Matches numbers; what has none itself never matches."""

    def match(self, obj: Model) -> bool:
        value = _asked(obj, self.field_name)
        if value is None:
            return False
        if self.point is not None:
            return bool(value == self.point)
        above = self.rangemin is None or value >= self.rangemin
        return above and (self.rangemax is None or value <= self.rangemax)


class NamesQuery(SubstringQuery):
    """Matches lists of names; what has none itself never matches."""

    def match(self, obj: Model) -> bool:
        names = _asked(obj, self.field_name) or []
        return self.value_match(self.pattern, names)


class Number(types.NullFloat):
    """A number; None where nothing was analysed, while 0.0 is 0.0."""

    query = NumberQuery

    def format(self, value: float | None) -> str:
        return "" if value is None else f"{value:.{self.digits}f}"

    def normalize(self, value: Any) -> float | None:
        try:
            return round(float(value), self.digits)
        except (TypeError, ValueError):
            return None


class Names(types.DelimitedString):
    """Several names; formats as nothing, not as an error, where none are."""

    query = NamesQuery

    def format(self, value: list[str] | None) -> str:
        return super().format(value or [])


NUMBER = Number(DECIMALS)
LIST_OF_NAMES = Names(types.MULTI_VALUE_DSV.db_delimiter)


def item_types(targets: Iterable[Target]) -> dict[str, types.Type]:
    """Return the type of every field."""
    result: dict[str, types.Type] = dict.fromkeys(LISTS, LIST_OF_NAMES)
    for target in targets:
        name = target.name
        if target.kind == SCORE:
            result[name] = NUMBER
        elif target.kind == TEXT:
            result[name] = types.STRING
            result[f"{name}_score"] = NUMBER
        elif target.kind == LIST:
            result[name] = LIST_OF_NAMES
        elif target.kind == STYLES:
            result[name] = result[name + STYLE] = LIST_OF_NAMES
        elif target.kind == NUMBERS:
            result.update(dict.fromkeys(target.classes.values(), NUMBER))
    result.update(dict.fromkeys(INTERNAL, types.STRING))
    return result


def kind_of(field: types.Type) -> type:
    """Return of what kind the values of a field are: list, float or str."""
    if field is LIST_OF_NAMES:
        return list
    return float if field is NUMBER else str


class _Tag(mediafile.MediaField):
    """A tag that is removed, not emptied, where there is no value."""

    def __set__(self, file: mediafile.MediaFile, value: Any) -> None:
        if value is None or value == "":
            self.__delete__(file)
        else:
            super().__set__(file, value)


class _ListTag(mediafile.ListMediaField):
    """Several values, each its own; removed where there is none."""

    def __set__(
        self, file: mediafile.MediaFile, values: Collection[str] | None
    ) -> None:
        if values:
            super().__set__(file, values)
        else:
            self.__delete__(file)


class _VorbisList(mediafile.ListStorageStyle):
    formats = [  # noqa: RUF012 (the base class declares it so)
        name
        for name in mediafile.StorageStyle.formats
        if name == "FLAC" or name.startswith("Ogg")
    ]


class _APEList(mediafile.ListStorageStyle):
    formats = [  # noqa: RUF012
        name
        for name in mediafile.StorageStyle.formats
        if name not in _VorbisList.formats
    ]


def media_field(name: str, kind: type) -> mediafile.MediaField:
    """Return how a field is stored in files, in every format there is.

    Parameters
    ----------
    name
        The field.
    kind
        Of its values: list, float or str.
    """
    if name == "mood":
        return _ListTag(
            mediafile.MP3ListStorageStyle("TMOO"),
            # ID3v2.3 has no TMOO, and "/" between the values of a frame.
            mediafile.MP3ListDescStorageStyle("MOOD", split_v23=True),
            mediafile.MP4ListStorageStyle("----:com.apple.iTunes:MOOD"),
            _VorbisList("MOOD"),
            _APEList("Mood"),
            mediafile.ASFStorageStyle("WM/Mood"),
        )
    tag = name.upper()
    if kind is list:
        return _ListTag(
            mediafile.MP3ListDescStorageStyle(tag, split_v23=True),
            mediafile.MP4ListStorageStyle(f"----:com.apple.iTunes:{tag}"),
            mediafile.ListStorageStyle(tag),
            mediafile.ASFStorageStyle(tag),
        )
    return _Tag(
        mediafile.MP3DescStorageStyle(tag, float_places=DECIMALS),
        mediafile.MP4StorageStyle(
            f"----:com.apple.iTunes:{tag}", float_places=DECIMALS
        ),
        mediafile.StorageStyle(tag, float_places=DECIMALS),
        mediafile.ASFStorageStyle(tag, float_places=DECIMALS),
        out_type=kind,
    )
