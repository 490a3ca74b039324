"""Folded graphs give the same outputs with less work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.needs import tensorflow
from support.paths import ROOT

from soundtags.inference.graph import operations, read_graph
from soundtags.inference.graphdef import GraphDef
from soundtags.inference.rewrite import fold
from soundtags.models import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MODELS = ROOT / "models"
EMBEDDED = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
MUSICNN = "TensorflowPredictMusiCNN"
PATCH = (187, 96)
# Upstream's own test models come without metadata: output, and patch.
BARE = {
    "vgg4": ("model/Softmax", (128, 128)),
    "small_vggish_init": ("model/Sigmoid", (96, 64)),
}

ROWS = np.random.default_rng(0).standard_normal((3, 9, 8, 2), np.float32)
CHANNELS = 6
GAMMA = [-1.5, -0.3, 0, 0.4, 2, -1]
VARIANCE = [1e-4, 1e-3, 0.01, 0.1, 1, 10]  # around epsilon
INNER = ["conv", "biased", "relu", "norm"]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def largest(axes: Any = 2, **options: Any) -> Callable[[Any], Any]:
    return lambda x: tensorflow().reduce_max(x, axes, name="out", **options)


def pool(size: Any, stride: Any, padding: str = "VALID") -> Callable:
    return lambda x: tensorflow().nn.max_pool2d(
        x, size, stride, padding, name="out"
    )


MAXIMA = {
    "frequency": largest(),
    "from the end": largest(-2, keepdims=True),
    "time and frequency": largest([1, 2]),
    "pool": pool((1, 8), (1, 8)),
    "padded pool": pool((4, 3), (2, 3), "SAME"),
}


def stored(values: Any, name: str) -> Any:
    """Return a constant as freezing leaves it of a variable."""
    tf = tensorflow()
    constant = tf.constant(np.float32(values), name=name)
    return tf.identity(constant, name=f"{name}/read")


def layer(
    x: Any,
    maximum: Callable[[Any], Any],
    constant: Callable[..., Any] = stored,
    bias: bool = True,
    rectify: Any = None,
    epsilon: float = 0.001,
    **options: Any,
) -> Any:
    tf = tensorflow()
    kernel = constant(random(3, 3, 2, CHANNELS), "kernel")
    x = tf.nn.conv2d(x, kernel, padding="SAME", name="conv")
    if bias:
        x = tf.nn.bias_add(x, constant(random(CHANNELS), "bias"), name="biased")
    x = (rectify or tf.nn.relu)(x, name="relu")
    if not options:
        options = {
            "mean": constant(random(CHANNELS, seed=1), "mean"),
            "variance": constant(VARIANCE, "variance"),
            "is_training": False,
        }
    x, *_ = tf.nn.fused_batch_norm(
        x,
        constant(GAMMA, "gamma"),
        constant(random(CHANNELS, seed=2), "beta"),
        epsilon=epsilon,
        name="norm",
        **options,
    )
    return maximum(x)


def graph(
    maximum: Callable[[Any], Any] = MAXIMA["frequency"],
    further: Callable[[Any], Any] = lambda graph: None,
    **options: Any,
) -> Any:
    """Return a graph with one layer, from ``in`` to ``out``.

    `further` is called with the TensorFlow graph, to add to it.
    """
    tf = tensorflow()
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, (None, *ROWS.shape[1:]), name="in")
        layer(x, maximum, **options)
        further(made)
        return GraphDef.FromString(made.as_graph_def().SerializeToString())


def run(
    graph: Any,
    outputs: Sequence[str],
    feeds: Mapping[str, Any],
    weights: Mapping[str, np.ndarray] | None = None,
) -> list[np.ndarray]:
    tf = tensorflow()
    with tf.Graph().as_default() as imported:
        constants = {
            f"{name}:0": tf.constant(values)
            for name, values in (weights or {}).items()
        }
        definition = tf.GraphDef.FromString(graph.SerializeToString())
        tf.import_graph_def(definition, constants, name="")
        with tf.Session(graph=imported) as session:
            return session.run(
                [f"{output}:0" for output in outputs],
                {f"{node}:0": value for node, value in feeds.items()},
            )


def assert_same(
    plain: Any,
    folded: Any,
    outputs: Sequence[str] = ("out",),
    feeds: Mapping[str, Any] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> None:
    before, after = (
        run(each, outputs, feeds or {"in": ROWS}, weights)
        for each in (plain, folded)
    )
    for output, old, new in zip(outputs, before, after):
        assert new.shape == old.shape
        # Embeddings reach 150, where floats are 1.5e-5 apart.
        limit = 1e-5 * max(1, np.abs(old).max())
        assert np.abs(new - old).max() <= limit, output


def with_direct_reads(plain: Any) -> Any:
    """Return a copy of a graph that only reads constants directly."""
    wanted = GraphDef()
    wanted.CopyFrom(plain)
    here = nodes(wanted)
    reads = [name for name in here if name.endswith("/read")]
    for node in wanted.node:
        for index, name in enumerate(node.input):
            if name in reads and here[name].input[0] in here:
                node.input[index] = here[name].input[0]
    used = {name for node in wanted.node for name in node.input}
    for name in reads:
        if name not in used:
            wanted.node.remove(here[name])
    return wanted


def kinds(graph: Any) -> list[str]:
    return [node.op for node in graph.node]


def nodes(graph: Any) -> dict[str, Any]:
    return {node.name: node for node in graph.node}


def patches(shape: tuple[int, int], count: int = 4) -> np.ndarray:
    """Return made-up logarithms of mel bands."""
    rng = np.random.default_rng(0)
    loudness = rng.gamma(1.5, 0.9, (count, *shape))
    return loudness.clip(0, 5.8).astype(np.float32)


def check_model(path: Path) -> None:
    """Check that a model gives the same with all of its layers folded."""
    facts = installed.read_metadata(path)
    outputs = [output for output, _ in facts.outputs]
    plain, weights = read_graph(path, outputs)
    folded = fold(plain, outputs)
    feeds = {facts.input: patches(PATCH)}
    assert_same(plain, folded, outputs, feeds, weights)
    assert late_maxima(plain) == 5
    assert late_maxima(folded) == 0
    # Kernels of the two wide convolutions have a place for each bin.
    assert folded.ByteSize() < plain.ByteSize() + 2_500_000


def late_maxima(graph: Any) -> int:
    """Count the maxima that are taken after normalisation."""
    here = nodes(graph)
    return sum(
        here[node.input[0]].op.startswith("FusedBatchNorm")
        for node in graph.node
        if node.op in ("Max", "MaxPool")
    )


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_models(name):
    check_model(MODELS / f"{name}.pb")


@pytest.mark.parametrize("name", EMBEDDED)
def test_folded_models_are_still_allowed(name, tmp_path):
    outputs = ["model/Sigmoid"]
    plain, _ = read_graph(MODELS / f"{name}.pb", outputs)
    path = tmp_path / "x.pb"
    path.write_bytes(fold(plain, outputs).SerializeToString())
    again, _ = read_graph(path, outputs)
    assert operations(again.node, ()) > {"Maximum", "Minimum"}


def test_upstreams_models(shared):
    metadata = sorted((shared / "models").glob("*musicnn*.json"))
    found = []
    for path in (each.with_suffix(".pb") for each in metadata):
        facts = installed.read_metadata(path)
        if facts.algorithm == MUSICNN and not facts.backbone:
            found.append(path)
    assert len(found) >= 10
    for path in found[::2]:  # they differ in little but their weights
        check_model(path)


@pytest.mark.parametrize("name", BARE)
def test_upstreams_models_of_other_layers(shared, name):
    output, patch = BARE[name]
    plain, weights = read_graph(shared / "models" / f"{name}.pb", [output])
    folded = fold(plain, [output])
    feeds: dict[str, Any] = {"model/Placeholder": patches(patch)}
    if "model/Placeholder_1" in nodes(plain):
        feeds["model/Placeholder_1"] = False  # not training
    assert_same(plain, folded, [output], feeds, weights)


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_maxima_are_taken_before_bias_and_activation(padding):
    tf = tensorflow()
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, (None, *ROWS.shape[1:]), name="in")
        x = tf.nn.conv2d(x, stored(random(3, 3, 2, 6), "k"), padding="SAME")
        x = tf.nn.relu(tf.nn.bias_add(x, stored(random(6), "b")))
        pool((4, 3), (2, 3), padding)(x)
    plain = GraphDef.FromString(made.as_graph_def().SerializeToString())
    folded = fold(plain, ["out"])
    (last,) = (node for node in folded.node if node.op == "MaxPool")
    assert nodes(folded)[last.input[0]].op == "Conv2D"
    assert_same(plain, folded)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("maximum", MAXIMA)
def test_maxima_are_taken_first(maximum, bias):
    plain = graph(MAXIMA[maximum], bias=bias)
    folded = fold(plain, ["out"])
    assert "FusedBatchNormV3" in kinds(plain)
    assert not {"FusedBatchNormV3", "Relu"} & set(kinds(folded))
    assert_same(plain, folded)


def test_constants_need_not_have_been_variables():
    def constant(values, name):
        return tensorflow().constant(np.float32(values), name=name)

    plain = graph(constant=constant)
    folded = fold(plain, ["out"])
    assert "FusedBatchNormV3" not in kinds(folded)
    assert_same(plain, folded)


def test_constants_are_read_directly():
    tf = tensorflow()
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, (None, 3), name="in")
        kept = tf.matmul(x, stored(random(3, 2), "a"), name="kept")
        tf.add(kept, stored([1, 2], "b"), name="out")
    plain = GraphDef.FromString(made.as_graph_def().SerializeToString())
    folded = fold(plain, ["out", "b/read"])
    here = nodes(folded)
    assert list(here["kept"].input) == ["in", "a"]
    assert list(here["out"].input) == ["kept", "b"]
    assert "a/read" not in here
    assert "b/read" in here  # an output
    before, after = (
        run(each, ["out", "b/read"], {"in": random(4, 3)})
        for each in (plain, folded)
    )
    assert all(map(np.array_equal, before, after))


def test_reads_that_wait_for_others_are_kept():
    plain = graph(MAXIMA["pool"])
    nodes(plain)["kernel/read"].input.append("^in")
    assert list(nodes(fold(plain, ["out"]))["conv"].input)[1] == "kernel/read"


def test_the_old_form_of_normalisation_is_known():
    plain = graph()
    norm = nodes(plain)["norm"]
    norm.op = "FusedBatchNorm"
    del norm.attr["U"]
    folded = fold(plain, ["out"])
    assert "FusedBatchNorm" not in kinds(folded)
    assert_same(plain, folded)


def test_missing_attributes_have_tensorflows_defaults():
    plain = graph(epsilon=1e-4)
    for node in plain.node:
        node.attr.pop("data_format", None)
        node.attr.pop("epsilon", None)
    folded = fold(plain, ["out"])
    assert "FusedBatchNormV3" not in kinds(folded)
    assert_same(plain, folded)
    del nodes(plain)["norm"].attr["is_training"]  # true by default
    assert fold(plain, ["out"]) == with_direct_reads(plain)


def test_the_graph_itself_is_not_changed():
    plain = graph()
    before = plain.SerializeToString(deterministic=True)
    assert fold(plain, ["out"]) != plain
    assert plain.SerializeToString(deterministic=True) == before


def test_the_maximum_may_be_an_output_and_an_input():
    def further(graph):
        tf = tensorflow()
        out = graph.get_tensor_by_name("out:0")
        tf.add(2 * out, tf.reduce_mean(out), name="on")

    plain = graph(further=further)
    folded = fold(plain, ["out", "on"])
    assert "FusedBatchNormV3" not in kinds(folded)
    assert_same(plain, folded, ["out", "on"])


def test_a_kernel_may_have_other_users():
    def further(graph):
        tf = tensorflow()
        x = graph.get_tensor_by_name("in:0")
        kernel = graph.get_tensor_by_name("kernel/read:0")
        tf.nn.conv2d(x, kernel, padding="SAME", name="other")

    plain = graph(further=further)
    folded = fold(plain, ["out", "other"])
    assert "FusedBatchNormV3" not in kinds(folded)
    assert_same(plain, folded, ["out", "other"])


def test_new_names_are_new():
    tf = tensorflow()
    added = set(nodes(fold(graph(), ["out"]))) - set(nodes(graph()))
    assert len(added) > 5

    def further(graph):
        values = [tf.constant(1.0, name=name) for name in sorted(added)]
        tf.add_n(values, name="sum")

    plain = graph(further=further)
    folded = fold(plain, ["out", "sum"])
    assert "FusedBatchNormV3" not in kinds(folded)
    assert len(nodes(folded)) == len(folded.node)
    assert_same(plain, folded, ["out", "sum"])


def test_nodes_may_be_colocated_with_one_that_goes():
    plain = graph()
    nodes(plain)["out"].attr["_class"].list.s.append(b"loc:@norm")
    nodes(plain)["in"].attr["_class"].list.s.append(b"loc:@norm")
    assert_same(plain, fold(plain, ["out"]))


@pytest.mark.parametrize("inner", INNER)
def test_outputs_are_left_alone(inner):
    plain = graph()
    folded = fold(plain, ["out", inner])
    assert folded == with_direct_reads(plain)
    assert_same(plain, folded, ["out", inner])
    assert fold(plain, ["out", f"{inner}:0"]) == with_direct_reads(plain)


@pytest.mark.parametrize("inner", INNER)
def test_inputs_of_others_are_left_alone(inner):
    def further(graph):
        tensorflow().negative(graph.get_tensor_by_name(f"{inner}:0"), "other")

    plain = graph(further=further)
    assert fold(plain, ["out", "other"]) == with_direct_reads(plain)


@pytest.mark.parametrize("inner", INNER)
def test_control_inputs_of_others_are_left_alone(inner):
    def further(graph):
        with graph.control_dependencies([graph.get_operation_by_name(inner)]):
            tensorflow().constant(1.0, name="other")

    plain = graph(further=further)
    assert fold(plain, ["out", "other"]) == with_direct_reads(plain)


@pytest.mark.parametrize("inner", [*INNER, "out"])
def test_nodes_with_control_inputs_are_left_alone(inner):
    plain = graph()
    nodes(plain)[inner].input.append("^in")
    assert fold(plain, ["out"]) == with_direct_reads(plain)


OTHERS = {
    "training": {"is_training": True},
    "another activation": {
        "rectify": lambda x, name: tensorflow().nn.elu(x, name=name)
    },
    "over channels": {"maximum": largest(3)},
    "over channels, from the end": {"maximum": largest([-1])},
    "over channels, too": {"maximum": largest([1, 3])},
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_layers_are_left_alone(other):
    plain = graph(**OTHERS[other])
    assert fold(plain, ["out"]) == with_direct_reads(plain)


def test_other_outputs_of_the_normalisation_are_kept():
    def further(graph):
        norm = graph.get_operation_by_name("norm")
        tensorflow().identity(norm.outputs[2], name="other")

    plain = graph(further=further)
    assert fold(plain, ["out", "other"]) == with_direct_reads(plain)


@pytest.mark.parametrize("inner", ["conv", "biased", "norm", "out"])
def test_channels_on_another_axis_are_left_alone(inner):
    plain = graph(MAXIMA["pool"])
    nodes(plain)[inner].attr["data_format"].s = b"NCHW"
    assert fold(plain, ["out"]) == with_direct_reads(plain)


def test_pools_over_channels_are_left_alone():
    plain = graph(MAXIMA["pool"])
    nodes(plain)["out"].attr["ksize"].list.i[3] = 2
    assert fold(plain, ["out"]) == with_direct_reads(plain)


@pytest.mark.parametrize(
    "missing",
    ["kernel", "bias", "mean", "variance", "gamma", "beta"],
)
@pytest.mark.parametrize("ending", ["", "/read"])
def test_layers_with_unknown_weights_are_left_alone(missing, ending):
    whole = graph()
    plain = graph()
    plain.node.remove(nodes(plain)[missing])
    if ending:
        plain.node.remove(nodes(plain)[missing + ending])
    folded = fold(plain, ["out"])
    assert folded == with_direct_reads(plain)
    (value,) = run(whole, [missing], {})
    weights = {missing + ending: value}
    assert_same(plain, folded, weights=weights)


@pytest.mark.parametrize("broken", ["kernel", "gamma"])
def test_weights_that_do_not_fit_are_left_alone(broken):
    plain = graph()
    tensor = nodes(plain)[broken].attr["value"].tensor
    tensor.tensor_content += b"xyz"
    assert fold(plain, ["out"]) == with_direct_reads(plain)
    tensor.tensor_content = tensor.tensor_content[:4]
    tensor.tensor_shape.dim[-1].size = 1
    del tensor.tensor_shape.dim[:-1]
    assert fold(plain, ["out"]) == with_direct_reads(plain)


def test_unknown_axes_are_left_alone():
    plain = graph()
    plain.node.remove(nodes(plain)["out/reduction_indices"])
    assert fold(plain, ["out"]) == with_direct_reads(plain)
