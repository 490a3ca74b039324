"""Chained streams: several in one file, end to end.

Internet radio is recorded like this, and ``cat`` makes such files. A decoder
often takes the end of the first stream for that of the file, so each stream is
handed to it as a file of its own. MP3, ADTS and the like need no such help:
each of their frames says what it is.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 1 << 20  # bytes that are searched at a time
OVERLAP = 15  # bytes: a header may lie across the border of two windows
# Ogg streams that run side by side, such as sound and pictures, begin with
# small pages, one after the other. Bytes from one such page to the next.
SIDE_BY_SIDE = 512

# How a stream begins, by the first bytes of the file: with the first page of
# an Ogg stream, with a FLAC block of information (34 bytes), as a WAV file.
HEADERS = {
    b"OggS": re.compile(rb"OggS\0[\2\6]"),
    b"fLaC": re.compile(rb"fLaC[\0\x80]\0\0\x22"),
    b"RIFF": re.compile(rb"RIFF.{4}WAVE", re.DOTALL),
}


def find_streams(file: BinaryIO) -> list[tuple[int, int]]:
    """Find the streams that are chained in a file.

    Parameters
    ----------
    file
        An open file; its position is lost.

    Returns
    -------
    list of (int, int)
        Start and stop of each in bytes, without a gap: a single one unless
        the file is Ogg, FLAC or WAV.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = HEADERS.get(file.read(4))
    starts, last = [0], 0
    for start in _matches(file, header) if header else ():
        if start - last > SIDE_BY_SIDE:
            starts.append(start)
        last = start
    return list(pairwise([*starts, size]))


def _matches(file: BinaryIO, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """Yield where a pattern matches in a file; some places come twice."""
    file.seek(0)
    start, kept = 0, b""
    while data := file.read(WINDOW):
        window = kept + data
        for match in pattern.finditer(window):
            yield start - len(kept) + match.start()
        start += len(data)
        kept = window[-OVERLAP:]


class Part:
    """A part of an open file, to be read like a file.

    Parameters
    ----------
    file
        The whole file; its position is lost.
    start, stop
        Where the part is, in bytes.

    Attributes
    ----------
    name
        Name of the file; its suffix is a hint at the format.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self.name = file.name
        self._origins = {os.SEEK_SET: start, os.SEEK_END: stop}
        self._position = start
        self._stop = stop

    @classmethod
    def whole(cls, file: BinaryIO) -> Part:
        """Return all of a file."""
        return cls(file, 0, file.seek(0, os.SEEK_END))

    def tell(self) -> int:
        return self._position - self._origins[os.SEEK_SET]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there, unless it is before the part: a damaged file says so."""
        position = self._origins.get(whence, self._position) + offset
        if position < self._origins[os.SEEK_SET]:
            return -1  # FFmpeg's sign of an error; PyAV prints exceptions
        self._position = position
        return self.tell()

    def read(self, size: int) -> bytes:
        left = self._stop - self._position
        if left <= 0:  # perhaps further away than the system can seek
            return b""
        self._file.seek(self._position)
        data = self._file.read(min(size, left))
        self._position += len(data)
        return data
