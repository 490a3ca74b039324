"""ASF (WMA), whose tags are in four kinds of objects of its header."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from beetsplug.soundtags.parts import (
    Parts,
    Tag,
    UnknownStructure,
    decoded,
    read_at,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def _id(text: str) -> bytes:
    return UUID(text).bytes_le


HEADER = _id("75b22630-668e-11cf-a6d9-00aa0062ce6c")
EXTENSION = _id("5fbf03b5-a92e-11cf-8ee3-00c00c205365")
CONTENT = _id("75b22633-668e-11cf-a6d9-00aa0062ce6c")
EXTENDED_CONTENT = _id("d2d0a440-e307-11d2-97f0-00a0c95ea850")
METADATA = _id("c5f8cbea-5baf-4877-8467-aa8c44fa4cca")
METADATA_LIBRARY = _id("44231c94-9498-49d1-a141-1d134e457054")
FILE = _id("8cabdca1-a947-11cf-8ee4-00c00c205365")
PADDING = _id("1806d474-cadf-4509-a4ba-9aabcb96aae8")
FIXED = ("Title", "Author", "Copyright", "Description", "Rating")
UNICODE, BYTES = 0, 1  # types of values; all others are whole numbers


def read(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a file.

    Parameters
    ----------
    file
        The file, opened for reading.
    size
        Its size in bytes.
    """
    head = read_at(file, 0, 30)
    (length,) = unpack("<Q", head, 16)
    if not 30 <= length <= size:
        raise UnknownStructure("the header is longer than its file")
    parts = Parts(has_packets=True)
    _read(read_at(file, 30, length - 30), parts)
    parts.add_range("audio", file, length, size)
    return parts


def _read(data: bytes, parts: Parts) -> None:
    """Add the objects of a header, or of its extension."""
    place = 0
    while place + 24 <= len(data):
        kind = data[place : place + 16]
        (size,) = unpack("<Q", data, place + 16)
        if not 24 <= size <= len(data) - place:
            raise UnknownStructure("an object is longer than its header")
        content = data[place + 24 : place + size]
        place += size
        if kind in TAGS:
            parts.tags += TAGS[kind](content)
        elif kind == EXTENSION:
            _read(content[22:], parts)
        elif kind == FILE:  # it has the size of the file
            parts.add("properties", content[:16] + content[24:])
        elif kind != PADDING:
            parts.add(str(UUID(bytes_le=kind)), content)


def _content(data: bytes) -> Iterator[Tag]:
    place = 10
    for name, length in zip(FIXED, unpack("<5H", data)):
        if length:
            yield _tag(name, UNICODE, data[place : place + length])
        place += length


def _extended_content(data: bytes) -> Iterator[Tag]:
    (count,) = unpack("<H", data)
    place = 2
    for _ in range(count):
        (length,) = unpack("<H", data, place)
        name = data[place + 2 : place + 2 + length]
        place += 2 + length
        kind, length = unpack("<HH", data, place)
        yield _tag(_text(name), kind, data[place + 4 : place + 4 + length])
        place += 4 + length


def _metadata(data: bytes) -> Iterator[Tag]:
    (count,) = unpack("<H", data)
    place = 2
    for _ in range(count):
        _, stream, length, kind, size = unpack("<HHHHI", data, place)
        place += 12
        name = _text(data[place : place + length])
        place += length
        suffix = f" of stream {stream}" if stream else ""
        yield _tag(name + suffix, kind, data[place : place + size])
        place += size


def _tag(name: str, kind: int, value: bytes) -> Tag:
    """Return a tag; one value can be stored in several ways."""
    if kind == UNICODE:
        text = _text(value)
        return Tag(name, text.encode(errors="surrogatepass"), (text,))
    if kind == BYTES:
        return Tag(name, value)
    return Tag(name, str(int.from_bytes(value, "little")).encode())


def _text(data: bytes) -> str:
    return decoded(data, "utf-16-le").rstrip("\0")


TAGS = {
    CONTENT: _content,
    EXTENDED_CONTENT: _extended_content,
    METADATA: _metadata,
    METADATA_LIBRARY: _metadata,
}
