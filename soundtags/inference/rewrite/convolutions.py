"""Convolutions of a single channel, recognised before they are rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.inference.graphdef import attribute
from soundtags.inference.rewrite.nodes import is_plain
from soundtags.inference.rewrite.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundtags.inference.rewrite.nodes import View

MAX_WEIGHTS = 10**6  # of a kernel: TensorFlow copies it several times


class Convolution(NamedTuple):
    """A convolution of one channel, and the maximum that comes after it.

    Attributes
    ----------
    node : NodeDef
        The convolution.
    pool : NodeDef or None
        The maximum.
    kernel : numpy.ndarray
        Weights: shape (height, width, 1, filters).
    margins : list of tuple of int
        Zeros before and after each axis.
    lengths : list of int
        Height and width of what the convolution returns.
    """

    node: Any
    pool: Any
    kernel: np.ndarray
    margins: Sequence[tuple[int, int]]
    lengths: Sequence[int]

    @property
    def padded(self) -> list[int]:
        """Height and width of what is convolved, with its margins."""
        return [
            length + each - 1
            for length, each in zip(self.lengths, self.kernel.shape[:2])
        ]

    @property
    def name(self) -> str:
        """The name of the last node: what new ones are called after."""
        name: str = (self.pool or self.node).name
        return name


def recognise_pooled(view: View, pool: Any) -> Convolution | None:
    """Return what the convolution right before a maximum does.

    None if it is unknown, or if the node is no maximum.

    Parameters
    ----------
    view : View
        The graph.
    pool : NodeDef
        The maximum.
    """
    if pool.op != "MaxPool" or not is_plain(pool):
        return None
    node = view.source(pool, "Conv2D")
    return recognise(view, node, pool) if node else None


def recognise(view: View, node: Any, pool: Any = None) -> Convolution | None:
    """Return what a convolution of one channel does; None if it is unknown.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The convolution.
    pool : NodeDef, optional
        The maximum that comes right after it.
    """
    kernel = view.constant(node.input[1], np.float32)
    shape = shape_of(view, node.input[0])
    if kernel is None or shape is None or not kernel.ndim == len(shape) == 4:
        return None
    _, height, width, channels = shape
    steps = [*sizes(node, "strides"), *sizes(node, "dilations")]
    if height is None or width is None or not kernel.size:
        return None
    if {channels, kernel.shape[2], *steps} != {1}:
        return None
    extra = [length - 1 for length in kernel.shape[:2]]
    around = [(each // 2, each - each // 2) for each in extra]
    margins = {b"SAME": around, b"VALID": [(0, 0), (0, 0)]}.get(padding(node))
    if margins is None:
        return None
    lengths = [
        length + sum(margin) - each
        for length, margin, each in zip((height, width), margins, extra)
    ]
    found = Convolution(node, pool, kernel, margins, lengths)
    return found if min(lengths) > 0 else None


def pooled(pool: Any, lengths: Sequence[int]) -> list[int]:
    """Return height and width after a maximum, from those before it."""
    return [
        -(-length // stride)
        if padding(pool) == b"SAME"
        else (length - size) // stride + 1
        for axis, length in enumerate(lengths)
        for size, stride in [window(pool, axis)]
    ]


def window(pool: Any, axis: int) -> tuple[int, int]:
    """Return size and stride of a maximum along the height or the width."""
    return sizes(pool, "ksize")[axis + 1], sizes(pool, "strides")[axis + 1]


def padding(node: Any) -> bytes:
    """Return how a node treats the edges: ``SAME`` or ``VALID``."""
    found: bytes = attribute(node, "padding", "s", b"")
    return found


def sizes(node: Any, name: str) -> list[int]:
    """Return an attribute with a size for each axis; by default, all are 1."""
    return list(node.attr[name].list.i) if name in node.attr else [1] * 4
