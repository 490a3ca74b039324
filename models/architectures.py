"""The networks of `musicnn`, as graphs with the weights of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from pathlib import Path

EPSILON = 0.001  # of every batch norm, as in the published training code

v1 = tf.compat.v1
Tensor = Any


class Weights:
    """The weights of one checkpoint, handed out as constants of the graph."""

    def __init__(self, folder: Path) -> None:
        # The checkpoint has an empty prefix: its files are ".index", ".data…".
        self.reader = v1.train.NewCheckpointReader(f"{folder}/")

    def constant(self, name: str) -> Tensor:
        return tf.constant(self.reader.get_tensor(name), name=name)

    def array(self, name: str) -> np.ndarray:
        return np.asarray(self.reader.get_tensor(name))


def batch_norm(weights: Weights, x: Tensor, layer: str) -> Tensor:
    """Normalise the last axis of `x` with the moving statistics."""
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    if x.shape.rank == 4:
        statistics = [weights.constant(f"{layer}/{name}") for name in names]
        out, *_ = v1.nn.fused_batch_norm(
            x,
            *statistics,
            epsilon=EPSILON,
            is_training=False,
            name=f"model/{layer}/FusedBatchNorm",
        )
        return out
    gamma, beta, mean, variance = (
        weights.array(f"{layer}/{name}") for name in names
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    return tf.add(
        x * tf.constant(scale, name=f"{layer}/scale"),
        tf.constant(beta - mean * scale, name=f"{layer}/offset"),
        name=f"model/{layer}/batchnorm/add_1",
    )


def convolution(
    weights: Weights, x: Tensor, layer: str, norm: str, padding: str
) -> Tensor:
    """Convolve, add the bias, rectify and normalise, in that order."""
    x = tf.nn.conv2d(
        x,
        weights.constant(f"{layer}/kernel"),
        strides=1,
        padding=padding,
        name=f"model/{layer}/Conv2D",
    )
    x = tf.nn.bias_add(
        x, weights.constant(f"{layer}/bias"), name=f"model/{layer}/BiasAdd"
    )
    x = tf.nn.relu(x, name=f"model/{layer}/Relu")
    return batch_norm(weights, x, norm)


def dense(weights: Weights, x: Tensor, layer: str) -> Tensor:
    x = tf.matmul(
        x, weights.constant(f"{layer}/kernel"), name=f"model/{layer}/MatMul"
    )
    return tf.nn.bias_add(
        x, weights.constant(f"{layer}/bias"), name=f"model/{layer}/BiasAdd"
    )


def pad_time(x: Tensor) -> Tensor:
    return tf.pad(x, [[0, 0], [3, 3], [0, 0], [0, 0]])


def musicnn(weights: Weights, x: Tensor) -> Tensor:
    """MusiCNN (Pons and Serra, 2019): patches to logits."""
    x = batch_norm(weights, x, "batch_normalization")
    padded = pad_time(x)
    # (input, padding) of 7x38, 7x67, 128x1, 64x1 and 32x1
    front = [(padded, "VALID")] * 2 + [(x, "SAME")] * 3
    features = []
    for i, (source, padding) in enumerate(front):
        layer = f"conv2d_{i}" if i else "conv2d"
        out = convolution(
            weights, source, layer, f"batch_normalization_{i + 1}", padding
        )
        # Over all frequencies; reducing a middle axis takes longer.
        peak = tf.nn.max_pool2d(out, (1, out.shape[2]), 1, "VALID")
        features.append(tf.squeeze(peak, axis=2))
    layers = [tf.expand_dims(tf.concat(features, axis=2), 3)]

    for i in (5, 6, 7):
        out = convolution(
            weights,
            pad_time(layers[-1]),
            f"conv2d_{i}",
            f"batch_normalization_{i + 1}",
            "VALID",
        )
        out = tf.transpose(out, [0, 1, 3, 2])
        layers.append(out if i == 5 else out + layers[-1])

    x = tf.squeeze(tf.concat(layers, axis=2), axis=3)
    pooled = tf.stack(
        [tf.reduce_max(x, axis=1), tf.reduce_mean(x, axis=1)], axis=2
    )
    x = tf.reshape(pooled, [-1, int(np.prod(pooled.shape[1:]))])
    x = batch_norm(weights, x, "batch_normalization_9")
    x = tf.nn.relu(dense(weights, x, "dense"), name="model/dense/Relu")
    x = batch_norm(weights, x, "batch_normalization_10")
    return dense(weights, x, "dense_1")


# Size and stride of the pools. The code in the wheel has only the second
# list; the training graph saved beside MSD_vgg has the first, and with it that
# model agrees far better with MusiCNN.
MSD_POOLS = [((4, 1), (4, 1)), ((1, 4), (1, 4)), (2, 2), (2, 2), (4, 4)]
MTT_POOLS = [((4, 1), (2, 2)), (2, 2), (2, 2), (2, 2), (4, 4)]


def vgg(weights: Weights, x: Tensor, pools: list[Any]) -> Tensor:
    """The VGG of the `musicnn` authors: patches to logits."""
    x = batch_norm(weights, x, "batch_normalization")
    for i, (size, stride) in enumerate(pools, start=1):
        x = convolution(
            weights, x, f"{i}CNN", f"batch_normalization_{i}", "SAME"
        )
        x = tf.nn.max_pool2d(x, size, stride, "VALID")
    x = tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])
    return dense(weights, x, "dense")
