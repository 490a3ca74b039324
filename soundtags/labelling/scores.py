"""Track scores: mean activations of models, and shares of classes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from soundtags.models.installed import Model

# Target, or id of a model, to class to mean activation.
Means = dict[str, dict[str, float]]

DECIMALS = 4  # of every score, in the library and in files


def model_means(
    activations: Mapping[str, np.ndarray], models: Iterable[Model]
) -> Means:
    """Return mean activations by the names of classes.

    Parameters
    ----------
    activations
        Model id to mean activations of shape (classes,).
    models
        The models that ran; each has its classes in an order of its own.

    Returns
    -------
    dict
        Model id to class to mean activation.
    """
    return {
        model.id: dict(
            zip(model.metadata.classes, activations[model.id].tolist())
        )
        for model in models
    }


def target_means(means_of_models: Means, models: Iterable[Model]) -> Means:
    """Average the models of each target.

    Parameters
    ----------
    means_of_models
        Model id to class to mean activation.
    models
        The models that ran.

    Returns
    -------
    dict
        Target to class to mean activation.
    """
    per_target: dict[str, list[dict[str, float]]] = defaultdict(list)
    for model in models:
        per_target[str(model.target)].append(means_of_models[model.id])
    return {
        target: {
            name: sum(means[name] for means in several) / len(several)
            for name in several[0]
        }
        for target, several in per_target.items()
    }


def strongest(values: Mapping[str, float]) -> list[str]:
    """Return names in the order of their values, the strongest first."""
    return sorted(
        values, key=lambda name: (-round(values[name], DECIMALS), name)
    )


def share(means: Mapping[str, float], name: str) -> float | None:
    """Return the share of a class in the sum over all classes.

    None if all classes are zero.
    """
    total = sum(means.values())
    return round(means[name] / total, DECIMALS) if total > 0 else None
