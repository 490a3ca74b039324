"""FLAC and Ogg, whose tags are Vorbis comments."""

from __future__ import annotations

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
    for stream, number, packet in _packets(file, size):
        start = next(filter(packet.startswith, COMMENTS), None)
        if number == 1 and start:
            parts.tags += comments(packet[len(start) :])
        else:
            parts.add(f"packet {number} of stream {stream}", packet)
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


def _packets(file: BinaryIO, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield packets, each with the numbers of its stream and of itself."""
    counts: dict[bytes, int] = {}  # by serial number of the stream
    begun: dict[bytes, bytes] = defaultdict(bytes)
    place = 0
    while place < size:
        header = read_at(file, place, PAGE)
        if len(header) < PAGE or not header.startswith(b"OggS"):
            raise UnknownStructure("there is other data between its Ogg pages")
        serial = header[14:18]
        lacing = file.read(header[26])
        body = file.read(sum(lacing))
        start = 0
        for length in lacing:
            begun[serial] += body[start : start + length]
            start += length
            if length < WHOLE:
                number = counts.setdefault(serial, 0)
                yield [*counts].index(serial), number, begun.pop(serial)
                counts[serial] += 1
        place += PAGE + len(lacing) + sum(lacing)
    for stream, (serial, packet) in enumerate(begun.items()):
        yield stream, counts.get(serial, 0), packet
