"""Writes changed items of MP4 tags, and leaves all others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutagen.mp4 import MP4, MP4Tags

from beetsplug.soundtags.parts import mp4

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

GENRE, NUMBER = "\xa9gen", "gnre"  # the library reads both as the first


class _Items(MP4Tags):
    """Items as they are stored.

    The library writes back what it fails to parse: here, all items to keep.

    Attributes
    ----------
    stored : tuple of (str, bytes)
        Names and contents of the items of a file.
    """

    stored: tuple[tuple[str, bytes], ...] = ()

    def load(self, atoms: Any, fileobj: Any) -> None:
        """Read all items, and parse none."""
        for atom in atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1].children:
            content = atom.read(fileobj)[1]
            self.stored += ((atom.name.decode("latin-1"), content),)

    def keep(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Have some items written as they are."""
        for name, content in items:
            self._failed_atoms.setdefault(name, []).append(content)


class _File(MP4):
    MP4Tags = _Items


def numbered_genre(file: Any) -> list[str]:
    """Return all items of the genre, if one of them is a number.

    Parameters
    ----------
    file : mutagen.mp4.MP4
        The file, as it is on disk.

    Returns
    -------
    list of str
        The name and the content of each in hexadecimal; empty if the genre is
        not a number, or not one that the library knows.
    """
    if not file.tags or GENRE not in file.tags:
        return []
    items = _open(file.filename).tags.stored
    genres = [item for item in items if item[0] in (GENRE, NUMBER)]
    if NUMBER not in dict(genres):
        return []
    return [
        (name.encode("latin-1") + content).hex() for name, content in genres
    ]


def numbers(genre: Iterable[str]) -> list[str]:
    """Return those items of a genre that are numbers."""
    return [item for item in genre if item.startswith(NUMBER.encode().hex())]


def save(path: str, file: Any, genre: Collection[str] = ()) -> None:
    """Save the items that have changed, and no other.

    Parameters
    ----------
    path
        The file.
    file : mutagen.mp4.MP4
        The same file, opened and changed.
    genre
        What :func:`numbered_genre` returned, to be written for a genre that
        has changed.
    """
    then, now = type(file)(path).tags or {}, file.tags
    changed = {key for key in {*then, *now} if then.get(key) != now.get(key)}
    dropped = {*changed, NUMBER} if GENRE in changed else changed
    raw = _open(path)
    if raw.tags is None:
        raw.add_tags()
    raw.tags.keep(
        item for item in raw.tags.stored if mp4.item(*item).name not in dropped
    )
    if genre and GENRE in changed:
        raw.tags.keep(map(_decoded, genre))
        changed.remove(GENRE)
    for key in changed & now.keys():
        raw.tags[key] = now[key]
    raw.save(path)


def _open(path: str) -> Any:
    return _File(path)  # type: ignore[no-untyped-call]


def _decoded(item: str) -> tuple[str, bytes]:
    data = bytes.fromhex(item)
    return data[:4].decode("latin-1"), data[4:]
