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
from architectures import MSD_POOLS, MTT_POOLS, Weights, musicnn, vgg
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

if TYPE_CHECKING:
    from collections.abc import Callable

    from architectures import Tensor

HERE = Path(__file__).resolve().parent
WHEEL = "musicnn-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = (
    "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
)
PATCH = (187, 96)  # frames, mel bands
REFERENCE = HERE.parent.parent / "shared" / "models"
TOLERANCE = 1e-5

v1 = tf.compat.v1


@dataclass(frozen=True)
class Tagger:
    """One auto-tagger: where it comes from and what is published about it."""

    checkpoint: str
    architecture: Callable[[Weights, Tensor], Tensor]
    outputs: dict[str, str]  # node to purpose
    metrics: dict[str, float]  # from the announcement


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
