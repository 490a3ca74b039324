"""Decoding with FFmpeg, by way of PyAV."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from soundtags.audio.chains import Part, find_streams, steps_back
from soundtags.audio.limits import (
    MAX_SAMPLES_PER_BYTE,
    block_length,
    check_plausible,
)
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.types import Path

NOTABLE = 1 / 10  # share of damaged packets above which they are mentioned

# Formats with exact seeking: containers, and how the names of the codecs in
# them start.
SEEKABLE = {
    "wav": ("pcm_",),
    "aiff": ("pcm_",),
    "flac": ("flac",),
    "ogg": ("vorbis", "opus"),
}
# Those that consist of frames, which may not end where the file says. Seconds
# before that place from which to look, and by which the audio may exceed it.
FRAMED = ("flac", "ogg")
BEFORE, AFTER = 2, 0.25
PRESKIP = slice(10, 12)  # where OpusHead has the number of samples to drop


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
    import av

    try:
        with open(path, "rb") as file:
            if len(find_streams(file)) > 1:
                return 0, 0
            with open_container(Part.whole(file)) as container:
                length = _length(container)
                size = os.fstat(file.fileno()).st_size
                if 0 < length <= size * MAX_SAMPLES_PER_BYTE:
                    (stream, *_) = container.streams.audio
                    check_plausible(stream.rate, stream.channels)
                    return stream.rate, length
    except (av.FFmpegError, OSError, ValueError):
        pass  # the decoder reports it
    return 0, 0


def _length(container: Any) -> int:
    """Return the length in samples of a file with exact seeking, else 0."""
    (stream, *_) = container.streams.audio or [None]
    codecs = SEEKABLE.get(container.format.name)
    if stream is None or codecs is None or not stream.duration:
        return 0
    codec = stream.codec_context
    if not codec.name.startswith(codecs):
        return 0
    preskip = codec.extradata[PRESKIP] if codec.name == "opus" else b""
    return int(stream.duration - int.from_bytes(preskip, "little"))


def outlasts(file: BinaryIO, length: int) -> bool:
    """Return whether audio goes on where a file says that it ends.

    Parameters
    ----------
    file
        An open file in one of the formats :data:`FRAMED`.
    length
        Samples per channel, as the file says.

    Raises
    ------
    av.FFmpegError, OSError, ValueError
        If FFmpeg cannot read it.
    """
    import av

    if steps_back(file):
        return True
    with open_container(Part.whole(file)) as container:
        stream = container.streams.audio[0]
        container.seek(max(0, length - BEFORE * stream.rate), stream=stream)
        latest = length + AFTER * stream.rate
        count, begin = 0, None
        try:
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                begin = packet.pts if begin is None else begin
                duration = packet.duration or 0
                if duration >= 1 << 31:  # negative: the end is cut off
                    duration -= 1 << 32
                count += duration
                # Either time goes on, or there is more audio than time.
                if max(begin + count, packet.pts + duration) > latest:
                    return True
        except av.FFmpegError:
            pass  # tags or junk after the audio
    return False


def read_blocks(
    path: Path, faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a file with FFmpeg, including all streams chained in it.

    Parameters
    ----------
    path
        An audio file.
    faults
        Gets a line for each part of the file that cannot be decoded.

    Yields
    ------
    rate
        Sample rate in Hz. It may differ from block to block.
    block
        Samples, float32, shape (samples, channels).

    Raises
    ------
    UnreadableAudio
        If the file has an absurd sample rate or number of channels.
    """
    # Pass an open file: FFmpeg takes names like "concat:a|b.mp3" for protocols.
    try:
        with open(path, "rb") as file:
            streams = find_streams(file)
            if len(streams) == 1:
                yield from _stream_blocks(Part.whole(file), faults)
                return
            for number, extent in enumerate(streams, start=1):
                found: list[str] = []
                yield from _part_blocks(Part(file, *extent), found)
                name = f"part {number} of {len(streams)}"
                faults += [f"{name}: {fault}" for fault in found]
    except OSError:
        return


