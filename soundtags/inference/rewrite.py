"""Rewrite graphs so that they compute the same with less work."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.inference.graph import tensorflow
from soundtags.inference.structure import node_of

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
SWAPPED = [0, 2, 1, 3]  # height and width change places


def fold(graph: Any, outputs: Sequence[str]) -> Any:
    """Return a graph with the same outputs that takes less work.

    The layers of MusiCNN convolve, rectify, normalise, and then take maxima.
    In the rewritten graph, the scale of the normalisation is part of the
    convolution's weights, and the maxima come right after it, so that the
    rest is left to do for a fraction of the values.

    A convolution over time alone has its axes swapped as well, because
    TensorFlow takes 130 MB more for it the other way round. Layers that are
    not recognised in full stay as they are; so do those whose constants have
    been taken out of the graph.

    Parameters
    ----------
    graph : tensorflow.compat.v1.GraphDef
        A frozen graph, cut to what its outputs need. It is not changed.
    outputs : sequence of str
        The nodes to compute.

    Returns
    -------
    tensorflow.compat.v1.GraphDef
        The rewritten graph.

    References
    ----------
    Pons, J. and Serra, X., "musicnn: Pre-trained convolutional neural
    networks for music audio tagging", ISMIR Late-Breaking/Demo, 2019.
    """
    folded = tensorflow().GraphDef()
    folded.CopyFrom(graph)
    view = _View(folded, outputs)
    for node in list(folded.node):
        layer = _layer(view, node)
        if layer:
            _move_maximum_up(view, layer)
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

    def source(self, node: Any, *operations: str) -> Any:
        """Return the node that feeds this one, and nothing else.

        None if it feeds others, too, or is not one of the operations.
        """
        found = self.nodes.get(node.input[0]) if node else None
        if found is None or found.op not in operations:
            return None
        alone = self._uses[found.name] == 1
        return found if alone and _is_plain(found) else None

    def constant(self, name: str, *types: type) -> np.ndarray | None:
        """Return the value of a constant; None if it is of another type."""
        node = self.nodes.get(name)
        if node and node.op == "Identity" and node.input:
            node = self.nodes.get(node.input[0])  # a frozen variable
        if node is None or node.op != "Const":
            return None
        try:
            values = tensorflow().make_ndarray(node.attr["value"].tensor)
        except (TypeError, ValueError):  # reported when the graph is imported
            return None
        return np.asarray(values) if values.dtype in types else None

    def add(self, name: str, node: Any) -> str:
        """Add a copy of a node; return its name, made longer if it is taken."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = self._graph.node.add()
        self.nodes[name].CopyFrom(node)
        self.nodes[name].name = name
        return name


class _Layer(NamedTuple):
    """A layer that computes max(scale * relu(convolution + bias) + offset).

    Attributes
    ----------
    convolution, maximum : tensorflow.compat.v1.NodeDef
        The first node and the last.
    kernel : numpy.ndarray
        Weights of the convolution: shape (height, width, inputs, channels).
    bias, scale, offset : numpy.ndarray
        Shape (channels,); scale and offset are those of the normalisation.
    """

    convolution: Any
    maximum: Any
    kernel: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


def _layer(view: _View, maximum: Any) -> _Layer | None:
    """Return the layer that ends in a node; None if it is not recognised."""
    if maximum.op not in MAXIMA or not _is_plain(maximum):
        return None
    normalised = view.source(maximum, *NORMALISATIONS)
    rectified = view.source(normalised, "Relu")
    biased = view.source(rectified, "BiasAdd")
    convolution = view.source(biased or rectified, "Conv2D")
    if convolution is None or not _is_per_channel(view, maximum):
        return None
    names = [*convolution.input[1:], *normalised.input[1:]]
    names += biased.input[1:] if biased else []
    constants = _weights(view, names)
    if not constants:
        return None
    kernel, gamma, beta, mean, variance, *bias = constants
    epsilon = _attribute(normalised, "epsilon", "f", 1e-4)
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
    """Return whether a node has the inputs and attributes we can rewrite."""
    normalises = node.op in NORMALISATIONS
    return (
        len(node.input) == INPUTS[node.op]
        and _attribute(node, "data_format", "s", LAYOUT) == LAYOUT
        and not _attribute(node, "is_training", "b", normalises)
    )


def _attribute(node: Any, name: str, kind: str, default: Any) -> Any:
    """Return an attribute of a node, or TensorFlow's default for it."""
    return getattr(node.attr[name], kind) if name in node.attr else default


