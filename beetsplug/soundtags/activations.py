"""Patches to activations: every model of a plan, each backbone once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import UnusableModel
from .hearing import Said
from .patches import FRONT_ENDS
from .sessions import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .installed import Model
    from .plan import Plan
    from .sessions import SessionPool, Spread


HEAD_BATCH = 16  # embeddings per call of a head


def activations(
    portions: Sequence[Mapping[str, np.ndarray]],
    plan: Plan,
    pool: SessionPool,
    spread: Spread = map,
) -> list[Said]:
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
    list of Said
        Per portion.

    Raises
    ------
    UnusableModel
        If a graph cannot be run.
    """
    results = [Said({}, {}) for _ in portions]
    for model in plan.fed:
        name = model.metadata.algorithm
        fed = [(p[name], r) for p, r in zip(portions, results) if name in p]
        if not fed:
            continue
        patches = np.concatenate([each for each, _ in fed])
        ends = np.cumsum([len(each) for each, _ in fed])[:-1]
        whole = _said(model, patches, plan, pool, spread)
        for all_of_it, *places in zip(whole, *(result for _, result in fed)):
            for name, values in all_of_it.items():
                for part, place in zip(np.split(values, ends), places):
                    place[name] = part
    return results


def _said(
    model: Model,
    patches: np.ndarray,
    plan: Plan,
    pool: SessionPool,
    spread: Spread,
) -> Said:
    """Return what a model, and the heads on it, say of some patches."""
    said = Said({}, {})
    values = pool.run(job_of(model, plan), patches, spread)
    if model in plan.models:
        said.activations[model.id] = _per_class(model, values)
    if model.metadata.embedding:
        said.embeddings[model.id] = values[model.metadata.embedding]
    for head in plan.heads(model):
        embedding = said.embeddings[model.id]
        found = pool.run(job_of(head, plan), embedding, spread)
        said.activations[head.id] = _per_class(head, found)
    return said


def job_of(model: Model, plan: Plan) -> Job:
    """Return which nodes of a model are wanted."""
    outputs = []
    if model in plan.models:
        outputs.append(str(model.metadata.predictions))
    if model in plan.fed and model.metadata.embedding:
        outputs.append(model.metadata.embedding)
    return job(model, *outputs)


def job(model: Model, *outputs: str) -> Job:
    """Return a job for some nodes of a model."""
    kind = FRONT_ENDS.get(model.metadata.algorithm)  # none of heads
    batch = kind.batch if kind else HEAD_BATCH
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
