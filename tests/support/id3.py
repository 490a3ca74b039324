"""ID3v2 tags, made and read without the library that the plugin uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.audio import MADE

if TYPE_CHECKING:
    from pathlib import Path


def sized(size: int, bits: int = 7) -> bytes:
    """Return a size as four bytes that each hold some of its bits."""
    mask = (1 << bits) - 1
    return bytes(size >> bits * place & mask for place in (3, 2, 1, 0))


def id3_tag(
    version: int,
    frames: list[tuple[str, bytes]],
    bits: int,
    flags: int = 0,
    padding: bytes = bytes(500),
) -> bytes:
    """Return an ID3v2 tag of frames, each with its flags and its content."""
    body = b"".join(
        name.encode() + sized(len(frame) - 2, bits) + frame
        for name, frame in frames
    )
    body += padding
    return b"ID3" + bytes([version, 0, flags]) + sized(len(body)) + body


def tagged(path: Path, tag: bytes) -> None:
    """Make an MP3 file with a tag."""
    MADE["mp3"](path)
    path.write_bytes(tag + path.read_bytes())


LONG = [
    ("TIT2", b"\0\0\3title"),
    ("APIC", b"\0\0\0image/png\0\3\0" + bytes(range(256)) * 4),
    ("TPE1", b"\0\0\3artist"),
]


def frames_of(path: Path) -> dict[str, list[bytes]]:
    """Return the frames of an ID3v2 tag, as the standards define them."""
    content = path.read_bytes()

    def number(data: bytes, bits: int) -> int:
        return sum(byte << bits * n for n, byte in enumerate(data[::-1]))

    body, found = content[10 : 10 + number(content[6:10], 7)], {}
    while len(body) > 10 and body[0]:
        length = number(body[4:8], 7 if content[3] == 4 else 8)
        found.setdefault(body[:4].decode(), []).append(body[8 : 10 + length])
        body = body[10 + length :]
    assert not any(body)
    return found


def id3v1() -> bytes:
    """Return an ID3v1 tag whose genre is jazz."""
    return b"TAG" + b"old title".ljust(124, b"\0") + bytes([8])
