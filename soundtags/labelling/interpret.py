"""From predictions to labels: all steps in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundtags.audio.limits import SILENCE
from soundtags.errors import SoundtagsError
from soundtags.labelling.estimates import GENRES, estimates
from soundtags.labelling.labels import label
from soundtags.labelling.scores import model_means, target_means
from soundtags.labelling.taught_scores import taught_means
from soundtags.models.catalogue import INPUT_FIELD, PLAN_FIELD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.inference.pooling import TrackPredictions
    from soundtags.labelling.scores import Means
    from soundtags.models.plan import Plan


@dataclass(frozen=True)
class Interpretation:
    """The labels of a track, and what they are derived from.

    Attributes
    ----------
    fields
        Library field to value; None where there is none.
    predictions
        What the labels are derived from.
    model_means
        Model id to class to mean activation.
    estimates
        Target to class to what a model would give, for estimates and for words
        that the user has taught.
    """

    fields: dict[str, Any]
    predictions: TrackPredictions
    model_means: Means
    estimates: Means


Outcome = Interpretation | SoundtagsError


def interpret(predictions: TrackPredictions, plan: Plan) -> Interpretation:
    """Derive the labels of a track from its predictions.

    Parameters
    ----------
    predictions
        Predictions of all models of the plan. Silence gets no labels: models
        would only guess.
    plan
        Which models count, and how.
    """
    class_means = model_means(predictions.activations, plan.models)
    means = target_means(class_means, plan.models)
    estimated = {**estimates(means), **taught_means(predictions, plan)}
    fields = label(means, estimated, plan.targets, plan.settings)
    if predictions.level < SILENCE:
        fields = _nothing(fields)
    fields[PLAN_FIELD] = plan.digest
    fields[INPUT_FIELD] = " ".join(sorted(predictions.inputs.values()))
    return Interpretation(fields, predictions, class_means, estimated)


def _nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without values; leave out genres, so they stay."""
    return {
        name: [] if isinstance(value, list) else None
        for name, value in fields.items()
        if name != GENRES
    }
