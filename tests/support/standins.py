"""Write stand-ins for official graphs: same layers and size, random weights."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .needs import tensorflow
from .paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODELS = ROOT / "models"

Tensor = Any
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Weights:
    """Random weights of a frozen graph: constants that were variables.

    Attributes
    ----------
    rng
        The generator that they come from.
    kernels, biases
        What the variables of a layer are called.
    """

    rng: np.random.Generator
    kernels: str = "kernel"
    biases: str = "bias"

    def kernel(self, layer: str, *shape: int) -> Tensor:
        """Return a kernel, shape (..., inputs, outputs).

        Activations keep their variance. Each output has weights of zero mean,
        so that what all inputs have in common cannot drown the rest.
        """
        values = self.rng.standard_normal(shape, np.float32)
        values -= values.mean(tuple(range(len(shape) - 1)))
        values *= math.sqrt(2 / math.prod(shape[:-1]))
        return variable(values, f"{layer}/{self.kernels}")

    def bias(self, layer: str, units: int) -> Tensor:
        values = 0.1 * self.rng.standard_normal(units, np.float32)
        return variable(values, f"{layer}/{self.biases}")


def variable(values: np.ndarray, name: str) -> Tensor:
    tf = tensorflow()
    return tf.identity(tf.constant(values, name=name), name=f"{name}/read")


def add_bias(weights: Weights, x: Tensor, layer: str) -> Tensor:
    bias = weights.bias(layer, x.shape[-1])
    return tensorflow().nn.bias_add(x, bias, name=f"model/{layer}/BiasAdd")


def relu(x: Tensor, layer: str) -> Tensor:
    return tensorflow().nn.relu(x, name=f"model/{layer}/Relu")


def dense(weights: Weights, x: Tensor, layer: str, units: int) -> Tensor:
    kernel = weights.kernel(layer, x.shape[-1], units)
    x = tensorflow().matmul(x, kernel, name=f"model/{layer}/MatMul")
    return add_bias(weights, x, layer)


def dense_layers(
    weights: Weights, x: Tensor, sizes: Mapping[str, int]
) -> Tensor:
    """Stack dense layers, rectified in between."""
    first, *_ = sizes
    x = dense(weights, x, first, sizes[first])
    for before, layer in pairwise(sizes):
        x = dense(weights, relu(x, before), layer, sizes[layer])
    return x


def head(
    rng: np.random.Generator,
    x: Tensor,
    classes: int,
    units: int,
    activation: str,
) -> None:
    sizes = {"dense": units, "dense_1": classes}
    x = dense_layers(Weights(rng), x, sizes)
    tf = tensorflow()
    functions = {
        "Softmax": tf.nn.softmax,
        "Sigmoid": tf.sigmoid,
        "Identity": tf.identity,
    }
    functions[activation](x, name=f"model/{activation}")


def musicnn(rng: np.random.Generator, x: Tensor, classes: int) -> None:
    """Put a new end on an embedded MusiCNN."""
    tf = tensorflow()
    last = "model/batch_normalization_10/batchnorm/add_1"
    definition = tf.graph_util.extract_sub_graph(
        tf.GraphDef.FromString((MODELS / "mtt-musicnn-1.pb").read_bytes()),
        [last],
    )
    nodes = {node.name: node for node in definition.node}
    definition.node.remove(nodes["model/Placeholder"])
    (x,) = tf.import_graph_def(
        definition, {"model/Placeholder": x}, [f"{last}:0"], name=""
    )
    x = dense_layers(Weights(rng), x, {"dense_1": 100, "dense_2": classes})
    tf.sigmoid(x, name="model/Sigmoid")


VGGISH_CONVOLUTIONS = {  # filters, by the pool that follows
    "pool1": {"conv1": 64},
    "pool2": {"conv2": 128},
    "pool3": {"conv3/conv3_1": 256, "conv3/conv3_2": 256},
    "pool4": {"conv4/conv4_1": 512, "conv4/conv4_2": 512},
}
VGGISH_DENSE = {
    "vggish/fc1/fc1_1": 4096,
    "vggish/fc1/fc1_2": 4096,
    "vggish/fc2": 128,
}


def vggish_features(weights: Weights, x: Tensor) -> Tensor:
    tf = tensorflow()
    x = tf.reshape(x, [-1, *x.shape[1:], 1], name="model/vggish/Reshape")
    for pool, convolutions in VGGISH_CONVOLUTIONS.items():
        for name, filters in convolutions.items():
            layer = f"vggish/{name}"
            x = tf.nn.conv2d(
                x,
                weights.kernel(layer, 3, 3, x.shape[-1], filters),
                padding="SAME",
                name=f"model/{layer}/Conv2D",
            )
            x = relu(add_bias(weights, x, layer), layer)
        x = tf.nn.max_pool2d(
            x, 2, 2, "SAME", name=f"model/vggish/{pool}/MaxPool"
        )
    return tf.reshape(x, [tf.shape(x)[0], math.prod(x.shape[1:])])


def vggish(rng: np.random.Generator, x: Tensor, classes: int) -> None:
    """VGGish (Hershey et al., 2017), with a classifier if there are classes."""
    tf = tensorflow()
    weights = Weights(rng, "weights", "biases")
    x = vggish_features(weights, x)
    if classes:
        sizes = {**VGGISH_DENSE, "fully_connected": 100, "logits": classes}
        x = dense_layers(weights, x, sizes)
        tf.sigmoid(x, name="model/Sigmoid")
    else:
        x = dense_layers(weights, x, VGGISH_DENSE)
        tf.identity(x, name="model/vggish/embeddings")


def frozen(
    layers: Callable[..., None],
    shape: Shape,
    name: str,
    rng: np.random.Generator,
) -> bytes:
    """Return a graph as TensorFlow 1 freezes one."""
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        layers(rng, tf.placeholder(tf.float32, shape, name=name))
        return graph.as_graph_def().SerializeToString(deterministic=True)


# The models that follow came to TensorFlow from ONNX. These are the operations
# that its converter, onnx-tf, writes: channels first, but transposed for each
# convolution, into which batch normalisation has been folded.

# Gives a layer its kernel and its bias. Called with the function that applies
# a kernel and with the shape of the kernel, the outputs first.
Make = Any


def convolution(
    make: Make,
    x: Tensor,
    filters: int,
    size: int = 1,
    stride: int = 1,
    depthwise: bool = False,
) -> Tensor:
    tf = tensorflow()
    inputs = 1 if depthwise else x.shape[1]
    if size > 1:
        margin = [size // 2] * 2
        x = tf.pad(x, [[0, 0], [0, 0], margin, margin])
    x = tf.transpose(x, [0, 2, 3, 1])

    def product(kernel: Tensor) -> Tensor:
        kernel = tf.transpose(kernel, [2, 3, 1, 0])
        if depthwise:
            kernel = tf.reshape(kernel, [size, size, -1, 1])
            strides = [1, stride, stride, 1]
            y = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID")
        else:
            (kernel,) = tf.split(kernel, 1, axis=-1)
            y = tf.nn.conv2d(x, kernel, strides=stride, padding="VALID")
        return tf.concat([y], axis=-1)

    kernel, bias = make(product, filters, inputs, size, size)
    return tf.transpose(product(kernel) + bias, [0, 3, 1, 2])


def gemm(make: Make, x: Tensor, units: int) -> Tensor:
    tf = tensorflow()
    inputs = x.shape[-1]
    x = tf.reshape(x, [-1, inputs])

    def product(kernel: Tensor) -> Tensor:
        return 1.0 * tf.matmul(x, tf.transpose(kernel, [1, 0]))

    kernel, bias = make(product, units, inputs)
    return product(kernel) + 1.0 * bias


def swish(x: Tensor) -> Tensor:
    return x * tensorflow().sigmoid(x)


def average(x: Tensor) -> Tensor:
    """Average over all axes but those of patches and channels."""
    tf = tensorflow()
    axes = tf.range(tf.rank(x))
    _, averaged = tf.split(axes, [2, tf.size(axes) - 2])
    return tf.reduce_mean(x, averaged, keepdims=True)


def flatten(x: Tensor) -> Tensor:
    tf = tensorflow()
    shape = tf.shape(x)
    sizes = tf.reduce_prod(shape[:1]), tf.reduce_prod(shape[1:])
    flat = tf.reshape(x, sizes)
    flat.set_shape([None, math.prod(x.shape[1:])])
    return flat


# Stages of EfficientNet-B0 (Tan and Le, 2019): expansion, size of the depthwise
# kernel, stride of the first block, filters, blocks.
STAGES = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]


def block(
    make: Make, x: Tensor, expansion: int, size: int, stride: int, filters: int
) -> Tensor:
    """Expand, convolve each channel, squeeze and excite, project."""
    inputs = x.shape[1]
    wide = inputs * expansion
    y = swish(convolution(make, x, wide)) if expansion > 1 else x
    y = swish(convolution(make, y, wide, size, stride, depthwise=True))
    gate = swish(convolution(make, average(y), inputs // 4))
    y *= tensorflow().sigmoid(convolution(make, gate, wide))
    y = convolution(make, y, filters)
    return x + y if x.shape == y.shape else y


def effnet(make: Make, x: Tensor, classes: int) -> dict[str, Tensor]:
    tf = tensorflow()
    x = swish(convolution(make, tf.expand_dims(x, 1), 32, size=3, stride=2))
    for expansion, size, stride, filters, blocks in STAGES:
        for each in [stride] + [1] * (blocks - 1):
            x = block(make, x, expansion, size, each, filters)
    x = flatten(average(swish(convolution(make, x, 1280))))
    return {
        "activations": tf.sigmoid(gemm(make, x, classes)),
        "embeddings": x,
    }


def exported_sigmoid(make: Make, x: Tensor, classes: int) -> dict[str, Tensor]:
    return {"activations": tensorflow().sigmoid(gemm(make, x, classes))}


def exported_softmax(make: Make, x: Tensor, classes: int) -> dict[str, Tensor]:
    tf = tensorflow()
    x = tf.nn.relu(x)
    scale, offset = make(partial(tf.multiply, x), x.shape[-1])
    x = tf.nn.relu(gemm(make, x * scale + offset, 100))
    return {"activations": tf.nn.softmax(gemm(make, x, classes))}


def exported(
    layers: Callable[..., dict[str, Tensor]],
    shape: Shape,
    name: str,
    rng: np.random.Generator,
) -> bytes:
    """Return the graph of a saved model of TensorFlow 2, saver and all."""
    tf = tensorflow()
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    made = fitted_weights(layers, shape[1:], rng)

    def call(x: Tensor) -> dict[str, Tensor]:
        weights = iter(made)
        return layers(lambda *_: next(weights), x)

    fed = tf.TensorSpec(shape, name=name.removeprefix("serving_default_"))
    module = tf.Module()
    module.call = tf.function(call, input_signature=[fed], autograph=False)
    signature = module.call.get_concrete_function()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signature)
        saved = (Path(folder) / "saved_model.pb").read_bytes()
    (meta_graph,) = SavedModel.FromString(saved).meta_graphs
    return meta_graph.graph_def.SerializeToString(deterministic=True)


def fitted_weights(
    layers: Callable[..., Any], shape: Shape, rng: np.random.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Return the kernels and biases of all layers, in their order.

    They are fitted to made-up patches, as batch normalisation does. Biases
    are larger than what deviates from them, which keeps the layers almost
    linear: otherwise a deep network would blow up the slightest difference
    between those patches and others.
    """
    tf = tensorflow()
    made = []

    def make(
        product: Callable[[Tensor], Tensor], *shape: int
    ) -> tuple[Tensor, Tensor]:
        kernel = rng.standard_normal(shape, np.float32)
        values = product(tf.constant(kernel)).numpy().reshape(-1, shape[0])
        mean = values.mean(0)
        scale = 0.3 / (values - mean).std()
        bias = rng.standard_normal(shape[0], np.float32) - scale * mean
        made.append((tf.constant(scale * kernel), tf.constant(bias)))
        return made[-1]

    patches = rng.gamma(1.5, 0.9, (8, *shape))
    layers(make, tf.constant(patches, tf.float32))
    return made


