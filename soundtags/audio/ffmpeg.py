"""Decoding with FFmpeg, by way of PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from soundtags.audio.chains import Part, find_streams
from soundtags.audio.limits import block_length, check_plausible
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.types import Path

NOTABLE = 1 / 10  # share of damaged packets from which on they are mentioned


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
                file.seek(0)
                yield from _stream_blocks(file, faults)
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
    """Decode one stream of several, without which the others can do."""
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
    file: BinaryIO | Part, faults: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the first stream of audio in a file."""
    import av

    try:
        with open_container(file) as container:
            if not container.streams.audio:
                return
            damage = Damage()
            packets = container.demux(container.streams.audio[0])
            frames = read_frames(packets, damage)
            for (rate, channels), same in groupby(frames, _rate_and_channels):
                check_plausible(rate, channels)
                blocks = (block for _, block in same)
                for block in _joined(blocks, block_length(channels)):
                    yield rate, block
            if damage:
                faults.append(str(damage))
    except (av.FFmpegError, OSError, ValueError):
        return


def open_container(file: BinaryIO | Part) -> Any:
    """Open a file with PyAV.

    Raises
    ------
    av.FFmpegError, OSError, ValueError
        If FFmpeg cannot open it.
    """
    import av

    try:
        return av.open(file)
    except UnicodeDecodeError:
        # Before version 19, PyAV rejects tags that are not UTF-8 by default.
        file.seek(0)
        return av.open(file, metadata_errors="ignore")


@dataclass
class Damage:
    """What goes wrong while packets are decoded.

    Attributes
    ----------
    packets, failed
        Packets so far, and those among them that could not be decoded.
    seconds
        Duration of what was decoded.
    stop
        Why FFmpeg does not go on; empty at the end of a file.
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


def read_frames(
    packets: Iterable[Any], damage: Damage
) -> Iterator[tuple[Any, np.ndarray]]:
    """Decode packets, as far as possible.

    Parameters
    ----------
    packets
        Packets of one stream.
    damage
        Is kept up to date.

    Yields
    ------
    frame
        A frame in packed float samples.
    samples
        Its samples, float32, shape (samples, channels).
    """
    import av

    converter = _Converter()
    try:
        for packet in packets:
            damage.packets += 1
            try:
                frames = list(packet.decode())
            except av.FFmpegError:
                damage.failed += 1  # a damaged packet is skipped
                continue
            for frame in frames:
                for part in converter.convert(frame):
                    channels = part.layout.nb_channels
                    samples = part.to_ndarray().reshape(-1, channels)
                    damage.seconds += len(samples) / part.sample_rate
                    yield part, samples
    except (av.FFmpegError, OSError, ValueError) as exc:
        damage.stop = getattr(exc, "strerror", None) or str(exc)


class _Converter:
    """Converts frames to packed float samples, also where formats change.

    Packed, as PyAV miscounts the planes of eight channels.
    """

    def __init__(self) -> None:
        self._resampler = self._new()

    def convert(self, frame: Any) -> list[Any]:
        try:
            converted: list[Any] = self._resampler.resample(frame)
        except ValueError:  # of another format than those before
            self._resampler = self._new()
            converted = self._resampler.resample(frame)
        return converted

    def _new(self) -> Any:
        import av

        return av.AudioResampler(format="flt")


def _rate_and_channels(decoded: tuple[Any, np.ndarray]) -> tuple[int, int]:
    frame, samples = decoded
    return frame.sample_rate, samples.shape[1]


def _joined(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Join small blocks: each one costs time of its own later."""
    parts, count = [], 0
    for block in blocks:
        parts.append(block)
        count += len(block)
        if count >= length:
            yield np.concatenate(parts)
            parts, count = [], 0
    if count:
        yield np.concatenate(parts)
