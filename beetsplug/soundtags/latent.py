"""Patches to latent features: the values of any layer of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .activations import job
from .errors import UnusableModel
from .installed import find
from .plan import Plan, check_input

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from .analysis import Features
    from .installed import Model
    from .sessions import SessionPool
    from .settings import Settings


@dataclass(frozen=True)
class Layer:
    """A layer of a model, and what it takes to get there.

    Attributes
    ----------
    plan
        What is fed with patches.
    model
        The model.
    node
        The layer.
    """

    plan: Plan
    model: Model
    node: str

    def values(self, track: Features, pool: SessionPool) -> np.ndarray:
        """Return the values of the layer, shape (patches, ...), float32."""
        (fed,) = self.plan.fed
        rows = track.patches[fed.metadata.algorithm]
        if fed is not self.model:
            rows = _run(fed, str(fed.metadata.embedding), rows, pool)
        return _run(self.model, self.node, rows, pool)

    def times(self, track: Features) -> np.ndarray:
        """Return the seconds at which the patches begin."""
        (fed,) = self.plan.fed
        return track.times[fed.metadata.algorithm]


def find_layer(
    name: str, node: str | None, folder: Path, settings: Settings
) -> Layer:
    """Find a layer of an installed model.

    Parameters
    ----------
    name
        Id or alias of the model.
    node
        An output that its metadata names; None for the embedding, or else
        the layer before the activations.
    folder
        The user's model folder.
    settings
        Which patches.

    Raises
    ------
    UnknownModel
        If the model, or the backbone that it needs, is not here.
    UnusableModel
        If it cannot be run, or has no such layer.
    """
    (model,) = find([name], folder)
    outputs = [output for output, _ in model.metadata.outputs]
    node = node or model.metadata.embedding or outputs[-1]
    if node not in outputs:
        raise UnusableModel(
            f"{model.id} has no layer {node}; it has: {', '.join(outputs)}"
        )
    fed = model
    if model.metadata.backbone:
        (fed,) = find([model.metadata.backbone], folder)
    check_input(model, {fed.id: fed})
    return Layer(Plan((), (fed,), settings, {}), model, node)


def _run(
    model: Model, node: str, rows: np.ndarray, pool: SessionPool
) -> np.ndarray:
    return pool.run(job(model, node), rows)[node]
