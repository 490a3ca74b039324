"""Operations that compute each value from those in the same place.

Those in `ELEMENTWISE` can write the result over an argument, passed as `out`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Out = np.ndarray | None


def _elu(x: np.ndarray, out: Out = None) -> Any:
    negative = np.expm1(np.minimum(x, 0))
    y = np.maximum(x, 0, out=out)
    y += negative
    return y


def _relu(x: np.ndarray, out: Out = None) -> Any:
    return np.maximum(x, 0, out=out)


def _relu6(x: np.ndarray, out: Out = None) -> Any:
    return np.clip(x, 0, 6, out=out)


def _rsqrt(x: np.ndarray, out: Out = None) -> Any:
    y = np.sqrt(x, out=out)
    return np.reciprocal(y, out=y if y.ndim else None)


def _sigmoid(x: np.ndarray, out: Out = None) -> Any:
    y = np.asarray(np.negative(x, out=out))
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


def _softplus(x: np.ndarray, out: Out = None) -> Any:
    return np.logaddexp(x, x.dtype.type(0), out=out)


def _squared_difference(
    x: np.ndarray, other: np.ndarray, out: Out = None
) -> Any:
    y = np.subtract(x, other, out=out)
    return np.square(y, out=y if y.ndim else None)


ELEMENTWISE: dict[str, Callable[..., np.ndarray]] = {
    "Abs": np.abs,
    "Add": np.add,
    "AddV2": np.add,
    "BiasAdd": np.add,
    "ClipByValue": np.clip,
    "Elu": _elu,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "RealDiv": np.true_divide,
    "Relu": _relu,
    "Relu6": _relu6,
    "Round": np.rint,
    "Rsqrt": _rsqrt,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Sqrt": np.sqrt,
    "Square": np.square,
    "SquaredDifference": _squared_difference,
    "Sub": np.subtract,
    "Tanh": np.tanh,
}
LOGICAL: dict[str, Callable[..., np.ndarray]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "LogicalOr": np.logical_or,
    "SelectV2": np.where,
}
