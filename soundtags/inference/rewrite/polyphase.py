"""Polyphase convolutions: blocks of frames or bands become channels.

A convolution of a single channel, such as mel bands, leaves most of a
processor idle: its operands are read one by one, and do not fill vectors. A
convolution of blocks computes the same. The values of a block become channels,
and so do the results at the same places, the *phases*. Each phase has its own
copy of the kernel, shifted by its place in the block, with zeros elsewhere.

References
----------
Vaidyanathan, P. P., "Multirate digital filters, filter banks, polyphase
networks, and applications: a tutorial", Proceedings of the IEEE 78 (1), 1990.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.rewrite.convolutions import (
    MAX_WEIGHTS,
    padding,
    pooled,
    recognise,
    recognise_pooled,
    sizes,
    window,
)
from soundtags.inference.rewrite.nodes import (
    constant,
    is_plain,
    operation,
    replace,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundtags.inference.rewrite.convolutions import Convolution
    from soundtags.inference.rewrite.nodes import View

MAX_BLOCK = 64  # values; more than is ever best
# What determines the size of blocks. Costs are in products of one value with
# one weight. Fitted to TensorFlow's times on one core with AVX2, for kernels
# of 3 to 128 values and 16 to 204 filters.
TILE = 24  # filters that are computed together
VECTOR = 8  # values that are read together if they are channels
READING = 8  # cost of reading a value
# Extra cost where blocks do not fill vectors, divided by the number of values
# that are adjacent.
SCATTERED = 1000
MOVING = 20  # cost of a result that has to be moved to its place


def cut_pooled_convolution(view: View, node: Any) -> None:
    """Cut a convolution into blocks, if a maximum comes right after it.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The maximum; nodes of other kinds are left as they are.
    """
    _cut(view, recognise_pooled(view, node))


def cut_convolution(view: View, node: Any) -> None:
    """Cut a convolution of one channel into blocks.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The convolution; nodes of other kinds are left as they are.
    """
    if node.op == "Conv2D" and is_plain(node):
        _cut(view, recognise(view, node))


def _cut(view: View, convolution: Convolution | None) -> None:
    if convolution and _can_pool(convolution):
        size = min(range(1, MAX_BLOCK + 1), key=partial(_cost, convolution))
        if size > 1:
            _convolve_blocks(view, convolution, size)


def _can_pool(convolution: Convolution) -> bool:
    """Return whether the maximum, if any, is the same with blocks."""
    pool = convolution.pool
    if pool is None:
        return True
    windows = [sizes(pool, "ksize"), sizes(pool, "strides")]
    if [each[:1] + each[3:] for each in windows] != [[1, 1]] * 2:
        return False
    if _keeps_blocks(convolution):
        return padding(pool) in (b"SAME", b"VALID")
    # Along the axis, margins would come after what fills up the last block.
    return padding(pool) == b"VALID"


def _axis(convolution: Convolution) -> int:
    """Return the axis to cut: 0 for the height, 1 for the width."""
    height, width, *_ = convolution.kernel.shape
    return 0 if height > width else 1


def _keeps_blocks(convolution: Convolution) -> bool:
    """Return whether the maximum can be taken before the blocks are undone."""
    pool = convolution.pool
    return bool(pool) and window(pool, _axis(convolution)) == (1, 1)


def _count(convolution: Convolution, size: int) -> int:
    """Return how many blocks of a size the results are cut into."""
    return -(-convolution.lengths[_axis(convolution)] // size)


def _cost(convolution: Convolution, size: int) -> float:
    """Return the cost of a convolution that is cut into blocks of a size."""
    kernel, axis = convolution.kernel, _axis(convolution)
    filters = kernel.shape[3]
    shape = list(kernel.shape[:2])
    shape[axis] = _blocks(shape[axis], size)
    if math.prod(shape) * filters * size**2 > MAX_WEIGHTS:
        return math.inf
    columns = TILE * -(-filters * size // TILE)
    scattered = SCATTERED / (shape[1] * size) if size % VECTOR else 0
    length = _count(convolution, size) * size
    each = columns + READING + scattered
    cost: float = math.prod(shape) * length * each
    ragged = length != convolution.lengths[axis] and not convolution.pool
    if size > 1 and not _keeps_blocks(convolution) and (axis == 0 or ragged):
        cost += MOVING * filters * length
    return cost


def _blocks(length: int, size: int) -> int:
    """Return how many blocks a kernel spans at most, however it is shifted."""
    return -(-(length + size - 1) // size)


def _phases(kernel: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Return the kernel that convolves blocks.

    Parameters
    ----------
    kernel
        Shape (height, width, 1, filters).
    axis
        0 to cut the height, 1 for the width.
    size
        Size of the blocks.

    Returns
    -------
    numpy.ndarray
        Shape (height, width, size, size * filters), with the length of the
        axis in blocks.
    """
    moved = np.moveaxis(kernel[:, :, 0], axis, 0)
    length, other, filters = moved.shape
    blocks = _blocks(length, size)
    phases = np.zeros((blocks * size, other, size, filters), kernel.dtype)
    for phase in range(size):
        phases[phase : phase + length, :, phase] = moved
    cut = phases.reshape(blocks, size, other, size * filters)
    return np.moveaxis(cut.swapaxes(1, 2), 0, axis)


