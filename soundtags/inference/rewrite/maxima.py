"""Take maxima before operations that keep the order of values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.inference.graphdef import LAYOUT, attribute
from soundtags.inference.rewrite.nodes import (
    CHANNELS,
    NORMALISATIONS,
    View,
    constant,
    is_plain,
    operation,
    replace,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MAXIMA = ("Max", "MaxPool")
NON_DECREASING = ("BiasAdd", "Relu")


def move_maximum_up(view: View, node: Any) -> None:
    """Take the maximum of a pool before a bias or ReLU that precedes it.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The pool; nodes of other kinds are left as they are.
    """
    if node.op != "MaxPool" or not is_plain(node):
        return
    if not _is_per_channel(view, node):
        return
    while operand := view.source(node, *NON_DECREASING):
        pool = view.add(f"{node.name}/peak", node)
        view.nodes[pool].input[0] = operand.input[0]
        replace(node, operand)
        node.input[0] = pool
        node = view.nodes[pool]


class _Layer(NamedTuple):
    """A layer that computes max(scale * relu(convolution + bias) + offset).

    Attributes
    ----------
    convolution, maximum : NodeDef
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


def normalise_maximum(view: View, node: Any) -> None:
    """Take the maximum of the convolution, then rectify and normalise.

    With y = scale * (x + bias) + offset, which the scaled kernel computes,
    a channel gives max(y, offset) if its scale is positive, min(y, offset) if
    it is negative, and offset if it is zero. All three are non-decreasing in
    y, so they can be applied to the maximum of y.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The maximum at the end of a layer; other nodes are left as they are.
    """
    layer = _layer(view, node)
    if not layer:
        return
    convolution, last, kernel, bias, scale, offset = layer

    def add(name: str, values: np.ndarray) -> str:
        return view.add(f"{last.name}/{name}", constant(values))

    least = add("least", np.where(scale < 0, -np.inf, offset))
    most = add("most", np.where(scale > 0, np.inf, offset))
    shift = add("shift", bias * scale + offset)
    convolution.input[1] = add("kernel", kernel * scale)
    peak = view.add(f"{last.name}/peak", last)
    view.nodes[peak].input[0] = convolution.name
    shifted = view.add(f"{last.name}/shifted", operation("AddV2", peak, shift))
    raised = operation("Maximum", shifted, least)
    raised = view.add(f"{last.name}/raised", raised)
    replace(last, operation("Minimum", raised, most))


def _layer(view: View, maximum: Any) -> _Layer | None:
    """Return the layer that ends in a node; None if it is not recognised."""
    if maximum.op not in MAXIMA or not is_plain(maximum):
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
    epsilon = attribute(normalised, "epsilon", "f", 1e-4)
    scale = gamma / np.sqrt(variance.astype(float) + epsilon)
    return _Layer(
        convolution,
        maximum,
        kernel,
        bias[0] if bias else np.zeros_like(beta),
        scale,
        beta - mean * scale,
    )


def _is_per_channel(view: View, maximum: Any) -> bool:
    """Return whether each maximum is over values of one channel."""
    if maximum.op == "MaxPool":
        return list(maximum.attr["ksize"].list.i)[CHANNELS:] == [1]
    axes = view.constant(maximum.input[1], np.int32, np.int64)
    return axes is not None and bool(np.all(axes % len(LAYOUT) != CHANNELS))


def _weights(view: View, names: Sequence[str]) -> list[np.ndarray]:
    """Return a kernel, and constants with one value for each channel.

    The list is empty if one of them is unknown or of another shape.
    """
    found = [view.constant(name, np.float32) for name in names]
    known = [each for each in found if each is not None]
    fits = all(each.shape == known[0].shape[-1:] for each in known[1:])
    return known if fits and len(known) == len(names) else []
