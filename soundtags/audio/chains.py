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
OVERLAP = 63  # bytes: a header may lie across the border of two windows
# Ogg streams that run side by side, such as sound and pictures, begin with
# small pages, one after the other. The most bytes from one such page to the
# next.
SIDE_BY_SIDE = 512

# How a stream begins, by the first bytes of the file. Searching is fast only
# for patterns that start with plain bytes.
HEADERS = {
    start: re.compile(re.escape(start) + rest, re.DOTALL)
    for start, rest in {
        b"OggS": rb"\0[\2\6]",  # the first page of a stream
        b"fLaC": rb"[\0\x80]\0\0\x22",  # 34 bytes of information
        # FLAC may keep the header of the WAV that it was made from, in a
        # block "riff".
        b"RIFF": rb"(?<!riffRIFF).{4}WAVE",
        b"FORM": rb".{4}AIF[CF]",
        b"caff": rb"\0\x01\0\0desc",
        b".snd": rb"\0\0.{6}\0\0\0[\1-\x1b]\0.{3}\0\0\0[\1-\x40]",  # AU
        b"TTA1": rb"[\1-\3]\0[\1-\x40]\0[\x08-\x20]\0",
        b"MPCK": rb"SH",
        b"DSD ": rb"\x1c\0{7}",
        b"\x1aE\xdf\xa3": rb".{5,50}?B\x82.(?:matroska|webm)",
        b"\x30\x26\xb2\x75": rb"\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
    }.items()
}
# The first frame of an MP3, by what encoders write into it.
MP3 = re.compile(rb"\xff[\xf2-\xfb].{2}\0{9,32}(?:Xing|Info)", re.DOTALL)
# What may follow a stream that begins like this, besides its own kind.
MIXED = [HEADERS[start] for start in (b"OggS", b"fLaC", b"RIFF")]
OTHERS = {b"OggS": MIXED, b"fLaC": [*MIXED, MP3], b"RIFF": MIXED}

BOX = 16  # bytes that the header of a box in MP4 takes at most
# A page of Ogg: its position in time, and the stream that it belongs to.
PAGE = re.compile(rb"OggS\0[\0-\7](.{8})(.{4})", re.DOTALL)


def find_streams(file: BinaryIO) -> list[tuple[int, int]]:
    """Find the streams that are chained in a file.

    Parameters
    ----------
    file
        An open file; its position is lost.

    Returns
    -------
    list of (int, int)
        Start and stop of each stream in bytes, without gaps; a single stream
        unless the format is one of :data:`HEADERS` or MP4.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    first = file.read(8)
    if first.endswith(b"ftyp"):
        found = _files_in_boxes(file, size)
    else:
        header = HEADERS.get(first[:4])
        patterns = OTHERS.get(first[:4], [header] if header else [])
        found = (start for start, _ in _matches(file, patterns))
    starts, last = [0], 0
    for start in found:
        if start - last > SIDE_BY_SIDE:
            starts.append(start)
        last = start
    return list(pairwise([*starts, size]))


def steps_back(file: BinaryIO) -> bool:
    """Return whether a file is an Ogg file in which time goes backwards."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return False
    last: dict[bytes, int] = {}
    for _, page in _matches(file, [PAGE]):
        time, stream = int.from_bytes(page[1], "little", signed=True), page[2]
        if time < 0:
            continue  # nothing ends on this page
        if time < last.get(stream, 0):
            return True
        last[stream] = time
    return False


def _matches(
    file: BinaryIO, patterns: list[re.Pattern[bytes]]
) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Yield where patterns match in a file, in order, and the matches."""
    file.seek(0)
    start, kept = 0, b""
    while patterns and (data := file.read(WINDOW)):
        window = kept + data
        matches = (each for one in patterns for each in one.finditer(window))
        for match in sorted(matches, key=re.Match.start):
            if match.end() > len(kept):  # else, it is known from before
                yield start - len(kept) + match.start(), match
        start += len(data)
        kept = window[-OVERLAP:]


def _files_in_boxes(file: BinaryIO, size: int) -> Iterator[int]:
    """Yield where each of several joined MP4 files starts, by their boxes.

    A picture in the tags may be such a file, too, so searching will not do.
    """
    start = 0
    while start < size:
        file.seek(start)
        header = file.read(BOX)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if header[4:8] == b"ftyp":
            yield start
        if length < BOX // 2:  # the rest of the file, or damaged
            return
        start += length


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
        Name of the file; its suffix hints at the format.
    """

    def __init__(self, file: BinaryIO, start: int, stop: int) -> None:
        self._file = file
        self.name = file.name
        self._origins = {os.SEEK_SET: start, os.SEEK_END: stop}
        self._position = start
        self._stop = stop

    @classmethod
    def whole(cls, file: BinaryIO) -> Part:
        """Return all of a file as one part."""
        return cls(file, 0, file.seek(0, os.SEEK_END))

    def tell(self) -> int:
        return self._position - self._origins[os.SEEK_SET]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, unless damage puts it before the part."""
        position = self._origins.get(whence, self._position) + offset
        if position < self._origins[os.SEEK_SET]:
            return -1  # an error to FFmpeg; PyAV would print an exception
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
