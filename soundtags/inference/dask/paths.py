"""Where the workers of a cluster find the files of the library."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from soundtags.errors import UnreadableAudio
from soundtags.inference.dask.messages import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENDED_LENGTH = "\\\\?\\"  # how Windows marks long paths


@dataclass(frozen=True)
class PathMapping:
    """Local folders, and where workers find them.

    Attributes
    ----------
    folders : mapping of str to str
        Local folder to the same folder on the workers, innermost first.
    send_files : bool
        Whether to send workers the files instead of their paths.
    """

    folders: Mapping[str, str]
    send_files: bool = False

    @classmethod
    def for_library(
        cls, library: str, folders: Mapping[str, str], send_files: bool = False
    ) -> PathMapping:
        """Return the mapping for a library.

        Parameters
        ----------
        library
            The library's folder: the same on the workers, unless mapped.
        folders, send_files
            As for :class:`PathMapping`, folders in any order.
        """
        both = {library: library, **folders}
        ordered = sorted(both, key=lambda local: -len(PurePath(local).parts))
        return cls({local: both[local] for local in ordered}, send_files)

    def remote_file(self, file: bytes | str) -> RemoteFile:
        """Return a local file as workers access it.

        Parameters
        ----------
        file
            Absolute path of the file.

        Raises
        ------
        UnreadableAudio
            If the file is to be sent but cannot be read.

        Examples
        --------
        >>> mapping = PathMapping({"/volume1/music": "/mnt/music"})
        >>> mapping.remote_file("/volume1/music/a.flac").path
        '/mnt/music/a.flac'
        """
        path = PurePath(os.fsdecode(file).removeprefix(EXTENDED_LENGTH))
        if self.send_files:
            return RemoteFile(path.name, "", _read(file))
        for local, remote in self.folders.items():
            if path.is_relative_to(local):
                posix = remote.startswith("/")
                kind = PurePosixPath if posix else PureWindowsPath
                parts = path.relative_to(local).parts
                return RemoteFile(str(kind(remote, *parts)), remote)
        return RemoteFile(str(path), str(path.parent))


def _read(file: bytes | str) -> bytes:
    try:
        return Path(os.fsdecode(file)).read_bytes()
    except OSError as exc:
        raise UnreadableAudio(f"cannot be opened: {exc.strerror}") from exc
