"""Convolutions of wide kernels as products of spectra along the width.

A spectrum has half as many bins as there are mel bands, and one more, however
wide the kernel is. In each bin, a convolution along the width is a product. If
a maximum over the whole width follows, only the results that it looks at are
transformed back. All transforms are matrix products, as they are too short for
fast algorithms to be faster.

The phase is chosen so that the results lie symmetrically around zero. The part
of them that is even, and the part that is odd, are then given by real and
imaginary parts alone, and by half of the positions: y(q) = e(q) + o(q), and
y(-q) = e(q) - o(q). The larger one of these is e(q) + |o(q)|.

References
----------
Mathieu, M., Henaff, M. and LeCun, Y., "Fast training of convolutional networks
through FFTs", ICLR 2014.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.graphdef import INT32
from soundtags.inference.rewrite.convolutions import (
    MAX_WEIGHTS,
    padding,
    recognise_pooled,
    sizes,
)
from soundtags.inference.rewrite.nodes import (
    constant,
    operation,
    replace,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundtags.inference.rewrite.convolutions import Convolution
    from soundtags.inference.rewrite.nodes import View

MAX_HEIGHT = 16  # of a kernel: its rows are copied one by one
# How many times fewer products there have to be: those of spectra are smaller,
# and their results go through memory.
GAIN = 2
# Bytes of products that are transformed back together: few enough to stay in
# the CPU cache, and enough for a matrix product to be fast.
PIECE = 3 * 10**6
MAX_PIECES = 64


def multiply_spectra(view: View, node: Any) -> None:
    """Convolve by spectra, if a maximum over the whole width comes after.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        The maximum; nodes of other kinds are left as they are.
    """
    convolution = recognise_pooled(view, node)
    if convolution and _takes_all(convolution) and _pays(convolution):
        _replace(view, convolution)


def _takes_all(convolution: Convolution) -> bool:
    """Return whether the maximum is over each row as a whole."""
    _, width = convolution.lengths
    pool = convolution.pool
    size, strides = sizes(pool, "ksize"), sizes(pool, "strides")
    is_row = size == [1, 1, width, 1]
    is_each = strides[:2] + strides[3:] == [1, 1, 1]
    return is_row and is_each and padding(pool) == b"VALID"


def _pays(convolution: Convolution) -> bool:
    """Return whether spectra take far fewer products, and little memory."""
    height, width, _, filters = convolution.kernel.shape
    positions, length = convolution.lengths[1], convolution.padded[1]
    bins = _bins(convolution)
    products = bins * (4 * height + 2 * _half(positions))
    weights = bins * max(4 * height * filters, 2 * length)
    if height > MAX_HEIGHT or weights > MAX_WEIGHTS:
        return False
    pays: bool = products * GAIN <= height * width * positions
    return pays


def _bins(convolution: Convolution) -> int:
    """Return how many bins the spectrum of a row has."""
    return convolution.padded[1] // 2 + 1


def _half(positions: int) -> int:
    """Return how many of the positions around zero are not negative."""
    return -(-positions // 2)


def _matrices(convolution: Convolution) -> dict[str, np.ndarray]:
    """Return the constants of a convolution by spectra.

    Returns
    -------
    dict of str to numpy.ndarray
        - forward: gives the spectrum of a row. Shape (bins * 2, width), with
          real and imaginary part of each bin.
        - real, imaginary: give the two parts of the result in each bin. Shape
          (bins, height * 2, filters).
        - even, odd: give the two parts of the result at half of the positions.
          Shape (positions, bins).
    """
    kernel = convolution.kernel[:, :, 0]
    height, width, filters = kernel.shape
    positions, length = convolution.lengths[1], convolution.padded[1]
    bins = _bins(convolution)
    turns = np.arange(bins) / length  # per position, of each bin

    def waves(places: np.ndarray) -> np.ndarray:
        """Return the wave of each bin at some places."""
        found: np.ndarray = np.exp(2j * np.pi * np.outer(places, turns))
        return found

    row = waves(np.arange(length)).conj()
    centred = waves((positions - 1) / 2 + np.arange(width))
    spectra = np.tensordot(centred, kernel, (0, 1))  # by bin and row
    back = waves(np.arange(_half(positions)) + (positions - 1) % 2 / 2)
    # Each bin also stands for that of the opposite frequency, if there is one.
    counts = np.where(np.isin(turns, (0, 0.5)), 1, 2) / length
    forward = np.stack([row.real, row.imag]).transpose(2, 0, 1)
    real = np.stack([spectra.real, -spectra.imag], 2)
    imaginary = np.stack([spectra.imag, spectra.real], 2)
    return {
        "forward": forward.reshape(-1, length),
        "real": real.reshape(bins, height * 2, filters),
        "imaginary": imaginary.reshape(bins, height * 2, filters),
        "even": back.real * counts,
        "odd": -back.imag * counts,
    }


def _replace(view: View, convolution: Convolution) -> None:
    """Replace a convolution and its maximum by products of spectra."""
    name = convolution.name
    matrices = {
        key: view.add(f"{name}/{key}", constant(values))
        for key, values in _matrices(convolution).items()
    }
    windows = _spectra(view, convolution, matrices["forward"])
    found: list[str] = []
    for start, stop in pairwise(_bounds(convolution)):
        rows = [0, 0, 0, start], [-1, -1, -1, stop - start]
        piece = view.add_sized(f"{name}/piece", "Slice", windows, *rows)
        # One after the other, so that each stays in the cache.
        view.nodes[piece].input.extend(f"^{each}" for each in found[-1:])
        size = stop - start
        found.append(_maxima(view, convolution, matrices, piece, size))
    replace(convolution.pool, _joined(view, name, found))


def _bounds(convolution: Convolution) -> list[int]:
    """Return the rows where pieces start, and where the last one ends."""
    height, _ = convolution.lengths
    filters = convolution.kernel.shape[3]
    size = 8 * _bins(convolution) * filters * height  # in bytes
    count = min(max(1, round(size / PIECE)), MAX_PIECES, height)
    return [height * each // count for each in range(count + 1)]


def _spectra(view: View, convolution: Convolution, forward: str) -> str:
    """Add nodes that give the spectra of all rows below the kernel.

    Returns
    -------
    str
        The last node: shape (patches, bins, height of the kernel * 2, height).
    """
    name = f"{convolution.name}/spectra"
    height, width = convolution.padded
    margins = [[0, 0], *map(list, convolution.margins), [0, 0]]
    rows = convolution.node.input[0]
    if np.any(margins):
        rows = view.add_sized(f"{name}/padded", "Pad", rows, margins)
    rows = view.add_sized(f"{name}/rows", "Reshape", rows, [-1, height, width])
    found = _product(view, name, forward, rows, adj_y=True)
    bins = _bins(convolution)
    shape = [-1, bins, 2, height]
    found = view.add_sized(f"{name}/parts", "Reshape", found, shape)
    size = [-1, -1, -1, convolution.lengths[0]]
    shifted = [
        view.add_sized(f"{name}/shifted", "Slice", found, [0, 0, 0, row], size)
        for row in range(convolution.kernel.shape[0])
    ]
    stack = operation("Pack", *shifted)
    stack.attr["N"].i, stack.attr["axis"].i = len(shifted), 2
    shape = [-1, bins, 2 * len(shifted), convolution.lengths[0]]
    stacked = view.add(f"{name}/stacked", stack)
    return view.add_sized(f"{name}/windows", "Reshape", stacked, shape)


def _maxima(
    view: View,
    convolution: Convolution,
    matrices: Mapping[str, str],
    windows: str,
    size: int,
) -> str:
    """Add nodes that give the maxima of some rows; return the last one's name.

    Parameters
    ----------
    view
        The graph.
    convolution
        What is replaced.
    matrices
        The nodes with the constants of :func:`_matrices`.
    windows
        The node with the spectra of these rows.
    size
        How many rows there are.
    """
    name = convolution.name
    filters = convolution.kernel.shape[3]
    shape = [-1, _bins(convolution), size * filters]
    parts = []
    for spectra, back in (("real", "even"), ("imaginary", "odd")):
        factor = matrices[spectra]
        found = _product(view, f"{name}/bins", windows, factor, adj_x=True)
        flat = view.add_sized(f"{name}/flat", "Reshape", found, shape)
        parts.append(_product(view, f"{name}/back", matrices[back], flat))
    even, odd = parts
    absolute = view.add(f"{name}/absolute", operation("Abs", odd))
    larger = view.add(f"{name}/larger", operation("AddV2", even, absolute))
    peak = view.add_sized(f"{name}/peak", "Max", larger, [1])
    shape = [-1, size, 1, filters]
    return view.add_sized(f"{name}/rows", "Reshape", peak, shape)


def _product(
    view: View, name: str, first: str, second: str, **swaps: bool
) -> str:
    """Add a matrix product for each patch; return its name.

    Parameters
    ----------
    view
        The graph.
    name
        What to call it.
    first, second
        The factors.
    **swaps
        Attributes that transpose a factor.
    """
    product = operation("BatchMatMulV2", first, second)
    for key, swap in swaps.items():
        product.attr[key].b = swap
    return view.add(name, product)


def _joined(view: View, name: str, rows: Sequence[str]) -> Any:
    """Return a node that joins rows which were computed in pieces."""
    if len(rows) == 1:
        return operation("Identity", *rows)
    axis = view.add(f"{name}/axis", constant(np.array(1), np.int32))
    joined = operation("ConcatV2", *rows, axis)
    joined.attr["N"].i = len(rows)
    joined.attr["Tidx"].type = INT32
    return joined
