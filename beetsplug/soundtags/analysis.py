"""The whole way of one file: samples, mel bands, patches, activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .activations import activations
from .decoding import decode
from .labels import label
from .mel import mel_bands
from .patches import cut_patches
from .resampling import resample
from .scores import track_means

if TYPE_CHECKING:
    from .decoding import Path
    from .plan import Plan
    from .sessions import SessionPool


@dataclass(frozen=True)
class Analysis:
    """What is said of one file.

    Attributes
    ----------
    fields
        Library field to value; None where nothing can be said.
    seconds
        How long the audio is.
    """

    fields: dict[str, Any]
    seconds: float


def analyse(path: Path, plan: Plan, pool: SessionPool) -> Analysis:
    """Analyse a file: a pure function of the file and the plan.

    Parameters
    ----------
    path
        An audio file.
    plan
        Which models run on which patches.
    pool
        Where sessions come from; changes nothing about the result.

    Raises
    ------
    UnreadableAudio
        If there is no audio in the file.
    UnusableModel
        If a graph cannot be run.
    """
    signal = resample(decode(path), plan.settings.resampler)
    patches = cut_patches(mel_bands(signal), plan.settings.patches)
    means = track_means(activations(patches, plan, pool), plan.models)
    fields = label(means, plan.settings)
    fields["soundtags_plan"] = plan.digest
    return Analysis(fields, signal.seconds)
