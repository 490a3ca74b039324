"""Reads and writes the tags of a file, and nothing else in it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import mediafile

from beetsplug.soundtags.tag_formats import media_field
from soundtags.atomic import replacing
from soundtags.errors import ChangedMeanwhile, UnwritableTags
from soundtags.labelling.rules import GENRES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from soundtags.types import Path

    # Field to the values of each tag that stores it.
    Tags = Mapping[str, list[list[str]]]


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
    return _rewrite(path, id3v23, partial(_set, values=values))


def read_tags(path: Path, names: Iterable[str]) -> Tags:
    """Return the tags in which a file has some fields, each as it is.

    Parameters
    ----------
    path
        The file, as the operating system wants it.
    names
        Of the fields.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened.
    """
    with _named():
        file = mediafile.MediaFile(path).mgfile
        return {
            name: [_texts(style, file) for style in _styles(file, name)]
            for name in names
        }


def restore_tags(path: Path, tags: Tags, id3v23: bool) -> bool:
    """Give a file the tags that :func:`read_tags` returned.

    Parameters
    ----------
    path, id3v23
        As for :func:`write_tags`.
    tags
        What it returned.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened, tagged or saved. It is as it was then.
    """
    return _rewrite(path, id3v23, partial(_restore, tags=tags))


def _rewrite(
    path: Path, id3v23: bool, change: Callable[[mediafile.MediaFile], bool]
) -> bool:
    """Change a file's tags, unless it turns out that nothing changes."""
    with _named():
        if not change(mediafile.MediaFile(path, id3v23=id3v23)):
            return False
        with replacing(path) as copy:
            file = mediafile.MediaFile(copy, id3v23=id3v23)
            change(file)
            file.save()
    return True


@contextmanager
def _named() -> Iterator[None]:
    """Say in one line what keeps tags from being written."""
    try:
        yield
    except mediafile.UnreadableFileError as exc:
        raise UnwritableTags(f"tags not written: {exc.message}") from exc
    except OSError as exc:
        raise UnwritableTags(f"tags not written: {exc.strerror}") from exc
    except ChangedMeanwhile as exc:
        raise UnwritableTags(f"tags not written: {exc}") from exc


def _set(file: mediafile.MediaFile, values: Mapping[str, Any]) -> bool:
    """Give fields their values; return whether any had another one."""
    changed = False
    for name, value in values.items():
        field = _descriptor(name, value)
        if _held(field.__get__(file)) != _held(value):
            field.__set__(file, value)
            changed = True
    return changed


def _restore(file: mediafile.MediaFile, tags: Tags) -> bool:
    changed = False
    for name, values in tags.items():
        for style, value in zip(_styles(file.mgfile, name), values):
            if _texts(style, file.mgfile) != value:
                style.set_list(file.mgfile, value or None)
                changed = True
    return changed


def _texts(style: Any, file: Any) -> list[str]:
    return [
        value.decode(errors="replace")
        if isinstance(value, bytes)
        else str(value)
        for value in style.get_list(file) or []
    ]


def _styles(file: Any, name: str) -> Iterator[Any]:
    """Yield how a file's format stores a field, one or several values."""
    yield from _descriptor(name, []).styles(file)


def _held(value: Any) -> Any:
    """Return a value; None for nothing, which no tag is the same as."""
    return None if value in ("", []) else value


def _descriptor(name: str, value: Any) -> mediafile.MediaField:
    if name == GENRES:  # stored as beets does
        return mediafile.MediaFile.__dict__[GENRES]
    # To remove a tag, any kind will do.
    return media_field(name, str if value is None else type(value))
