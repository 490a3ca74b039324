"""The frames of an ID3v2 tag, of versions 2.2 to 2.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import (
    Tag,
    UnknownStructure,
    decoded,
    read_at,
    split,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER = 10  # bytes
UNSYNCHRONISED, EXTENDED, FOOTER = 0x80, 0x40, 0x10  # flags of the header
# Encoding to its name, what ends a text, and the width of a character.
ENCODINGS = {
    0: ("latin-1", b"\0", 1),
    1: ("utf-16", b"\0\0", 2),
    2: ("utf-16-be", b"\0\0", 2),
    3: ("utf-8", b"\0", 1),
}
DESCRIBED = ("TXXX", "TXX")  # frames whose first text is their name


def tag_size(file: BinaryIO, start: int) -> int:
    """Return the size of the tag that begins somewhere in a file, or 0."""
    header = read_at(file, start, HEADER)
    if len(header) < HEADER or not header.startswith(b"ID3"):
        return 0
    if 0xFF in header[3:5] or max(header[6:]) > 0x7F:  # a tag for some readers
        raise UnknownStructure("an ID3v2 tag has an impossible header")
    footer = HEADER if header[5] & FOOTER else 0
    return HEADER + _synchsafe(header[6:10]) + footer


def tags(data: bytes) -> Iterator[Tag]:
    """Yield the frames of a whole tag as tags, and its version as one."""
    yield Tag("ID3 version", data[3:4])
    version, body = _body(data)
    yield from frames(version, body)


def frames(version: int, body: bytes) -> Iterator[Tag]:
    """Yield frames as tags, up to the padding.

    Parameters
    ----------
    version
        2, 3 or 4: the second number of the tag's version.
    body
        Frames with their headers.
    """
    width = 3 if version == 2 else 4  # of the id, and of the size
    head = 6 if version == 2 else 10
    while len(body) > head and body[0]:
        size = _size(version, body[width : 2 * width])
        stop = head + size
        if stop > len(body):
            raise UnknownStructure("a frame is longer than its tag")
        name = decoded(body[:width], "latin-1")
        texts = tuple(_texts(name, body[head:stop]))
        if name in DESCRIBED and texts:
            name, texts = f"TXXX:{texts[0]}", texts[1:]
        yield Tag(name, body[2 * width : stop], texts)
        body = body[stop:]


def _body(data: bytes) -> tuple[int, bytes]:
    """Return the version of a tag, and its frames."""
    version, flags = data[3], data[5]
    if version not in (2, 3, 4):
        raise UnknownStructure(f"ID3v2.{version} is not known")
    body = data[HEADER : HEADER + _synchsafe(data[6:10])]
    if version < 4 and flags & UNSYNCHRONISED:
        body = body.replace(b"\xff\x00", b"\xff")
    if version > 2 and flags & EXTENDED:
        body = body[_extended_size(version, body) :]
    return version, body


def _texts(name: str, content: bytes) -> Iterator[str]:
    if not name.startswith("T") or not content:
        return
    encoding, end, width = ENCODINGS.get(content[0], ENCODINGS[0])
    for text in split(content[1:], end, width):
        yield decoded(text, encoding).removeprefix("\ufeff")


def _size(version: int, data: bytes) -> int:
    return _synchsafe(data) if version == 4 else int.from_bytes(data, "big")


def _synchsafe(data: bytes) -> int:
    (size,) = unpack(">I", data)
    return sum((size >> 8 * n & 0x7F) << 7 * n for n in range(4))


def _extended_size(version: int, body: bytes) -> int:
    if version == 4:
        return _synchsafe(body[:4])
    return 4 + unpack(">I", body)[0]
