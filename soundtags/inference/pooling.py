"""Pooling: from model outputs per patch to one mean per track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.errors import UnusableModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundtags.audio.features import Features
    from soundtags.inference.predict import ModelOutputs
    from soundtags.models.plan import Plan


@dataclass(frozen=True)
class TrackPredictions:
    """The predictions of a plan's models for one track.

    Labels follow from this alone, so it is what the prediction cache stores
    and what cluster workers send back.

    Attributes
    ----------
    inputs : mapping of str to str
        Front end to the digest of the patches that models were fed, see
        :class:`soundtags.audio.features.Features`.
    seconds : float
        Duration of the audio.
    level : float
        Largest RMS of the audio, full scale at 1.0.
    activations : dict of str to numpy.ndarray
        Model id to mean activations, shape (classes,), float32.
    embeddings : dict of str to numpy.ndarray
        Model id to the mean embedding, shape (dimensions,), float32.
    """

    inputs: Mapping[str, str]
    seconds: float
    level: float
    activations: dict[str, np.ndarray]
    embeddings: dict[str, np.ndarray]


def pool_outputs(
    outputs: Sequence[ModelOutputs], last: Features, plan: Plan
) -> TrackPredictions:
    """Average the outputs of all models over the patches of a track.

    Parameters
    ----------
    outputs : sequence of ModelOutputs
        One per chunk of the track.
    last : Features
        The last chunk, which knows the digests, duration and level of the
        whole track.
    plan : Plan
        The models that have run.

    Returns
    -------
    TrackPredictions

    Raises
    ------
    UnusableModel
        If a model has more or fewer outputs than classes, or gives values
        that are not finite.
    """
    activations = {
        model.id: [each.activations(model) for each in outputs if model in each]
        for model in plan.models
    }
    embeddings = {
        model.id: [each.embedding(model) for each in outputs if model in each]
        for model in plan.fed
        if model.metadata.embedding
    }
    return TrackPredictions(
        last.inputs,
        last.seconds,
        last.level,
        _means(activations),
        _means(embeddings),
    )


def _means(
    chunks: Mapping[str, Sequence[np.ndarray]],
) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):  # what is not finite is found below
        means = {
            name: np.concatenate(rows)
            .mean(axis=0, dtype=float)
            .astype(np.float32)
            for name, rows in chunks.items()
        }
    for name, values in means.items():
        if not np.isfinite(values).all():
            raise UnusableModel(f"{name}: gives values that are not finite")
    return means
