"""FLAC and Ogg, whose tags are Vorbis comments."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import (
    Parts,
    Tag,
    UnknownStructure,
    decoded,
    id3v2,
    read_at,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PADDING, COMMENT = 1, 4  # types of metadata blocks
LAST = 0x80  # a flag beside the type
# How a packet with comments begins.
COMMENTS = (b"\x03vorbis", b"OpusTags", b"Speex   ", b"\x84\0\0")
HEADERS = 2  # packets before those that are many
PAGE = 27  # bytes of a page's header, before the table of segments
WHOLE = 255  # size of a segment after which its packet goes on


def read_flac(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a FLAC file.

    Parameters
    ----------
    file
        The file, opened for reading.
    size
        Its size in bytes.
    """
    parts = Parts()
    place = id3v2.tag_size(file, 0)
    parts.add("ID3", read_at(file, 0, place))
    place += 4  # "fLaC"
    kind = 0
    while not kind & LAST:
        header = read_at(file, place, 4)
        kind, length = (
            unpack(">B", header)[0],
            int.from_bytes(header[1:], "big"),
        )
        place += 4
        block = kind & ~LAST
        if block == COMMENT:
            parts.tags += comments(read_at(file, place, length))
        elif block != PADDING:
            parts.add_range(f"block {block}", file, place, place + length)
        place += length
        if place > size:
            raise UnknownStructure("a block is longer than its file")
    parts.add_range("audio", file, place, size)
    return parts


def read_ogg(file: BinaryIO, size: int) -> Parts:
    """Read the parts of an Ogg file; parameters as for :func:`read_flac`."""
    parts = Parts(has_packets=True)
    streams: dict[bytes, _Stream] = defaultdict(_Stream)  # by serial number
    for serial, sizes, content in _pages(file, size):
        streams[serial].add(sizes, content)
    for number, stream in enumerate(streams.values()):
        for place, packet in enumerate(stream.headers):
            start = next(filter(packet.startswith, COMMENTS), None)
            if place == 1 and start:
                parts.tags += comments(packet[len(start) :])
            else:
                parts.add(f"packet {place} of stream {number}", packet)
        parts.rest.append((f"packets of stream {number}", stream.digest()))
    return parts


def comments(data: bytes) -> Iterator[Tag]:
    """Yield the comments of a block or packet, and its vendor, as tags."""
    (length,) = unpack("<I", data)
    yield Tag("vendor", data[4 : 4 + length])
    place = 4 + length
    (count,) = unpack("<I", data, place)
    place += 4
    for _ in range(count):
        (length,) = unpack("<I", data, place)
        stop = place + 4 + length
        if stop > len(data):
            raise UnknownStructure("a comment is longer than its block")
        name, _, value = data[place + 4 : stop].partition(b"=")
        yield Tag(decoded(name), value, (decoded(value),))
        place = stop


def _pages(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield pages: the number of its stream, sizes of segments, and content."""
    place = 0
    while place < size:
        header = read_at(file, place, PAGE)
        if len(header) < PAGE or not header.startswith(b"OggS"):
            raise UnknownStructure("there is other data between its Ogg pages")
        sizes = file.read(header[26])
        length = sum(sizes)
        yield header[14:18], sizes, file.read(length)
        place += PAGE + len(sizes) + length


class _Stream:
    """The packets of a stream, whichever pages they are on.

    The sizes of segments say where packets end: if these and the content are
    the same, so are all packets.
    """

    def __init__(self) -> None:
        self._packets = [b""]
        self._sizes, self._content = hashlib.sha256(), hashlib.sha256()

    @property
    def headers(self) -> list[bytes]:
        """The first packets, of which the second can have comments."""
        return self._packets[:HEADERS]

    def add(self, sizes: bytes, content: bytes) -> None:
        """Add the segments of a page."""
        taken = start = 0
        while len(self._packets) <= HEADERS and taken < len(sizes):
            stop = start + sizes[taken]
            self._packets[-1] += content[start:stop]
            if sizes[taken] < WHOLE:
                self._packets.append(b"")
            taken, start = taken + 1, stop
        self._sizes.update(sizes[taken:])
        self._content.update(content[start:])

    def digest(self) -> bytes:
        """Return a digest of the packets after the first ones."""
        return self._sizes.digest() + self._content.digest()
