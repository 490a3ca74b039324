"""Paths in playlists, as a player needs them."""

from __future__ import annotations

import os
from pathlib import Path


class PlayerPaths:
    """How to write the paths of tracks in playlists.

    Parameters
    ----------
    music : str
        The folder of the library's music.
    folder : str, optional
        The folder of the playlists. If it is inside that of the music, paths
        are relative to it, so that both can move together.
    prefix : str, optional
        What to put in front of paths relative to the music's folder, for a
        player that finds the music elsewhere.
    """

    def __init__(
        self, music: str, folder: str | None, prefix: str | None
    ) -> None:
        self._music = os.path.join(music, "")
        self._folder = folder
        self._prefix = prefix
        if prefix and prefix[-1] not in "/\\":
            self._prefix = f"{prefix}/"
        inside = folder and os.path.join(folder, "").startswith(self._music)
        self._base = folder if inside else None

    @property
    def options(self) -> dict[str, str]:
        """The same settings, as options of beets' smartplaylist plugin."""
        found = {"playlist_dir": self._folder, "relative_to": self._base}
        if self._prefix is not None:
            found.update(relative_to=self._music, prefix=self._prefix)
        return {name: value for name, value in found.items() if value}

    def of(self, stored: bytes) -> str | None:
        """Return a path for a player; None if no playlist can contain it.

        Playlists are lines of UTF-8.

        Parameters
        ----------
        stored
            The path as the library has it, which may be relative.
        """
        path = os.path.normpath(os.path.join(self._music, os.fsdecode(stored)))
        if not _is_line(path):
            return None
        if self._prefix is not None:
            below = path.removeprefix(self._music)
            outside = below == path
            return None if outside else self._prefix + Path(below).as_posix()
        if self._base is None:
            return path
        found = os.path.relpath(path, self._base)
        # What begins with "#" would be a comment.
        return found if found[0] == "." else os.path.join(os.curdir, found)


def _is_line(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:  # its name is in another encoding
        return False
    return len(path.splitlines()) == 1
