"""The stand-ins have the size and the nodes of the originals."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import standins
from support.needs import tensorflow

if TYPE_CHECKING:
    from pathlib import Path

EXPORTED_INPUT = "serving_default_model_Placeholder"


@dataclass(frozen=True)
class Case:
    """An official model.

    Attributes
    ----------
    size
        Bytes of the published file.
    algorithm
        Essentia's algorithm that runs it.
    outputs
        Node to the number of its values, that of the predictions first.
    arguments
        Other arguments of `write_standin`.
    unsaturated
        The least share of predictions that must not be close to 0 or 1.
    """

    size: int
    algorithm: str
    outputs: dict[str, int]
    arguments: dict[str, Any] = field(default_factory=dict)
    unsaturated: float = 0.9

    def write(self, path: Path) -> bytes:
        purposes = ["predictions", "embeddings"] + [""] * len(self.outputs)
        standins.write_standin(
            path,
            self.algorithm,
            dict(zip(self.outputs, purposes)),
            **{"classes": next(iter(self.outputs.values())), **self.arguments},
        )
        graph = path.read_bytes()
        path.unlink()  # some are large
        return graph

    def run(self, graph: bytes, count: int) -> list[np.ndarray]:
        """Return the values of all outputs for made-up input."""
        tf = tensorflow()
        backbone = self.arguments.get("backbone")
        row = standins.PATCHES.get(self.algorithm) or (
            standins.EMBEDDINGS[backbone],
        )
        name = self.arguments.get("input", "model/Placeholder")
        fed = np.random.default_rng(1).gamma(1.5, 0.9, (count, *row))
        nodes = [n if ":" in n else f"{n}:0" for n in self.outputs]
        options = tf.ConfigProto()  # optimising VGGish takes 12 s and 2 GB
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.Graph().as_default() as loaded:
            tf.import_graph_def(tf.GraphDef.FromString(graph), name="")
            with tf.Session(graph=loaded, config=options) as session:
                return session.run(nodes, {f"{name}:0": fed})


EFFNET = Case(
    18_366_619,
    "TensorflowPredictEffnetDiscogs",
    {"PartitionedCall:0": 400, "PartitionedCall:1": 1280},
    {"input": "serving_default_melspectrogram", "batch": 64},
)
CASES = {
    "danceability-musicnn-msd-2": Case(
        3_239_548,
        "TensorflowPredictMusiCNN",
        {
            "model/Sigmoid": 2,
            "model/dense/BiasAdd": 200,
            "model/dense_1/BiasAdd": 100,
            "model/dense_2/BiasAdd": 2,
        },
    ),
    "discogs-effnet-bs64-1": EFFNET,
    "danceability-msd-musicnn-1": Case(
        82_458,
        "TensorflowPredict2D",
        {"model/Softmax": 2, "model/dense/BiasAdd": 100},
        {"backbone": "msd-musicnn-1"},
    ),
    "emomusic-msd-musicnn-2": Case(
        82_460,
        "TensorflowPredict2D",
        {"model/Identity": 2},
        {"backbone": "msd-musicnn-1"},
        unsaturated=0,
    ),
    "moods_mirex-msd-musicnn-1": Case(
        95_007,
        "TensorflowPredict2D",
        {"PartitionedCall": 5},
        {"backbone": "msd-musicnn-1", "input": EXPORTED_INPUT},
    ),
    "danceability-audioset-vggish-1": Case(
        53_658,
        "TensorflowPredict2D",
        {"model/Softmax": 2, "model/dense/BiasAdd": 100},
        {"backbone": "audioset-vggish-3"},
    ),
    "danceability-discogs-effnet-1": Case(
        514_458,
        "TensorflowPredict2D",
        {"model/Softmax": 2, "model/dense/BiasAdd": 100},
        {"backbone": "discogs-effnet-bs64-1"},
    ),
    "genre_discogs400-discogs-effnet-1": Case(
        2_057_977,
        "TensorflowPredict2D",
        {"PartitionedCall:0": 400},
        {"backbone": "discogs-effnet-bs64-1", "input": EXPORTED_INPUT},
    ),
    "mtg_jamendo_moodtheme-discogs-effnet-1": Case(
        2_739_668,
        "TensorflowPredict2D",
        {
            "model/Sigmoid": 56,
            "model/dense/BiasAdd": 512,
            "model/dense_1/BiasAdd": 56,
        },
        {"backbone": "discogs-effnet-bs64-1"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_standin_is_like_the_original(tmp_path, name):
    case = CASES[name]
    graph = case.write(tmp_path / "standin.pb")
    tolerance = 0.05 if "backbone" in case.arguments else 0.01
    assert len(graph) == pytest.approx(case.size, rel=tolerance)

    count = case.arguments.get("batch", 6)
    values = case.run(graph, count)
    for units, value in zip(case.outputs.values(), values):
        assert value.shape == (count, units)
        assert value.std(axis=0).mean() > 0.01
    inside = (values[0] > 0.02) & (values[0] < 0.98)
    assert inside.mean() >= case.unsaturated


@pytest.mark.parametrize(
    ("classes", "outputs"),
    [
        (0, {"model/vggish/embeddings": 128}),
        (
            3,
            {
                "model/Sigmoid": 3,
                "model/vggish/fc2/BiasAdd": 128,
                "model/fully_connected/BiasAdd": 100,
                "model/logits/BiasAdd": 3,
            },
        ),
    ],
)
def test_vggish_has_its_nodes(tmp_path, classes, outputs, monkeypatch):
    # The 288 MB of the original would take a quarter of a minute.
    slim = dict.fromkeys(standins.VGGISH_DENSE, 128)
    monkeypatch.setattr(standins, "VGGISH_DENSE", slim)
    case = Case(0, "TensorflowPredictVGGish", outputs, {"classes": classes})
    values = case.run(case.write(tmp_path / "standin.pb"), 2)
    for units, value in zip(outputs.values(), values):
        assert value.shape == (2, units)
        assert value.std(axis=0).mean() > 0.001


def test_effnet_is_a_function_and_brings_a_saver(tmp_path):
    dynamic = replace(EFFNET, arguments={"input": EFFNET.arguments["input"]})
    graph = dynamic.write(tmp_path / "standin.pb")
    assert dynamic.run(graph, 3)[1].shape == (3, 1280)

    definition = tensorflow().GraphDef.FromString(graph)
    nodes = {node.name: node for node in definition.node}
    assert nodes["PartitionedCall"].op == "PartitionedCall"
    assert len(nodes["PartitionedCall"].attr["Tout"].list.type) == 2
    assert nodes["StatefulPartitionedCall"].op == "StatefulPartitionedCall"
    assert nodes["saver_filename"].op == "Placeholder"
    operations = {
        node.op
        for function in definition.library.function
        for node in function.node_def
    }
    assert {"Conv2D", "DepthwiseConv2dNative"} <= operations
    assert {"SaveV2", "RestoreV2"} <= operations


def test_weights_depend_on_the_seed_only(tmp_path):
    case = CASES["danceability-msd-musicnn-1"]
    seeds = [{**case.arguments, "seed": seed} for seed in (0, 0, 1)]
    one, same, other = (
        replace(case, arguments=arguments).write(tmp_path / "standin.pb")
        for arguments in seeds
    )
    assert one == same != other
