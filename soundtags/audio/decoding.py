"""Decoding: from files to samples, with libsndfile and FFmpeg.

What one of them cannot read, the other often can. Without libsndfile, FFmpeg
reads everything. With it, FFmpeg still reads segments, because one in ten of
libsndfile's seeks in Vorbis lands 10 to 20 ms off. It also reads Opus, in a
third of the time that libsndfile takes.
"""

from __future__ import annotations

import os
import stat
import statistics
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.audio import ffmpeg, sndfile
from soundtags.audio.chains import Part
from soundtags.audio.resampling import RATE, resampled_blocks
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.types import Path

# 40 dB above full scale: anything beyond is not music, and its square could
# overflow.
PEAK = 100.0
# Below this share of the channels' peak, a mix has cancelled out.
ANTIPHASE = 1e-3

OPUS = b"OpusHead"  # starts an Opus stream, after the header of an Ogg page
PAGE_HEADER = 28  # bytes
PREROLL = 1 / 8  # seconds in which decoders settle; Opus needs 80 ms
JITTER = 4096  # samples by which time stamps may be wrong after a seek
MAX_LEAD = 60  # the most seconds to decode before a segment to reach it
# Seconds by which decoders may disagree about the end of the same audio.
PADDING = 0.5


@dataclass
class Audio:
    """Audio that arrives block by block, as from a file being decoded.

    Attributes
    ----------
    rate
        Sample rate in Hz.
    blocks
        Mono float32 blocks, shape (samples,); full scale is 1.0, not clipped.
    faults
        Why parts of the file are missing; complete after the last block.
    """

    rate: int
    blocks: Iterator[np.ndarray]
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = 0  # of what is buffered
        self._buffered = np.zeros(0, np.float32)

    @property
    def warning(self) -> str:
        """A line that says what is missing; empty if nothing is."""
        if not self.faults:
            return ""
        first, *others = self.faults
        more = f"; and {len(others)} more" if others else ""
        return f"decoded in part: {first}{more}"

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the samples from start to stop, fewer at the end.

        Samples before the start are dropped, and cannot be read again.
        """
        parts, begin = [self._buffered], self._start
        end = begin + len(self._buffered)
        while end < stop and (block := next(self.blocks, None)) is not None:
            if end <= start:
                parts, begin = [], end
            parts.append(block)
            end += len(block)
        skipped = max(0, start - begin)
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
        self._buffer = ffmpeg.FrameBuffer()

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
        longest = stop - start + MAX_LEAD * self.rate
        begins, buffer = [], self._buffer
        buffer.clear()
        packets = self._container.demux(stream)
        for frame in ffmpeg.read_frames(packets, ffmpeg.Damage()):
            begins.append(frame.pts - len(buffer))
            end = frame.pts + frame.samples
            buffer.add(frame)
            if frame.sample_rate != self.rate or len(buffer) > longest:
                raise ValueError("not where, or what, it should be")
            if end >= stop + JITTER:
                break
        # A few time stamps are wrong in Vorbis; most of them are right.
        return statistics.mode(begins), buffer.take()


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
        None if the format has no exact seeking, if the length is unknown or
        wrong, or if the file consists of several streams.

    Raises
    ------
    UnreadableAudio
        If there is no such file, or if its header is absurd.
    """
    _check_regular(path)
    with ExitStack() as stack:
        yield _open_seekable(path, stack)


def _open_seekable(path: Path, stack: ExitStack) -> Seekable | None:
    import av

    extent = sndfile.extent if sndfile.installed() else ffmpeg.extent
    rate, length = extent(path)
    if not length:
        return None
    try:
        file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
        container = stack.enter_context(ffmpeg.open_container(Part.whole(file)))
        (stream, *_) = container.streams.audio or [None]
        if stream is None or stream.time_base != Fraction(1, rate):
            return None
        framed = container.format.name in ffmpeg.FRAMED
        if framed and ffmpeg.outlasts(file, length):
            return None
    except (av.FFmpegError, OSError, ValueError):
        return None
    return Seekable(container, rate, length)


