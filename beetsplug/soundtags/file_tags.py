"""Reads and writes the tags of a file, and nothing else in it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import mediafile
from mutagen.mp4 import MP4

from beetsplug.soundtags import id3_saving, id3v1, mp4_saving
from beetsplug.soundtags.media_fields import media_field
from beetsplug.soundtags.proof import check_copy, check_read, examine
from soundtags.atomic import replacing
from soundtags.errors import ChangedMeanwhile, UnwritableTags
from soundtags.labelling.estimates import GENRES
from soundtags.labelling.scores import DECIMALS

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
    )

    from beetsplug.soundtags.proof import Expected
    from soundtags.types import Path

    # Field to the values of each tag that stores it. MP4 genres that are
    # numbers have one more list: the stored items, to be restored as they are.
    Tags = Mapping[str, list[list[str]]]


def write_tags(path: Path, values: Mapping[str, Any], id3v23: bool) -> bool:
    """Write fields to a file's tags, if any of them is different there.

    Parameters
    ----------
    path
        Path of the file, in the form that the operating system wants.
    values
        Field to value; None or an empty value removes the tag.
    id3v23
        Whether to keep to ID3v2.3 in MP3 files.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened, tagged or saved. It is then unchanged.
    """
    texts = {name: _as_texts(value) for name, value in values.items()}

    def expected(file: mediafile.MediaFile, name: str) -> Expected:
        names = map(_names, _styles(file.mgfile, name))
        return {frozenset().union(*names): texts[name]}

    return _rewrite(path, id3v23, partial(_set, values=values), expected)


def read_tags(path: Path, names: Iterable[str]) -> Tags:
    """Return the tags that store some fields in a file, each as it is.

    Parameters
    ----------
    path
        Path of the file, in the form that the operating system wants.
    names
        Names of the fields.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened.
    """
    with _named():
        file = _opened(path)
        tags = {
            name: [_texts(style, file) for style in _styles(file, name)]
            for name in names
        }
        if GENRES in tags and isinstance(file, MP4):
            tags[GENRES] += filter(None, [mp4_saving.numbered_genre(file)])
    return tags


def restore_tags(
    path: Path, tags: Tags, written: Mapping[str, Any], id3v23: bool
) -> bool:
    """Give a file the tags that :func:`read_tags` returned.

    Parameters
    ----------
    path, id3v23
        As for :func:`write_tags`.
    tags
        What :func:`read_tags` returned.
    written
        Field to the value that we have written since. If the file has another
        value by now, that one stays.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    UnwritableTags
        If the file cannot be opened, tagged or saved. It is then unchanged.
    """
    with _named():
        file = mediafile.MediaFile(path)
        ours = {
            name: tags[name]
            for name in tags
            if _held(_value(file, name, written[name])) == _held(written[name])
        }
    return _rewrite(
        path,
        id3v23,
        partial(_restore, tags=ours),
        partial(_restored, tags=ours),
        _numbered_genre(ours),
    )


def _rewrite(
    path: Path,
    id3v23: bool,
    change: Callable[[mediafile.MediaFile], Collection[str]],
    expected: Callable[[mediafile.MediaFile, str], Expected],
    genre: Collection[str] = (),
) -> bool:
    """Change a file's tags, unless it turns out that nothing changes."""
    with _named():
        names = change(mediafile.MediaFile(path, id3v23=id3v23))
        if not names:
            return False
        before = examine(os.fsdecode(path))
        check_read(before, _read(path, names))
        with replacing(path) as copy:
            file = mediafile.MediaFile(copy, id3v23=id3v23)
            frames = id3_saving.snapshot(file.mgfile.tags)
            changed = change(file)
            if frames is not None:
                id3_saving.save(copy, file.mgfile, frames, id3v23)
            elif isinstance(file.mgfile, MP4):
                mp4_saving.save(copy, file.mgfile, genre)
            else:
                with id3v1.set_aside(copy, file.mgfile):
                    file.save()
            written = {
                tag: texts
                for name in changed
                for tag, texts in expected(file, name).items()
            }
            check_copy(before, examine(copy), written)
    return True


