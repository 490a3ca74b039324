"""Decoding with libsndfile, by way of soundfile."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from soundtags.audio.chains import find_streams
from soundtags.audio.limits import (
    MAX_SAMPLES_PER_BYTE,
    block_length,
    check_plausible,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from soundtags.types import Path

# By libsndfile's names: formats made up of frames, which more frames may
# follow, and formats made up of chunks.
FRAMES = {"MP3", "FLAC", "OGG"}
CHUNKS = {"WAV", "WAVEX", "AIFF"}
# Formats with exact seeking: containers, and how the names of the codecs
# inside them start.
CONTAINERS = {"WAV", "WAVEX", "AIFF", "FLAC", "OGG"}
CODECS = ("PCM", "FLOAT", "DOUBLE", "VORBIS", "OPUS")

TAGS = 4096  # bytes after the audio that need not be looked at
# How a chunk begins, perhaps after a byte of padding: with its name and size.
# Chunks with the two excluded names are files of their own. Tags like those of
# MP3 may come between chunks.
CHUNK = re.compile(rb"\0?(?!RIFF|FORM)[ -~]{4}(.{4})", re.DOTALL)
ID3 = re.compile(rb"\0?ID3[\2-\4].{2}([\0-\x7f]{4})", re.DOTALL)
APE = re.compile(rb"\0?APETAGEX.{4}(.{4}).{16}", re.DOTALL)
LONGEST = 33  # bytes that one of these may take
MAX_CHUNKS = 1000  # that follow the samples


class Incomplete(Exception):
    """Raised when libsndfile has not read a file to its end.

    Attributes
    ----------
    seconds
        Duration of what it has read.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@cache
def installed() -> bool:
    """Return whether soundfile is installed, and finds libsndfile."""
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def read_blocks(
    path: Path, faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a file with libsndfile, which stops where the format changes.

    Parameters
    ----------
    path
        An audio file.
    faults
        Gets a line if there are further samples, which no decoder reads.

    Yields
    ------
    rate
        Sample rate in Hz.
    block
        Samples, float32, shape (samples, channels).

    Raises
    ------
    Incomplete
        If FFmpeg may read more.
    UnreadableAudio
        If the file has an absurd sample rate or number of channels.
    """
    import soundfile

    seconds = 0.0
    try:
        with _opened(path) as (sound, file):
            length = block_length(sound.channels)
            while True:
                block = sound.read(length, dtype="float32", always_2d=True)
                seconds += len(block) / sound.samplerate
                if len(block):
                    yield sound.samplerate, block
                # After a short block, samples may be of another format.
                if len(block) < length and _is_cut(sound, file):
                    raise Incomplete(seconds)
                if not len(block):
                    break
            if seconds and _outruns_header(sound, file):
                faults.append(
                    f"its header says {seconds:.1f} s, but"
                    f" {_unread(file)} more bytes follow"
                )
    except (soundfile.SoundFileError, OSError, TypeError, ValueError) as exc:
        raise Incomplete(seconds) from exc  # of what came before the damage
    if not seconds:
        raise Incomplete(seconds)


def extent(path: Path) -> tuple[int, int]:
    """Return sample rate and length of a file with exact seeking.

    Parameters
    ----------
    path
        An audio file.

    Returns
    -------
    rate
        Sample rate in Hz; 0 if the file has to be read from the start.
    length
        Samples per channel; 0 likewise.

    Raises
    ------
    UnreadableAudio
        If the file has an absurd sample rate or number of channels.
    """
    import soundfile

    try:
        with _opened(path) as (sound, file):
            if _is_seekable(sound, file):
                return sound.samplerate, sound.frames
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        pass  # the decoders report it
    return 0, 0


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """Open a file; its position tells how far libsndfile has read."""
    with (
        open(path, "rb", buffering=0) as file,
        _sound_file(path, file) as sound,
    ):
        check_plausible(sound.samplerate, sound.channels)
        yield sound, file


def _sound_file(path: Path, file: BinaryIO) -> Any:
    import soundfile

    windows = os.name == "nt"  # where libraries do not share descriptors
    try:
        source = file if windows else file.fileno()
        return soundfile.SoundFile(source, closefd=False)
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        # A few formats are recognised only by the names of their files.
        file.seek(0, os.SEEK_END)
        # Bytes allow names that are not UTF-8; Windows takes text.
        name = os.fsdecode(path) if windows else os.fsencode(path)
        return soundfile.SoundFile(name)


def _is_seekable(sound: Any, file: BinaryIO) -> bool:
    size = os.fstat(file.fileno()).st_size
    if (
        sound.format not in CONTAINERS
        or not sound.subtype.startswith(CODECS)
        or sound.frames > size * MAX_SAMPLES_PER_BYTE
    ):
        return False
    if sound.format in FRAMES:
        return len(find_streams(file)) == 1
    sound.seek(0, os.SEEK_END)
    return not _outruns_header(sound, file)


def _is_cut(sound: Any, file: BinaryIO) -> bool:
    """Return whether FFmpeg may find more where libsndfile has stopped."""
    if _unread(file) <= TAGS:
        return False
    position = file.tell()
    cut = sound.format in FRAMES or len(find_streams(file)) > 1
    file.seek(position)
    return cut


def _outruns_header(sound: Any, file: BinaryIO) -> bool:
    """Return whether samples follow where the header says they end."""
    if sound.format not in CHUNKS or _unread(file) <= TAGS:
        return False
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    big = file.read(4) in (b"FORM", b"RIFX")
    end: int | None = position
    for _ in range(MAX_CHUNKS):
        if end is None or end >= size - TAGS:
            break
        file.seek(end)
        end = _chunk_end(file, "big" if big else "little")
    file.seek(position)
    # Samples may look like a chunk's name, but hardly with a size that fits.
    return end is None or not size - TAGS <= end <= size


def _chunk_end(file: BinaryIO, order: Literal["big", "little"]) -> int | None:
    """Return where the chunk that starts here ends; None if none does."""
    start = file.tell()
    header = file.read(LONGEST)
    if match := APE.match(header):
        size = int.from_bytes(match[1], "little")
    elif match := ID3.match(header):
        size = 0
        for byte in match[1]:
            size = size << 7 | byte
    elif match := CHUNK.match(header):
        size = int.from_bytes(match[1], order)
    else:
        return None
    return start + match.end() + size


def _unread(file: BinaryIO) -> int:
    """Return how many bytes follow, not counting an APE tag."""
    position = file.tell()
    ape = APE.match(file.read(LONGEST))
    size = file.seek(0, os.SEEK_END) - position
    file.seek(position)
    if ape:
        size -= ape.end() + int.from_bytes(ape[1], "little")
    return size
