"""Patches to latent features: the values of any layer of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .activations import job
from .errors import UnusableModel
from .features import features
from .installed import find
from .plan import Plan, check_input

if TYPE_CHECKING:
    from pathlib import Path as Folder

    from .decoding import Path
    from .features import Reading
    from .installed import Model
    from .sessions import SessionPool, Spread
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

    def values(
        self,
        path: Path,
        pool: SessionPool,
        spread: Spread = map,
        reading: Reading = features,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the layer makes of a file.

        Parameters
        ----------
        path
            An audio file.
        pool
            Where sessions come from.
        spread
            Makes the single calls; see :meth:`sessions.SessionPool.run`.
        reading
            How the file is read: here, or elsewhere.

        Returns
        -------
        values : numpy.ndarray
            Shape (patches, ...), float32.
        times : numpy.ndarray
            The seconds at which the patches begin.

        Raises
        ------
        UnreadableAudio
            If there is no audio in the file.
        UnusableModel
            If a graph cannot be run.
        """
        (fed,) = self.plan.fed
        nodes = [(self.model, self.node)]
        if fed is not self.model:
            nodes.insert(0, (fed, str(fed.metadata.embedding)))
        values, times = [], []
        for portion in reading(path, self.plan.wanted, lambda: False):
            rows = portion.patches[fed.metadata.algorithm]
            for model, node in nodes:
                rows = pool.run(job(model, node), rows, spread)[node]
            values.append(rows)
            times.append(portion.times[fed.metadata.algorithm])
        return np.concatenate(values), np.concatenate(times)


def find_layer(
    name: str, node: str | None, folder: Folder, settings: Settings
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
