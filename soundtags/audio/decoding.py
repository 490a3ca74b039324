"""Decoding: from files to samples, with libsndfile and FFmpeg (PyAV).

What one of them cannot read, the other often can. Segments are read with PyAV,
because one in ten of libsndfile's seeks in Vorbis lands 10 to 20 ms off; so is
Opus, which takes PyAV a third of libsndfile's time.
"""

from __future__ import annotations

import os
import stat
import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from soundtags.types import Path

BLOCK = 1 << 18  # samples per channel
# 40 dB above full scale: this is no music, and its square would overflow.
PEAK = 100.0
# Below this share of the channels' peak, a mix has cancelled out.
ANTIPHASE = 1e-3

# Formats with exact seeking, by libsndfile's names: containers, and how the
# names of the codecs inside them start.
CONTAINERS = {"WAV", "WAVEX", "AIFF", "FLAC", "OGG"}
CODECS = ("PCM", "FLOAT", "DOUBLE", "VORBIS", "OPUS")
OPUS = b"OpusHead"  # starts an Opus stream, after the header of an Ogg page
PAGE_HEADER = 28  # bytes
PREROLL = 1 / 8  # seconds in which decoders settle; Opus needs 80 ms
JITTER = 4096  # samples by which time stamps may be wrong after a seek


