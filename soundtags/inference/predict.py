"""Patches to model outputs, each backbone run once for all of its heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from soundtags.audio.features import features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.audio.track import no_checkpoint
from soundtags.errors import UnusableModel
from soundtags.inference.sessions import GraphSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from soundtags.audio.features import FeatureReader, Features, FeatureSpec
    from soundtags.inference.sessions import MapFunction, SessionPool
    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan
    from soundtags.types import Path

    # Model to the nodes of its graph to compute. A head must come with its
    # backbone, which must have the embedding among its nodes.
    ModelNodes = Mapping[Model, tuple[str, ...]]
    NodeValues = dict[str, np.ndarray]

HEAD_BATCH = 16  # embeddings per call of a head


@dataclass(frozen=True)
class ModelOutputs:
    """What models compute from the patches of one chunk of a track.

    A chunk may lack the patches of one of several front ends; the models
    behind that front end then have no outputs.

    Attributes
    ----------
    values : dict of str to dict of str to numpy.ndarray
        Model id to node to values of shape (patches, ...), float32.
    """

    values: dict[str, NodeValues] = field(default_factory=dict)

    def __contains__(self, model: Model) -> bool:
        """Return whether a model has run."""
        return model.id in self.values

    def activations(self, model: Model) -> np.ndarray:
        """Return the activations of a model, shape (patches, classes).

        Raises
        ------
        UnusableModel
            If there are more or fewer than the model has classes.
        """
        rows = self.values[model.id][str(model.metadata.predictions)]
        if rows.shape[1:] != (len(model.metadata.classes),):
            raise UnusableModel(
                f"{model.id}: gives {rows.shape[1:]} values for"
                f" {len(model.metadata.classes)} classes"
            )
        return rows

    def embedding(self, model: Model) -> np.ndarray:
        """Return the embeddings of a model, shape (patches, dimensions).

        Raises
        ------
        UnusableModel
            If they have another shape.
        """
        rows = self.values[model.id][str(model.metadata.embedding)]
        if rows.ndim != 2:
            raise UnusableModel(
                f"{model.id}: gives embeddings of shape {rows.shape[1:]}"
            )
        return rows


def predict(
    chunks: Sequence[Mapping[str, np.ndarray]],
    nodes: ModelNodes,
    pool: SessionPool,
    map_fn: MapFunction = map,
) -> list[ModelOutputs]:
    """Run models over the patches of several chunks.

    The patches of all chunks go through one model before the next model
    runs. That fills the calls of a model, and loads models that do not fit
    into memory together only once for all chunks.

    Parameters
    ----------
    chunks : sequence of mappings
        Per chunk, front end to patches of shape (patches, frames, bands),
        float32.
    nodes : mapping of Model to tuple of str
        The nodes to compute, see :func:`plan_nodes`.
    pool : SessionPool
        Runs the graphs.
    map_fn : callable
        Makes the individual calls, see :meth:`SessionPool.run`.

    Returns
    -------
    list of ModelOutputs
        One per chunk.

    Raises
    ------
    UnusableModel
        If a graph cannot be loaded or run.

    References
    ----------
    Pons, J. and Serra, X., "musicnn: Pre-trained convolutional neural
    networks for music audio tagging", ISMIR Late-Breaking/Demo, 2019.

    Hershey, S. et al., "CNN architectures for large-scale audio
    classification", ICASSP 2017 (VGGish).

    Essentia's TensorflowPredictMusiCNN, TensorflowPredictVGGish,
    TensorflowPredictEffnetDiscogs and TensorflowPredict2D give the same.

    Examples
    --------
    >>> from pathlib import Path
    >>> from soundtags.inference.sessions import SessionPool
    >>> from soundtags.models.plan import make_plan
    >>> from soundtags.models.settings import Settings
    >>> plan = make_plan(["msd-musicnn-1"], Path("."), Settings(), print)
    >>> chunk = {"TensorflowPredictMusiCNN": np.zeros((2, 187, 96), np.float32)}
    >>> (outputs,) = predict([chunk], plan_nodes(plan), SessionPool(10**9))
    >>> outputs.activations(plan.models[0]).shape
    (2, 50)
    """
    outputs = [ModelOutputs() for _ in chunks]
    for model in nodes:
        front_end = model.metadata.algorithm  # heads have none
        fed = [
            (chunk[front_end], output)
            for chunk, output in zip(chunks, outputs)
            if front_end in chunk
        ]
        if not fed:
            continue
        patches = np.concatenate([rows for rows, _ in fed])
        values = _run_with_heads(model, patches, nodes, pool, map_fn)
        stop = 0
        for rows, output in fed:
            start, stop = stop, stop + len(rows)
            for name, of_model in values.items():
                output.values[name] = {
                    node: each[start:stop] for node, each in of_model.items()
                }
    return outputs


def _run_with_heads(
    model: Model,
    patches: np.ndarray,
    nodes: ModelNodes,
    pool: SessionPool,
    map_fn: MapFunction,
) -> dict[str, NodeValues]:
    """Return the values of a model, and of the heads on its embedding."""
    spec = graph_spec(model, nodes[model])
    values = {model.id: pool.run(spec, patches, map_fn)}
    for head, names in nodes.items():
        if head.metadata.backbone == model.id:
            embeddings = values[model.id][str(model.metadata.embedding)]
            spec = graph_spec(head, names)
            values[head.id] = pool.run(spec, embeddings, map_fn)
    return values


def plan_nodes(plan: Plan) -> dict[Model, tuple[str, ...]]:
    """Return the nodes that a plan needs, in the order in which models run.

    These are the activations of its models, and the embedding of every model
    that is fed with patches and has one.
    """
    nodes: dict[Model, tuple[str, ...]] = {}
    for fed in plan.fed:
        names = []
        if fed in plan.models:
            names.append(str(fed.metadata.predictions))
        if fed.metadata.embedding:
            names.append(fed.metadata.embedding)
        nodes[fed] = tuple(names)
        for head in plan.heads(fed):
            nodes[head] = (str(head.metadata.predictions),)
    return nodes


def graph_spec(model: Model, nodes: Sequence[str]) -> GraphSpec:
    """Return how to run the graph of a model for some of its nodes."""
    front_end = FRONT_ENDS.get(model.metadata.algorithm)
    batch = front_end.batch if front_end else HEAD_BATCH
    return GraphSpec(model.graph, model.metadata.input, tuple(nodes), batch)


def graph_specs(plan: Plan) -> list[GraphSpec]:
    """Return how to run all graphs of a plan."""
    return [
        graph_spec(model, nodes) for model, nodes in plan_nodes(plan).items()
    ]


@dataclass(frozen=True)
class FilePredictor:
    """Runs models over one file at a time, chunk by chunk.

    It gives the outputs for every patch of a track, where
    :func:`soundtags.inference.pipeline.predict_all` gives the means of many
    tracks.

    Attributes
    ----------
    pool : SessionPool
        Runs the graphs.
    map_fn : callable
        Makes the individual calls, see :meth:`SessionPool.run`.
    reader : callable
        Reads the file, as :func:`soundtags.audio.features.features` does.
    """

    pool: SessionPool
    map_fn: MapFunction = map
    reader: FeatureReader = features

    def predict(
        self, path: Path, spec: FeatureSpec, nodes: ModelNodes
    ) -> Iterator[tuple[Features, ModelOutputs]]:
        """Yield the chunks of a file, and what models compute from each.

        Parameters
        ----------
        path : str or path
            An audio file.
        spec : FeatureSpec
            The patches to feed to the models.
        nodes : mapping of Model to tuple of str
            The nodes to compute, see :func:`plan_nodes`.

        Yields
        ------
        features : Features
            A chunk, in order of time.
        outputs : ModelOutputs
            The values for its patches.

        Raises
        ------
        UnreadableAudio
            If there is no audio in the file.
        UnusableModel
            If a graph cannot be loaded or run.
        """
        for chunk in self.reader(path, spec, no_checkpoint):
            (outputs,) = predict([chunk.patches], nodes, self.pool, self.map_fn)
            yield chunk, outputs
