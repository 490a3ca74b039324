"""NumPy gives what TensorFlow gives, for all graphs and operations."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.needs import needs_tensorflow, tensorflow
from support.paths import ROOT
from support.standins import PATCHES, write_standin

from soundtags.errors import UnusableModel
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.graphdef import GraphDef
from soundtags.inference.sessions import GraphSpec, SessionPool
from soundtags.models import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    # Takes TensorFlow and what is fed, and returns the output.
    Build = Callable[[Any, Any], Any]

EMBEDDED = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
EMBEDDINGS = {
    "msd-musicnn-1": 200,
    "audioset-vggish-3": 128,
    "discogs-effnet-bs64-1": 1280,
}
# Upstream's own test models come without metadata: output, and patch.
BARE = {
    "vgg4": ("model/Softmax", (128, 128)),
    "small_vggish_init": ("model/Sigmoid", (96, 64)),
}
Pools = dict[str, SessionPool]


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    made = {
        engine: SessionPool(2 * 10**9, EngineChoice(engine))
        for engine in ("tensorflow", "numpy")
    }
    yield made
    for pool in made.values():
        pool.close()


def patches(*shape: int) -> np.ndarray:
    """Return made-up logarithms of mel bands, or embeddings."""
    loudness = np.random.default_rng(0).gamma(1.5, 0.9, shape)
    return loudness.clip(0, 5.8).astype(np.float32)


def assert_same(
    pools: Pools, spec: GraphSpec, rows: np.ndarray, limit: float = 1e-5
) -> None:
    before = rows.copy()
    theirs, ours = (pool.run(spec, rows) for pool in pools.values())
    assert np.array_equal(rows, before)
    for output, expected in theirs.items():
        found = ours[output]
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        # Layers reach values of 150, where floats are 1.5e-5 apart.
        most = limit * max(1, np.abs(expected).max())
        assert np.abs(found - expected).max() <= most, output


def assert_model_is_same(pools: Pools, path: Path) -> None:
    facts = installed.read_metadata(path)
    outputs = tuple(output for output, _ in facts.outputs)
    shape: tuple[int, ...] = PATCHES.get(facts.algorithm, ())
    if facts.backbone:
        shape = (EMBEDDINGS[facts.backbone],)
    spec = GraphSpec(path, facts.input, outputs, 2)
    assert_same(pools, spec, patches(3, *shape))


@needs_tensorflow
@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_models(pools, name):
    assert_model_is_same(pools, ROOT / "models" / f"{name}.pb")


@needs_tensorflow
def test_upstreams_models(pools, shared):
    paths = [
        path.with_suffix(".pb")
        for path in sorted((shared / "models").glob("*.json"))
    ]
    assert len(paths) > 20
    for path in paths:
        assert_model_is_same(pools, path)


@needs_tensorflow
@pytest.mark.parametrize("name", BARE)
def test_upstreams_models_without_metadata(pools, shared, name):
    output, patch = BARE[name]
    path = shared / "models" / f"{name}.pb"
    spec = GraphSpec(path, "model/Placeholder", (output,), 2)
    assert_same(pools, spec, patches(3, *patch))


@pytest.mark.slow
def test_a_graph_of_effnets_operations(pools, tmp_path):
    path, algorithm = tmp_path / "x.pb", "TensorflowPredictEffnetDiscogs"
    fed = "serving_default_melspectrogram"
    outputs = {"PartitionedCall:0": "predictions", "PartitionedCall:1": ""}
    write_standin(path, algorithm, outputs, 40, input=fed, batch=4)
    spec = GraphSpec(path, fed, tuple(outputs))
    # Random weights make more of roundings than those of the original.
    assert_same(pools, spec, patches(4, *PATCHES[algorithm]), 1e-4)


def test_results_do_not_depend_on_the_number_of_threads(pools):
    path = ROOT / "models" / "msd-musicnn-1.pb"
    spec = GraphSpec(path, "model/Placeholder", ("model/Sigmoid",), 1)
    rows = patches(6, 187, 96)
    (alone,) = pools["numpy"].run(spec, rows).values()
    with ThreadPoolExecutor(3) as threads:
        (beside,) = pools["numpy"].run(spec, rows, threads.map).values()
    assert np.array_equal(alone, beside)


IMAGES = (5, 12, 9, 4)


def write(path: Path, build: Build, *shape: int) -> Path:
    """Write a graph whose output `build` makes of what is fed."""
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        fed = tf.placeholder(tf.float32, (None, *shape), name="in")
        tf.identity(build(tf, fed), name="out")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def kernel(*shape: int) -> np.ndarray:
    return random(*shape, seed=1)


def convolution(*size: int, **options: Any) -> Build:
    return lambda tf, x: tf.nn.conv2d(x, kernel(*size, 4, 6), **options)


def depthwise(stride: int, padding: str) -> Build:
    return lambda tf, x: tf.nn.depthwise_conv2d(
        x, kernel(3, 3, 4, 2), [1, stride, stride, 1], padding
    )


def pool(name: str, *args: Any) -> Build:
    return lambda tf, x: getattr(tf.nn, name)(x, *args)


def flat(x: Any) -> Any:
    return tensorflow().reshape(x, [-1, 9 * 12 * 4])


# Name to what makes the output of images of shape `IMAGES`.
GRAPHS: dict[str, Build] = {
    "convolution": convolution(3, 3, padding="VALID"),
    "padded convolution": convolution(3, 4, padding="SAME"),
    "with strides": convolution(3, 2, strides=[2, 3], padding="SAME"),
    "with dilations": convolution(3, 2, dilations=[2, 3], padding="VALID"),
    "of single values": convolution(1, 1, padding="VALID"),
    "of every second value": convolution(1, 1, strides=2, padding="SAME"),
    "over time": convolution(12, 1, padding="SAME"),
    "of many values": convolution(3, 9, padding="VALID"),
    "depthwise": depthwise(1, "VALID"),
    "depthwise, padded": depthwise(2, "SAME"),
    "largest": pool("max_pool2d", 2, 2, "VALID"),
    "largest, padded": pool("max_pool2d", (5, 2), (3, 1), "SAME"),
    "average": pool("avg_pool2d", 3, 2, "VALID"),
    "average, padded": pool("avg_pool2d", 3, 2, "SAME"),
    "transposed products": lambda tf, x: tf.matmul(
        flat(x), kernel(7, 9 * 12 * 4), transpose_b=True
    ),
    "products of stacks": lambda tf, x: tf.raw_ops.BatchMatMulV2(
        x=x, y=tf.constant(kernel(12, 3, 4)), adj_y=True
    ),
    "normalisation": lambda tf, x: tf.nn.fused_batch_norm(
        x,
        *(abs(kernel(4)) + n for n in range(2)),
        mean=kernel(4),
        variance=abs(kernel(4)),
        is_training=False,
    )[0],
    "softmax": lambda tf, x: tf.nn.softmax(x),
    "activations": lambda tf, x: tf.add_n(
        [
            tf.nn.elu(x),
            tf.nn.relu(x - 1),
            tf.nn.relu6(5 * x),
            tf.nn.leaky_relu(x - 1, 0.3),
            tf.tanh(x),
            tf.sigmoid(x),
            tf.nn.softplus(x),
        ]
    ),
    "arithmetic": lambda tf, x: tf.raw_ops.Add(
        x=tf.exp(-x) * tf.floor(3 * x) - tf.round(x) / (x + 1),
        y=tf.maximum(tf.minimum(x, 2.0), tf.math.log(x + 1)),
    ),
    "powers": lambda tf, x: tf.add_n(
        [
            tf.sqrt(x),
            tf.math.rsqrt(x + 1),
            tf.square(x),
            tf.pow(x, 1.5),
            tf.math.squared_difference(x, 1.0),
            tf.raw_ops.ClipByValue(t=x, clip_value_min=0.5, clip_value_max=1.5),
            tf.abs(tf.negative(x)),
        ]
    ),
    "conditions": lambda tf, x: tf.where_v2(
        ((x > 1) & ~(x >= 2)) | (x < 0.2) | tf.equal(x, 1.0), x, 2 * x
    ),
    "choice of rows": lambda tf, x: tf.where(
        tf.reduce_max(x, [1, 2, 3]) <= 5, x, 2 * x
    ),
    "sums": lambda tf, x: tf.reduce_sum(x, [1, -2]) + tf.reduce_mean(x, [1, 2]),
    "kept axes": lambda tf, x: x - tf.reduce_max(x, [1, 3], keepdims=True),
    "margins": lambda tf, x: tf.pad(
        tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]),
        [[0, 0], [0, 0], [1, 0], [2, 0]],
        constant_values=1.5,
    ),
    "axes": lambda tf, x: tf.squeeze(
        tf.expand_dims(tf.transpose(x, [0, 3, 1, 2]), 2), 2
    ),
    "parts": lambda tf, x: tf.concat(
        [*tf.split(x, 3, 1), *tf.split(x, [1, -1], 1)[::-1]], 1
    ),
    "single values": lambda tf, x: tf.stack(tf.unstack(x, axis=2)[::-1], 1),
    "slices": lambda tf, x: tf.concat(
        [x[:, 1:-2, ..., 1:3], tf.slice(x, [0, 2, 0, 2], [-1, 9, -1, 2])], 1
    ),
    "slices of other kinds": lambda tf, x: x[:, ::-2, 3][:, tf.newaxis],
    "chosen values": lambda tf, x: tf.gather(x, [3, 0, 0], axis=2),
    "repetition": lambda tf, x: tf.tile(x, [1, 2, 1, 3]),
    "shapes": lambda tf, x: (
        tf.reshape(x, [tf.shape(x)[0], tf.reduce_prod(tf.shape(x)[1:])])
        + tf.cast(tf.raw_ops.Rank(input=x), tf.float32)
        + tf.fill([1, 12 * 9 * 4], 0.5)
    ),
    "ranges": lambda tf, x: (
        flat(x) * tf.cast(tf.range(12 * 9 * 4), tf.float32) / 100
    ),
    "values that are used again": lambda tf, x: (
        lambda y: tf.nn.relu(y) + tf.sigmoid(y) * y
    )(x - 1),
    "parts that are used again": lambda tf, x: (
        lambda y: tf.nn.relu(tf.reshape(y, [-1, 4, 12, 9])) + y[0, 0, 0, 0]
    )(2 * x),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_operations(pools, tmp_path, name):
    path = write(tmp_path / "x.pb", GRAPHS[name], *IMAGES[1:])
    rows = patches(*IMAGES)
    for batch in (2, 5):
        assert_same(pools, GraphSpec(path, "in", ("out",), batch), rows)


# What is not among these graphs: not computed, seen in upstream's models, or
# not implemented.
ELSEWHERE = {
    *("Const", "Identity", "NoOp", "Placeholder", "StopGradient"),
    *("FusedBatchNorm", "IdentityN", "Merge", "RandomUniform", "Switch"),
    *("PartitionedCall", "StatefulPartitionedCall", "BiasAdd", "SelectV2"),
    "Erf",
}


def test_all_allowed_operations_are_tested(tmp_path):
    used = set()
    for build in GRAPHS.values():
        path = write(tmp_path / "x.pb", build, *IMAGES[1:])
        graph = GraphDef.FromString(path.read_bytes())
        used |= {node.op for node in graph.node}
    allowed = json.loads(
        (ROOT / "models" / "allowed_operations.json").read_text()
    )
    assert set(allowed["run"]) - ELSEWHERE <= used


def test_functions_of_several_outputs(pools, tmp_path):
    def build(tf, x):
        import tensorflow as tf2

        @tf2.function(autograph=False)
        def halves(y):
            return tuple(tf.split(y, 2, axis=3))

        @tf2.function(autograph=False)
        def swapped(y):
            left, right = halves(y)
            normal, *_ = tf.nn.fused_batch_norm(
                right, [1.0, 2], [3.0, 4], [5.0, 6], [7.0, 8], is_training=False
            )
            return normal, left

        return tf.concat(swapped(x), 3)

    path = write(tmp_path / "x.pb", build, *IMAGES[1:])
    assert_same(pools, GraphSpec(path, "in", ("out",)), patches(*IMAGES))


UNKNOWN: dict[str, tuple[Build, str]] = {
    "operation": (lambda tf, x: tf.math.erf(x), "operation Erf"),
    "layout": (
        lambda tf, x: tf.nn.max_pool2d(x, 2, 2, "VALID", data_format="NCHW"),
        "operation MaxPool .* data_format=b'NCHW'",
    ),
    "padding": (
        lambda tf, x: tf.nn.conv2d(
            x, kernel(1, 1, 4, 6), padding=[[0, 0], [1, 1], [0, 0], [0, 0]]
        ),
        "operation Conv2D .* padding=b'EXPLICIT'",
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_unknown_is_named_with_the_model(pools, tmp_path, what):
    build, reason = UNKNOWN[what]
    path = write(tmp_path / "model.pb", build, *IMAGES[1:])
    spec = GraphSpec(path, "in", ("out",))
    match = rf"^model\.pb: .*{reason}"
    with pytest.raises(UnusableModel, match=match):
        pools["numpy"].run(spec, patches(*IMAGES))
    assert "model" in pools["numpy"].check([spec])


def test_rows_of_another_shape_are_refused(pools, tmp_path):
    path = write(tmp_path / "x.pb", GRAPHS["over time"], *IMAGES[1:])
    spec = GraphSpec(path, "in", ("out",))
    with pytest.raises(UnusableModel, match=r"^x\.pb: .*channels"):
        pools["numpy"].run(spec, patches(5, 12, 9, 3))


def test_outputs_that_there_are_not_are_refused(pools, tmp_path):
    path = write(tmp_path / "x.pb", GRAPHS["over time"], *IMAGES[1:])
    spec = GraphSpec(path, "in", ("out:1",))
    for each in pools.values():
        with pytest.raises(UnusableModel, match=r"^x\.pb: .*out"):
            each.run(spec, patches(*IMAGES))
