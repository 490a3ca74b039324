"""What models say of a file to what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .labels import label
from .rules import GENRES, estimates
from .scores import model_means, target_means

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .plan import Plan
    from .scores import Means


SILENCE = 1e-3  # 60 dB below full scale


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


def conclude(
    results: Sequence[Mapping[str, np.ndarray]],
    seconds: float,
    level: float,
    plan: Plan,
) -> Analysis:
    """Make an analysis of what the models say of all portions of a file.

    Parameters
    ----------
    results
        Per portion, model id to activations of shape (patches, classes).
    seconds
        How long the audio is.
    level
        How loud it gets, see :class:`features.Features`. Of silence nothing is
        said: models would guess.
    plan
        Which models ran.
    """
    activations = {
        model.id: np.concatenate([result[model.id] for result in results])
        for model in plan.models
    }
    answers = model_means(activations, plan.models)
    means = target_means(answers, plan.models)
    estimated = estimates(means)
    fields = label(means, estimated, plan.targets, plan.settings)
    if level < SILENCE:
        fields = _nothing(fields)
    fields["soundtags_plan"] = plan.digest
    return Analysis(fields, seconds, answers, estimated)


def _nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without what they say; genres are left as they are."""
    return {
        name: [] if isinstance(value, list) else None
        for name, value in fields.items()
        if name != GENRES
    }
