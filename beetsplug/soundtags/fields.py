"""The library fields and their file tags: types, queries, storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mediafile
from beets.dbcore import types
from beets.dbcore.query import NumericQuery

from .catalogue import SCORE, TEXT, targets
from .scores import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Collection

    from beets.dbcore import Model

LISTS = ("mood", "soundtags")
PLAN = "soundtags_plan"


class ScoreQuery(NumericQuery):
    """A numeric query that tracks without a score never match."""

    def match(self, obj: Model) -> bool:
        return obj.get(self.field_name) is not None and super().match(obj)


class Score(types.NullFloat):
    """A probability; None where nothing was analysed, while 0.0 is 0.0."""

    query = ScoreQuery

    def format(self, value: float | None) -> str:
        return "" if value is None else f"{value:.{self.digits}f}"

    def normalize(self, value: Any) -> float | None:
        try:
            return round(float(value), self.digits)
        except (TypeError, ValueError):
            return None


SCORE_TYPE = Score(DECIMALS)


def item_types() -> dict[str, types.Type]:
    """Return the type of every field."""
    result: dict[str, types.Type] = dict.fromkeys(LISTS, types.MULTI_VALUE_DSV)
    for name, target in targets().items():
        if target.kind == SCORE:
            result[name] = SCORE_TYPE
        elif target.kind == TEXT:
            result[name] = types.STRING
            result[f"{name}_score"] = SCORE_TYPE
    result[PLAN] = types.STRING
    return result


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


def media_field(name: str) -> mediafile.MediaField:
    """Return how a field is stored in files, in every format there is."""
    kind = item_types()[name]
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
    if name in LISTS:
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
        out_type=float if kind is SCORE_TYPE else str,
    )
