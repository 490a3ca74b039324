"""Where models disagree: the items on which their outputs differ most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.labelling.estimates import estimates
from soundtags.labelling.labels import LIST_THRESHOLD
from soundtags.labelling.scores import target_means
from soundtags.models.catalogue import SCORE, TAGS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from soundtags.models.catalogue import Target
    from soundtags.models.installed import Model

# Like scores.Means, with arrays of shape (tracks,); NaN where there is none.
Activations = dict[str, dict[str, Any]]

ESTIMATES = "estimates"  # a source, like a model
SCORES, RANKS = "scores", "ranks"


@dataclass(frozen=True)
class Disagreements:
    """The item on which the sources differ most, for each track.

    Attributes
    ----------
    kind
        What is compared: ``scores``, or ``ranks`` where no item has two
        scores.
    items
        Names of all items that are compared: fields, their classes, or tags.
    sources
        Names of all sources: ids of models, or ``estimates``.
    item, low_by, high_by
        Indices of the item and of the sources of the lowest and the highest
        value, int, shape (tracks,). The item is -1 where no sources differ.
    low, high
        The lowest and the highest value, float, shape (tracks,), 0 to 1.
    """

    kind: str
    items: list[str]
    sources: list[str]
    item: np.ndarray
    low_by: np.ndarray
    low: np.ndarray
    high_by: np.ndarray
    high: np.ndarray


def find_disagreements(
    activations: Activations,
    models: Sequence[Model],
    targets: Mapping[str, Target],
    count: int,
) -> Disagreements:
    """Find the item on which the sources differ most, for each track.

    Where several models cover one target, or a model and an estimate do, their
    scores are compared. Where nothing has two scores, as with the auto-taggers
    alone, the tags that two of them know are compared instead. Each learnt
    from the tags of different people, some of whom name guitars more readily,
    so ranks are compared: the share of the tracks in which a model finds less
    of the tag. Tags of which no model is sure are left out.

    Parameters
    ----------
    activations
        Model id to class to mean activation, float, shape (tracks,).
    models
        The models.
    targets
        All targets by name.
    count
        Number of tracks.
    """
    kind, compared = SCORES, dict(_scores(activations, models, targets))
    if not compared:
        kind, compared = RANKS, dict(_ranks(activations, models, targets))
    sources = sorted({name for values in compared.values() for name in values})
    item, low_by, high_by = (np.full(count, -1) for _ in range(3))
    low, high = np.zeros(count), np.zeros(count)
    for number, by_source in enumerate(compared.values()):
        indices = np.array([sources.index(name) for name in by_source])
        values = np.stack(list(by_source.values()))
        lows = np.where(np.isnan(values), np.inf, values)
        highs = np.where(np.isnan(values), -np.inf, values)
        lowest, highest = lows.min(axis=0), highs.max(axis=0)
        wider = highest - lowest > high - low
        item[wider] = number
        low_by[wider] = indices[lows.argmin(axis=0)][wider]
        high_by[wider] = indices[highs.argmax(axis=0)][wider]
        low[wider], high[wider] = lowest[wider], highest[wider]
    return Disagreements(
        kind, list(compared), sources, item, low_by, low, high_by, high
    )


def _scores(
    activations: Activations,
    models: Sequence[Model],
    targets: Mapping[str, Target],
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the items that have several scores, with the scores by source."""
    taggers = [m for m in models if targets[str(m.target)].kind == TAGS]
    estimated = estimates(target_means(activations, taggers))
    for name, target in targets.items():
        several = {m.id: activations[m.id] for m in models if m.target == name}
        if name in estimated:
            several[ESTIMATES] = estimated[name]
        if target.kind not in (SCORE, TEXT) or len(several) < 2:
            continue
        shares = {source: _shares(means) for source, means in several.items()}
        for each, readable in target.classes.items():
            if target.kind == TEXT or each == target.positive:
                item = name if target.positive else f"{name}: {readable}"
                yield item, {source: shares[source][each] for source in shares}


def _shares(means: Mapping[str, Any]) -> dict[str, np.ndarray]:
    total = sum(means.values())
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
        return {name: np.asarray(means[name] / total) for name in means}


def _ranks(
    activations: Activations,
    models: Sequence[Model],
    targets: Mapping[str, Target],
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the tags that several models know, with the ranks by source."""
    pooled: dict[str, dict[str, np.ndarray]] = {}
    for model in models:
        target = targets[str(model.target)]
        for each, readable in target.classes.items():
            if target.kind == TAGS:
                of_tag = pooled.setdefault(readable, {})
                means = activations[model.id][each]
                of_tag[model.id] = np.maximum(means, of_tag.get(model.id, 0.0))
    for tag, of_tag in pooled.items():
        if len(of_tag) > 1:
            clear = sum(v >= LIST_THRESHOLD for v in of_tag.values()) > 0
            yield (
                tag,
                {
                    source: np.where(clear, _rank(values), np.nan)
                    for source, values in of_tag.items()
                },
            )


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the share of tracks with a lower value; NaN stays NaN."""
    known = np.sort(values[~np.isnan(values)])
    less = np.searchsorted(known, values) / max(len(known), 1)
    return np.where(np.isnan(values), np.nan, less)
