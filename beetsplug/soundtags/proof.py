"""Proof that a written copy has our tags, and all else that its file has.

The library that writes tags has no part in it: what is in the files is read by
:mod:`beetsplug.soundtags.parts`, and packets of audio by FFmpeg.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING

from beetsplug.soundtags.parts import UnknownStructure
from beetsplug.soundtags.parts.reading import read_parts
from soundtags.errors import UnwritableTags

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from beetsplug.soundtags.parts import Parts, Tag

    # The names that a tag can have to the texts that it has, or is to have.
    Expected = Mapping[frozenset[str], Collection[str]]

# What the library that writes tags may add.
ADDED = {"VENDOR", "ID3 VERSION", "MP4 HANDLER", "MP4 LIST"}


def examine(path: str) -> Parts:
    """Return what is in a file, before its tags are written or after.

    Raises
    ------
    UnwritableTags
        If the structure of the file is not as its format demands.
    OSError
        If it cannot be read.
    """
    try:
        parts = read_parts(path)
        if parts.has_packets:
            parts.rest.append(("packets", _packets(path)))
    except UnknownStructure as exc:
        raise UnwritableTags(
            f"tags not written: it could damage the file, as {exc}"
        ) from exc
    return parts


def check_read(parts: Parts, read: Expected) -> None:
    """Check that the library that writes tags has read those it replaces.

    Parameters
    ----------
    parts
        What is in the file.
    read
        For the names of each tag, in capitals, the texts that were read.

    Raises
    ------
    UnwritableTags
        If no text was read of a tag that has some: undo could not restore
        what was not read.
    """
    for tag in parts.tags:
        for names, texts in read.items():
            if tag.name.upper() in names and any(tag.texts) and not texts:
                raise UnwritableTags(
                    f"tags not written: its {tag.name} tag cannot be read"
                )


def check_copy(before: Parts, after: Parts, expected: Expected) -> None:
    """Check a copy of a file whose tags have been written.

    Parameters
    ----------
    before
        What is in the file.
    after
        What is in the copy.
    expected
        The tags that were written: for the names of each, in capitals, the
        texts that are to be there. Without texts, there is to be no such tag.

    Raises
    ------
    UnwritableTags
        If anything in the file is missing or different in the copy, or our
        tags are not as they should be.
    """
    rest, then = Counter(before.rest), Counter(after.rest)
    if damaged := [*(rest - then), *(then - rest)]:
        raise UnwritableTags(
            "tags not written: the tag library would change its"
            f" {damaged[0][0].strip()}"
        )
    ours = frozenset().union(*expected)
    lost = _others(before.tags, ours) - _others(after.tags, ours)
    new = _others(after.tags, ours) - _others(before.tags, ours)
    changed = [*lost, *(tag for tag in new if tag[0].upper() not in ADDED)]
    if changed:
        raise UnwritableTags(
            "tags not written: the tag library would change other tags:"
            f" {', '.join(sorted({name for name, _ in changed}))}"
        )
    for names, texts in expected.items():
        if not _has(after.tags, names, texts):
            raise UnwritableTags(
                "tags not written: the tag library did not write"
                f" {', '.join(sorted(names))} correctly"
            )


def _packets(path: str) -> bytes:
    """Return a digest of all packets, as FFmpeg finds them."""
    import av

    from soundtags.audio.chains import Part
    from soundtags.audio.ffmpeg import open_container

    digest, places, size = hashlib.sha256(), [], 0
    try:
        with (
            open(path, "rb") as file,
            open_container(Part(file, 0, os.path.getsize(path))) as container,
        ):
            for packet in container.demux():
                digest.update(packet)
                places.append(
                    (packet.stream_index, packet.pts, packet.duration)
                )
                size += packet.size
    except av.error.FFmpegError as exc:  # where the file is damaged
        digest.update(type(exc).__name__.encode())
    if not size:
        raise UnknownStructure("no audio is found in it")
    digest.update(repr(places).encode())
    return digest.digest()


def _others(
    tags: Iterable[Tag], ours: Collection[str]
) -> Counter[tuple[str, bytes]]:
    return Counter(
        (tag.name, tag.content) for tag in tags if tag.name.upper() not in ours
    )


def _has(
    tags: Iterable[Tag], names: Collection[str], texts: Collection[str]
) -> bool:
    """Return whether tags of these names have some texts.

    Without texts, no such tag may have any. In ID3v2.3, several texts can be
    stored as one, with slashes between them.
    """
    found = [tag for tag in tags if tag.name.upper() in names]
    if not texts:
        return not any(filter(None, (t for tag in found for t in tag.texts)))
    values = {text for tag in found for text in tag.texts}
    return {*texts} <= values or "/".join(texts) in values
