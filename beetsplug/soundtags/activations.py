"""Patches to activations: every model of a plan, each backbone once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UnusableModel
from .patches import FRONT_ENDS
from .sessions import Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from .installed import Model
    from .plan import Plan
    from .sessions import SessionPool


def activations(
    tracks: Sequence[Mapping[str, np.ndarray]], plan: Plan, pool: SessionPool
) -> list[dict[str, np.ndarray]]:
    """Run all models of a plan over the patches of some tracks.

    All tracks go through one model before the next one is needed, so that
    models that do not fit into memory together are loaded once for all.

    Parameters
    ----------
    tracks
        Per track, front end to patches of shape (patches, frames, bands).
    plan
        The models and the backbones that they need.
    pool
        Where sessions come from.

    Returns
    -------
    list
        Per track, model id to activations of shape (patches, classes).

    Raises
    ------
    UnusableModel
        If a graph cannot be run.
    """
    results: list[dict[str, np.ndarray]] = [{} for _ in tracks]
    for model in plan.fed:
        heads = plan.heads(model)
        wanted = job_of(model, plan)
        embeddings = []
        for patches, result in zip(tracks, results):
            values = pool.run(wanted, patches[model.metadata.algorithm])
            if model in plan.models:
                result[model.id] = _per_class(model, values)
            if heads:
                embeddings.append(values[str(model.metadata.embedding)])
        for head in heads:
            for embedding, result in zip(embeddings, results):
                values = pool.run(job_of(head, plan), embedding)
                result[head.id] = _per_class(head, values)
    return results


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