@dataclass
class Audio:
    """Audio that arrives block by block, as from a file being decoded.

    Attributes
    ----------
    rate
        Sample rate in Hz.
    blocks
        Mono float32 blocks, shape (samples,); full scale is 1.0, not clipped.
    """

    rate: int
    blocks: Iterator[np.ndarray]

    def __post_init__(self) -> None:
        self._start = 0  # of what is buffered
        self._buffered = np.zeros(0, np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from start to stop, fewer at the end.

        Samples before the start are dropped, and cannot be read again.
        """
        parts, end = [self._buffered], self._start + len(self._buffered)
        while end < stop and (block := next(self.blocks, None)) is not None:
            parts.append(block)
            end += len(block)
        skipped = max(0, start - self._start)
        self._buffered = np.concatenate(parts)[skipped:]
        self._start = min(start, end)
        return self._buffered[: stop - start]


class Seekable:
    """A file that is read segment by segment.

    Parameters
    ----------
    container
        The file, opened with PyAV.
    rate
        Sample rate in Hz.
    length
        Samples per channel.
    """

    def __init__(self, container: Any, rate: int, length: int) -> None:
        self.rate = rate
        self.length = length
        self._container = container

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from start to stop, fewer at the end.

        Raises
        ------
        UnreadableAudio
            If this part of the file is damaged.
        """
        import av

        try:
            begin, block = self._around(start, stop)
        except (av.FFmpegError, TypeError, ValueError) as exc:
            raise UnreadableAudio(f"seeking failed: {exc}") from exc
        if begin > start:
            raise UnreadableAudio("seeking failed: a part is missing")
        return _downmix(block)[start - begin : stop - begin]

    def _around(self, start: int, stop: int) -> tuple[int, np.ndarray]:
        """Decode a segment and what surrounds it; return start and samples."""
        stream = self._container.streams.audio[0]
        # FFmpeg cannot seek to the last frames of FLAC.
        target = min(start - int(PREROLL * self.rate), self.length - self.rate)
        self._container.seek(max(0, target), stream=stream)
        begins, blocks, count = [], [], 0
        for frame, block in _frames(self._container.demux(stream)):
            begins.append(frame.pts - count)
            blocks.append(block)
            count += len(block)
            if frame.pts + len(block) >= stop + JITTER:
                break
        # A few time stamps are wrong in Vorbis; most of them are right.
        return statistics.mode(begins), np.concatenate(blocks)


@contextmanager
def seekable(path: Path) -> Iterator[Seekable | None]:
    """Open a file for reading segments.

    Parameters
    ----------
    path
        An audio file.

    Yields
    ------
    Seekable or None
        None if the format has no exact seeking, or the length is unknown.

    Raises
    ------
    UnreadableAudio
        If there is no such file.
    """
    _check_regular(path)
    with ExitStack() as stack:
        yield _open_seekable(path, stack)


def _open_seekable(path: Path, stack: ExitStack) -> Seekable | None:
    import av

    rate, length = _extent(path)
    if not length:
        return None
    try:
        file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
        container = stack.enter_context(_av_open(file))
    except (av.FFmpegError, OSError, ValueError):
        return None
    (stream, *_) = container.streams.audio or [None]
    if stream is None or stream.time_base != Fraction(1, rate):
        return None
    return Seekable(container, rate, length)


def _extent(path: Path) -> tuple[int, int]:
    """Return sample rate and length; zeros if seeking is not exact."""
    import soundfile

    try:
        with soundfile.SoundFile(_sndfile_name(path)) as file:
            known = file.format in CONTAINERS and file.frames < 2**62
            if known and file.subtype.startswith(CODECS):
                return file.samplerate, file.frames
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        pass  # the decoders report it
    return 0, 0


def decode(path: Path) -> Audio:
    """Decode a file and mix it down to mono: the mean of its channels.

    Of a damaged file, everything that can be decoded is returned.

    Parameters
    ----------
    path
        An audio file in any format that libsndfile or FFmpeg reads.

    Returns
    -------
    Audio
        Decoded lazily, block by block.

    Raises
    ------
    UnreadableAudio
        If there is no such file, or neither decoder finds audio in it.

    References
    ----------
    Essentia's ``MonoLoader`` (without its resampling).
    """
    _check_regular(path)
    decoders = [_soundfile_blocks, _av_blocks]
    for decoder in reversed(decoders) if _is_opus(path) else decoders:
        audio = _first_block(decoder, path)
        if audio is not None:
            return audio
    raise UnreadableAudio("no audio in it that can be decoded")


def _check_regular(path: Path) -> None:
    # Opening a FIFO would block for ever, so check first.
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise UnreadableAudio(f"cannot be opened: {reason}") from exc
    if not stat.S_ISREG(mode):
        raise UnreadableAudio("not a regular file")
    if not os.access(path, os.R_OK):
        raise UnreadableAudio("cannot be opened: permission denied")


def _is_opus(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return OPUS in file.read(PAGE_HEADER + len(OPUS))
    except OSError as exc:
        raise UnreadableAudio(f"cannot be opened: {exc.strerror}") from exc


def _first_block(
    decoder: Callable[[Path], Iterator[tuple[int, np.ndarray]]], path: Path
) -> Audio | None:
    """Start a decoder; return None if it does not reach a first block."""
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

    try:
        with soundfile.SoundFile(_sndfile_name(path)) as file:
            while True:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
                if not len(block):
                    return
                yield file.samplerate, block
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        return  # what came before the damage has been yielded


def _sndfile_name(path: Path) -> Path:
    # Bytes allow names that are not UTF-8; Windows takes text.
    return os.fsdecode(path) if os.name == "nt" else os.fsencode(path)


def _av_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    import av

    # Pass an open file: FFmpeg takes names like "concat:a|b.mp3" for protocols.
    try:
        with open(path, "rb") as file, _av_open(file) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            frames = _frames(container.demux(stream))
            for rate, same in groupby(frames, lambda each: each[0].sample_rate):
                for block in _joined(block for _, block in same):
                    yield rate, block
    except (av.FFmpegError, OSError, ValueError):
        return


def _joined(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Join small blocks: each one costs time of its own later."""
    parts, count = [], 0
    for block in blocks:
        parts.append(block)
        count += len(block)
        if count >= BLOCK:
            yield np.concatenate(parts)
            parts, count = [], 0
    if parts:
        yield np.concatenate(parts)


def _av_open(file: BinaryIO) -> Any:
    import av

    try:
        return av.open(file)
    except UnicodeDecodeError:
        # Before version 19, PyAV rejects tags that are not UTF-8 by default.
        file.seek(0)
        return av.open(file, metadata_errors="ignore")


def _frames(packets: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """Decode packets; yield frames, each with (samples, channels)."""
    import av

    # Packed samples: PyAV miscounts the planes of eight channels.
    resampler = av.AudioResampler(format="flt")
    try:
        for packet in packets:
            for frame in _decode_packet(packet):
                for part in resampler.resample(frame):
                    channels = part.layout.nb_channels
                    yield part, part.to_ndarray().reshape(-1, channels)
    except (av.FFmpegError, OSError, ValueError):
        return  # what came before the damage counts


def _decode_packet(packet: Any) -> list[Any]:
    import av

    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []  # a damaged packet is skipped


def _downmix(block: np.ndarray) -> np.ndarray:
    """Mix samples of shape (samples, channels) down to finite mono."""
    if not np.isfinite(block).all():
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    block = np.clip(block, -PEAK, PEAK)
    mono = block.mean(axis=1, dtype=np.float32)
    if np.abs(mono).max() < ANTIPHASE * np.abs(block).max():
        mono = block[:, 0]  # the channels cancel each other out
    return np.ascontiguousarray(mono, dtype=np.float32)
