"""From a file to the input of models: its patches, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from soundtags.audio.mel import frame_count, mel_bands
from soundtags.audio.patches import FRONT_ENDS, cut_patches, patch_starts
from soundtags.audio.track import no_checkpoint, open_seekable, open_whole
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from soundtags.audio.track import Track
    from soundtags.types import Path

CHUNK_SIZE = 64  # patches of one front end
DIGEST_SIZE = 10  # bytes: enough to tell apart all tracks that exist


@dataclass(frozen=True)
class FeatureSpec:
    """Which features to compute.

    Attributes
    ----------
    front_ends
        Keys of :data:`patches.FRONT_ENDS`.
    patches
        The largest number of patches per front end, evenly spread over the
        track; None for all.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    """

    front_ends: Collection[str]
    patches: int | None
    resampler: str


@dataclass(frozen=True)
class Features:
    """The patches of a track, or of one chunk of it.

    Attributes
    ----------
    patches
        Patches of each front end: float32, shape (patches, frames, bands).
    times
        Where the patches of each front end start, in seconds.
    seconds
        Duration of the whole track.
    level
        Largest RMS of the segments read so far; full scale is 1.0.
    last
        Whether this is the last chunk of the track.
    inputs
        For each front end, a digest of its patches up to and including this
        chunk and of how they were chosen. Equal digests mean equal
        predictions.
    warning
        A line that says what part of the file is missing; empty if none is.
    """

    patches: Mapping[str, np.ndarray]
    times: Mapping[str, np.ndarray]
    seconds: float
    level: float
    last: bool
    inputs: Mapping[str, str]
    warning: str = ""

    @property
    def memory(self) -> int:
        """Size of the patches in bytes."""
        return sum(patches.nbytes for patches in self.patches.values())


class FeatureReader(Protocol):
    """Computes the features of a file; see :func:`features`."""

    def __call__(
        self, path: Path, spec: FeatureSpec, checkpoint: Callable[[], None], /
    ) -> Iterator[Features]:
        """Yield the chunks of a file, in order of time."""


class PatchRef(NamedTuple):
    """A patch before it is cut; sorts by its place in the track.

    Attributes
    ----------
    begin, end
        The samples it depends on.
    front_end
        A key of :data:`patches.FRONT_ENDS`.
    start
        Its first frame.
    """

    begin: int
    end: int
    front_end: str
    start: int


def features(
    path: Path,
    spec: FeatureSpec,
    checkpoint: Callable[[], None] = no_checkpoint,
) -> Iterator[Features]:
    """Compute the features of a file.

    Only the segments that the patches need are decoded, where the format
    allows seeking and the patches are few.

    Parameters
    ----------
    path
        An audio file.
    spec
        Which front ends, and how many patches.
    checkpoint
        Called every few seconds of audio. Whatever it raises ends the reading.

    Yields
    ------
    Features
        Chunks in order of time. Together they hold all patches.

    Raises
    ------
    UnreadableAudio
        If the file holds no audio that can be decoded.

    Examples
    --------
    >>> spec = FeatureSpec(["TensorflowPredictMusiCNN"], 16, "sinc")
    >>> for chunk in features("song.flac", spec):  # doctest: +SKIP
    ...     print(chunk.patches["TensorflowPredictMusiCNN"].shape)
    (16, 187, 96)
    """
    few = spec.patches is not None and spec.patches <= CHUNK_SIZE
    if few and (chunks := _from_segments(path, spec)):
        yield from chunks
    else:
        yield from _chunks(open_whole(path, spec.resampler, checkpoint), spec)


def _from_segments(path: Path, spec: FeatureSpec) -> list[Features]:
    """Decode only the segments needed; empty if the file does not allow it."""
    with open_seekable(path, spec.resampler) as track:
        try:
            return list(_chunks(track, spec)) if track else []
        except UnreadableAudio:
            return []  # damaged: less of it may be decodable than it claims


def _chunks(track: Track, spec: FeatureSpec) -> Iterator[Features]:
    refs = sorted(_patch_refs(track.length, spec))
    digests = {name: _digest(name, spec) for name in spec.front_ends}
    chunks = list(_split(refs))
    level = 0.0
    for number, chunk in enumerate(chunks, start=1):
        patches, level = _read(track, chunk, level)
        for name, each in patches.items():
            digests[name].update(each.data)
        yield Features(
            patches=patches,
            times={
                name: np.array(starts) / FRONT_ENDS[name].frame_rate
                for name, starts in _starts(chunk).items()
            },
            seconds=track.seconds,
            level=level,
            last=number == len(chunks),
            inputs={name: digests[name].hexdigest() for name in digests},
            warning=track.warning,
        )


def _patch_refs(length: int, spec: FeatureSpec) -> Iterator[PatchRef]:
    """Yield the patches of a track that has this many samples."""
    for name in spec.front_ends:
        front_end = FRONT_ENDS[name]
        frames = frame_count(length, front_end.mel)
        starts = patch_starts(frames, front_end, spec.patches)
        for start in starts.tolist():
            yield PatchRef(*front_end.extent(start), name, start)


def _digest(front_end: str, spec: FeatureSpec) -> hashlib.blake2b:
    choice = f"{front_end} {spec.patches} {spec.resampler}"
    return hashlib.blake2b(choice.encode(), digest_size=DIGEST_SIZE)


def _split(refs: Iterable[PatchRef]) -> Iterator[list[PatchRef]]:
    """Split patches into chunks."""
    chunk: list[PatchRef] = []
    sizes: Counter[str] = Counter()
    for ref in refs:
        if sizes[ref.front_end] == CHUNK_SIZE:
            yield chunk
            chunk, sizes = [], Counter()
        chunk.append(ref)
        sizes[ref.front_end] += 1
    yield chunk


def _starts(refs: Iterable[PatchRef]) -> dict[str, list[int]]:
    """Return the first frames of patches, by front end."""
    starts: dict[str, list[int]] = defaultdict(list)
    for ref in refs:
        starts[ref.front_end].append(ref.start)
    return starts


def _read(
    track: Track, chunk: Sequence[PatchRef], level: float
) -> tuple[dict[str, np.ndarray], float]:
    """Return the patches of a chunk, and the largest level so far."""
    patches: dict[str, list[np.ndarray]] = defaultdict(list)
    for segment in _segments(chunk):
        begin = segment[0].begin
        end = min(max(ref.end for ref in segment), track.length)
        samples = track.segment(begin, end)
        if samples.size:
            level = max(level, float(np.std(samples)))
        for name, each in _cut(samples, begin, _starts(segment)).items():
            patches[name].append(each)
    return {name: np.concatenate(p) for name, p in patches.items()}, level


def _segments(chunk: Sequence[PatchRef]) -> Iterator[list[PatchRef]]:
    """Group patches that overlap, so that no sample is read twice."""
    segment, end = [chunk[0]], chunk[0].end
    for ref in chunk[1:]:
        if ref.begin > end:
            yield segment
            segment = []
        segment.append(ref)
        end = max(end, ref.end)
    yield segment


def _cut(
    samples: np.ndarray, begin: int, starts: Mapping[str, list[int]]
) -> dict[str, np.ndarray]:
    """Cut patches out of a segment that starts at a sample of the track."""
    bands: dict[str, np.ndarray] = {}
    patches = {}
    for name, each in starts.items():
        front_end = FRONT_ENDS[name]
        skipped = -begin % front_end.mel_hop  # to align with the track's
        if front_end.mel not in bands:
            bands[front_end.mel] = mel_bands(samples[skipped:], front_end.mel)
        first = (begin + skipped) // front_end.mel_hop
        patches[name] = cut_patches(
            bands[front_end.mel], front_end, np.array(each) - first
        )
    return patches
