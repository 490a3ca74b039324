"""Estimates from auto-tags, for targets that no model covers.

Where an estimate is better than a model, ``targets.json`` says so
(``outdone``), and the plan leaves the model out.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.labelling.scores import strongest
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.labelling.scores import Means
    from soundtags.models.catalogue import Estimates

UMBRELLA = "Electronic"
ELECTRONIC = {UMBRELLA, "Ambient", "Chillout", "House", "Techno"}
GENRES = "genres"  # a field of beets' own; also names its estimates
CERTAIN = 30  # log-odds beyond which nothing changes


def logistic(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities that log-odds stand for."""
    odds: np.ndarray = np.exp(-np.clip(log_odds, -CERTAIN, CERTAIN))
    return 1 / (1 + odds)


class _Heads(NamedTuple):
    """Estimates as arrays, so that one pass computes all of them.

    A term that several estimates share is one term here.

    Attributes
    ----------
    classes
        Target and class of each estimate.
    tags
        Vocabulary and name of each tag: first those of the first term, then
        those of the second, and so on.
    starts
        Where in the tags each term starts: integers, shape (terms,).
    floors
        Added to the sum of each term before its logarithm, shape (terms,).
    weights, biases
        Shape (terms, columns) and (columns,): a column for each estimate, then
        one for each ``unless`` that an estimate has.
    doubted
        Columns of the estimates with an ``unless``, in the same order.
    """

    classes: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    starts: np.ndarray
    floors: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    doubted: list[int]


def estimates(means: Means) -> Means:
    """Estimate the targets that have estimates but no means.

    Parameters
    ----------
    means
        Mean activations of all models of the plan, with the auto-taggers:
        numbers, or arrays with a number per track.

    Returns
    -------
    dict
        Target to class to what a model of the target would give. Empty where
        an auto-tagger that the estimates need did not run.
    """
    targets = tuple(name for name in catalogue.estimates() if name != GENRES)
    return {
        target: _as_means(target, found)
        for target, found in _probabilities(targets, means).items()
        if target not in means
    }


def genre_strengths(means: Means) -> dict[str, float]:
    """Return the strength of every genre, 0 to 1; the usual threshold is 0.5.

    Empty where an auto-tagger that the estimates need did not run.
    """
    return _probabilities((GENRES,), means).get(GENRES, {})


def specific_first(strengths: Mapping[str, float]) -> list[str]:
    """Return genres, strongest first, but "Electronic" behind another one.

    It describes a sound as much as a genre: electronic jazz is jazz. Its own
    kinds, such as House, stay where they are, and do not count as another one.
    """
    ordered = strongest(strengths)
    others = [name for name in ordered if name not in ELECTRONIC]
    if others and UMBRELLA in ordered:
        place = ordered.index(UMBRELLA)
        ordered.remove(UMBRELLA)
        ordered.insert(max(place, ordered.index(others[0]) + 1), UMBRELLA)
    return ordered


def _probabilities(targets: tuple[str, ...], means: Means) -> Means:
    """Return the probabilities of the classes of targets.

    Empty where an auto-tagger that one of them needs did not run.
    """
    heads = _heads(catalogue.estimates(), targets)
    if not {vocabulary for vocabulary, _ in heads.tags} <= means.keys():
        return {}
    activations = np.array([means[words][tag] for words, tag in heads.tags]).T
    sums = np.add.reduceat(activations, heads.starts, axis=-1)
    log_odds = heads.biases + np.log(heads.floors + sums) @ heads.weights
    found = logistic(log_odds)
    found[..., heads.doubted] *= 1 - found[..., len(heads.classes) :]
    columns = found.T if found.ndim > 1 else found.tolist()
    probabilities: Means = {target: {} for target in targets}
    for (target, name), column in zip(heads.classes, columns):
        probabilities[target][name] = column
    return probabilities


@cache
def _heads(given: Estimates, targets: tuple[str, ...]) -> _Heads:
    chosen = {
        (target, name): estimate
        for target in targets
        for name, estimate in given[target].items()
    }
    doubts = {n: e.unless for n, e in enumerate(chosen.values()) if e.unless}
    columns = [*chosen.values(), *doubts.values()]
    terms = {(e.floor, term.tags): None for e in columns for term in e.terms}
    places = {term: place for place, term in enumerate(terms)}
    weights = np.zeros((len(terms), len(columns)))
    for column, estimate in enumerate(columns):
        for term in estimate.terms:
            weights[places[estimate.floor, term.tags], column] += term.weight
    lengths = [len(tags) for _, tags in terms]
    return _Heads(
        classes=tuple(chosen),
        tags=tuple(tag for _, tags in terms for tag in tags),
        starts=np.cumsum([0, *lengths[:-1]]),
        floors=np.array([floor for floor, _ in terms]),
        weights=weights,
        biases=np.array([estimate.bias for estimate in columns]),
        doubted=list(doubts),
    )


def _as_means(target: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model of a target would give, for each of its classes."""
    facts = catalogue.targets()[target]
    if facts.scale:
        low, high = facts.scale
        return {name: low + p * (high - low) for name, p in found.items()}
    (other,) = facts.classes.keys() - found.keys()
    return {**found, other: 1 - sum(found.values())}
