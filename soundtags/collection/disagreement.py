"""What several models say of the same to how far they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.labelling.labels import LIST_THRESHOLD
from soundtags.labelling.rules import estimates
from soundtags.labelling.scores import target_means
from soundtags.models.catalogue import SCORE, TAGS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from soundtags.models.catalogue import Target
    from soundtags.models.installed import Model

# As scores.Means, but with arrays of shape (tracks,); NaN is unheard.
Amounts = dict[str, dict[str, Any]]

RULES = "rules"  # speak, too
SCORES, RANKS = "scores", "ranks"


@dataclass(frozen=True)
class Disagreements:
    """On what the answers about each track are furthest apart.

    Attributes
    ----------
    kind
        What is compared: ``scores``, or ``ranks`` where there are no two
        scores for anything.
    questions
        What was asked: fields, their classes, or tags.
    speakers
        Who answered: ids of models, or ``rules``.
    question, low_by, high_by
        Indices for each track, shape (tracks,). The question is -1 where
        nobody contradicts.
    low, high
        The answers, shape (tracks,), from 0 to 1.
    """

    kind: str
    questions: list[str]
    speakers: list[str]
    question: np.ndarray
    low_by: np.ndarray
    low: np.ndarray
    high_by: np.ndarray
    high: np.ndarray


def find_disagreements(
    answers: Amounts,
    models: Sequence[Model],
    targets: Mapping[str, Target],
    count: int,
) -> Disagreements:
    """Find on what the answers about each track are furthest apart.

    Where several models answer one target, or rules answer it as well as a
    model, their scores are compared. Where nothing has two scores, as with
    the auto-taggers alone, it is the tags that two of them know. These learnt
    from different people, one of whom names guitars more readily. So it is
    ranks that count: the share of the tracks in which a model hears less of
    the tag. Tags that nobody hears clearly are left out.

    Parameters
    ----------
    answers
        Model id to class to mean activation, an array of shape (tracks,).
    models
        What answered.
    targets
        All targets by name.
    count
        The number of tracks.
    """
    kind, asked = SCORES, dict(_scores(answers, models, targets))
    if not asked:
        kind, asked = RANKS, dict(_ranks(answers, models, targets))
    speakers = sorted({name for said in asked.values() for name in said})
    index = np.full((3, count), -1)
    values = np.zeros((2, count))
    for number, said in enumerate(asked.values()):
        names = np.array([speakers.index(name) for name in said])
        heard = np.stack(list(said.values()))
        lows = np.where(np.isnan(heard), np.inf, heard)
        highs = np.where(np.isnan(heard), -np.inf, heard)
        low, high = lows.min(axis=0), highs.max(axis=0)
        wider = high - low > values[1] - values[0]
        found = np.stack(
            [
                np.full(count, number),
                names[lows.argmin(axis=0)],
                names[highs.argmax(axis=0)],
            ]
        )
        index[:, wider] = found[:, wider]
        values[:, wider] = np.stack([low, high])[:, wider]
    return Disagreements(
        kind,
        list(asked),
        speakers,
        question=index[0],
        low_by=index[1],
        low=values[0],
        high_by=index[2],
        high=values[1],
    )


def _scores(
    answers: Amounts, models: Sequence[Model], targets: Mapping[str, Target]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield what has several scores, and who gives which."""
    taggers = [m for m in models if targets[str(m.target)].kind == TAGS]
    estimated = estimates(target_means(answers, taggers))
    for name, target in targets.items():
        several = {m.id: answers[m.id] for m in models if m.target == name}
        if name in estimated:
            several[RULES] = estimated[name]
        if target.kind not in (SCORE, TEXT) or len(several) < 2:
            continue
        shares = {who: _shares(means) for who, means in several.items()}
        for each, readable in target.classes.items():
            if target.kind == TEXT or each == target.positive:
                question = name if target.positive else f"{name}: {readable}"
                yield question, {who: shares[who][each] for who in shares}


def _shares(means: Mapping[str, Any]) -> dict[str, np.ndarray]:
    total = sum(means.values())
    with np.errstate(invalid="ignore"):  # 0 of 0 says nothing
        return {name: np.asarray(means[name] / total) for name in means}


def _ranks(
    answers: Amounts, models: Sequence[Model], targets: Mapping[str, Target]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield tags that several models know, and who ranks tracks how."""
    pooled: dict[str, dict[str, np.ndarray]] = {}
    for model in models:
        target = targets[str(model.target)]
        for each, readable in target.classes.items():
            if target.kind == TAGS:
                said = pooled.setdefault(readable, {})
                means = answers[model.id][each]
                said[model.id] = np.maximum(means, said.get(model.id, 0.0))
    for tag, said in pooled.items():
        if len(said) > 1:
            clear = sum(v >= LIST_THRESHOLD for v in said.values()) > 0
            ranks = {who: _rank(values) for who, values in said.items()}
            yield (
                tag,
                {w: np.where(clear, r, np.nan) for w, r in ranks.items()},
            )


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the share of tracks with less; NaN for NaN."""
    known = np.sort(values[~np.isnan(values)])
    less = np.searchsorted(known, values) / max(len(known), 1)
    return np.where(np.isnan(values), np.nan, less)
