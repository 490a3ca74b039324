"""Graphs to graphs that compute the same with less work."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .graphs import node_of, tensorflow

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALISATIONS = ("FusedBatchNorm", "FusedBatchNormV3")
MAXIMA = ("Max", "MaxPool")
INPUTS = {
    "Conv2D": 2,
    "BiasAdd": 2,
    "Relu": 1,
    **dict.fromkeys(NORMALISATIONS, 5),
    "Max": 2,
    "MaxPool": 1,
}
LAYOUT = b"NHWC"
CHANNELS = LAYOUT.index(b"C")  # the axis
TURNED = [0, 2, 1, 3]  # height and width change places


def fold(graph: Any, outputs: Sequence[str]) -> Any:
    """Return a graph that gives the same outputs with less work.

    Where a layer convolves, rectifies and normalises, and only maxima are
    wanted of that, they are taken right after the convolution, and much less
    is left to do. What convolves over time alone is turned by the way, since
    TensorFlow takes 130 MB more for the same the other way round. A layer that
    is not known in full, such as one whose constants have been taken out of
    the graph, stays as it is.

    Parameters
    ----------
    graph : tensorflow.compat.v1.GraphDef
        A frozen graph, cut to what its outputs need. It is not changed.
    outputs
        Nodes whose values are wanted.

    Returns
    -------
    tensorflow.compat.v1.GraphDef
        The graph that does less.
    """
    folded = tensorflow().GraphDef()
    folded.CopyFrom(graph)
    view = _View(folded, outputs)
    for node in list(folded.node):
        layer = _layer(view, node)
        if layer:
            _take_maximum_first(view, layer)
    _drop_unused(folded, outputs)
    return folded


class _View:
    """The nodes of a graph, by name."""

    def __init__(self, graph: Any, outputs: Sequence[str]) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self._graph = graph
        self._uses = Counter(map(node_of, outputs))
        for node in graph.node:
            self._uses.update(map(_source, node.input))

    def above(self, node: Any, *operations: str) -> Any:
        """Return the node before this one, if it is of no other use."""
        found = self.nodes.get(node.input[0]) if node else None
        if found is None or found.op not in operations:
            return None
        alone = self._uses[found.name] == 1
        return found if alone and _is_plain(found) else None

    def constant(self, name: str, *types: type) -> np.ndarray | None:
        """Return a constant, if it is here and has one of the types."""
        node = self.nodes.get(name)
        if node and node.op == "Identity" and node.input:
            node = self.nodes.get(node.input[0])  # it was a variable
        if node is None or node.op != "Const":
            return None
        try:
            values = tensorflow().make_ndarray(node.attr["value"].tensor)
        except (TypeError, ValueError):  # reported when it is imported
            return None
        return np.asarray(values) if values.dtype in types else None

    def add(self, name: str, node: Any) -> str:
        """Add a copy of a node, and return its name: this or a longer one."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = self._graph.node.add()
        self.nodes[name].CopyFrom(node)
        self.nodes[name].name = name
        return name


class _Layer(NamedTuple):
    """From a convolution to the maxima of scale * relu(its sums) + offset.

    Attributes
    ----------
    convolution, maximum
        The first node and the last.
    kernel, bias
        Of the convolution.
    scale, offset
        Of the normalisation. One value per channel, as of the bias.
    """

    convolution: Any
    maximum: Any
    kernel: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


def _layer(view: _View, maximum: Any) -> _Layer | None:
    """Return the layer that ends in a node, if all of it is known."""
    if maximum.op not in MAXIMA or not _is_plain(maximum):
        return None
    normalised = view.above(maximum, *NORMALISATIONS)
    rectified = view.above(normalised, "Relu")
    biased = view.above(rectified, "BiasAdd")
    convolution = view.above(biased or rectified, "Conv2D")
    if convolution is None or not _spares_channels(view, maximum):
        return None
    names = [*convolution.input[1:], *normalised.input[1:]]
    names += biased.input[1:] if biased else []
    constants = _weights(view, names)
    if not constants:
        return None
    kernel, gamma, beta, mean, variance, *bias = constants
    epsilon = _setting(normalised, "epsilon", "f", 1e-4)
    scale = gamma / np.sqrt(variance.astype(float) + epsilon)
    return _Layer(
        convolution,
        maximum,
        kernel,
        bias[0] if bias else np.zeros_like(beta),
        scale,
        beta - mean * scale,
    )


def _is_plain(node: Any) -> bool:
    """Whether a node has the inputs and settings that we know."""
    normalises = node.op in NORMALISATIONS
    return (
        len(node.input) == INPUTS[node.op]
        and _setting(node, "data_format", "s", LAYOUT) == LAYOUT
        and not _setting(node, "is_training", "b", normalises)
    )


