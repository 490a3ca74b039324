"""Layers of networks: products, convolutions, pools and normalisation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.graphdef import LAYOUT, attribute
from soundtags.inference.numpy_engine.attributes import (
    UnknownAttribute,
    image_sizes,
    require,
)
from soundtags.inference.numpy_engine.convolution import (
    Geometry,
    averages,
    convolve,
    convolve_channels,
    maxima,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., Any]

PADDINGS = {b"SAME": True, b"VALID": False}


def _is_padded(node: Any) -> bool:
    padding = attribute(node, "padding", "s", b"")
    if padding not in PADDINGS:
        raise UnknownAttribute(f"padding={padding!r}")
    return PADDINGS[padding]


def _convolution(function: Function) -> Callable[[Any], Function]:
    def make(node: Any) -> Function:
        strides = image_sizes(node, "strides")
        dilations = image_sizes(node, "dilations")
        is_padded = _is_padded(node)

        def run(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
            height, width = kernel.shape[:2]
            geometry = Geometry((height, width), strides, dilations, is_padded)
            found: np.ndarray = function(images, kernel, geometry)
            return found

        return run

    return make


def _pool(function: Function) -> Callable[[Any], Function]:
    def make(node: Any) -> Function:
        geometry = Geometry(
            image_sizes(node, "ksize"),
            image_sizes(node, "strides"),
            is_padded=_is_padded(node),
        )
        return partial(function, geometry=geometry)

    return make


def _matmul(first: str, second: str) -> Callable[[Any], Function]:
    """Return the entry of a product, given its two transpose attributes."""

    def make(node: Any) -> Function:
        swaps = [attribute(node, name, "b", False) for name in (first, second)]

        def run(*matrices: np.ndarray) -> np.ndarray:
            one, other = (
                matrix.swapaxes(-1, -2) if swap else matrix
                for matrix, swap in zip(matrices, swaps)
            )
            product: np.ndarray = one @ other
            return product

        return run

    return make


def _normalisation(node: Any) -> Function:
    require(node, "data_format", "s", LAYOUT)
    if attribute(node, "is_training", "b", True):
        raise UnknownAttribute("is_training=True")
    epsilon = attribute(node, "epsilon", "f", 1e-4)

    def run(
        x: np.ndarray,
        gamma: np.ndarray,
        beta: np.ndarray,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> np.ndarray:
        scale = gamma / np.sqrt(variance + np.float32(epsilon))
        y: np.ndarray = x * scale
        y += beta - mean * scale
        return y

    return run


def _leaky_relu(node: Any) -> Function:
    alpha = attribute(node, "alpha", "f", 0.2)
    return lambda x: np.where(x > 0, x, x.dtype.type(alpha) * x)


def _softmax(_node: Any) -> Function:
    def run(x: np.ndarray) -> np.ndarray:
        y: np.ndarray = np.exp(x - x.max(axis=-1, keepdims=True))
        y /= y.sum(axis=-1, keepdims=True)
        return y

    return run


LAYERS: dict[str, Callable[[Any], Function]] = {
    "AvgPool": _pool(averages),
    "BatchMatMulV2": _matmul("adj_x", "adj_y"),
    "Conv2D": _convolution(convolve),
    "DepthwiseConv2dNative": _convolution(convolve_channels),
    "FusedBatchNorm": _normalisation,
    "FusedBatchNormV3": _normalisation,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul("transpose_a", "transpose_b"),
    "MaxPool": _pool(maxima),
    "Softmax": _softmax,
}
