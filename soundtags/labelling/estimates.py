"""Estimates from auto-tags, for targets that no model covers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.labelling.scores import strongest
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.labelling.scores import Means
    from soundtags.models.catalogue import Estimate

UMBRELLA = "Electronic"
ELECTRONIC = {UMBRELLA, "Ambient", "Chillout", "House", "Techno"}
GENRES = "genres"  # a field of beets' own, and the estimates that fill it
CERTAIN = 30  # log-odds beyond which nothing changes


def logistic(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities that log-odds stand for."""
    odds: np.ndarray = np.exp(-np.clip(log_odds, -CERTAIN, CERTAIN))
    return 1 / (1 + odds)


def estimates(means: Means) -> Means:
    """Estimate the targets that have estimates but no means.

    Parameters
    ----------
    means
        Mean activations of all models of the plan, with the auto-taggers.

    Returns
    -------
    dict
        Target to class to what a model of the target would give.
    """
    return {
        target: _as_means(target, means)
        for target in catalogue.estimates()
        if target not in means
        and target != GENRES
        and _vocabularies(target) <= means.keys()
    }


def genre_strengths(means: Means) -> dict[str, float]:
    """Return the strength of every genre, 0 to 1; at 0.5 are its thresholds.

    Empty where an auto-tagger that the estimates need did not run.
    """
    if not _vocabularies(GENRES) <= means.keys():
        return {}
    return {
        genre: probability(estimate, means)
        for genre, estimate in catalogue.estimates()[GENRES].items()
    }


def specific_first(strengths: Mapping[str, float]) -> list[str]:
    """Return genres by their strengths, "Electronic" behind other genres.

    It tells of a sound as much as of a genre: electronic jazz is jazz. Its own
    kinds, such as House, stay where they are.
    """
    ordered = strongest(strengths)
    others = [name for name in ordered if name not in ELECTRONIC]
    if others and UMBRELLA in ordered:
        place = ordered.index(UMBRELLA)
        ordered.remove(UMBRELLA)
        ordered.insert(max(place, ordered.index(others[0]) + 1), UMBRELLA)
    return ordered


def probability(estimate: Estimate, means: Means) -> Any:
    """Return the probability of a class, by logistic regressions.

    Parameters
    ----------
    estimate
        Its weights.
    means
        Vocabulary to tag to mean activation: numbers, or arrays of a number
        for each of several tracks.
    """
    sums = [
        sum([means[vocabulary][tag] for vocabulary, tag in term.tags])
        for term in estimate.terms
    ]
    weights = np.array([term.weight for term in estimate.terms])
    log_odds = estimate.bias + weights @ np.log(estimate.floor + np.array(sums))
    found = logistic(log_odds)
    if estimate.unless:
        found = found * (1 - probability(estimate.unless, means))
    return found if np.ndim(found) else float(found)


def _as_means(target: str, means: Means) -> dict[str, Any]:
    """Return what a model of a target would give, for each of its classes."""
    facts = catalogue.targets()[target]
    found = {
        name: probability(estimate, means)
        for name, estimate in catalogue.estimates()[target].items()
    }
    if facts.scale:
        low, high = facts.scale
        return {name: low + p * (high - low) for name, p in found.items()}
    (other,) = facts.classes.keys() - found.keys()
    return {**found, other: 1 - sum(found.values())}


@cache
def _vocabularies(target: str) -> frozenset[str]:
    found = catalogue.estimates()[target].values()
    return frozenset(
        vocabulary
        for estimate in found
        for term in estimate.terms
        for vocabulary, _ in term.tags
    )
