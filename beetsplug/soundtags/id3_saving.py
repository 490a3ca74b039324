"""Writes changed frames of ID3v2 tags, and leaves all others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutagen.id3 import ID3, Frames

from beetsplug.soundtags import id3v1
from beetsplug.soundtags.parts import id3v2
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FRAME_HEADER = 10  # bytes
OLDEST = 3  # version of a tag that can be written
NEW_IN_24 = {"TMOO"}  # frames of ours that ID3v2.3 lacks


class _Unread(dict[str, Any]):
    """Names of frames whose bytes the library is to leave as they are.

    The library needs the names to find out how sizes are written.
    """

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)


def snapshot(tags: Any) -> dict[str, str] | None:
    """Return the frames as texts, to find changes; None without ID3."""
    if not isinstance(tags, ID3):
        return None
    return {key: repr(frame) for key, frame in dict(tags).items()}


def without_id3v1(path: str, file: Any) -> Any:
    """Return a file as it is when read without its ID3v1 tag."""
    if isinstance(file.tags, ID3):
        file = type(file)(path, load_v1=False)
        if file.tags is None:
            file.add_tags()
    return file


def save(path: str, file: Any, before: Mapping[str, str], id3v23: bool) -> None:
    """Save the frames that have changed since a snapshot.

    The tag keeps its version, and the other frames keep their contents, even
    those that the library does not know or would translate.

    Parameters
    ----------
    path
        The file.
    file : mutagen.FileType
        The same file, opened.
    before
        What :func:`snapshot` returned before the change.
    id3v23
        Whether a new tag is to be of version 2.3, and values are to be
        joined by slashes in that version, not by null bytes.

    Raises
    ------
    UnwritableTags
        If the tag has a version that the library cannot write.
    """
    after = snapshot(file.tags) or {}
    changed = {
        key
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }
    raw = _open_unread(path, type(file))
    if raw.tags is None:
        if before:  # ID3v1, which many players ignore beside another tag
            raise UnwritableTags(
                "tags not written: its ID3v1 tag would have to be converted, as"
                " beet write -f does"
            )
        raw.add_tags()
        version = 3 if id3v23 else 4
    else:
        version = raw.tags.version[1]
    if version < OLDEST:
        raise UnwritableTags(
            "tags not written: its ID3v2.2 tag would have to be converted, as"
            " beet write -f does"
        )
    _drop(raw.tags, version, changed)
    for key in changed & after.keys():
        if version > 3 or key not in NEW_IN_24.difference(before):
            raw.tags.add(file.tags[key])
    with id3v1.set_aside(path, file):
        raw.save(path, v2_version=version, v23_sep="/" if id3v23 else None)


def _open_unread(path: str, kind: Any) -> Any:
    """Open a file with all frames as raw bytes, for a tag without flags.

    The library always writes the header of a tag without flags.
    """
    raw = kind(
        path, known_frames=_Unread(Frames), translate=False, load_v1=False
    )
    if raw.tags is not None and raw.tags.version[1] > 3:
        raw.tags.unknown_frames = [
            _with_new_header(frame, raw.tags.f_unsynch)
            for frame in raw.tags.unknown_frames
        ]
    return raw


def _with_new_header(frame: bytes, unsynchronised: bool) -> bytes:
    """Return an ID3v2.4 frame whose own header says all about its content.

    Its size is written as in the standard, unlike in old versions of iTunes:
    readers expect all sizes in a tag to be written in the same way.
    """
    content = frame[FRAME_HEADER:]
    size, last = len(content), frame[FRAME_HEADER - 1]
    if unsynchronised and b"\xff\x00" in content:
        last |= id3v2.FRAME_UNSYNCHRONISED
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return frame[:4] + sizes + frame[8:9] + bytes([last]) + content


def _drop(tags: Any, version: int, keys: Collection[str]) -> None:
    """Remove frames, which are raw bytes."""
    tags.unknown_frames = [
        frame
        for frame in tags.unknown_frames
        if not {tag.name for tag in id3v2.frames(version, frame)} & {*keys}
    ]
