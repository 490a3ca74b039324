"""The shapes of what nodes return, as far as they are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.rewrite.nodes import INPUTS, NORMALISATIONS

if TYPE_CHECKING:
    from soundtags.inference.rewrite.nodes import View

    # The length of each axis; None if it is not fixed.
    Shape = tuple[int | None, ...]

KEEPING = ("BiasAdd", "Identity", "Relu", *NORMALISATIONS)


def shape_of(view: View, name: str) -> Shape | None:
    """Return the shape of what a node returns.

    It is known for the input of the graph, and for what may come between that
    and the first convolution.

    Parameters
    ----------
    view : View
        The graph.
    name : str
        The node.

    Returns
    -------
    tuple of int or None, or None
        The length of each axis, None for one that is not fixed; or None if
        not even the number of axes is known.
    """
    path: list[Any] = []
    node = view.nodes.get(name)
    while node is not None and node.op in (*KEEPING, *CHANGES):
        if len(node.input) != INPUTS[node.op] or len(path) > len(view.nodes):
            return None
        path.append(node)
        node = view.nodes.get(node.input[0])
    shape = _fed(node)
    for each in reversed(path):
        if shape and each.op in CHANGES:
            shape = _changed(view, each, shape)
    return shape


def _fed(node: Any) -> Shape | None:
    """Return the shape of an input of the graph; None for other nodes."""
    if node is None or node.op != "Placeholder":
        return None
    if "shape" not in node.attr:
        return None
    sizes = [each.size for each in node.attr["shape"].shape.dim]
    return tuple(size if size >= 0 else None for size in sizes) or None


def _changed(view: View, node: Any, shape: Shape) -> Shape | None:
    sizes = view.constant(node.input[1], np.int32, np.int64)
    if sizes is None:
        return None
    try:
        return CHANGES[node.op](shape, sizes)
    except ValueError:  # reported when the graph is imported
        return None


def _expanded(shape: Shape, axis: np.ndarray) -> Shape:
    at = axis.item() % (len(shape) + 1)
    return (*shape[:at], 1, *shape[at:])


def _padded(shape: Shape, margins: np.ndarray) -> Shape:
    added = margins.reshape(len(shape), 2).sum(1).tolist()
    return tuple(
        None if size is None else size + more
        for size, more in zip(shape, added)
    )


def _reshaped(_: Shape, sizes: np.ndarray) -> Shape:
    return tuple(size if size >= 0 else None for size in sizes.flat)


CHANGES = {"ExpandDims": _expanded, "Pad": _padded, "Reshape": _reshaped}
