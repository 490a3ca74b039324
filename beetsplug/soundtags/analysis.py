"""The whole way of files: samples, mel bands, patches, activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .activations import activations
from .decoding import decode
from .labels import label
from .mel import mel_bands
from .patches import FRONT_ENDS, cut_patches, patch_starts
from .resampling import resample
from .rules import estimates
from .scores import model_means, target_means

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from .decoding import Path
    from .plan import Plan
    from .scores import Means
    from .sessions import SessionPool


@dataclass(frozen=True)
class Features:
    """What the models are fed of one file.

    Attributes
    ----------
    patches
        Front end to patches of shape (patches, frames, bands).
    times
        Front end to the seconds at which its patches begin.
    seconds
        How long the audio is.
    """

    patches: Mapping[str, np.ndarray]
    times: Mapping[str, np.ndarray]
    seconds: float

    @property
    def memory(self) -> int:
        """Bytes that the patches take."""
        return sum(patches.nbytes for patches in self.patches.values())


@dataclass(frozen=True)
class Analysis:
    """What is said of one file.

    Attributes
    ----------
    fields
        Library field to value; None where nothing can be said.
    seconds
        How long the audio is.
    answers
        Model id to class to mean activation: what each model said.
    estimates
        Target to class to strength: what the rules said.
    """

    fields: dict[str, Any]
    seconds: float
    answers: Means
    estimates: Means


def features(path: Path, plan: Plan) -> Features:
    """Decode a file and cut what the models of a plan are fed.

    Parameters
    ----------
    path
        An audio file.
    plan
        Which front ends there are, and how many patches.

    Raises
    ------
    UnreadableAudio
        If there is no audio in the file.
    """
    signal = resample(decode(path), plan.settings.resampler)
    kinds = {name: FRONT_ENDS[name] for name in plan.front_ends}
    bands = {
        mel: mel_bands(signal, mel)
        for mel in {kind.mel for kind in kinds.values()}
    }
    starts = {
        name: patch_starts(len(bands[kind.mel]), kind, plan.settings.patches)
        for name, kind in kinds.items()
    }
    return Features(
        patches={
            name: cut_patches(bands[kind.mel], kind, starts[name])
            for name, kind in kinds.items()
        },
        times={
            name: starts[name] / kind.frame_rate for name, kind in kinds.items()
        },
        seconds=signal.seconds,
    )


def analyse(
    tracks: Sequence[Features], plan: Plan, pool: SessionPool
) -> list[Analysis]:
    """Run the models over some tracks: a pure function of these and the plan.

    Parameters
    ----------
    tracks
        What the models are fed.
    plan
        Which models run.
    pool
        Where sessions come from; changes nothing about the result.

    Raises
    ------
    UnusableModel
        If a graph cannot be run.
    """
    results = activations([track.patches for track in tracks], plan, pool)
    return [
        _analysis(track, result, plan) for track, result in zip(tracks, results)
    ]


def _analysis(
    track: Features, result: Mapping[str, np.ndarray], plan: Plan
) -> Analysis:
    answers = model_means(result, plan.models)
    means = target_means(answers, plan.models)
    estimated = estimates(means)
    fields = label(means, estimated, plan.targets, plan.settings)
    fields["soundtags_plan"] = plan.digest
    return Analysis(fields, track.seconds, answers, estimated)
