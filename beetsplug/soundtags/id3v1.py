"""Keeps ID3v1 tags, which the library that writes tags would replace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from mutagen.apev2 import APEv2File
from mutagen.mp3 import MP3

from beetsplug.soundtags.parts import no_container

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def set_aside(path: str, file: Any) -> Iterator[None]:
    """Take ID3v1 tags off a file while the library saves its other tags.

    In an MP3 file, it would fill them with what little it knows. In those
    that have APE tags, it would drop them, or put its own tag behind them.

    Parameters
    ----------
    path
        The file.
    file : mutagen.FileType
        The same file, opened. In formats other than these, nothing happens.
    """
    kept = b""
    if isinstance(file, (MP3, APEv2File)):
        with open(path, "r+b") as stream:
            kept = _cut(stream)
    yield
    if kept:
        with open(path, "ab") as stream:
            stream.write(kept)


def _cut(stream: BinaryIO) -> bytes:
    """Cut all ID3v1 tags off the end of a file, and return them."""
    kept, stop = b"", stream.seek(0, 2)
    while last := no_container.id3v1(stream, 0, stop):
        kept, stop = last + kept, stop - len(last)
    stream.truncate(stop)
    return kept
