"""Estimates from auto-tags, for targets that no model covers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.labelling.scores import Means
    from soundtags.models.catalogue import Rule

GENRES = "genres"  # a field of beets' own, and the rules that fill it


def estimates(means: Means) -> Means:
    """Estimate the targets that have rules but no means.

    Parameters
    ----------
    means
        Mean activations of all models of the plan, with the auto-taggers.

    Returns
    -------
    dict
        Target to class to strength, to be used like means of activations.
    """
    return {
        target: strengths(rules, means)
        for target, rules in catalogue.rules().items()
        if target not in means
        and target != GENRES
        and _vocabularies(target) <= means.keys()
    }


def genre_strengths(means: Means) -> dict[str, float]:
    """Return the strength of every genre; from 1 on, it holds.

    Empty where an auto-tagger that the rules need did not run.
    """
    rules = catalogue.rules()[GENRES]
    if not _vocabularies(GENRES) <= means.keys():
        return {}
    return strengths(rules, means)


def strengths(rules: Mapping[str, Rule], means: Means) -> dict[str, float]:
    """Return for each rule the sum of its tags' means over its threshold."""
    return {
        name: sum(means[vocabulary][tag] for vocabulary, tag in _tags(rule))
        / rule.threshold
        for name, rule in rules.items()
    }


@cache
def _tags(rule: Rule) -> list[tuple[str, str]]:
    """Return vocabulary and name of each tag of a rule."""
    parts = [tag.partition(":") for tag in rule.tags]
    return [(vocabulary, name) for vocabulary, _, name in parts]


@cache
def _vocabularies(target: str) -> frozenset[str]:
    rules = catalogue.rules()[target].values()
    return frozenset(name for rule in rules for name, _ in _tags(rule))
