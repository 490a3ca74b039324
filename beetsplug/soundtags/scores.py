"""Activations to track scores: means over patches, shares of classes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from .catalogue import Model

# Target to class to mean activation.
Means = dict[str, dict[str, float]]

DECIMALS = 4  # of every score, in the library as in files


def track_means(
    activations: Mapping[str, np.ndarray], models: Iterable[Model]
) -> Means:
    """Average activations over patches, and over the models of a target.

    Parameters
    ----------
    activations
        Model id to activations of shape (patches, classes).
    models
        What ran; each names the classes in its own order.
    """
    per_target: dict[str, list[dict[str, float]]] = defaultdict(list)
    for model in models:
        means = activations[model.id].mean(axis=0, dtype=float).tolist()
        per_target[model.target].append(dict(zip(model.classes, means)))
    return {
        target: {
            name: sum(means[name] for means in answers) / len(answers)
            for name in answers[0]
        }
        for target, answers in per_target.items()
    }


def share(means: Mapping[str, float], name: str) -> float | None:
    """Return the part that a class has in the sum over all classes.

    None if no class has any, so that nothing can be said.
    """
    total = sum(means.values())
    return round(means[name] / total, DECIMALS) if total > 0 else None
