"""Graphs with one convolution, and what they compute."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.inference.graphdef import GraphDef

from .needs import tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping

MEL = (187, 96)  # frames and bands of a patch


class Pool(NamedTuple):
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: str


class Case(NamedTuple):
    """A convolution, and the maximum that follows."""

    kernel: tuple[int, int]
    filters: int = 51
    padding: str = "SAME"
    shape: tuple[int | None, int | None] = MEL
    pool: Pool | None = None
    channels: int = 1
    options: Mapping[str, Any] = MappingProxyType({})

    def graph(self) -> Any:
        """Return a graph, from ``in`` to ``out``."""
        tf = tensorflow()
        rng = np.random.default_rng(0)
        weights = (*self.kernel, self.channels, self.filters)
        kernel = rng.standard_normal(weights, np.float32)
        kernel /= np.sqrt(kernel[..., 0].size)
        with tf.Graph().as_default() as made:
            x = tf.placeholder(
                tf.float32, (None, *self.shape, self.channels), name="in"
            )
            x = tf.nn.conv2d(
                x, tf.constant(kernel), padding=self.padding, **self.options
            )
            if self.pool:
                x = tf.nn.max_pool2d(x, *self.pool)
            tf.identity(x, name="out")
            return definition_of(made)


def definition_of(graph: Any) -> Any:
    return GraphDef.FromString(graph.as_graph_def().SerializeToString())


def over_bands(bands: int = MEL[1]) -> Pool:
    return Pool((1, bands), (1, bands), "VALID")


def run(graph: Any, rows: np.ndarray) -> np.ndarray:
    tf = tensorflow()
    with tf.Graph().as_default() as imported:
        definition = tf.GraphDef.FromString(graph.SerializeToString())
        tf.import_graph_def(definition, name="")
        with tf.Session(graph=imported) as session:
            return session.run("out:0", {"in:0": rows})


def patches(case: Case, count: int = 2) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (count, *(each or 40 for each in case.shape), case.channels)
    return rng.standard_normal(shape, np.float32)


def operations(graph: Any, kind: str) -> list[Any]:
    return [node for node in graph.node if node.op == kind]


def depths(graph: Any) -> list[int]:
    """Return how many channels the kernel of each convolution has."""
    nodes = {node.name: node for node in graph.node}
    found = []
    for node in operations(graph, "Conv2D"):
        source = nodes[node.input[1]]
        while source.op == "Identity":
            source = nodes[source.input[0]]
        shape = source.attr["value"].tensor.tensor_shape.dim
        found.append(shape[2].size)
    return found
