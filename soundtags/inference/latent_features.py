"""Latent features: the values of any layer of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundtags.audio.features import FeatureSpec
from soundtags.errors import UnusableModel
from soundtags.models.installed import find
from soundtags.models.plan import check_input

if TYPE_CHECKING:
    from pathlib import Path as Folder

    from soundtags.inference.predict import FilePredictor
    from soundtags.models.installed import Model
    from soundtags.models.settings import Settings
    from soundtags.types import Path


@dataclass(frozen=True)
class Layer:
    """A layer of a model.

    Attributes
    ----------
    model : Model
        The model.
    node : str
        The node of its graph that is the layer.
    backbone : Model or None
        The model whose embedding it starts from, if it is a head.
    """

    model: Model
    node: str
    backbone: Model | None = None

    @property
    def front_end(self) -> str:
        """The front end that the layer depends on."""
        return (self.backbone or self.model).metadata.algorithm

    @property
    def nodes(self) -> dict[Model, tuple[str, ...]]:
        """The nodes that :func:`predict.predict` has to compute for it."""
        nodes: dict[Model, tuple[str, ...]] = {}
        if self.backbone:
            nodes[self.backbone] = (str(self.backbone.metadata.embedding),)
        nodes[self.model] = (self.node,)
        return nodes

    def values(
        self, path: Path, settings: Settings, predictor: FilePredictor
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of the layer for the patches of a file.

        Parameters
        ----------
        path : str or path
            An audio file.
        settings : Settings
            Which patches, and how the file is resampled.
        predictor : FilePredictor
            Reads the file and runs the models.

        Returns
        -------
        values : numpy.ndarray
            Shape (patches, ...), float32.
        times : numpy.ndarray
            Shape (patches,), float64: where the patches begin, in seconds.

        Raises
        ------
        UnreadableAudio
            If there is no audio in the file.
        UnusableModel
            If a graph cannot be loaded or run.

        References
        ----------
        Pons, J. and Serra, X., "musicnn: Pre-trained convolutional neural
        networks for music audio tagging", ISMIR Late-Breaking/Demo, 2019: its
        "penultimate" features are the embedding of ``msd-musicnn-1``.
        """
        spec = FeatureSpec(
            {self.front_end}, settings.patches, settings.resampler
        )
        values, times = [], []
        for chunk, outputs in predictor.predict(path, spec, self.nodes):
            values.append(outputs.values[self.model.id][self.node])
            times.append(chunk.times[self.front_end])
        return np.concatenate(values), np.concatenate(times)


def find_layer(name: str, node: str | None, folder: Folder) -> Layer:
    """Find a layer of an installed model.

    Parameters
    ----------
    name : str
        Id or alias of the model.
    node : str or None
        An output that its metadata names. None stands for the embedding or,
        in a model without one, the layer before the activations.
    folder : pathlib.Path
        The user's model folder.

    Returns
    -------
    Layer

    Raises
    ------
    UnknownModel
        If the model, or the backbone of a head, is not installed.
    UnusableModel
        If the model cannot be run, or has no such layer.

    Examples
    --------
    >>> from pathlib import Path
    >>> find_layer("msd-musicnn-1", None, Path(".")).node
    'model/dense/BiasAdd'
    """
    (model,) = find([name], folder)
    outputs = [output for output, _ in model.metadata.outputs]
    node = node or model.metadata.embedding or outputs[-1]
    if node not in outputs:
        raise UnusableModel(
            f"{model.id} has no layer {node}; it has: {', '.join(outputs)}"
        )
    backbone = None
    if model.metadata.backbone:
        (backbone,) = find([model.metadata.backbone], folder)
    check_input(model, {backbone.id: backbone} if backbone else {})
    return Layer(model, node, backbone)