def _setting(node: Any, name: str, kind: str, default: Any) -> Any:
    """Return an attribute, or the default of TensorFlow."""
    return getattr(node.attr[name], kind) if name in node.attr else default


def _spares_channels(view: _View, maximum: Any) -> bool:
    """Whether the maxima are of each channel by itself."""
    if maximum.op == "MaxPool":
        return list(maximum.attr["ksize"].list.i)[CHANNELS:] == [1]
    axes = view.constant(maximum.input[1], np.int32, np.int64)
    return axes is not None and bool(np.all(axes % len(LAYOUT) != CHANNELS))


def _weights(view: _View, names: Sequence[str]) -> list[np.ndarray]:
    """Return a kernel and what has one value for each of its channels.

    If one of them is not known or does not fit, return none of them.
    """
    found = [view.constant(name, np.float32) for name in names]
    known = [each for each in found if each is not None]
    fits = all(each.shape == known[0].shape[-1:] for each in known[1:])
    return known if fits and len(known) == len(names) else []


def _take_maximum_first(view: _View, layer: _Layer) -> None:
    """Let the weights normalise, and rectify nothing but the maxima.

    Of scale * x + offset, a rectified channel gives what is above its offset,
    or below if the scale is negative, and else the offset. That never falls
    where scale * x + offset rises, so the maximum may come first.
    """
    convolution, last, kernel, bias, scale, offset = layer

    def constant(name: str, values: np.ndarray) -> str:
        return view.add(f"{last.name}/{name}", _constant(values))

    def operation(name: str, kind: str, *inputs: str) -> str:
        return view.add(f"{last.name}/{name}", _operation(kind, *inputs))

    turn = _is_upright(layer)
    if turn:
        convolution.input[0] = _turned(view, last, convolution.input[0])
        kernel = kernel.transpose(1, 0, 2, 3)
        _turn(convolution)
    least = constant("least", np.where(scale < 0, -np.inf, offset))
    most = constant("most", np.where(scale > 0, np.inf, offset))
    shift = constant("shift", bias * scale + offset)
    convolution.input[1] = constant("kernel", kernel * scale)
    shifted = operation("shifted", "BiasAdd", convolution.name, shift)
    peak = view.add(f"{last.name}/peak", last)
    view.nodes[peak].input[0] = shifted
    if turn:
        _turn(view.nodes[peak])
        peak = _turned(view, last, peak)
    raised = operation("raised", "Maximum", peak, least)
    name = last.name
    last.CopyFrom(_operation("Minimum", raised, most))
    last.name = name


def _is_upright(layer: _Layer) -> bool:
    """Whether a layer convolves over one axis, and that is not the last."""
    height, width, *_ = layer.kernel.shape
    both = (layer.convolution, layer.maximum)
    padded = {_setting(node, "padding", "s", b"") for node in both}
    poolable = layer.maximum.op == "MaxPool" and padded <= {b"SAME", b"VALID"}
    return poolable and height > width == 1


def _turn(node: Any) -> None:
    for name in ("strides", "dilations", "ksize"):
        if name in node.attr:
            sizes = node.attr[name].list.i
            sizes[:] = [sizes[axis] for axis in TURNED]


def _turned(view: _View, last: Any, source: str) -> str:
    """Add what turns the values of a node."""
    axes = view.add(f"{last.name}/axes", _constant(np.array(TURNED), np.int32))
    node = _operation("Transpose", source, axes)
    node.attr["Tperm"].type = tensorflow().int32.as_datatype_enum
    return view.add(f"{last.name}/turned", node)


def _operation(operation: str, *inputs: str) -> Any:
    """Return a node that computes floats."""
    node = tensorflow().NodeDef(op=operation, input=inputs)
    node.attr["T"].type = tensorflow().float32.as_datatype_enum
    return node


def _constant(values: np.ndarray, dtype: type = np.float32) -> Any:
    """Return a node with some values."""
    tensor = tensorflow().make_tensor_proto(values.astype(dtype))
    node = tensorflow().NodeDef(op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _drop_unused(graph: Any, outputs: Sequence[str]) -> None:
    """Remove the nodes of a graph that no output needs."""
    nodes = {node.name: node for node in graph.node}
    waiting = list(map(node_of, outputs))
    kept = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in kept:
            kept.add(name)
            waiting.extend(map(_source, nodes[name].input))
    for index in reversed(range(len(graph.node))):
        # It names a node to share a device with, which may be gone.
        graph.node[index].attr.pop("_class", None)
        if graph.node[index].name not in kept:
            del graph.node[index]


def _source(name: str) -> str:
    """Return the node that an input is of."""
    return node_of(name).removeprefix("^")
