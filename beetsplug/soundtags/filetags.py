"""Fields to a file's own tags, and nothing else in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mediafile

from .errors import ChangedMeanwhile, UnwritableTags
from .fields import media_field
from .replacing import replacing
from .rules import GENRES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .decoding import Path


def write_tags(path: Path, values: Mapping[str, Any], id3v23: bool) -> bool:
    """Write fields to a file's tags, if any of them is different there.

    Parameters
    ----------
    path
        The file, as the operating system wants it.
    values
        Field to value; None or nothing removes the tag.
    id3v23
        Whether to keep to ID3v2.3 in MP3 files.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened, tagged or saved. It is as it was then.
    """
    try:
        if not _set(mediafile.MediaFile(path, id3v23=id3v23), values):
            return False
        with replacing(path) as copy:
            file = mediafile.MediaFile(copy, id3v23=id3v23)
            _set(file, values)
            file.save()
    except mediafile.UnreadableFileError as exc:
        raise UnwritableTags(f"tags not written: {exc.message}") from exc
    except OSError as exc:
        raise UnwritableTags(f"tags not written: {exc.strerror}") from exc
    except ChangedMeanwhile as exc:
        raise UnwritableTags(f"tags not written: {exc}") from exc
    return True


def _set(file: mediafile.MediaFile, values: Mapping[str, Any]) -> bool:
    """Give fields their values; return whether any had another one."""
    changed = False
    for name, value in values.items():
        field = _descriptor(name, value)
        if _held(field.__get__(file)) != _held(value):
            field.__set__(file, value)
            changed = True
    return changed


def _held(value: Any) -> Any:
    """Return a value; None for nothing, which no tag is the same as."""
    return None if value in ("", []) else value


def _descriptor(name: str, value: Any) -> mediafile.MediaField:
    if name == GENRES:  # stored as beets does
        return mediafile.MediaFile.__dict__[GENRES]
    # To remove a tag, any kind will do.
    return media_field(name, str if value is None else type(value))
