"""Files to what models are fed: samples, mel bands, patches, in portions."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import UnreadableAudio
from .mel import frame_count, mel_bands
from .patches import FRONT_ENDS, cut_patches, patch_starts
from .reading import decoded, sought
from .resampling import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from .decoding import Path
    from .reading import Track

    Reading = Callable[
        [Path, "Wanted", Callable[[], bool]], Iterator["Features"]
    ]

PORTION = 64  # patches of a front end that are made at a time
INPUT = 10  # bytes of a digest: enough for more tracks than there are


@dataclass(frozen=True)
class Wanted:
    """What is wanted of files.

    Attributes
    ----------
    front_ends
        Keys of :data:`patches.FRONT_ENDS`.
    patches
        At most so many of each front end, evenly spread; None for all.
    resampler
        A key of :data:`resampling.RESAMPLERS`.
    """

    front_ends: Collection[str]
    patches: int | None
    resampler: str


@dataclass(frozen=True)
class Features:
    """What the models are fed of a file, or of a portion of it.

    Attributes
    ----------
    patches
        Front end to patches of shape (patches, frames, bands).
    times
        Front end to the seconds at which its patches begin.
    seconds
        How long the audio of the file is.
    level
        The largest RMS so far of what was read of the file at a time, full
        scale at 1.0.
    last
        Whether nothing follows.
    inputs
        Front end to a digest of its patches up to here, and of how they were
        chosen: what is the same says the same.
    """

    patches: Mapping[str, np.ndarray]
    times: Mapping[str, np.ndarray]
    seconds: float
    level: float
    last: bool
    inputs: Mapping[str, str]

    @property
    def memory(self) -> int:
        """Bytes that the patches take."""
        return sum(patches.nbytes for patches in self.patches.values())


def features(
    path: Path, wanted: Wanted, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Features]:
    """Read of a file what models are fed.

    Parameters
    ----------
    path
        An audio file.
    wanted
        Which front ends, and how many patches.
    stopped
        Asked every now and then whether to give up.

    Yields
    ------
    Features
        Portions in the order of time; together they have all patches.

    Raises
    ------
    UnreadableAudio
        If there is no audio in the file.
    Stopped
        If it was told to give up.
    """
    few = wanted.patches is not None and wanted.patches <= PORTION
    if few and (portions := _from_stretches(path, wanted)):
        yield from portions
    else:
        track = decoded(path, wanted.resampler, stopped)
        yield from _portions(track, wanted)


def _from_stretches(path: Path, wanted: Wanted) -> list[Features]:
    """Read no more of a file than is wanted; empty if that cannot be done."""
    with sought(path, wanted.resampler) as track:
        try:
            return list(_portions(track, wanted)) if track else []
        except UnreadableAudio:
            return []  # damaged: what can be decoded may be shorter


def _portions(track: Track, wanted: Wanted) -> Iterator[Features]:
    starts = {
        name: patch_starts(
            frame_count(track.length, FRONT_ENDS[name].mel),
            FRONT_ENDS[name],
            wanted.patches,
        )
        for name in wanted.front_ends
    }
    parts = list(_parts(starts))
    digests = {name: _digest(name, wanted) for name in starts}
    level = 0.0
    for number, part in enumerate(parts, start=1):
        patches, level = _read(track, part, level)
        for name, each in patches.items():
            digests[name].update(each.data)
        yield Features(
            patches=patches,
            times={
                name: np.array(starts) / FRONT_ENDS[name].frame_rate
                for name, starts in part.items()
            },
            seconds=track.seconds,
            level=level,
            last=number == len(parts),
            inputs={name: digests[name].hexdigest() for name in digests},
        )


def _digest(front_end: str, wanted: Wanted) -> hashlib.blake2b:
    how = f"{front_end} {wanted.patches} {wanted.resampler}"
    return hashlib.blake2b(how.encode(), digest_size=INPUT)


def _parts(
    starts: Mapping[str, np.ndarray],
) -> Iterator[Mapping[str, list[int]]]:
    """Part patches in the order of time, at most so many of a front end."""
    ordered = sorted(
        (FRONT_ENDS[name].extent(start), name, start)
        for name, each in starts.items()
        for start in each.tolist()
    )
    part: dict[str, list[int]] = defaultdict(list)
    for _, name, start in ordered:
        if len(part[name]) == PORTION:
            yield part
            part = defaultdict(list)
        part[name].append(start)
    yield part


def _read(
    track: Track, part: Mapping[str, list[int]], level: float
) -> tuple[dict[str, np.ndarray], float]:
    """Return patches, and the highest of a level and theirs."""
    patches: dict[str, list[np.ndarray]] = defaultdict(list)
    for begin, end, starts in _stretches(part):
        signal = track.stretch(begin, min(end, track.length))
        level = max(level, float(np.std(signal.samples)))
        for name, each in _cut(signal, begin, starts).items():
            patches[name].append(each)
    return {name: np.concatenate(p) for name, p in patches.items()}, level


def _stretches(
    part: Mapping[str, list[int]],
) -> Iterator[tuple[int, int, Mapping[str, list[int]]]]:
    """Yield from which sample to which a signal is needed, for which starts."""
    ordered = sorted(
        (*FRONT_ENDS[name].extent(start), name, start)
        for name, each in part.items()
        for start in each
    )
    first, until = ordered[0][:2]
    starts: dict[str, list[int]] = defaultdict(list)
    for begin, end, name, start in ordered:
        if begin > until:
            yield first, until, starts
            first, starts = begin, defaultdict(list)
        until = max(until, end)
        starts[name].append(start)
    yield first, until, starts


def _cut(
    signal: Signal, begin: int, starts: Mapping[str, list[int]]
) -> dict[str, np.ndarray]:
    """Cut patches out of a stretch of a track that begins at a sample."""
    bands: dict[str, np.ndarray] = {}
    patches = {}
    for name, each in starts.items():
        kind = FRONT_ENDS[name]
        skipped = -begin % kind.mel_hop
        if kind.mel not in bands:
            rest = Signal(signal.samples[skipped:], signal.edge)
            bands[kind.mel] = mel_bands(rest, kind.mel)
        first = (begin + skipped) // kind.mel_hop
        patches[name] = cut_patches(
            bands[kind.mel], kind, np.array(each) - first
        )
    return patches
