"""MP4, whose tags are items of a list of boxes (``moov.udta.meta.ilst``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

# Boxes that have boxes in them.
CONTAINERS = {"moov", "udta", "trak", "mdia", "minf", "stbl"}
TAGS = ".moov.udta.meta"  # has boxes in it, too
# The handler that says that a list of tags follows. The library that writes
# tags adds exactly this one to a file that has none.
HANDLER = bytes(8) + b"mdirappl" + bytes(9)
LIST = Tag("MP4 list", b"")  # says that there is one
# Padding; and where in the file the samples are, which changes as they move.
IGNORED = {"free", "skip", "stco", "co64"}
FRAGMENTS = {"moof", "mvex", "mfra", "sidx"}
LARGE = 1  # instead of a size, which then follows the name in eight bytes
UTF_8, UTF_16 = 1, 2  # types of values


def read(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a file.

    Parameters
    ----------
    file
        The file, opened for reading.
    size
        Its size in bytes.

    Raises
    ------
    UnknownStructure
        If it is damaged, or in fragments, which say where samples are in
        more ways than the library that writes tags knows.
    """
    parts = Parts(has_packets=True)
    _read(file, 0, size, "", parts)
    if parts.tags.count(LIST) > 1:  # many readers know only the first
        raise UnknownStructure("it has several lists of tags")
    return parts


def _read(
    file: BinaryIO, start: int, stop: int, path: str, parts: Parts
) -> None:
    """Add the boxes in a range of the file."""
    for name, first, last in _boxes(file, start, stop):
        if name in FRAGMENTS:
            raise UnknownStructure("it is fragmented")
        where = f"{path}.{name}"
        if where == f"{TAGS}.ilst":
            parts.tags.append(LIST)
            for box, begin, end in _boxes(file, first, last):
                parts.tags.append(item(box, read_at(file, begin, end - begin)))
        elif where == f"{TAGS}.hdlr" and _is_handler(file, first, last):
            parts.tags.append(Tag("MP4 handler", HANDLER))
        elif where == TAGS:
            _read(file, first + _version_size(file, first), last, where, parts)
        elif name in CONTAINERS:
            _read(file, first, last, where, parts)
        elif name not in IGNORED:
            parts.add_range(where[1:], file, first, last)


def _is_handler(file: BinaryIO, first: int, last: int) -> bool:
    size = len(HANDLER)
    return last - first == size and read_at(file, first, size) == HANDLER


def _version_size(file: BinaryIO, first: int) -> int:
    """Return how many bytes come before the boxes: 4, or 0 as in QuickTime."""
    return 0 if read_at(file, first + 4, 4) == b"hdlr" else 4


def _boxes(
    file: BinaryIO, start: int, stop: int
) -> Iterator[tuple[str, int, int]]:
    """Yield the names of boxes, and where their contents start and stop."""
    while stop - start >= 8:
        head = read_at(file, start, 16)
        size, name = unpack(">I", head)[0], decoded(head[4:8], "latin-1")
        first = start + 8
        if size == LARGE:
            first, size = start + 16, unpack(">Q", head, 8)[0]
        end = start + size if size else stop  # 0: up to the end
        if not first <= end <= stop:
            raise UnknownStructure(f"the box {name!r} has an impossible size")
        yield name, first, end
        start = end


def item(box: str, content: bytes) -> Tag:
    """Return an item of the list, which is a box, as a tag.

    Values that are texts are decoded. The number of a genre is not one: there,
    the text is the whole item in hexadecimal.
    """
    words: dict[str, str] = {}
    texts: list[str] = []
    place = 0
    while place + 8 <= len(content):
        (size,) = unpack(">I", content, place)
        kind = decoded(content[place + 4 : place + 8], "latin-1")
        inner = content[place + 8 : place + max(size, 8)]
        if kind == "data" and len(inner) >= 8:
            (type_,) = unpack(">I", inner)
            encoding = "utf-16-be" if type_ == UTF_16 else "utf-8"
            texts.append(decoded(inner[8:], encoding))
        else:
            words[kind] = decoded(inner[4:])
        place += max(size, 8)
    name = box
    if box == "----":
        name = f"----:{words.get('mean', '')}:{words.get('name', '')}"
    if box == "gnre":
        texts = [(box.encode() + content).hex()]
    return Tag(name, content, tuple(texts))