def decode(path: Path) -> Audio:
    """Decode a file and mix it down to mono: the mean of its channels.

    All of it is decoded, even where channels or sample rate change, or where
    streams are chained. Of a damaged file, everything that can be decoded is
    returned.

    Parameters
    ----------
    path
        An audio file in any format that libsndfile or FFmpeg reads.

    Returns
    -------
    Audio
        Decoded lazily, block by block. Its rate is that of the first part or,
        if that is below 16 kHz, the highest of all parts.

    Raises
    ------
    UnreadableAudio
        If there is no such file, neither decoder finds audio in it, or its
        sample rate or number of channels is absurd.

    References
    ----------
    Essentia's ``MonoLoader`` (without its resampling).
    """
    _check_regular(path)
    faults: list[str] = []
    blocks = _decode(path, faults)
    first = next(blocks, None)
    if first is None:
        raise UnreadableAudio("no audio in it that can be decoded")
    rate, _ = first
    if rate < RATE:  # a later part may need more
        rate = max(each for each, _ in _decode(path, []))
    rest = _until_refused(blocks, faults)
    return Audio(rate, _at_rate(rate, chain([first], rest)), faults)


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


def _decode(path: Path, faults: list[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a file with libsndfile, and what that leaves out with FFmpeg.

    Yields
    ------
    rate
        Sample rate in Hz. It may differ from block to block.
    block
        Samples, float32, shape (samples, channels).
    """
    if not sndfile.installed():
        yield from ffmpeg.read_blocks(path, faults)
        return
    if _is_opus(path):
        decoded = ffmpeg.read_blocks(path, faults)
        first = next(decoded, None)
        if first is not None:
            yield first
            yield from decoded
            return
    try:
        yield from sndfile.read_blocks(path, faults)
    except sndfile.Incomplete as exc:
        yield from _after(exc.seconds, ffmpeg.read_blocks(path, faults))


def _is_opus(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return OPUS in file.read(PAGE_HEADER + len(OPUS))
    except OSError as exc:
        raise UnreadableAudio(f"cannot be opened: {exc.strerror}") from exc


def _after(
    seconds: float, blocks: Iterable[tuple[int, np.ndarray]]
) -> Iterator[tuple[int, np.ndarray]]:
    """Drop what has been decoded already, and what may be mere padding."""
    least = seconds + PADDING if seconds else 0.0
    position = 0.0
    held: list[tuple[int, np.ndarray]] = []
    for rate, block in blocks:
        rest = block[max(0, round((seconds - position) * rate)) :]
        position += len(block) / rate
        if len(rest):
            held.append((rate, rest))
        if position >= least:
            yield from held
            held.clear()


def _until_refused(
    blocks: Iterable[tuple[int, np.ndarray]], faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    try:
        yield from blocks
    except UnreadableAudio as exc:
        faults.append(str(exc))


def _at_rate(
    rate: int, blocks: Iterable[tuple[int, np.ndarray]]
) -> Iterator[np.ndarray]:
    """Mix blocks down to mono, and bring all of them to one rate."""
    for source, same in groupby(blocks, itemgetter(0)):
        mono = (_downmix(block) for _, block in same)
        if source == rate:
            yield from mono
        else:
            yield from resampled_blocks(Audio(source, mono), "sinc", rate)


def _downmix(block: np.ndarray) -> np.ndarray:
    """Mix samples of shape (samples, channels) down to finite mono."""
    if not np.isfinite(block).all():
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    block = np.clip(block, -PEAK, PEAK)
    mono = reduce(np.add, block.T) / block.shape[1]  # faster than a mean
    if np.abs(mono).max() < ANTIPHASE * np.abs(block).max():
        mono = block[:, 0]  # the channels cancel each other out
    return np.ascontiguousarray(mono, dtype=np.float32)
