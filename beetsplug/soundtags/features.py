"""Files to what models are fed: samples, mel bands, patches, in portions."""

from __future__ import annotations

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
    from collections.abc import Callable, Iterator, Mapping

    from .decoding import Path
    from .plan import Plan
    from .reading import Track

PORTION = 64  # patches of a front end that are made at a time


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
    last
        Whether nothing follows.
    """

    patches: Mapping[str, np.ndarray]
    times: Mapping[str, np.ndarray]
    seconds: float
    last: bool

    @property
    def memory(self) -> int:
        """Bytes that the patches take."""
        return sum(patches.nbytes for patches in self.patches.values())


def features(
    path: Path, plan: Plan, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Features]:
    """Read of a file what the models of a plan are fed.

    Parameters
    ----------
    path
        An audio file.
    plan
        Which front ends there are, and how many patches.
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
    few = plan.settings.patches is not None and plan.settings.patches <= PORTION
    if few and (portions := _from_stretches(path, plan)):
        yield from portions
    else:
        track = decoded(path, plan.settings.resampler, stopped)
        yield from _portions(track, plan)


def _from_stretches(path: Path, plan: Plan) -> list[Features]:
    """Read no more of a file than is wanted; empty if that cannot be done."""
    with sought(path, plan.settings.resampler) as track:
        try:
            return list(_portions(track, plan)) if track else []
        except UnreadableAudio:
            return []  # damaged: what can be decoded may be shorter


def _portions(track: Track, plan: Plan) -> Iterator[Features]:
    starts = {
        name: patch_starts(
            frame_count(track.length, FRONT_ENDS[name].mel),
            FRONT_ENDS[name],
            plan.settings.patches,
        )
        for name in plan.front_ends
    }
    parts = list(_parts(starts))
    for number, part in enumerate(parts, start=1):
        yield _portion(track, part, last=number == len(parts))


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


def _portion(
    track: Track, part: Mapping[str, list[int]], last: bool
) -> Features:
    patches: dict[str, list[np.ndarray]] = defaultdict(list)
    for begin, end, starts in _stretches(part):
        signal = track.stretch(begin, min(end, track.length))
        for name, each in _cut(signal, begin, starts).items():
            patches[name].append(each)
    return Features(
        patches={name: np.concatenate(each) for name, each in patches.items()},
        times={
            name: np.array(starts) / FRONT_ENDS[name].frame_rate
            for name, starts in part.items()
        },
        seconds=track.seconds,
        last=last,
    )


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