@dataclass(frozen=True)
class Kind:
    """How the graph of a model is made, and its layers."""

    graph: Callable[..., bytes]
    layers: Callable[..., Any]


PATCHES = {
    "TensorflowPredictMusiCNN": (187, 96),
    "TensorflowPredictVGGish": (96, 64),
    "TensorflowPredictEffnetDiscogs": (128, 96),
}
BODIES = {
    "TensorflowPredictMusiCNN": Kind(frozen, musicnn),
    "TensorflowPredictVGGish": Kind(frozen, vggish),
    "TensorflowPredictEffnetDiscogs": Kind(exported, effnet),
}
EMBEDDINGS = {
    "msd-musicnn-1": 200,
    "audioset-vggish-3": 128,
    "discogs-effnet-bs64-1": 1280,
}
HEADS = {  # by the node of the predictions, which tells them apart
    "model/Softmax": Kind(
        frozen, partial(head, units=100, activation="Softmax")
    ),
    "model/Sigmoid": Kind(
        frozen, partial(head, units=512, activation="Sigmoid")
    ),
    "model/Identity": Kind(
        frozen, partial(head, units=100, activation="Identity")
    ),
    "PartitionedCall": Kind(exported, exported_softmax),
    "PartitionedCall:0": Kind(exported, exported_sigmoid),
}


def write_standin(
    path: Path,
    algorithm: str,
    outputs: Mapping[str, str],
    classes: int,
    backbone: str | None = None,
    input: str = "model/Placeholder",  # noqa: A002
    seed: int = 0,
    batch: int | None = None,
) -> None:
    """Write a graph like one of upstream's.

    Parameters
    ----------
    path
        The file.
    algorithm
        Name of Essentia's algorithm that runs the original.
    outputs
        Output node to purpose, as in the metadata of the original.
    classes
        How many classes there are; 0 for a VGGish that only extracts features.
    backbone
        Name of the model whose embeddings a classification head takes.
    input
        Node that is fed.
    seed
        Seed of the weights.
    batch
        How many patches must be fed at a time, if that is fixed.
    """
    if backbone:
        nodes = {purpose: node for node, purpose in outputs.items()}
        kind, row = HEADS[nodes["predictions"]], (EMBEDDINGS[backbone],)
    else:
        kind, row = BODIES[algorithm], PATCHES[algorithm]
    layers = partial(kind.layers, classes=classes)
    rng = np.random.default_rng(seed)
    path.write_bytes(kind.graph(layers, (batch, *row), input, rng))
