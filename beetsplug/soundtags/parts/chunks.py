"""WAV, AIFF and DSF: chunks, one of which can be an ID3v2 tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import (
    Parts,
    UnknownStructure,
    decoded,
    id3v2,
    read_at,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

# The outer chunk to how sizes are stored.
SIZES = {b"RIFF": "<I", b"FORM": ">I"}
TAGS = {"id3 ", "ID3 "}
AUDIO = {"data", "SSND"}


def read_iff(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a WAV or AIFF file.

    Parameters
    ----------
    file
        The file, opened for reading.
    size
        Its size in bytes.

    Raises
    ------
    UnknownStructure
        If sizes are wrong, as when a recording was cut short or streamed:
        programs then differ in where they look for the audio's end.
    """
    head = read_at(file, 0, 12)
    format_ = SIZES[head[:4]]
    stop = 8 + unpack(format_, head, 4)[0]
    if stop > size + 1:  # the padding of the last chunk may be missing
        raise UnknownStructure("the outer chunk is longer than its file")
    if stop < size - 1:  # tags put there would be amid the samples
        raise UnknownStructure("the file goes on after its outer chunk")
    stop = min(stop, size)
    parts = Parts()
    parts.add("kind", head[8:12])
    for name, first, last in _chunks(file, 12, stop, format_):
        if name in TAGS and read_at(file, first, 3) == b"ID3":
            parts.tags += id3v2.tags(read_at(file, first, last - first))
        elif name in AUDIO and last == first:
            raise UnknownStructure("the audio has no size")
        else:
            parts.add_range(name, file, first, last)
    parts.add_range("last byte", file, stop, size)
    return parts


def read_dsf(file: BinaryIO, size: int) -> Parts:
    """Read the parts of a DSF file; parameters as for :func:`read_iff`."""
    start, total, tag = unpack("<QQQ", read_at(file, 4, 24))
    stop = tag or size
    if not start <= stop <= size or total != size:
        raise UnknownStructure("its size does not match its header")
    parts = Parts()
    parts.add_range("audio", file, start, stop)
    if tag:
        parts.tags += id3v2.tags(read_at(file, tag, size - tag))
    return parts


def _chunks(
    file: BinaryIO, start: int, stop: int, format_: str
) -> Iterator[tuple[str, int, int]]:
    """Yield the names of chunks, and where their contents start and stop."""
    while stop - start >= 8:
        head = read_at(file, start, 8)
        first = start + 8
        last = first + unpack(format_, head, 4)[0]
        if last > stop:
            raise UnknownStructure("a chunk is longer than the one around it")
        yield decoded(head[:4], "latin-1"), first, last
        start = last + last % 2
