"""File to samples, by soundfile or PyAV: one reads what the other cannot.

Where only some stretches of a file are wanted, and its format can be sought
in, PyAV reads these: of libsndfile's seeks in Vorbis, one in ten lands 10 to
20 ms off. Of Opus it reads all: it takes a third of libsndfile's time.
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

from .errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Path = bytes | str  # as the operating system wants it

BLOCK = 1 << 18  # samples per channel
# Beyond full scale by 40 dB: no music, and its square would overflow.
PEAK = 100.0
ANTIPHASE = 1e-3  # what a mix may keep of its channels' peak

# What can be sought in, by libsndfile's names: containers, and the beginnings
# of the names of what is in them.
CONTAINERS = {"WAV", "WAVEX", "AIFF", "FLAC", "OGG"}
CODECS = ("PCM", "FLOAT", "DOUBLE", "VORBIS", "OPUS")
OPUS = b"OpusHead"  # how its stream begins, behind the header of a page
PAGE_HEADER = 28  # bytes
LEAD = 1 / 8  # seconds in which decoders settle; Opus wants 80 ms
# Samples by which a frame's time stamp may be wrong behind a seek.
JITTER = 4096


@dataclass
class Audio:
    """Audio that comes block by block, as of a file being decoded.

    Attributes
    ----------
    rate
        Samples per second and channel, in Hz.
    blocks
        Mono float32 blocks of shape (samples,), full scale at 1.0, unclipped.
    """

    rate: int
    blocks: Iterator[np.ndarray]

    def __post_init__(self) -> None:
        self._start = 0  # of what is kept of the blocks
        self._kept = np.zeros(0, np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples from start to stop, or to the end before.

        What lies before the start is gone then.
        """
        parts, end = [self._kept], self._start + len(self._kept)
        while end < stop and (block := next(self.blocks, None)) is not None:
            parts.append(block)
            end += len(block)
        self._kept = np.concatenate(parts)[max(0, start - self._start) :]
        self._start = min(start, end)
        return self._kept[: stop - start]


class Seekable:
    """A file that is read in stretches.

    Parameters
    ----------
    container
        The file, opened with PyAV.
    rate
        Samples per second and channel, in Hz.
    length
        Samples per channel.
    """

    def __init__(self, container: Any, rate: int, length: int) -> None:
        self.rate = rate
        self.length = length
        self._container = container

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples from start to stop, or to the end before.

        Raises
        ------
        UnreadableAudio
            If that part of the file is damaged.
        """
        import av

        try:
            begin, block = self._around(start, stop)
        except (av.FFmpegError, TypeError, ValueError) as exc:
            raise UnreadableAudio(f"cannot be sought in: {exc}") from exc
        if begin > start:
            raise UnreadableAudio("cannot be sought in: a part is missing")
        return _downmix(block)[start - begin : stop - begin]

    def _around(self, start: int, stop: int) -> tuple[int, np.ndarray]:
        """Return a stretch with some more around, and where that begins."""
        stream = self._container.streams.audio[0]
        # FFmpeg finds no place in the last frames of FLAC.
        lead = min(start - int(LEAD * self.rate), self.length - self.rate)
        self._container.seek(max(0, lead), stream=stream)
        begins, blocks, count = [], [], 0
        for frame, block in _frames(self._container.demux(stream)):
            begins.append(frame.pts - count)
            blocks.append(block)
            count += len(block)
            if frame.pts + len(block) >= stop + JITTER:
                break
        # Single time stamps are wrong in Vorbis, but most are right.
        return statistics.mode(begins), np.concatenate(blocks)


@contextmanager
def seekable(path: Path) -> Iterator[Seekable | None]:
    """Open a file whose parts can be read by themselves.

    Parameters
    ----------
    path
        An audio file.

    Yields
    ------
    Seekable or None
        None for files whose format has no exact places, or no known length.

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
    """Return rate and length of a file that can be sought in, or zeros."""
    import soundfile

    try:
        with soundfile.SoundFile(_sndfile_name(path)) as file:
            known = file.format in CONTAINERS and file.frames < 2**62
            if known and file.subtype.startswith(CODECS):
                return file.samplerate, file.frames
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        pass  # left to the decoders
    return 0, 0


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
    decoders = [_soundfile_blocks, _av_blocks]
    for decoder in reversed(decoders) if _is_opus(path) else decoders:
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


def _is_opus(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return OPUS in file.read(PAGE_HEADER + len(OPUS))
    except OSError as exc:
        raise UnreadableAudio(f"cannot be opened: {exc.strerror}") from exc


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

    try:
        with soundfile.SoundFile(_sndfile_name(path)) as file:
            while True:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
                if not len(block):
                    return
                yield file.samplerate, block
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):
        # What came before a damaged place has been yielded already.
        return


def _sndfile_name(path: Path) -> Path:
    # Bytes reach names that are not UTF-8; Windows wants text.
    return os.fsdecode(path) if os.name == "nt" else os.fsencode(path)


def _av_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    import av

    # An open file, never a name: names like "concat:a|b.mp3" are protocols.
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
    """Join small blocks, as each costs time of its own."""
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
        # Before version 19, PyAV insists on tags in UTF-8 if not told better.
        file.seek(0)
        return av.open(file, metadata_errors="ignore")


def _frames(packets: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """Decode packets to frames, each with its (samples, channels)."""
    import av

    # Packed: of planes, PyAV counts too many where there are eight.
    resampler = av.AudioResampler(format="flt")
    try:
        for packet in packets:
            for frame in _decode_packet(packet):
                for part in resampler.resample(frame):
                    channels = part.layout.nb_channels
                    yield part, part.to_ndarray().reshape(-1, channels)
    except (av.FFmpegError, OSError, ValueError):
        return  # what came before a damaged place counts


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