def _part_blocks(
    part: Part, faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode one of several streams; its faults do not affect the others."""
    count = 0
    try:
        for rate, block in _stream_blocks(part, faults):
            count += len(block)
            yield rate, block
    except UnreadableAudio as exc:
        faults.append(str(exc))
    else:
        if not count and not faults:
            faults.append("no audio in it that can be decoded")


def _stream_blocks(
    part: Part, faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the first stream of audio in a file or in a part of it."""
    import av

    try:
        with open_container(part) as container:
            if not container.streams.audio:
                return
            damage = Damage()
            packets = container.demux(container.streams.audio[0])
            frames = read_frames(packets, damage)
            for (rate, layout, _), same in groupby(frames, _format):
                channels = av.AudioLayout(layout).nb_channels
                check_plausible(rate, channels)
                for block in _joined(same, block_length(channels)):
                    yield rate, block
            if damage:
                faults.append(str(damage))
    except (av.FFmpegError, OSError, ValueError):
        return


def open_container(part: Part) -> Any:
    """Open a file, or a part of it, with PyAV.

    Raises
    ------
    av.FFmpegError, OSError, ValueError
        If FFmpeg cannot open it.
    """
    import av

    try:
        return av.open(part)
    except UnicodeDecodeError:
        # Before version 19, PyAV rejects tags that are not UTF-8 by default.
        part.seek(0)
        return av.open(part, metadata_errors="ignore")


@dataclass
class Damage:
    """What goes wrong while packets are decoded.

    Attributes
    ----------
    packets, failed
        Number of packets so far, and of those that could not be decoded.
    seconds
        Duration of what was decoded.
    stop
        Why FFmpeg stopped; empty if it reached the end of the file.
    """

    packets: int = 0
    failed: int = 0
    seconds: float = 0.0
    stop: str = ""

    def __bool__(self) -> bool:
        """Return whether it is worth mentioning."""
        return bool(self.stop) or self.failed > NOTABLE * self.packets

    def __str__(self) -> str:
        if self.stop:
            return f"FFmpeg stops after {self.seconds:.1f} s ({self.stop})"
        return f"{self.failed} of {self.packets} packets are damaged"


def read_frames(packets: Iterable[Any], damage: Damage) -> Iterator[Any]:
    """Decode packets, as far as possible.

    Parameters
    ----------
    packets
        Packets of one stream.
    damage
        Updated with every packet.

    Yields
    ------
    av.AudioFrame
    """
    import av

    try:
        for packet in packets:
            damage.packets += 1
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damage.failed += 1  # a damaged packet is skipped
                continue
            for frame in frames:
                damage.seconds += frame.samples / frame.sample_rate
                yield frame
    except (av.FFmpegError, OSError, ValueError) as exc:
        damage.stop = getattr(exc, "strerror", None) or str(exc)


class FrameBuffer:
    """Joins frames of one format, and converts them all at once.

    Converting frame by frame takes three times as long as decoding. The first
    conversion takes as long as decoding a second of audio.
    """

    def __init__(self) -> None:
        import av

        # Packed, as PyAV miscounts the planes of eight channels.
        self._converter = av.AudioResampler(format="flt")
        self.clear()

    def clear(self) -> None:
        """Drop all samples."""
        import av

        self._frames = av.AudioFifo()

    def __len__(self) -> int:
        """Return the number of samples per channel."""
        return int(self._frames.samples)

    def add(self, frame: Any) -> None:
        """Add a frame.

        Raises
        ------
        ValueError
            If its format differs from that of earlier frames.
        """
        frame.pts = None  # else, frames would have to be consecutive
        self._frames.write(frame)

    def take(self) -> np.ndarray:
        """Take all samples out: float32, shape (samples, channels)."""
        converted = self._converter.resample(self._frames.read())
        return np.concatenate(
            [
                part.to_ndarray().reshape(-1, part.layout.nb_channels)
                for part in converted
            ]
        )


def _format(frame: Any) -> tuple[int, str, str]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _joined(frames: Iterable[Any], length: int) -> Iterator[np.ndarray]:
    """Join frames of one format into blocks of at least this many samples."""
    buffer = FrameBuffer()
    for frame in frames:
        buffer.add(frame)
        if len(buffer) >= length:
            yield buffer.take()
    if buffer:
        yield buffer.take()
