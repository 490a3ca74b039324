"""How each field is stored in the tags of each file format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mediafile

from soundtags.labelling.scores import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class _Tag(mediafile.MediaField):
    """A tag that is removed, not emptied, where there is no value."""

    def __get__(self, file: mediafile.MediaFile, owner: Any = None) -> Any:
        return _text_or_none(super().__get__, file, owner)

    def __set__(self, file: mediafile.MediaFile, value: Any) -> None:
        if value is None or value == "":
            self.__delete__(file)
        else:
            super().__set__(file, value)


class _ListTag(mediafile.ListMediaField):
    """A tag with several separate values, removed where there are none."""

    def __get__(self, file: mediafile.MediaFile, owner: Any = None) -> Any:
        return _text_or_none(super().__get__, file, owner)

    def __set__(
        self, file: mediafile.MediaFile, values: Collection[str] | None
    ) -> None:
        if values:
            super().__set__(file, values)
        else:
            self.__delete__(file)


def _text_or_none(get: Callable[..., Any], *args: Any) -> Any:
    """Return the value of a tag; None if other programs stored bytes there."""
    try:
        return get(*args)
    except TypeError:
        return None


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
    """Return how a field is stored in the tags of every format.

    Parameters
    ----------
    name
        Name of the field.
    kind
        Type of its values: list, float or str.
    """
    if name == "mood":
        return _ListTag(
            mediafile.MP3ListStorageStyle("TMOO"),
            # ID3v2.3 has no TMOO, and puts "/" between the values of a frame.
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
