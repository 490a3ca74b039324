"""The frames of an ID3v2 tag, of versions 2.2 to 2.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import (
    Tag,
    UnknownStructure,
    decoded,
    read_at,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER = 10  # bytes
UNSYNCHRONISED, EXTENDED, FOOTER = 0x80, 0x40, 0x10  # flags of the header
# Version to the width of a frame's id, which is also that of its size.
WIDTHS = {2: 3, 3: 4, 4: 4}
HEADS = {2: 6, 3: 10, 4: 10}  # sizes of the headers of frames
# Flags of frames of ID3v2.4.
FRAME_UNSYNCHRONISED, FRAME_LENGTH = 0x02, 0x01
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
    return HEADER + _number(header[6:10]) + footer


def tags(data: bytes) -> Iterator[Tag]:
    """Yield the frames of a whole tag, and its version, as tags.

    Raises
    ------
    UnknownStructure
        If there is more in it than frames and padding, as that would be lost.
    """
    yield Tag("ID3 version", data[3:4])
    version, body = _body(data)
    yield from frames(version, body, bool(data[5] & UNSYNCHRONISED))


def frames(
    version: int, body: bytes, unsynchronised: bool = False
) -> Iterator[Tag]:
    """Yield frames as tags, up to the padding.

    Contents are as they were before they were unsynchronised. Frames without
    any content are left out, as the standards do not allow them and libraries
    drop them.

    Parameters
    ----------
    version
        2, 3 or 4: the second number of the tag's version.
    body
        Frames with their headers.
    unsynchronised
        Whether the header of the tag says that frames are unsynchronised.
    """
    start = 0
    for stop in _find_stops(version, body):
        if stop - start > HEADS[version]:
            yield _tag(version, body[start:stop], unsynchronised)
        start = stop


def _find_stops(version: int, body: bytes) -> list[int]:
    """Return where frames stop."""
    # Old versions of iTunes used all bits of sizes, in ID3v2.4 too.
    for bits in (7, 8) if version == 4 else (8,):
        stops = _stops(version, body, bits)
        if stops is not None:
            return stops
    raise UnknownStructure("its ID3v2 tag is not just frames and padding")


def _stops(version: int, body: bytes, bits: int) -> list[int] | None:
    """Return where frames stop, if sizes use this many bits of each byte.

    Returns
    -------
    list of int or None
        None if frames and padding do not fill the tag: if the size of a long
        frame is misread, neither a frame nor zeros seem to follow it.
    """
    width, head = WIDTHS[version], HEADS[version]
    stops, start = [], 0
    while any(body[start : start + 1]):
        size = body[start + width : start + 2 * width]
        start += head + _number(size, bits)
        if start > len(body) or max(size) >> bits:
            return None
        stops.append(start)
    return None if any(body[start:]) else stops


def _tag(version: int, frame: bytes, unsynchronised: bool) -> Tag:
    """Return a frame as a tag."""
    width, head = WIDTHS[version], HEADS[version]
    name = decoded(frame[:width], "latin-1")
    flags, content = frame[2 * width : head], frame[head:]
    text = content
    if version == 4:
        if unsynchronised or flags[1] & FRAME_UNSYNCHRONISED:
            content = content.replace(b"\xff\x00", b"\xff")
        text = content[4:] if flags[1] & FRAME_LENGTH else content
        flags = bytes([flags[0], flags[1] & ~FRAME_UNSYNCHRONISED])
    texts = tuple(_texts(name, text))
    if name in DESCRIBED and texts:
        name, texts = f"TXXX:{texts[0]}", texts[1:]
    return Tag(name, flags + content, texts)


def _body(data: bytes) -> tuple[int, bytes]:
    """Return the version of a tag, and its frames."""
    version, flags = data[3], data[5]
    if version not in WIDTHS:
        raise UnknownStructure(f"ID3v2.{version} is not known")
    stop = HEADER + _number(data[6:10])
    if flags & FOOTER:
        raise UnknownStructure("its ID3v2 tag has a footer")
    if any(data[stop:]):
        raise UnknownStructure("something follows its ID3v2 tag")
    body = data[HEADER:stop]
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


def _number(data: bytes, bits: int = 7) -> int:
    """Return a number that is stored in the lower bits of each byte."""
    return sum(
        byte << bits * place for place, byte in enumerate(reversed(data))
    )


def _extended_size(version: int, body: bytes) -> int:
    if version == 4:
        return _number(body[:4])
    return 4 + _number(body[:4], 8)
