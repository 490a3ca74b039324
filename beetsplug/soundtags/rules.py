"""Auto-tags to estimates, for targets that no model answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .catalogue import Rule
    from .scores import Means

GENRES = "genres"  # a field of beets' own, and the rules that fill it


def estimates(means: Means) -> Means:
    """Estimate the targets that have rules but no means.

    Parameters
    ----------
    means
        What the models of the plan said, auto-taggers among them.

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
        and _vocabularies(rules) <= means.keys()
    }


def genre_strengths(means: Means) -> dict[str, float]:
    """Return the strength of every genre; from 1 on, it holds.

    Empty where an auto-tagger that the rules need did not run.
    """
    rules = catalogue.rules()[GENRES]
    if not _vocabularies(rules) <= means.keys():
        return {}
    return strengths(rules, means)


def strengths(rules: Mapping[str, Rule], means: Means) -> dict[str, float]:
    """Return for each rule the sum of its tags' means over its threshold."""
    return {
        name: sum(_mean(tag, means) for tag in rule.tags) / rule.threshold
        for name, rule in rules.items()
    }


def _mean(tag: str, means: Means) -> float:
    vocabulary, name = tag.split(":", 1)
    return means[vocabulary][name]


def _vocabularies(rules: Mapping[str, Rule]) -> set[str]:
    return {
        tag.split(":", 1)[0] for rule in rules.values() for tag in rule.tags
    }
