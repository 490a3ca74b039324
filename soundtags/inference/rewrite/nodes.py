"""The nodes of a graph: found, recognised, made and replaced."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.graph_bounds import node_of
from soundtags.inference.graphdef import (
    FLOAT,
    INT32,
    LAYOUT,
    NodeDef,
    attribute,
    to_array,
    to_tensor,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALISATIONS = ("FusedBatchNorm", "FusedBatchNormV3")
INPUTS = {
    "BiasAdd": 2,
    "Conv2D": 2,
    "ExpandDims": 2,
    **dict.fromkeys(NORMALISATIONS, 5),
    "Identity": 1,
    "Max": 2,
    "MaxPool": 1,
    "Pad": 2,
    "Relu": 1,
    "Reshape": 2,
}
CHANNELS = LAYOUT.index(b"C")  # the axis
# Operations whose last input is a list of sizes: the attribute with its type.
SIZES = {
    "Max": "Tidx",
    "Pad": "Tpaddings",
    "Reshape": "Tshape",
    "Slice": "Index",
    "Transpose": "Tperm",
}


class View:
    """The nodes of a graph, by name.

    Parameters
    ----------
    graph : GraphDef
        The graph; :meth:`add` adds nodes to it.
    outputs : sequence of str
        The nodes to compute.

    Attributes
    ----------
    nodes : dict of str to NodeDef
        The nodes.
    """

    def __init__(self, graph: Any, outputs: Sequence[str]) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self._graph = graph
        self._uses = Counter(map(node_of, outputs))
        for node in graph.node:
            self._uses.update(map(source_of, node.input))

    def source(self, node: Any, *operations: str) -> Any:
        """Return the node that feeds a node and no other.

        None if it feeds others, too, is not one of the operations, or is not
        plain.
        """
        found = self.nodes.get(node.input[0]) if node else None
        if found is None or found.op not in operations:
            return None
        alone = self._uses[found.name] == 1
        return found if alone and is_plain(found) else None

    def constant(self, name: str, *types: type) -> np.ndarray | None:
        """Return the value of a constant; None unless it is of these types."""
        node = self.nodes.get(name)
        if node is None or node.op != "Const":
            return None
        try:
            values = to_array(node.attr["value"].tensor)
        except (TypeError, ValueError):  # reported when the graph is imported
            return None
        return values if values.dtype in types else None

    def add(self, name: str, node: Any) -> str:
        """Add a copy of a node; return its name, made longer if it is taken."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = self._graph.node.add()
        self.nodes[name].CopyFrom(node)
        self.nodes[name].name = name
        return name

    def add_sized(self, name: str, kind: str, source: str, *sizes: Any) -> str:
        """Add an operation that takes lists of sizes; return its name."""
        names = [
            self.add(f"{name}/sizes", constant(np.asarray(each), np.int32))
            for each in sizes
        ]
        return self.add(name, operation(kind, source, *names))


def is_plain(node: Any) -> bool:
    """Return whether a node has the inputs and attributes we can rewrite."""
    normalises = node.op in NORMALISATIONS
    return (
        len(node.input) == INPUTS[node.op]
        and attribute(node, "data_format", "s", LAYOUT) == LAYOUT
        and not attribute(node, "is_training", "b", normalises)
    )


def source_of(name: str) -> str:
    """Return the name of the node that an input comes from."""
    return node_of(name).removeprefix("^")


def replace(node: Any, new: Any) -> None:
    """Replace a node by another, which takes over its name."""
    name = node.name
    node.CopyFrom(new)
    node.name = name


def operation(kind: str, *inputs: str) -> Any:
    """Return a node whose operation is on float32."""
    node = NodeDef(op=kind, input=inputs)
    node.attr["T"].type = FLOAT
    if kind in SIZES:
        node.attr[SIZES[kind]].type = INT32
    return node


def constant(values: np.ndarray, dtype: type = np.float32) -> Any:
    """Return a constant node."""
    tensor = to_tensor(values.astype(dtype))
    node = NodeDef(op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node