@contextmanager
def _named() -> Iterator[None]:
    """Turn any error into `UnwritableTags`, with the reason in one line."""
    try:
        yield
    except mediafile.UnreadableFileError as exc:
        reason = f" ({exc.message})" if exc.message else ""
        raise UnwritableTags(
            f"tags not written: its tags cannot be read{reason}"
        ) from exc
    except OSError as exc:
        raise UnwritableTags(f"tags not written: {exc.strerror}") from exc
    except ChangedMeanwhile as exc:
        raise UnwritableTags(f"tags not written: {exc}") from exc
    except UnwritableTags:
        raise
    except Exception as exc:  # from a library, on a file it did not expect
        raise UnwritableTags(
            f"tags not written: unexpected {type(exc).__name__}: {exc}"
        ) from exc


def _read(path: Path, names: Iterable[str]) -> Expected:
    """Return the tags that store some fields, and their texts."""
    file = _opened(path)
    styles = [style for name in names for style in _styles(file, name)]
    return {_names(style): _texts(style, file) for style in styles}


def _opened(path: Path) -> Any:
    """Return a file without ID3v1, opened by the library that writes tags."""
    file = mediafile.MediaFile(path).mgfile
    return id3_saving.without_id3v1(os.fsdecode(path), file)


def _set(file: mediafile.MediaFile, values: Mapping[str, Any]) -> set[str]:
    """Give fields their values; return those that had a different one."""
    changed = set()
    for name, value in values.items():
        if _held(_value(file, name, value)) != _held(value):
            _descriptor(name, value).__set__(file, value)
            changed.add(name)
    return changed


def _restore(file: mediafile.MediaFile, tags: Tags) -> set[str]:
    changed = set()
    for name, values in tags.items():
        for style, value in _by_style(file, name, values):
            if _texts(style, file.mgfile) != value:
                style.set_list(file.mgfile, value or None)
                changed.add(name)
    return changed


def _restored(file: mediafile.MediaFile, name: str, tags: Tags) -> Expected:
    """Return the tags that store a field, and their texts once restored."""
    numbers = []
    if name == GENRES and isinstance(file.mgfile, MP4):
        numbers = mp4_saving.numbers(_numbered_genre(tags))
    return {
        _names(style): numbers or texts
        for style, texts in _by_style(file, name, tags[name])
    }


def _numbered_genre(tags: Tags) -> list[str]:
    """Return the items of an MP4 genre that is a number."""
    return next(iter(tags.get(GENRES, [])[1:]), [])


def _by_style(
    file: mediafile.MediaFile, name: str, values: list[list[str]]
) -> Iterator[tuple[Any, list[str]]]:
    """Pair the tags that store a field with the values they had.

    A file that was converted since can have more tags for it, or fewer.
    """
    styles = list(_styles(file.mgfile, name))
    if len(styles) != len(values):
        values = [next(filter(None, values), [])] * len(styles)
    return zip(styles, values)


def _texts(style: Any, file: Any) -> list[str]:
    try:
        values = style.get_list(file) or []
    except TypeError as exc:
        raise UnwritableTags(
            f"tags not written: its {style.key} tag is not text"
        ) from exc
    return [
        value.decode(errors="replace")
        if isinstance(value, bytes)
        else str(value)
        for value in values
    ]


def _styles(file: Any, name: str) -> Iterator[Any]:
    """Yield how a file's format stores a field, read as a list of values."""
    yield from _descriptor(name, []).styles(file)


def _names(style: Any) -> frozenset[str]:
    """Return what a tag may be called, in capitals."""
    description = getattr(style, "description", None)
    name = f"{style.key}:{description}" if description else style.key
    names = {name.upper()}
    if name == mp4_saving.GENRE:  # which replaces a genre that is a number
        names.add(mp4_saving.NUMBER.upper())
    return frozenset(names)


def _as_texts(value: Any) -> list[str]:
    if isinstance(value, float):
        return [f"{value:.{DECIMALS}f}"]
    if isinstance(value, str):
        return [value] if value else []
    return list(value or [])


def _value(file: mediafile.MediaFile, name: str, like: Any) -> Any:
    """Return the value of a field in a file, of the same kind as another."""
    return _descriptor(name, like).__get__(file)


def _held(value: Any) -> Any:
    """Return a value; None if it is empty, which is the same as no tag."""
    return None if value in ("", []) else value


def _descriptor(name: str, value: Any) -> mediafile.MediaField:
    if name == GENRES:  # stored as beets does
        return mediafile.MediaFile.__dict__[GENRES]
    # To remove a tag, any kind will do.
    return media_field(name, str if value is None else type(value))
