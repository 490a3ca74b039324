"""Patches to activations: every model of a plan, each backbone once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import UnusableModel
from .patches import FRONT_ENDS
from .sessions import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .installed import Model
    from .plan import Plan
    from .sessions import SessionPool, Spread


def activations(
    portions: Sequence[Mapping[str, np.ndarray]],
    plan: Plan,
    pool: SessionPool,
    spread: Spread = map,
) -> list[dict[str, np.ndarray]]:
    """Run all models of a plan over the patches of some tracks.

    All patches go through one model before the next one is needed, so that
    calls are filled up, and models that do not fit into memory together are
    loaded once for all.

    Parameters
    ----------
    portions
        Per track, or portion of one, front end to patches of shape (patches,
        frames, bands).
    plan
        The models and the backbones that they need.
    pool
        Where sessions come from.
    spread
        Makes the single calls; see :meth:`sessions.SessionPool.run`.

    Returns
    -------
    list
        Per portion, model id to activations of shape (patches, classes).

    Raises
    ------
    UnusableModel
        If a graph cannot be run.
    """
    results: list[dict[str, np.ndarray]] = [{} for _ in portions]
    for model in plan.fed:
        name = model.metadata.algorithm
        fed = [(p[name], r) for p, r in zip(portions, results) if name in p]
        if not fed:
            continue
        patches = np.concatenate([each for each, _ in fed])
        ends = np.cumsum([len(each) for each, _ in fed])[:-1]
        for said, values in _said(model, patches, plan, pool, spread):
            for part, (_, result) in zip(np.split(values, ends), fed):
                result[said.id] = part
    return results


def _said(
    model: Model,
    patches: np.ndarray,
    plan: Plan,
    pool: SessionPool,
    spread: Spread,
) -> Iterator[tuple[Model, np.ndarray]]:
    """Yield what a model, and the heads on it, say of some patches."""
    values = pool.run(job_of(model, plan), patches, spread)
    if model in plan.models:
        yield model, _per_class(model, values)
    for head in plan.heads(model):
        embedding = values[str(model.metadata.embedding)]
        found = pool.run(job_of(head, plan), embedding, spread)
        yield head, _per_class(head, found)


def job_of(model: Model, plan: Plan) -> Job:
    """Return which nodes of a model are wanted."""
    outputs = []
    if model in plan.models:
        outputs.append(str(model.metadata.predictions))
    if model in plan.backbones:
        outputs.append(str(model.metadata.embedding))
    return job(model, *outputs)


def job(model: Model, *outputs: str) -> Job:
    """Return a job for some nodes of a model."""
    kind = FRONT_ENDS.get(model.metadata.algorithm)  # none of heads
    batch = kind.batch if kind else None
    return Job(model.graph, model.metadata.input, outputs, batch)


def jobs(plan: Plan) -> list[Job]:
    """Return what is wanted of all models of a plan."""
    return [
        job_of(model, plan)
        for fed in plan.fed
        for model in (fed, *plan.heads(fed))
    ]


def _per_class(model: Model, values: Mapping[str, np.ndarray]) -> np.ndarray:
    found = values[str(model.metadata.predictions)]
    if found.shape[1:] != (len(model.metadata.classes),):
        raise UnusableModel(
            f"{model.id}: gives {found.shape[1:]} values for"
            f" {len(model.metadata.classes)} classes"
        )
    return found