def _is_per_channel(view: _View, maximum: Any) -> bool:
    """Return whether each maximum is over values of one channel."""
    if maximum.op == "MaxPool":
        return list(maximum.attr["ksize"].list.i)[CHANNELS:] == [1]
    axes = view.constant(maximum.input[1], np.int32, np.int64)
    return axes is not None and bool(np.all(axes % len(LAYOUT) != CHANNELS))


def _weights(view: _View, names: Sequence[str]) -> list[np.ndarray]:
    """Return a kernel, and constants with one value for each channel.

    Empty if one of them is unknown or of another shape.
    """
    found = [view.constant(name, np.float32) for name in names]
    known = [each for each in found if each is not None]
    fits = all(each.shape == known[0].shape[-1:] for each in known[1:])
    return known if fits and len(known) == len(names) else []


def _move_maximum_up(view: _View, layer: _Layer) -> None:
    """Take the maximum of the convolution, then rectify and normalise.

    With y = scale * (x + bias) + offset, which the scaled kernel computes,
    a channel gives max(y, offset) if its scale is positive, min(y, offset) if
    it is negative, and offset if it is zero. All three are non-decreasing in
    y, so they can be applied to the maximum of y.
    """
    convolution, last, kernel, bias, scale, offset = layer

    def constant(name: str, values: np.ndarray) -> str:
        return view.add(f"{last.name}/{name}", _constant(values))

    def operation(name: str, kind: str, *inputs: str) -> str:
        return view.add(f"{last.name}/{name}", _operation(kind, *inputs))

    swap = _is_over_time(layer)
    if swap:
        convolution.input[0] = _transposed(view, last, convolution.input[0])
        kernel = kernel.transpose(1, 0, 2, 3)
        _swap_axes(convolution)
    least = constant("least", np.where(scale < 0, -np.inf, offset))
    most = constant("most", np.where(scale > 0, np.inf, offset))
    shift = constant("shift", bias * scale + offset)
    convolution.input[1] = constant("kernel", kernel * scale)
    shifted = operation("shifted", "BiasAdd", convolution.name, shift)
    peak = view.add(f"{last.name}/peak", last)
    view.nodes[peak].input[0] = shifted
    if swap:
        _swap_axes(view.nodes[peak])
        peak = _transposed(view, last, peak)
    raised = operation("raised", "Maximum", peak, least)
    name = last.name
    last.CopyFrom(_operation("Minimum", raised, most))
    last.name = name


def _is_over_time(layer: _Layer) -> bool:
    """Return whether a layer convolves over time (the first axis) alone."""
    height, width, *_ = layer.kernel.shape
    both = (layer.convolution, layer.maximum)
    padded = {_attribute(node, "padding", "s", b"") for node in both}
    poolable = layer.maximum.op == "MaxPool" and padded <= {b"SAME", b"VALID"}
    return poolable and height > width == 1


def _swap_axes(node: Any) -> None:
    """Swap height and width in the attributes of a node."""
    for name in ("strides", "dilations", "ksize"):
        if name in node.attr:
            sizes = node.attr[name].list.i
            sizes[:] = [sizes[axis] for axis in SWAPPED]


def _transposed(view: _View, last: Any, source: str) -> str:
    """Add a node that swaps height and width; return its name."""
    axes = view.add(f"{last.name}/axes", _constant(np.array(SWAPPED), np.int32))
    node = _operation("Transpose", source, axes)
    node.attr["Tperm"].type = tensorflow().int32.as_datatype_enum
    return view.add(f"{last.name}/transposed", node)


def _operation(operation: str, *inputs: str) -> Any:
    """Return a node whose operation is on float32."""
    node = tensorflow().NodeDef(op=operation, input=inputs)
    node.attr["T"].type = tensorflow().float32.as_datatype_enum
    return node


def _constant(values: np.ndarray, dtype: type = np.float32) -> Any:
    """Return a constant node."""
    tensor = tensorflow().make_tensor_proto(values.astype(dtype))
    node = tensorflow().NodeDef(op="Const")
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)
    return node


def _drop_unused(graph: Any, outputs: Sequence[str]) -> None:
    """Remove the nodes of a graph that no output needs."""
    nodes = {node.name: node for node in graph.node}
    waiting = list(map(node_of, outputs))
    needed = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting.extend(map(_source, nodes[name].input))
    for index in reversed(range(len(graph.node))):
        # It names a node to share a device with, which may be removed.
        graph.node[index].attr.pop("_class", None)
        if graph.node[index].name not in needed:
            del graph.node[index]


def _source(name: str) -> str:
    """Return the name of the node that an input comes from."""
    return node_of(name).removeprefix("^")
