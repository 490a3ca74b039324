"""What a file consists of, read without the library that writes tags.

Tags are compared before and after they are written, so this reads just enough
of each format to tell one tag from another, and tags from everything else.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

BLOCK = 1 << 20  # bytes read at a time


class UnknownStructure(Exception):
    """The file is not as its format demands."""


@dataclass(frozen=True)
class Tag:
    """One tag of a file.

    Attributes
    ----------
    name : str
        Name, as the format has it, such as ``TXXX:MOOD`` or ``GENRE``.
    content : bytes
        The value as it is stored.
    texts : tuple of str
        The values, if they are texts.
    """

    name: str
    content: bytes
    texts: tuple[str, ...] = ()


@dataclass
class Parts:
    """All that is in a file.

    Attributes
    ----------
    tags : list of Tag
        Its tags.
    rest : list of (str, bytes)
        Name and digest of everything else; padding is left out.
    has_packets : bool
        Whether the packets of audio that FFmpeg finds are part of the proof,
        as changed tags could make it find other packets.
    """

    tags: list[Tag] = field(default_factory=list)
    rest: list[tuple[str, bytes]] = field(default_factory=list)
    has_packets: bool = False

    def add(self, name: str, content: bytes) -> None:
        """Add a part that is not a tag."""
        self.rest.append((name, hashlib.sha256(content).digest()))

    def add_range(
        self, name: str, file: BinaryIO, start: int, stop: int
    ) -> None:
        """Add a range of the file that is not a tag."""
        digest = hashlib.sha256()
        file.seek(start)
        while start < stop:
            block = file.read(min(BLOCK, stop - start))
            if not block:
                raise UnknownStructure(f"{name} ends too early")
            digest.update(block)
            start += len(block)
        self.rest.append((name, digest.digest()))


def read_at(file: BinaryIO, place: int, size: int) -> bytes:
    """Return some bytes of a file; fewer if it ends before that."""
    file.seek(place)
    return file.read(size)


def unpack(format_: str, data: bytes, place: int = 0) -> tuple[int, ...]:
    """Return whole numbers from some bytes.

    Raises
    ------
    UnknownStructure
        If there are too few bytes.
    """
    try:
        return struct.unpack_from(format_, data, place)
    except struct.error as exc:
        raise UnknownStructure("a number in it is cut off") from exc


def decoded(data: bytes, encoding: str = "utf-8") -> str:
    """Return a text, whatever its bytes are."""
    return data.decode(encoding, "backslashreplace")


def split(data: bytes, end: bytes, width: int = 1) -> Iterable[bytes]:
    """Split texts at their end marks, at multiples of a character's width."""
    start = 0
    for place in range(0, len(data) - width + 1, width):
        if data[place : place + width] == end:
            yield data[start:place]
            start = place + width
    yield data[start:]
