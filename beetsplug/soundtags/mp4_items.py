"""Writes items of an MP4 file's tags, and leaves all others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mutagen.mp4 import MP4, MP4Tags

from beetsplug.soundtags.parts import mp4

if TYPE_CHECKING:
    from collections.abc import Collection

GENRE, NUMBER = "\xa9gen", "gnre"  # the library reads both as the first


class _Items(MP4Tags):
    """Items as they are stored.

    The library writes back what it fails to parse; here, that is everything.
    """

    _stored: tuple[tuple[str, bytes], ...] = ()

    def load(self, atoms: Any, fileobj: Any) -> None:
        """Read all items, and parse none."""
        for atom in atoms.path(b"moov", b"udta", b"meta", b"ilst")[-1].children:
            content = atom.read(fileobj)[1]
            self._stored += ((atom.name.decode("latin-1"), content),)

    def keep_all_but(self, keys: Collection[str]) -> None:
        """Have all items written back but those of some keys."""
        for name, content in self._stored:
            if mp4.item(name, content).name not in keys:
                self._failed_atoms.setdefault(name, []).append(content)


class _File(MP4):
    MP4Tags = _Items


def save(path: str, file: Any) -> None:
    """Save the items that have changed, and no other.

    Parameters
    ----------
    path
        The file.
    file : mutagen.mp4.MP4
        The same file, opened and changed.
    """
    then, now = type(file)(path).tags or {}, file.tags
    changed = {key for key in {*then, *now} if then.get(key) != now.get(key)}
    raw: Any = _File(path)  # type: ignore[no-untyped-call]
    if raw.tags is None:
        raw.add_tags()
    raw.tags.keep_all_but({*changed, NUMBER} if GENRE in changed else changed)
    for key in changed & now.keys():
        raw.tags[key] = now[key]
    raw.save(path)
