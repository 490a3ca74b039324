"""Patches to activations: every model of a plan, each backbone once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .catalogue import Model
    from .plan import Plan
    from .sessions import SessionPool

# Patches per call: more take memory (about 40 MB each) and no less time.
BATCH = 4


def activations(
    patches: np.ndarray, plan: Plan, pool: SessionPool
) -> dict[str, np.ndarray]:
    """Run all models of a plan over the patches of a track.

    Parameters
    ----------
    patches
        Shape (patches, 187, 96).
    plan
        The models and the backbones that they need.
    pool
        Where sessions come from.

    Returns
    -------
    dict
        Model id to activations of shape (patches, classes).

    Raises
    ------
    UnusableModel
        If a graph cannot be run.
    """
    wanted = _wanted_nodes(plan)
    nodes = {
        model: _run_in_batches(model, wanted[model], patches, pool)
        for model in wanted
    }
    embeddings = {
        model.id: values[model.embedding]
        for model, values in nodes.items()
        if model.embedding in values
    }
    result = {}
    for model in plan.models:
        if model.backbone:
            source = embeddings[model.backbone]
            (result[model.id],) = pool.run(
                model.graph, [model.output], model.input, source
            )
        else:
            result[model.id] = nodes[model][model.output]
    return result


def _wanted_nodes(plan: Plan) -> dict[Model, list[str]]:
    """Return which nodes are wanted of the models that patches are fed to."""
    wanted = {
        model: [model.output] for model in plan.models if not model.backbone
    }
    for model in plan.backbones:
        wanted.setdefault(model, []).append(str(model.embedding))
    return wanted


def _run_in_batches(
    model: Model, nodes: list[str], patches: np.ndarray, pool: SessionPool
) -> dict[str, np.ndarray]:
    batches = [
        pool.run(
            model.graph, nodes, model.input, patches[start : start + BATCH]
        )
        for start in range(0, len(patches), BATCH)
    ]
    return {
        node: np.concatenate(parts) for node, parts in zip(nodes, zip(*batches))
    }
