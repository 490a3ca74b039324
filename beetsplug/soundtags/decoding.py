"""File to blocks of samples: soundfile first, PyAV for what it cannot read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Path = bytes | str  # as the operating system wants it

BLOCK = 1 << 18  # samples per channel
# Beyond full scale by 40 dB: no music, and its square would overflow.
PEAK = 100.0
ANTIPHASE = 1e-3  # what a mix may keep of its channels' peak


@dataclass
class Audio:
    """A file being decoded.

    Attributes
    ----------
    rate
        Samples per second and channel, in Hz.
    blocks
        Mono float32 blocks of shape (samples,), full scale at 1.0, unclipped.
    """

    rate: int
    blocks: Iterator[np.ndarray]


def decode(path: Path) -> Audio:
    """Decode a file, down-mixed to mono by the mean of its channels.

    Damaged files give what could be read of them.

    Parameters
    ----------
    path
        An audio file in any format that libsndfile or FFmpeg reads.

    Raises
    ------
    UnreadableAudio
        If there is no such file, or neither decoder finds audio in it.
    """
    _check_regular(path)
    for decoder in (_soundfile_blocks, _av_blocks):
        audio = _first_block(decoder, path)
        if audio is not None:
            return audio
    raise UnreadableAudio("no audio in it that can be decoded")


def _check_regular(path: Path) -> None:
    # Opening a FIFO would wait for ever, so look before opening.
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise UnreadableAudio(f"cannot be opened: {reason}") from exc
    if not stat.S_ISREG(mode):
        raise UnreadableAudio("not a regular file")
    if not os.access(path, os.R_OK):
        raise UnreadableAudio("cannot be opened: no permission to read it")


def _first_block(
    decoder: Callable[[Path], Iterator[tuple[int, np.ndarray]]], path: Path
) -> Audio | None:
    """Start a decoder; None if it does not get as far as a first block."""
    decoded = decoder(path)
    rate, first = next(decoded, (0, None))
    if first is None or rate <= 0:
        return None

    def blocks() -> Iterator[np.ndarray]:
        yield _downmix(first)
        for _, block in decoded:
            yield _downmix(block)

    return Audio(rate, blocks())


def _soundfile_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    import soundfile

    # Bytes reach names that are not UTF-8; Windows wants text.
    name = os.fsdecode(path) if os.name == "nt" else os.fsencode(path)
    try:
        with soundfile.SoundFile(name) as file:
            while True:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
                if not len(block):
                    return
                yield file.samplerate, block
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        # What came before a damaged place has been yielded already.
        return


def _av_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    import av

    # An open file, never a name: names like "concat:a|b.mp3" are protocols.
    try:
        with open(path, "rb") as file, _av_open(file) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")
            for packet in container.demux(stream):
                for frame in _decode_packet(packet):
                    for part in resampler.resample(frame):
                        yield part.sample_rate, part.to_ndarray().T
    except (av.FFmpegError, OSError, ValueError):
        return


def _av_open(file: BinaryIO) -> Any:
    import av

    try:
        return av.open(file)
    except UnicodeDecodeError:
        # Before version 19, PyAV insists on tags in UTF-8 if not told better.
        file.seek(0)
        return av.open(file, metadata_errors="ignore")


def _decode_packet(packet: Any) -> list[Any]:
    import av

    try:
        frames: list[Any] = packet.decode()
    except av.FFmpegError:
        return []  # a damaged packet costs itself, not the rest
    return frames


def _downmix(block: np.ndarray) -> np.ndarray:
    """Mix (samples, channels) down to finite mono samples."""
    if not np.isfinite(block).all():
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    block = np.clip(block, -PEAK, PEAK)
    mono = block.mean(axis=1, dtype=np.float32)
    if np.abs(mono).max() < ANTIPHASE * np.abs(block).max():
        mono = block[:, 0]  # the channels cancel each other out
    return np.ascontiguousarray(mono, dtype=np.float32)
