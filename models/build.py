"""Build the four embedded auto-taggers from the checkpoints of `musicnn`.

Downloads the wheel of musicnn 0.1.0 (ISC licence) with pip, checks its digest,
reads the TensorFlow checkpoints and the tag names in it and writes, beside
this script, one frozen, inference-only graph per auto-tagger and its metadata
in the form upstream uses. Node names are those of the graphs that upstream
publishes, so either can stand in for the other. Nothing in the wheel is run,
but each graph is compared with the training graph saved beside its checkpoint.

    python models/build.py [--wheel FILE] [--reference DIR]
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
WHEEL = "musicnn-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = (
    "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
)
PATCH = (187, 96)  # frames, mel bands
EPSILON = 0.001  # of every batch norm, as in the published training code
REFERENCE = HERE.parent.parent / "shared" / "models"
TOLERANCE = 1e-5

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
        # Over all of frequency; to reduce a middle axis takes longer.
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


@dataclass(frozen=True)
class Tagger:
    """One auto-tagger: where it comes from and what is published about it."""

    checkpoint: str
    architecture: Callable[[Weights, Tensor], Tensor]
    outputs: dict[str, str]  # node to purpose
    metrics: dict[str, float]  # of the announcement


MUSICNN_OUTPUTS = {
    "model/Sigmoid": "predictions",
    "model/dense_1/BiasAdd": "",
    "model/dense/BiasAdd": "embeddings",
}
VGG_OUTPUTS = {"model/Sigmoid": "predictions", "model/dense/BiasAdd": ""}
TAGGERS = {
    "msd-musicnn-1": Tagger(
        "MSD_musicnn",
        musicnn,
        MUSICNN_OUTPUTS,
        {"ROC-AUC": 0.88, "PR-AUC": 0.29},
    ),
    "mtt-musicnn-1": Tagger(
        "MTT_musicnn",
        musicnn,
        MUSICNN_OUTPUTS,
        {"ROC-AUC": 0.91, "PR-AUC": 0.38},
    ),
    "msd-vgg-1": Tagger(
        "MSD_vgg",
        partial(vgg, pools=MSD_POOLS),
        VGG_OUTPUTS,
        {"ROC-AUC": 0.88, "PR-AUC": 0.28},
    ),
    "mtt-vgg-1": Tagger(
        "MTT_vgg",
        partial(vgg, pools=MTT_POOLS),
        VGG_OUTPUTS,
        {"ROC-AUC": 0.90, "PR-AUC": 0.38},
    ),
}


def tag_names(configuration: Path) -> dict[str, list[str]]:
    """Read the lists of tags from the package's source, without running it."""
    return {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for statement in ast.parse(configuration.read_text()).body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
    }


def metadata(name: str, tagger: Tagger, classes: list[str]) -> dict[str, Any]:
    """Describe a graph as upstream's JSON files do."""
    dataset, architecture, _ = name.split("-")
    return {
        "name": f"{dataset.upper()} {architecture}",
        "aliases": [f"{tagger.checkpoint}_frozen_small"],
        "type": "auto-tagging",
        "licence": "ISC",
        "classes": classes,
        "dataset": {"metrics": tagger.metrics},
        "schema": {
            "inputs": [{"name": "model/Placeholder", "shape": list(PATCH)}],
            "outputs": [
                {"name": node, "output_purpose": purpose}
                for node, purpose in tagger.outputs.items()
            ],
        },
        "inference": {
            "sample_rate": 16000,
            "algorithm": "TensorflowPredictMusiCNN",
        },
    }


def build(
    folder: Path, architecture: Callable[[Weights, Tensor], Tensor]
) -> bytes:
    """Return the frozen graph of one checkpoint, serialised."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, (None, *PATCH), name="model/Placeholder")
        logits = architecture(
            Weights(folder),
            tf.expand_dims(x, 3, name="model/ExpandDims"),
        )
        tf.sigmoid(logits, name="model/Sigmoid")
        definition = graph.as_graph_def()
    definition.versions.Clear()
    return definition.SerializeToString(deterministic=True)


def run(serialised: bytes, patches: np.ndarray, outputs: list[str]) -> list:
    definition = v1.GraphDef.FromString(serialised)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with v1.Session(graph=graph) as session:
            return session.run(outputs, {"model/Placeholder:0": patches})


def made_up_patches() -> np.ndarray:
    """Return numbers like log-compressed mel energies: from 0 to about 6."""
    rng = np.random.default_rng(0)
    return rng.gamma(1.5, 0.9, (16, *PATCH)).astype(np.float32)


def check_training_graph(folder: Path, ours: bytes) -> None:
    """Compare a graph with the one saved beside its checkpoint."""
    saved = MetaGraphDef.FromString((folder / ".meta").read_bytes()).graph_def
    definition = v1.graph_util.extract_sub_graph(saved, ["model/Sigmoid"])
    for node in definition.node:
        node.attr.pop("_output_shapes", None)  # wrong in what remains
    weights, patches = Weights(folder), made_up_patches()
    feed: dict[str, Any] = {}
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        for operation in graph.get_operations():
            name = operation.name
            if operation.type == "VariableV2":
                feed[f"{name}/read:0"] = weights.array(name)
            elif operation.type == "Placeholder":
                is_training = operation.outputs[0].dtype == tf.bool
                feed[f"{name}:0"] = False if is_training else patches
        with v1.Session(graph=graph) as session:
            theirs = session.run("model/Sigmoid:0", feed)
    (mine,) = run(ours, patches, ["model/Sigmoid:0"])
    difference = float(np.abs(mine - theirs).max())
    print(f"  largest difference from the training graph: {difference:.1e}")
    if difference > TOLERANCE:
        sys.exit("the graph built here differs from the one trained")


def check_reference(folder: Path) -> None:
    """Compare our msd-musicnn-1 with upstream's, where that is at hand."""
    theirs = folder / "msd-musicnn-1.pb"
    if not theirs.exists():
        print(f"not compared with upstream's graph: no {theirs.name} here")
        return
    outputs = ["model/Sigmoid:0", "model/dense_1/BiasAdd:0"]
    outputs.append("model/dense/BiasAdd:0")
    patches = made_up_patches()
    ours = (HERE / theirs.name).read_bytes()
    pairs = zip(
        run(ours, patches, outputs),
        run(theirs.read_bytes(), patches, outputs),
    )
    for name, (mine, reference) in zip(outputs, pairs):
        difference = float(np.abs(mine - reference).max())
        print(f"{theirs.stem} {name}: largest difference {difference:.1e}")
        if difference > TOLERANCE:
            sys.exit("the graph built here differs from upstream's")


def fetch_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    subprocess.run([*command, *options, "musicnn==0.1.0"], check=True)
    return folder / WHEEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help=f"{WHEEL}, if at hand")
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = options.wheel or fetch_wheel(folder)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            sys.exit(f"{wheel.name}: SHA-256 is {digest}, not {WHEEL_SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        package = folder / "musicnn"
        tags = tag_names(package / "configuration.py")
        for name, tagger in TAGGERS.items():
            graph = build(package / tagger.checkpoint, tagger.architecture)
            (HERE / f"{name}.pb").write_bytes(graph)
            classes = tags[f"{tagger.checkpoint[:3]}_LABELS"]
            text = json.dumps(metadata(name, tagger, classes), indent=2)
            (HERE / f"{name}.json").write_text(text + "\n")
            sha256 = hashlib.sha256(graph).hexdigest()
            print(f"{name}.pb {len(graph)} {sha256}")
            check_training_graph(package / tagger.checkpoint, graph)
    check_reference(options.reference)


if __name__ == "__main__":
    main()