def _convolve_blocks(view: View, convolution: Convolution, size: int) -> None:
    """Replace a convolution of values by one of blocks."""
    node, pool, kernel, *_ = convolution
    axis, keeps_blocks = _axis(convolution), _keeps_blocks(convolution)
    last = pool or node
    phases = constant(_phases(kernel, axis, size))
    found = view.add(f"{last.name}/phases", node)
    view.nodes[found].input[:] = [
        _cut_input(view, convolution, size),
        view.add(f"{last.name}/kernel", phases),
    ]
    view.nodes[found].attr["padding"].s = b"VALID"
    wanted = lengths = list(convolution.lengths)
    if keeps_blocks:
        found = _add_pool(view, pool, found)
        wanted = lengths = pooled(pool, lengths)
    lengths = [*lengths]
    lengths[axis] = _count(convolution, size) * size
    found = _undo_blocks(view, convolution, size, found, lengths)
    if pool and not keeps_blocks:
        found = _add_pool(view, pool, found)
        wanted, lengths = pooled(pool, wanted), pooled(pool, lengths)
    if lengths != wanted:
        begin, end = [0, 0, 0, 0], [-1, *wanted, -1]
        found = view.add_sized(f"{last.name}/whole", "Slice", found, begin, end)
    replace(last, operation("Identity", found))


def _cut_input(view: View, convolution: Convolution, size: int) -> str:
    """Add nodes that cut the input into blocks; return the last one's name."""
    node, _, kernel, margins, _ = convolution
    axis = _axis(convolution)
    name = f"{convolution.name}/blocks"
    padded = convolution.padded
    blocks = _count(convolution, size) - 1 + _blocks(kernel.shape[axis], size)
    rows = [[0, 0], *map(list, margins), [0, 0]]
    rows[axis + 1][1] += blocks * size - padded[axis]
    padded[axis] = blocks * size
    source = node.input[0]
    if np.any(rows):
        source = view.add_sized(f"{name}/padded", "Pad", source, rows)
    if axis == 1:
        shape = [-1, padded[0], blocks, size]
        return view.add_sized(name, "Reshape", source, shape)
    shape = [-1, blocks, size, padded[1]]
    source = view.add_sized(name, "Reshape", source, shape)
    return view.add_sized(f"{name}/turned", "Transpose", source, [0, 1, 3, 2])


def _undo_blocks(
    view: View,
    convolution: Convolution,
    size: int,
    source: str,
    lengths: Sequence[int],
) -> str:
    """Add nodes that put the phases side by side; return the last one's name.

    Parameters
    ----------
    view
        The graph.
    convolution, size
        What was cut, and the size of the blocks.
    source
        The node with the phases.
    lengths
        Height and width of the result.
    """
    height, width = lengths
    filters = convolution.kernel.shape[3]
    name = f"{convolution.name}/undone"
    if _axis(convolution) == 0:
        shape = [-1, height // size, width, size, filters]
        source = view.add_sized(f"{name}/cut", "Reshape", source, shape)
        axes = [0, 1, 3, 2, 4]
        source = view.add_sized(f"{name}/turned", "Transpose", source, axes)
    shape = [-1, height, width, filters]
    return view.add_sized(name, "Reshape", source, shape)


def _add_pool(view: View, pool: Any, source: str) -> str:
    """Add a copy of a maximum with another source; return its name."""
    name = view.add(f"{pool.name}/peak", pool)
    view.nodes[name].input[0] = source
    return name
