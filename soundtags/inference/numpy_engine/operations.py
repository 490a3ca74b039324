"""The operations of graphs, as functions of arrays.

Each entry of a table takes a node and returns the function that computes it,
so that attributes are read once, when a graph is loaded.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.graphdef import (
    DTYPES,
    FLOAT,
    INT32,
    LAYOUT,
    attribute,
)
from soundtags.inference.numpy_engine.attributes import (
    UnknownAttribute,
    require,
    sizes,
)
from soundtags.inference.numpy_engine.elementwise import ELEMENTWISE, LOGICAL
from soundtags.inference.numpy_engine.nn import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable

    # Takes the values of a node's inputs, and returns the value of its output,
    # or a tuple if it has several outputs.
    Function = Callable[..., Any]


def _dtype(node: Any, name: str, default: int) -> Any:
    number = attribute(node, name, "type", default)
    if number not in DTYPES:
        raise UnknownAttribute(f"{name}={number}")
    return DTYPES[number][0]


def _axes(axes: np.ndarray) -> tuple[int, ...]:
    return tuple(np.ravel(axes).tolist())


def _reduction(function: Function) -> Callable[[Any], Function]:
    """Return the entry of a reduction, in double precision for float32."""

    def make(node: Any) -> Function:
        keep = attribute(node, "keep_dims", "b", False)

        def run(x: np.ndarray, axes: np.ndarray) -> np.ndarray:
            exact = float if x.dtype == np.float32 else x.dtype
            found = function(x, axis=_axes(axes), dtype=exact, keepdims=keep)
            return np.asarray(found, x.dtype)

        return run

    return make


def _maximum(node: Any) -> Function:
    keep = attribute(node, "keep_dims", "b", False)
    return lambda x, axes: x.max(axis=_axes(axes), keepdims=keep)


def _cast(node: Any) -> Function:
    dtype = _dtype(node, "DstT", FLOAT)
    return lambda x: x.astype(dtype)


def _shape(node: Any) -> Function:
    dtype = _dtype(node, "out_type", INT32)
    return lambda x: np.array(x.shape, dtype)


def _pack(node: Any) -> Function:
    axis = attribute(node, "axis", "i", 0)
    return lambda *values: np.stack(values, axis)


def _unpack(node: Any) -> Function:
    axis = attribute(node, "axis", "i", 0)
    return lambda x: tuple(np.moveaxis(x, axis, 0))


def _split(node: Any) -> Function:
    count = attribute(node, "num_split", "i", 1)
    return lambda axis, x: tuple(np.split(x, count, int(axis)))


def _split_v(x: np.ndarray, sizes: np.ndarray, axis: np.ndarray) -> Any:
    unknown = sizes < 0
    rest = x.shape[int(axis)] - sizes[~unknown].sum()
    known = np.where(unknown, rest, sizes)
    if known.sum() != x.shape[int(axis)] or (known < 0).any():
        raise ValueError(f"cannot be split into {sizes.tolist()}")
    return tuple(np.split(x, np.cumsum(known)[:-1], int(axis)))


def _squeeze(node: Any) -> Function:
    axes = tuple(sizes(node, "squeeze_dims")) or None
    return lambda x: np.squeeze(x, axes)


def _slice(x: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    places = []  # a list is much faster than an array here
    bounds = zip(x.shape, start.tolist(), size.tolist(), strict=True)
    for length, begin, count in bounds:
        end = length if count < 0 else begin + count
        if not 0 <= begin <= end <= length:
            raise ValueError(
                f"{size.tolist()} values of {x.shape} cannot be taken"
            )
        places.append(slice(begin, end))
    found: np.ndarray = x[tuple(places)]
    return found


def _strided_slice(node: Any) -> Function:
    masks = {
        name: attribute(node, f"{name}_mask", "i", 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }

    def index(position: int, begin: int, end: int, stride: int) -> Any:
        is_set = {name: mask >> position & 1 for name, mask in masks.items()}
        if is_set["ellipsis"]:
            return Ellipsis
        if is_set["new_axis"]:
            return None
        if is_set["shrink_axis"]:
            return begin
        return slice(
            None if is_set["begin"] else begin,
            None if is_set["end"] else end,
            stride,
        )

    def take(x: np.ndarray, *bounds: np.ndarray) -> np.ndarray:
        rows = zip(*(each.tolist() for each in bounds))
        found = x[tuple(index(i, *row) for i, row in enumerate(rows))]
        return np.asarray(found)

    return take


def _gather(node: Any) -> Function:
    require(node, "batch_dims", "i", 0)

    def gather(x: np.ndarray, indices: np.ndarray, axis: np.ndarray) -> Any:
        if (indices < 0).any():
            raise IndexError(f"index {indices.min()} is out of bounds")
        return np.take(x, indices, int(axis))

    return gather


def _pad(x: np.ndarray, margins: np.ndarray, value: Any = 0) -> np.ndarray:
    """Pad an array, and keep the order of its axes in memory."""
    pairs = margins.tolist()
    if any(each < 0 for pair in pairs for each in pair):
        raise ValueError(f"cannot be padded by {pairs}")
    axes = list(zip(x.shape, pairs, strict=True))
    shape = [size + sum(pair) for size, pair in axes]
    padded = np.full_like(x, value, shape=shape)
    padded[tuple(slice(start, start + size) for size, (start, _) in axes)] = x
    return padded


def _concat(*values: np.ndarray) -> np.ndarray:
    *parts, axis = values
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, int(axis))


def _range(start: Any, stop: Any, step: Any) -> np.ndarray:
    return np.arange(start, stop, step, dtype=start.dtype)


def _random_uniform(node: Any) -> Function:
    dtype = _dtype(node, "dtype", FLOAT)
    rng = np.random.default_rng()
    return lambda shape: rng.random(shape.tolist(), dtype)


def _plain(function: Function) -> Callable[[Any], Function]:
    """Return the entry of an operation without attributes."""
    return lambda _node: function


def _bias_add(node: Any) -> Function:
    require(node, "data_format", "s", LAYOUT)
    return np.add


def _add_n(*values: np.ndarray) -> np.ndarray:
    return reduce(np.add, values)


def _select(condition: np.ndarray, *values: np.ndarray) -> np.ndarray:
    axes = (1,) * (np.ndim(values[0]) - np.ndim(condition))
    return np.where(condition.reshape(condition.shape + axes), *values)


SHAPING: dict[str, Callable[[Any], Function]] = {
    "Cast": _cast,
    "ConcatV2": _plain(_concat),
    "ExpandDims": _plain(lambda x, axis: np.expand_dims(x, int(axis))),
    "Fill": _plain(lambda shape, value: np.full(shape, value, value.dtype)),
    "GatherV2": _gather,
    "IdentityN": _plain(lambda *values: values),
    "Pack": _pack,
    "Pad": _plain(_pad),
    "PadV2": _plain(_pad),
    "RandomUniform": _random_uniform,
    "Range": _plain(_range),
    "Rank": _plain(lambda x: np.array(x.ndim, np.int32)),
    "Reshape": _plain(lambda x, shape: x.reshape(shape.tolist())),
    "Shape": _shape,
    "Slice": _plain(_slice),
    "Split": _split,
    "SplitV": _plain(_split_v),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Tile": _plain(lambda x, times: np.tile(x, times)),
    "Transpose": _plain(lambda x, axes: x.transpose(axes)),
    "Unpack": _unpack,
}
REDUCING: dict[str, Callable[[Any], Function]] = {
    "AddN": _plain(_add_n),
    "Max": _maximum,
    "Mean": _reduction(np.mean),
    "Prod": _reduction(np.prod),
    "Sum": _reduction(np.sum),
}
OPERATIONS = {
    **SHAPING,
    **REDUCING,
    **LAYERS,
    **{
        name: _plain(function)
        for name, function in {**ELEMENTWISE, **LOGICAL}.items()
    },
    "BiasAdd": _bias_add,
    "Select": _plain(_select),
}
IN_PLACE = frozenset(ELEMENTWISE)  # they can overwrite an argument
# Operations whose results may share memory with what they take.
VIEWS = frozenset(SHAPING) - {"Cast", "Fill", "Pack", "RandomUniform", "Range"}
# Operations that treat all values of a channel alike, and keep their order.
MONOTONIC = frozenset({"BiasAdd", "Relu"})
RANDOM = frozenset({"RandomUniform"})
SAME = frozenset({"Identity", "StopGradient"})  # they give what they take
