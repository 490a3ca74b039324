"""Files without a container: MP3, Monkey's Audio, Musepack and WavPack.

Any tags are at the ends: ID3v2 at the start, APEv2 and ID3v1 at the end.
"""

from __future__ import annotations

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

ID3V1 = 128  # bytes
APE = b"APE"  # in "APETAGEX", the header of APEv2 tags
FOOTER = 32  # bytes
HAS_HEADER = 1 << 31
READ_ONLY = 1  # a flag that says nothing about the value
# Signatures of formats in which a tag after the audio can end up in a packet:
# Musepack (two) and WavPack.
PACKETS = (b"MPCK", b"MP+", b"wvpk")
# Monkey's Audio: its two signatures, and the first version whose header has
# the sizes of all that is in the file.
MONKEYS_AUDIO = (b"MAC ", b"MACF")
SIZED = 3980
SLACK = 16  # bytes that may be missing at its end: too few to hold any audio


def read(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a file.

    Parameters
    ----------
    file
        The file, opened for reading.
    size
        Its size in bytes.
    """
    parts = Parts()
    start, stop = id3v2.tag_size(file, 0), size
    if start:
        parts.tags += id3v2.tags(read_at(file, 0, start))
    last = id3v1(file, start, stop)
    if last:
        parts.add("ID3v1", last)
        stop -= ID3V1
    footer = read_at(file, max(stop - FOOTER, 0), FOOTER)
    if footer.startswith(b"APETAGEX"):
        length, count, flags = unpack("<III", footer, 12)
        first = stop - length
        if first < start:
            raise UnknownStructure("an APE tag is longer than its file")
        parts.tags += _items(read_at(file, first, length - FOOTER), count)
        stop = first - (FOOTER if flags & HAS_HEADER else 0)
    # In these, whatever follows truncated audio passes for more audio.
    signature = read_at(file, start, 4)
    parts.has_packets = signature.startswith(PACKETS)
    if signature in MONKEYS_AUDIO:
        _check_complete(read_at(file, start, 36), stop - start)
    parts.add_range("audio", file, start, stop)
    return parts


def _check_complete(header: bytes, size: int) -> None:
    """Check that Monkey's Audio has all that its header says.

    Its last packet ends where the file does, so there is no comparing packets.
    """
    (version,) = unpack("<H", header, 4)
    if version < SIZED:
        raise UnknownStructure("old Monkey's Audio does not say where it ends")
    # Header, seek table, header of a WAV file, audio (two halves), its trailer.
    *sizes, low, high, trailer = unpack("<7I", header, 8)
    if sum(sizes) + low + (high << 32) + trailer > size + SLACK:
        raise UnknownStructure("it is cut off")


def id3v1(file: BinaryIO, start: int, stop: int) -> bytes:
    """Return the ID3v1 tag at the end of a range, or nothing."""
    if stop - start < ID3V1:
        return b""
    last = read_at(file, stop - ID3V1, ID3V1)
    before = read_at(file, max(stop - ID3V1 - len(APE), 0), len(APE))
    return last if last.startswith(b"TAG") and before != APE else b""


def _items(data: bytes, count: int) -> Iterator[Tag]:
    place = 0
    for _ in range(count):
        length, flags = unpack("<II", data, place)
        name_end = data.find(b"\0", place + 8)
        stop = name_end + 1 + length
        if name_end < 0 or stop > len(data):
            raise UnknownStructure("an item is longer than its APE tag")
        value = data[name_end + 1 : stop]
        kind = flags & ~READ_ONLY & ~HAS_HEADER
        texts = tuple(map(decoded, value.split(b"\0"))) if not kind else ()
        name = decoded(data[place + 8 : name_end])
        yield Tag(name, bytes([kind & 0xFF]) + value, texts)
        place = stop
