"""What models say of a file to what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundtags.errors import SoundtagsError
from soundtags.labelling.labels import label
from soundtags.labelling.rules import GENRES, estimates
from soundtags.labelling.scores import model_means, target_means
from soundtags.models.catalogue import AUDIO_FIELD, PLAN_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.inference.pooling import TrackPredictions
    from soundtags.labelling.scores import Means
    from soundtags.models.plan import Plan


SILENCE = 1e-3  # 60 dB below full scale


@dataclass(frozen=True)
class Interpretation:
    """What is said of one file.

    Attributes
    ----------
    fields
        Library field to value; None where nothing can be said.
    heard
        What all this is concluded from.
    answers
        Model id to class to mean activation: what each model said.
    estimates
        Target to class to strength: what the rules said.
    """

    fields: dict[str, Any]
    heard: TrackPredictions
    answers: Means
    estimates: Means


Outcome = Interpretation | SoundtagsError


def interpret(heard: TrackPredictions, plan: Plan) -> Interpretation:
    """Say of a track what follows from what was heard.

    Parameters
    ----------
    heard
        What all models of the plan made of it. Of silence nothing is said:
        models would guess.
    plan
        Which models count, and how.
    """
    answers = model_means(heard.activations, plan.models)
    means = target_means(answers, plan.models)
    estimated = estimates(means)
    fields = label(means, estimated, plan.targets, plan.settings)
    if heard.level < SILENCE:
        fields = _nothing(fields)
    fields[PLAN_FIELD] = plan.digest
    fields[AUDIO_FIELD] = " ".join(sorted(heard.inputs.values()))
    return Interpretation(fields, heard, answers, estimated)


def _nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without what they say; genres are left as they are."""
    return {
        name: [] if isinstance(value, list) else None
        for name, value in fields.items()
        if name != GENRES
    }
