"""Reads the parts of any file that can be tagged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import (
    Parts,
    asf,
    chunks,
    id3v2,
    mp4,
    no_container,
    read_at,
    vorbis,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    Read = Callable[[BinaryIO, int], Parts]

# Where a format has its signature, the signature, and how its parts are read.
FORMATS: tuple[tuple[int, bytes, Read], ...] = (
    (0, b"RIFF", chunks.read_iff),
    (0, b"FORM", chunks.read_iff),
    (0, b"DSD ", chunks.read_dsf),
    (0, b"OggS", vorbis.read_ogg),
    (0, asf.HEADER, asf.read),
    (4, b"ftyp", mp4.read),
)


def read_parts(path: str) -> Parts:
    """Read the parts of a file.

    Parameters
    ----------
    path
        The file. Its content says which format it has.

    Raises
    ------
    UnknownStructure
        If it is not as its format demands.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return _find_reader(file)(file, size)


def _find_reader(file: BinaryIO) -> Read:
    for place, name, read in FORMATS:
        if read_at(file, place, len(name)) == name:
            return read
    start = id3v2.tag_size(file, 0)
    if read_at(file, start, 4) == b"fLaC":
        return vorbis.read_flac
    return no_container.read  # MP3, Monkey's Audio, Musepack, WavPack
